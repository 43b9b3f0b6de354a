"""``python -m rnnspec.conformance.benchmarks REPORT``: measure the suite's own speed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from rnnspec.conformance.benchmarks.machine import THREAD_VARIABLES


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("report", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Few repetitions: figures to look at, not to publish.")
@click.option("--standard", is_flag=True, help="Time `rnnspec validate torch --profile standard` too: minutes.")
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads of NumPy and torch, of each."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def main(report: Path, quick: bool, standard: bool, threads: int, json_file: Path | None) -> None:
    """Measure the suite's own speed and write it to REPORT, in Markdown."""
    # NumPy and torch read these when they are imported, which is why nothing above imports them.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    from rich.console import Console

    from rnnspec.conformance.benchmarks.measuring import Effort
    from rnnspec.conformance.benchmarks.report import write_performance

    profiles = ("quick", "standard") if standard else ("quick",)
    if quick:
        effort = Effort(10, 3, rounds=1, cases=100, examples=2, profiles=profiles, validations=1, threads=threads)
    else:
        effort = Effort(profiles=profiles, threads=threads)
    write_performance(report, json_file, effort, Console(stderr=True))
    click.echo(f"wrote {report}")


if __name__ == "__main__":
    main()
