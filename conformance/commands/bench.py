"""``rnnspec bench``: time backends against each other."""

from __future__ import annotations

import sys
from pathlib import Path

from rnnspec.conformance.bench.request import BenchRequest, timed
from rnnspec.conformance.bench.table import print_report
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_bytes, write_json


def bench_backends(request: BenchRequest, json_file: Path | None) -> int:
    """Time, print and write; always 0, as slower is not wrong."""
    if request.html:
        from rnnspec.conformance.bench.page import must_be_drawable

        must_be_drawable()
    report, written = timed(request)
    print_report(open_console(sys.stdout), report)
    if json_file:
        write_json(json_file, written)
    if request.html:
        from rnnspec.conformance.bench.page import page

        write_bytes(request.html, page(report, written).encode())
    return 0
