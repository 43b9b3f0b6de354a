"""What fills the pages of docs/ with tables and figures: ``python -m rnnspec.conformance.pages NAME docs/NAME.md``.

Each page is written by hand around its tables; `markdown` puts these in their places and leaves the rest as it is.
"""
