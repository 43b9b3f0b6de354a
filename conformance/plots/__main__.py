"""``python -m rnnspec.conformance.plots FOLDER``: make the plots of docs/gradients.md, and print its tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Draw the plots into FOLDER, and print the tables of numbers that the page quotes."""
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("drawing needs matplotlib: expected it installed; use pip install 'rnnspec[plots]'")
    from rnnspec.conformance.plots.drawing import draw_all
    from rnnspec.conformance.plots.numbers import tables

    for file in draw_all(folder):
        click.echo(f"wrote {file}")
    for name, rows in tables().items():
        click.echo("\n".join(("", f"{name}:", "", *rows)))


if __name__ == "__main__":
    main()
