"""What people see of the results: progress, tables, JSON."""
