"""The executable specification: what is right."""
