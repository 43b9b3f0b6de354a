"""A request to time backends against each other, and its contests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from rnnspec.conformance.bench.catalogue import Catalogue, at_scale, load_catalogue, must_be_a_size
from rnnspec.conformance.bench.contender import open_contenders
from rnnspec.conformance.bench.cost import cost_of
from rnnspec.conformance.bench.engine import Engine, Setting
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.memory import peak_memory
from rnnspec.conformance.bench.outcome import BenchReport, Contest
from rnnspec.conformance.bench.progress import own_errors, telling
from rnnspec.conformance.bench.scan import parse_scan, scanned
from rnnspec.conformance.bench.threads import cores
from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.bench.training import PARTS, TrainingEngine, trainings
from rnnspec.conformance.bench.workload import MODES, Workload, WorkloadStage
from rnnspec.conformance.cases import Case
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.spec import FLOAT_TYPES, operation, resolved
from rnnspec.spec.errors import one_of


@dataclass(frozen=True)
class BenchRequest:
    """The user's request."""

    backends: tuple[str, ...]
    alone: bool = False
    workloads: tuple[str, ...] = ()
    file: Path | None = None
    operations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Models whose training is timed, in place of operations."""

    stages: bool = False
    """Whether each stage of a model is timed too."""

    scale: str = "medium"
    sizes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The sizes to time for each symbol; of several symbols, every combination."""

    scan: str | None = None
    modes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    lengths: bool = False
    inputs: tuple[str, ...] = ()
    device: str = "cpu"
    seconds: float = 6.0
    rounds: int = 100
    memory: bool = True
    html: Path | None = None
    isolation: Isolation = Isolation.NEVER
    limits: Limits = field(default_factory=Limits)


def timed(request: BenchRequest) -> tuple[BenchReport, dict[str, Any], int]:
    """Time what is asked for, and show the progress.

    Returns
    -------
    tuple
        The report, the same in pytest-benchmark's format, and the status of an interrupt that ended it early; 0: none.
    """
    contests = contests_of(request)
    contenders = open_contenders(
        request.backends,
        request.device,
        alone=request.alone or request.scan is not None,
        isolation=Isolation.NEVER if request.models else request.isolation,
        limits=request.limits,
    )
    effort = Effort(fewest=min(Effort.fewest, request.rounds), most=request.rounds, seconds=request.seconds)
    chosen = cores()
    setting = Setting(contenders, len(chosen), chosen, effort, peak_memory if request.memory else None)
    engine = TrainingEngine(contests, setting) if request.models else Engine(contests, setting)
    with own_errors() as console, telling(engine, console):
        report, written = engine.run()
    return report, written, engine.interrupted


def contests_of(request: BenchRequest) -> list[Contest]:
    """The contests to hold."""
    return _trainings(request) if request.models or request.stages else _of_operations(request)


def _trainings(request: BenchRequest) -> list[Contest]:
    """The contests of training: each model at each combination of sizes, whole, in parts and, if asked, by stage."""
    if not request.models:
        raise BenchError("--stages goes with --model: operations have no stages")
    others = {
        "--workload": request.workloads, "--workloads": request.file, "--op": request.operations,
        "--scan": request.scan, "--lengths": request.lengths, "--inputs": request.inputs,
    }  # fmt: skip
    for option, value in others.items():
        if value:
            raise BenchError(f"{option} does not go with --model: a model has its own stages, data and lengths")
    for mode in request.modes:
        if mode not in PARTS:
            raise BenchError(f"unknown mode {mode!r} of a model: {one_of(mode, PARTS)}")
    dtypes = request.dtypes or ("float32",)
    for dtype in dtypes:
        if dtype not in FLOAT_TYPES:
            raise BenchError(f"unknown dtype {dtype!r}: {one_of(dtype, FLOAT_TYPES)}")
    contests = []
    for name in dict.fromkeys(request.models):
        for combination in product(*request.sizes.values()):
            given = dict(zip(request.sizes, combination, strict=True))
            label = " ".join(f"{symbol}={size}" for symbol, size in given.items())
            for work in trainings(name, given, label, stages=request.stages):
                modes = [mode for mode in work.modes if not request.modes or mode in request.modes]
                contests += [Contest(work, mode, dtype) for mode in modes for dtype in dtypes]
    return contests


def _of_operations(request: BenchRequest) -> list[Contest]:
    """The contests of operations and workloads; the size that a scan varies changes fastest."""
    catalogue = load_catalogue(request.file)
    for mode in request.modes:
        if mode not in MODES:
            raise BenchError(f"unknown mode {mode!r}: {one_of(mode, MODES)}")
    for symbol, several in request.sizes.items():
        for size in several:
            must_be_a_size(symbol, size, f"-{symbol}")
    contests = []
    for work in (one for workload in _workloads(request, catalogue) for one in _variants(workload, request)):
        series: list[Workload] = [work]
        symbol = ""
        if request.scan is not None:
            symbol, sizes = parse_scan(request.scan, work)
            series = scanned(work, symbol, sizes)
        modes = [mode for mode in work.modes if not request.modes or mode in request.modes]
        for mode in modes:
            for dtype in request.dtypes or ("float32",):
                contests += [Contest(one, mode, dtype, symbol) for one in series]
    if not contests:
        raise BenchError(f"nothing to time: expected a workload with the mode {' or '.join(request.modes)}, got none")
    for contest in contests:  # their errors are reported before anything is timed
        _must_fit(contest, contest.workload.cases(contest.mode, contest.dtype))
    return contests


def _must_fit(contest: Contest, cases: Sequence[Case]) -> None:
    """Raise BenchError if the arrays of a contest alone are more than this machine's memory."""
    if not hasattr(os, "sysconf"):
        return
    most, taken = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), cost_of(cases, "forward").bytes
    if taken > most:
        raise BenchError(
            f"{contest.name}: expected arrays that fit this machine's {most / 2**30:.0f} GiB, got {taken / 2**30:,.0f} "
            "GiB: name smaller sizes"
        )


def _variants(workload: Workload, request: BenchRequest) -> Iterator[Workload]:
    """The workload at each combination of sizes, with the inputs that are asked for.

    Each has another name than the workload itself, since its times are not comparable with that one's.
    """
    stages = [_with_inputs(stage, request) for stage in workload.stages]
    for wanted in (*request.inputs, *("lengths",) * request.lengths):
        if not any(wanted in _optional(stage) for stage in workload.stages):
            known = ", ".join(dict.fromkeys(name for stage in workload.stages for name in _optional(stage)))
            raise BenchError(
                f"workload {workload.name}: expected an optional input ({known or 'none'}), got {wanted!r}"
            )
    more = " lengths" * request.lengths + "".join(f" {name}" for name in request.inputs)
    for combination in product(*request.sizes.values()):
        sizes = dict(zip(request.sizes, combination, strict=True))
        name = workload.name + more + "".join(f" {symbol}={size}" for symbol, size in sizes.items())
        yield replace(workload.with_sizes(**sizes), name=name, stages=tuple(stages))


def _with_inputs(stage: WorkloadStage, request: BenchRequest) -> WorkloadStage:
    """The stage with those of the inputs that are asked for which it can have."""
    optional = _optional(stage)
    inputs = dict.fromkeys((*stage.inputs, *(name for name in request.inputs if name in optional)))
    return replace(stage, lengths=stage.lengths or (request.lengths and "lengths" in optional), inputs=tuple(inputs))


def _optional(stage: WorkloadStage) -> list[str]:
    """Names of the optional inputs that a stage can have: arrays of numbers, and the lengths."""
    op = operation(stage.operation)
    attributes = {**op.defaults(), **stage.attributes}
    present = resolved(op, attributes).inputs_for(attributes)
    return [name for name, item in present.items() if item.optional and item.kind in ("float", "lengths")]


def _workloads(request: BenchRequest, catalogue: Catalogue) -> list[Workload]:
    """The named ones, and the operations; where none are named, those of the user's file, or else those of practice."""
    if request.workloads or request.operations:
        named = [catalogue.get(name) for name in dict.fromkeys(request.workloads)]
        return named + [at_scale(name, request.scale) for name in dict.fromkeys(request.operations)]
    if request.file:
        return list(catalogue.own)
    return list(catalogue.named.values())
