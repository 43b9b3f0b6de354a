"""``python -m rnnspec.conformance.pages NAME PAGE``: write the tables and figures of a page of docs/ anew."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

import click

from rnnspec.backends.discovery import installs

_HELP: Final = {"help_option_names": ["-h", "--help"]}
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_PAGE: Final = click.argument("page", type=_FILE)


@click.group(context_settings=_HELP)
def main() -> None:
    """Write the tables and figures of a page of docs/ anew, without change to the text around them."""


@main.command()
@_PAGE
def checks(page: Path) -> None:
    """docs/checks.md: every check, from the code."""
    from rnnspec.conformance.pages.checks import NAME, table
    from rnnspec.conformance.pages.markdown import fill_in

    fill_in(page, {NAME: table()})
    click.echo(f"wrote {page}")


@main.command()
@_PAGE
def frameworks(page: Path) -> None:
    """docs/frameworks.md: the installed frameworks' own operations, from the adapters."""
    from rnnspec.conformance.pages.frameworks import FRAMEWORKS, opened, table
    from rnnspec.conformance.pages.markdown import fill_in

    tables = {name: table(backend) for name, backend in opened().items()}
    fill_in(page, tables)
    for name in FRAMEWORKS:
        click.echo(f"{name}: {'filled in' if name in tables else 'not installed here, left as it was'}")


@main.command()
@_PAGE
@click.argument("file", type=_FILE, required=False)
@click.option(
    "--edits", multiple=True, type=_FILE, help="A file that rnnspec faults --edits --json wrote (repeatable)."
)
def faults(page: Path, file: Path | None, edits: tuple[Path, ...]) -> None:
    """docs/faults.md: the suite's own score, from a FILE of ``rnnspec faults --json``.

    With --edits alone, the table of single edits is filled in and the rest stays.
    """
    from rnnspec.conformance.pages import edits as of_edits
    from rnnspec.conformance.pages.faults import read, sections
    from rnnspec.conformance.pages.markdown import fill_in

    if file is None and not edits:
        raise click.UsageError("expected FILE, --edits or both")
    found: dict[str, str] = {}
    try:
        if file is not None:
            scores, seeds = read(file)
            found |= sections(scores, seeds)
        if edits:
            found |= of_edits.sections(of_edits.read(edits))
    except ValueError as error:
        named = str(error) if file is None or str(file) in str(error) else f"{file}: {error}"
        raise click.ClickException(named) from error
    fill_in(page, found)
    click.echo(f"wrote {page}")


@main.command()
@_PAGE
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option(
    "--store",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write what the page needs of each backend to NAME.json in this folder.",
)
def conformance(page: Path, files: tuple[Path, ...], store: Path | None) -> None:
    """docs/conformance.md: operations by implementations, from each FILE of ``rnnspec validate --json``."""
    from rnnspec.conformance.pages.conformance import read, sections, stored
    from rnnspec.conformance.pages.markdown import fill_in
    from rnnspec.conformance.run.files import write_json

    try:
        backends = read(files)
        found = sections(backends)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    fill_in(page, found)
    if store is not None:
        for backend in backends:
            write_json(store / f"{backend['name']}.json", {"backends": [stored(backend)]})
    click.echo(f"wrote {page}")


@main.command()
@_PAGE
@click.argument("file", type=_FILE)
def diagnosis(page: Path, file: Path) -> None:
    """docs/diagnosis.md: how often the suite names what is wrong, from a FILE of ``rnnspec faults --diagnose``."""
    from rnnspec.conformance.diagnosis.rates import read
    from rnnspec.conformance.pages.diagnosis import sections
    from rnnspec.conformance.pages.markdown import fill_in
    from rnnspec.conformance.run.files import FileError

    try:
        fill_in(page, sections(read(file)))
    except FileError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote {page}")


@main.command()
@_PAGE
@click.argument("file", type=_FILE)
def sharpness(page: Path, file: Path) -> None:
    """docs/sharpness.md and its figures, from a FILE of ``rnnspec sharpness --json``.

    A file of only some parts fills in only their tables.
    """
    _must_draw()
    from rnnspec.conformance.pages.markdown import fill_in
    from rnnspec.conformance.pages.sharpness import drift_sections, read, sections
    from rnnspec.conformance.pages.sharpness_plots import draw

    try:
        measured, drifts = read(file)
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from error
    fill_in(page, {**(sections(measured) if measured else {}), **(drift_sections(drifts) if drifts else {})})
    for drawn in (page, *draw(measured, page.with_suffix(""))):
        click.echo(f"wrote {drawn}")


@main.command()
@_PAGE
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--variants", type=_FILE, help="A file that rnnspec faults --json wrote.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the error ratios into this SVG.")
def tolerances(page: Path, files: tuple[Path, ...], variants: Path | None, plot: Path | None) -> None:
    """docs/tolerances.md: the results of soaks, from each FILE of ``rnnspec soak --json``."""
    if plot is not None:
        _must_draw()
    from rnnspec.conformance.pages.markdown import fill_in
    from rnnspec.conformance.pages.tolerance_plot import draw
    from rnnspec.conformance.pages.tolerances import read, sections

    reports = [read(file) for file in files]
    found = sections(reports, None if variants is None else read(variants)["variants"])
    fill_in(page, found)
    click.echo(f"filled in {', '.join(found)}")
    if plot is not None:
        draw(reports, plot)
        click.echo(f"wrote {plot}")


@main.command()
@_PAGE
def gradients(page: Path) -> None:
    """The figures of docs/gradients.md; prints the tables of numbers that the page quotes."""
    _must_draw()
    from rnnspec.conformance.pages.gradient_numbers import tables
    from rnnspec.conformance.pages.gradient_plots import draw_all

    for drawn in draw_all(page.with_suffix("")):
        click.echo(f"wrote {drawn}")
    for name, table in tables().items():
        click.echo(f"\n{name}:\n\n{table}")


@main.command()
@click.argument("page", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Few repetitions: figures to look at, not to publish.")
@click.option("--standard", is_flag=True, help="Time `rnnspec validate torch --profile standard` too: minutes.")
@click.option("--no-validation", is_flag=True, help="Time no whole validation: they take most of the time.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads of each timed call.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON.")
def performance(
    page: Path, quick: bool, standard: bool, no_validation: bool, threads: int, json_file: Path | None
) -> None:
    """docs/performance.md, the whole page: the project's own speed, measured on this machine."""
    from rnnspec.conformance.bench.errors import BenchError
    from rnnspec.conformance.bench.threads import pinned

    try:
        with pinned(threads):  # before NumPy and the frameworks are imported
            from rich.console import Console

            from rnnspec.conformance.performance.report import measure, write_performance
            from rnnspec.conformance.performance.rows import PUBLISHED, QUICK

            sections = measure(QUICK if quick else PUBLISHED, Console(stderr=True))
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    if not no_validation:  # on all cores, each in a process of its own
        from rnnspec.conformance.performance.validating import validations

        sections.append(validations(("quick", "standard") if standard else ("quick",)))
    write_performance(page, json_file, sections)
    click.echo(f"wrote {page}")


@main.command()
@click.argument("docs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--katex", type=click.Path(exists=True, file_okay=False, path_type=Path), help="KaTeX's folder dist.")
def site(docs: Path, folder: Path, katex: Path | None) -> None:
    """The sources of the documentation site in a new FOLDER, from the folder DOCS: `tox -e docs` builds it."""
    from rnnspec.conformance.pages.site import write_site

    if folder.exists() and any(folder.iterdir()):
        raise click.ClickException(f"{folder}: expected a new or empty folder")
    click.echo(f"wrote {len(write_site(docs, folder, katex))} pages into {folder}")


def _must_draw() -> None:
    """Raise ClickException unless matplotlib is installed, before any work is done."""
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException(f"drawing needs matplotlib: expected it installed; use {installs('plots')}")


if __name__ == "__main__":
    main()
