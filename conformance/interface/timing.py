"""``rnnspec.bench``: the speed of backends, in Python."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnspec.backends.interrupts import Interrupted, interruptible
from rnnspec.conformance import kinds
from rnnspec.conformance.bench.answer import answers
from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport
from rnnspec.conformance.bench.request import BenchRequest, timed
from rnnspec.conformance.bench.table import print_report
from rnnspec.conformance.bench.threads import pinned
from rnnspec.conformance.options import LEAST, MOST_SECONDS
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_bytes, write_json
from rnnspec.conformance.run.plan import PlanError

WIDTH = 100
"""Columns of the result as text."""


@dataclass(frozen=True)
class Bench:
    """The times of backends, each with its ratio to the first one's, and the conditions of the run.

    ``str(bench)`` is the text that the terminal shows, and a notebook shows the same.
    """

    report: BenchReport
    written: Mapping[str, Any]
    """The same in pytest-benchmark's format."""

    @property
    def outcomes(self) -> Sequence[BenchOutcome]:
        """The outcome of each workload, in each mode and type."""
        return self.report.outcomes

    def to_json(self) -> Mapping[str, Any]:
        """Return it as plain data, in the format of ``rnnspec bench --json``."""
        return self.written

    def write_json(self, path: str | Path) -> None:
        """Write it as JSON, which ``rnnspec bench compare`` reads."""
        write_json(kinds.file("write_json", path), self.written)

    def write_html(self, path: str | Path) -> None:
        """Write it as a page with plots. BenchError tells if what the page needs is not installed."""
        from rnnspec.conformance.bench.page import page

        write_bytes(kinds.file("write_html", path), page(self.report, self.written).encode())

    def __str__(self) -> str:
        text = io.StringIO()
        print_report(open_console(text, width=WIDTH, color_system=None), self.report)
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<rnnspec.Bench: {'; '.join(answers(self.report)) or f'{len(self.outcomes)} workloads'}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def bench(
    backends: Sequence[str],
    *,
    workloads: Sequence[str] = (),
    operations: Sequence[str] = (),
    scale: str = "medium",
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    scan: str | None = None,
    models: Sequence[str] = (),
    stages: bool = False,
    modes: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    device: str = "cpu",
    threads: int | None = None,
    seconds: float = 6.0,
    rounds: int = 100,
    memory: bool = True,
) -> Bench:
    """Time backends against each other; each must conform on a workload before it is timed on it.

    Parameters
    ----------
    backends
        Names of installed ones or ``package.module:Class``, each with ``@DEVICE`` if it is to run there. A single one
        is timed by itself.
    workloads, operations, scale
        Named workloads, and operations at a scale; by default the workloads of practice.
    sizes
        Sizes other than the workloads', as ``{"T": 200}``; of several for a symbol, each is timed.
    scan
        Time against a size, as ``"T=64,128,256"``.
    models, stages
        Models whose training is timed in place of operations, and whether each of their stages is timed too.
    modes, dtypes
        Some of ``forward``, ``gradient`` and ``decode``, of models ``step``, ``forward``, ``backward`` and ``update``,
        and types; by default all modes, and float32.
    device
        Device of backends that name none.
    threads
        Threads of each backend; by default one for each core. A framework imported before has its own.
    seconds, rounds
        The time for each workload, and the most rounds of it.
    memory
        Whether to measure the peak memory, in new processes.

    Returns
    -------
    Bench
        The times.

    Raises
    ------
    BenchError
        If nothing can be timed, or no backend conforms.
    BackendError
        If a backend does not open.
    """
    backends = kinds.names("backends", backends)
    if not backends:
        raise PlanError("expected a backend, got none")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not LEAST <= seconds <= MOST_SECONDS:
        raise PlanError(f"seconds: expected a number from {LEAST:g} to {MOST_SECONDS:g}, got {seconds!r}")
    rounds = kinds.whole("rounds", rounds, 2)
    threads = None if threads is None else kinds.whole("threads", threads, 1)
    for name, text in (("scale", scale), ("device", device), ("scan", scan or "")):
        kinds.words(name, text)
    request = BenchRequest(
        backends=backends, alone=len(backends) == 1, scale=scale, sizes=_sizes(sizes), scan=scan, device=device,
        seconds=seconds, rounds=rounds, memory=memory, models=kinds.names("models", models), stages=stages,
        workloads=kinds.names("workloads", workloads), operations=kinds.names("operations", operations),
        modes=kinds.names("modes", modes), dtypes=kinds.names("dtypes", dtypes),
    )  # fmt: skip
    with interruptible(), pinned(threads):
        report, written, interrupted = timed(request)
    if interrupted:
        raise Interrupted(interrupted - 128)
    return Bench(report, written)


def _sizes(sizes: object) -> dict[str, tuple[int, ...]]:
    found = {}
    for symbol, size in kinds.mapping("sizes", sizes, "{'T': 200}").items():
        several = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size,)
        if not several or not all(map(kinds.is_whole, several)):
            raise PlanError(f"sizes: {symbol}: expected a whole number or a list of some, got {size!r}")
        found[symbol] = tuple(map(int, several))
    return found
