"""``python -m rnnspec.conformance.bench.own REPORT``: measure the project's own speed."""

from __future__ import annotations

from pathlib import Path

import click

from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.threads import pinned


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("report", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Few repetitions: figures to look at, not to publish.")
@click.option("--standard", is_flag=True, help="Time `rnnspec validate torch --profile standard` too: minutes.")
@click.option("--no-validation", is_flag=True, help="Time no whole validation: they take most of the time.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads of whatever is timed.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def main(report: Path, quick: bool, standard: bool, no_validation: bool, threads: int, json_file: Path | None) -> None:
    """Measure the project's own speed and write it to REPORT, in Markdown."""
    try:
        with pinned(threads):  # before NumPy and the frameworks are imported
            from rich.console import Console

            from rnnspec.conformance.bench.own.report import measure, write_performance
            from rnnspec.conformance.bench.own.rows import PUBLISHED, QUICK

            sections = measure(QUICK if quick else PUBLISHED, Console(stderr=True))
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    if not no_validation:  # on all cores, each in a process of its own
        from rnnspec.conformance.bench.own.validating import validations

        sections.append(validations(("quick", "standard") if standard else ("quick",)))
    write_performance(report, json_file, sections)
    click.echo(f"wrote {report}")


if __name__ == "__main__":
    main()
