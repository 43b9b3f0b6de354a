"""``rnnspec bench``: time backends against each other; ``rnnspec bench compare``: two runs against each other."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rnnspec.conformance.bench.catalogue import Catalogue, at_scale, load_catalogue, must_be_a_size
from rnnspec.conformance.bench.contender import open_contenders
from rnnspec.conformance.bench.engine import Engine, Setting
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.memory import peak_memory
from rnnspec.conformance.bench.outcome import Contest
from rnnspec.conformance.bench.progress import telling
from rnnspec.conformance.bench.scan import parse_scan, scanned
from rnnspec.conformance.bench.table import print_report
from rnnspec.conformance.bench.threads import cores
from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.bench.workload import MODES, Workload
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_bytes, write_json


@dataclass(frozen=True)
class Request:
    """The user's request."""

    backends: tuple[str, ...]
    alone: bool
    workloads: tuple[str, ...]
    file: Path | None
    operations: tuple[str, ...]
    scale: str
    sizes: Mapping[str, int]
    scan: str | None
    modes: tuple[str, ...]
    dtypes: tuple[str, ...]
    device: str
    seconds: float
    rounds: int
    memory: bool
    html: Path | None
    isolation: Isolation
    limits: Limits


def bench_backends(request: Request, json_file: Path | None) -> int:
    """Time, print and write; always 0, as slower is not wrong."""
    if request.html:
        from rnnspec.conformance.bench.page import must_be_drawable

        must_be_drawable()
    contests = _contests(request)
    contenders = open_contenders(
        request.backends,
        request.device,
        alone=request.alone or bool(request.scan),
        isolation=request.isolation,
        limits=request.limits,
    )
    effort = Effort(fewest=min(Effort.fewest, request.rounds), most=request.rounds, seconds=request.seconds)
    chosen = cores()
    setting = Setting(contenders, len(chosen), chosen, effort, peak_memory if request.memory else None)
    engine = Engine(contests, setting)
    with telling(engine, open_console(sys.stderr)):
        report, written = engine.run()
    print_report(open_console(sys.stdout), report)
    if json_file:
        write_json(json_file, written)
    if request.html:
        from rnnspec.conformance.bench.page import page

        write_bytes(request.html, page(report, written).encode())
    return 0


def _contests(request: Request) -> list[Contest]:
    """The contests to hold; the size that a scan varies changes fastest."""
    catalogue = load_catalogue(request.file)
    for mode in request.modes:
        if mode not in MODES:
            raise BenchError(f"unknown mode {mode!r}: expected one of {', '.join(MODES)}")
    for symbol, size in request.sizes.items():
        must_be_a_size(symbol, size, f"-{symbol}")
    contests = []
    for workload in _workloads(request, catalogue):
        work = _resized(workload, request.sizes)
        series: list[Workload] = [work]
        symbol = ""
        if request.scan:
            symbol, sizes = parse_scan(request.scan, work)
            series = scanned(work, symbol, sizes)
        modes = [mode for mode in work.modes if not request.modes or mode in request.modes]
        for mode in modes:
            for dtype in request.dtypes or ("float32",):
                contests += [Contest(one, mode, dtype, symbol) for one in series]
    if not contests:
        raise BenchError(f"nothing to time: expected a workload with the mode {' or '.join(request.modes)}, got none")
    for contest in contests:  # their errors are reported before anything is timed
        contest.workload.cases(contest.mode, contest.dtype)
    return contests


def _resized(workload: Workload, sizes: Mapping[str, int]) -> Workload:
    """The workload at these sizes, and so under another name: its times are not comparable with those before."""
    given = "".join(f" {symbol}={size}" for symbol, size in sizes.items())
    return replace(workload.with_sizes(**sizes), name=workload.name + given)


def _workloads(request: Request, catalogue: Catalogue) -> list[Workload]:
    """The named ones, and the operations; where none are named, those of the user's file, or else those of practice."""
    if request.workloads or request.operations:
        named = [catalogue.get(name) for name in dict.fromkeys(request.workloads)]
        return named + [at_scale(name, request.scale) for name in dict.fromkeys(request.operations)]
    if request.file:
        return list(catalogue.own)
    return list(catalogue.named.values())
