"""``rnnspec bench``: time backends against each other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rnnspec.conformance.bench.errors import NoneConformsError
from rnnspec.conformance.bench.request import BenchRequest, contests_of, timed
from rnnspec.conformance.bench.table import print_report
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_bytes, write_json


def bench_backends(request: BenchRequest, json_file: Path | None) -> int:
    """Time, print and write; return the exit status: 1 if a backend violates, as slower is not wrong."""
    if request.html:
        from rnnspec.conformance.bench.page import must_be_drawable

        must_be_drawable()
    try:
        report, written, status = timed(request)
    except NoneConformsError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    print_report(open_console(sys.stdout), report)
    if json_file:
        write_json(json_file, written)
    if request.html:
        from rnnspec.conformance.bench.page import page

        write_bytes(request.html, page(report, written).encode())
    if status:
        click.echo(f"interrupted with {len(report.outcomes)} of {len(contests_of(request))} workloads done", err=True)
    return status or int(report.violates)
