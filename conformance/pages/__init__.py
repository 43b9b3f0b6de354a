"""Generated tables and figures of docs/: ``python -m rnnspec.conformance.pages NAME docs/NAME.md`` writes them.

The text around the tables is written by hand; `markdown` replaces only the tables.
"""
