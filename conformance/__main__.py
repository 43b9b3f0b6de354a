"""``python -m rnnspec.conformance``: the command line, where its script is not on the path."""

from rnnspec.conformance.cli import main

main(prog_name="rnnspec")
