"""Run the command line: ``python -m rnnspec``."""

from rnnspec.conformance.cli import main

main(prog_name="rnnspec")
