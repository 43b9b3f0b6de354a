"""``rnnspec report``: one report of the results of several runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.report import Report, read_report
from rnnspec.conformance.report.writing import Written


def report_on(sources: Sequence[Path], written: Written) -> int:
    """Print one report on all results and write it; return the exit status that the runs together would have."""
    written.must_be_possible()
    report = read_report(*sources)
    report.print_on(open_console(sys.stdout))
    written.write(report)
    return status_of(report)


def status_of(report: Report) -> int:
    """Return 0 if all conforms, 1 if something violates, and 2 if nothing of a backend was judged."""
    if report.verdict.bad:
        return 1
    return 0 if report.conforms else 2
