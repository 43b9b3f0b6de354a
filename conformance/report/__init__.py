"""Reports of the results: progress, tables and JSON."""
