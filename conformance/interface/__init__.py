"""The Python interface: the functions of `rnnspec`, each with the result that a notebook shows."""

from rnnspec.conformance.interface.judging import validate
from rnnspec.conformance.interface.testing import conforms
from rnnspec.conformance.interface.timing import Bench, bench
from rnnspec.conformance.interface.tracing import Trace, trace
from rnnspec.conformance.report.report import Report, read_report

__all__ = ["Bench", "Report", "Trace", "bench", "conforms", "read_report", "trace", "validate"]
