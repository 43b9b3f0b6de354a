"""Contests between backends and libraries, held by the engine of `rnnspec bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from typing import Final

from rich.console import Console

from rnnspec.backends import BackendError
from rnnspec.conformance.bench.catalogue import load_catalogue
from rnnspec.conformance.bench.contender import Contender, open_contender
from rnnspec.conformance.bench.engine import Engine, Setting
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.facts import machine_facts
from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport, Contest
from rnnspec.conformance.bench.progress import telling
from rnnspec.conformance.bench.statistics import ratio_of_runs
from rnnspec.conformance.bench.threads import cores
from rnnspec.conformance.bench.timing import in_turn
from rnnspec.conformance.bench.workload import Mode, Workload
from rnnspec.conformance.performance.products import products_of, replay
from rnnspec.conformance.performance.rows import Repetitions, Row, Section, ratio_row

DTYPE: Final = "float32"
_CONTENDERS: Final = "rnnspec.conformance.bench.contenders."
Key = tuple[str, Mode, str]
"""Workload, mode and contender."""


@dataclass(frozen=True)
class Series:
    """Contests of the same contenders; times are multiples of the first contender's.

    `targets` are for these multiples, `limits` for times in milliseconds. Contests in the modes of `products` also have
    a row for the reference's matrix products alone.
    """

    title: str
    about: str
    contenders: tuple[str, ...]
    workloads: tuple[str, ...]
    modes: tuple[Mode, ...] = ("forward", "gradient", "decode")
    targets: Mapping[Key, float] = field(default_factory=dict)
    limits: Mapping[Key, float] = field(default_factory=dict)
    products: tuple[Mode, ...] = ()


SERIES: Final = (
    Series(
        "Recurrent layers",
        "Times as multiples of torch's own module, called directly with its weights loaded. `torch` is the adapter, "
        "whose multiple shows its own cost; `numpy` is the reference. The products alone are the reference's matrix "
        "products, computed again in NumPy: nearly the least time of a pass written in NumPy.",
        (
            _CONTENDERS + "torch_modules:TorchModules",
            "torch",
            "numpy",
            _CONTENDERS + "onnx_runtime:OnnxRuntime",
            _CONTENDERS + "onnx_reference:OnnxReference",
        ),
        ("rnn", "lstm", "gru"),
        targets={
            ("lstm", "forward", "torch"): 1.03,
            ("lstm", "gradient", "torch"): 1.03,
            ("lstm", "forward", "numpy"): 1.3,
            ("lstm", "gradient", "numpy"): 2.0,
        },
        products=("forward",),
    ),
    Series(
        "Linear-chain CRF",
        "Times as multiples of pytorch-crf's. `torch` is the backend's CRF, composed of torch's functions and "
        "differentiated by torch; `numpy` is the reference, with its gradient by hand.",
        (_CONTENDERS + "pytorch_crf:PytorchCrf", "torch", "numpy"),
        ("crf", "crf-decoding"),
        targets={
            ("crf", "gradient", "numpy"): 1.0,
            ("crf", "gradient", "torch"): 1 / 4,
            ("crf-decoding", "decode", "torch"): 1 / 3,
        },
        limits={("crf", "gradient", "numpy"): 60.0},
    ),
    Series(
        "Linear-chain CRF of one sentence",
        "Times as multiples of torch-struct's, whose scan of matrix products is meant for parallel machines. The scan "
        "takes K times the arithmetic, and the memory of all products at once: gigabytes for a batch of 32.",
        (_CONTENDERS + "torch_struct:TorchStruct", _CONTENDERS + "pytorch_crf:PytorchCrf", "torch", "numpy"),
        ("crf-of-one",),
    ),
    Series(
        "Composed layers",
        "Times of layers that torch lacks, as multiples of a Python loop that calls an `nn.Linear` for x and one for h "
        "at every step, for each gate. `Linear for all gates` is the same loop with one for all gates at once. No "
        "composition can avoid the products alone, which are the reference's in NumPy; the activations and their "
        "gradients come on top, step by step.",
        (
            _CONTENDERS + "torch_loops:LinearForEachGate",
            _CONTENDERS + "torch_loops:LinearForAllGates",
            "torch",
            "numpy",
        ),
        ("peephole-lstm", "layer-norm-lstm", "nested-lstm"),
        modes=("gradient",),
        targets={(name, "gradient", "torch"): 1 / 2 for name in ("peephole-lstm", "layer-norm-lstm", "nested-lstm")},
        products=("gradient",),
    ),
)


@cache
def workloads() -> Mapping[str, Workload]:
    """Return the workloads of ``workloads.toml`` in this package, by name."""
    with as_file(files("rnnspec.conformance.performance") / "workloads.toml") as path:
        return {workload.name: workload for workload in load_catalogue(path).own}


def hold(series: Series, extent: Repetitions, console: Console) -> Section:
    """Hold the contests of a series; contenders that do not open or conform are left out with the reason."""
    contenders, missing = _open(series.contenders)
    contests = [
        Contest(workload, mode, DTYPE)
        for workload in (workloads()[name] for name in series.workloads)
        for mode in workload.modes
        if mode in series.modes
    ]
    chosen = cores()
    setting = Setting(contenders, len(chosen), chosen, extent.contests, memory=None)
    engine = Engine(contests, setting)
    try:
        with telling(engine, console):
            report, written = engine.run()
    except BenchError as error:
        return Section(series.title, series.about, left_out=" ".join([*missing, str(error)]))
    rows = [row for outcome in report.outcomes for row in _rows(outcome, series, contenders[0].name, extent)]
    left_out = [*missing, *_refusals(report)]
    facts = {name: fact for name, fact in machine_facts(written).items() if name != "machine"}
    versions = {name: version for one in report.versions.values() for name, version in one.items()}
    return Section(series.title, series.about, tuple(rows), "; ".join(left_out), {**facts, **versions})


def _open(names: Sequence[str]) -> tuple[list[Contender], list[str]]:
    """Contenders that open, under their short names, and why the others do not open."""
    opened, missing = [], []
    for name in names:
        try:
            backend = open_contender(name).backend
            opened.append(Contender(backend.name, backend))
        except BackendError as error:
            missing.append(str(error))
    return opened, missing


def _rows(outcome: BenchOutcome, series: Series, first: str, extent: Repetitions) -> Iterator[Row]:
    """Multiples of the first contender's time, if it was timed, and times that have a limit."""
    workload, mode = outcome.contest.workload, outcome.contest.mode
    title = f"{workload.name}, {mode}"
    for name, result in outcome.results.items():
        key = (workload.name, mode, name)
        ratio = outcome.ratio(name)
        if outcome.baseline == first and ratio is not None:
            share = outcome.efficiency(name)
            peak = "" if share is None else f", {share:.0%} of peak"
            to = outcome.results[first].timing
            yield ratio_row(
                f"{title}: {name}", result.timing, to, target=series.targets.get(key), ratio=ratio, more=peak
            )
        if key in series.limits:
            yield Row(f"{title}: {name}", result.timing.median * 1e3, "ms", target=series.limits[key])
    if mode in series.products and outcome.baseline == first:
        to = outcome.results[first].timing
        (case,) = workload.cases(mode, DTYPE)
        products = replay(products_of(case, gradient=mode == "gradient"))
        timing = in_turn({"products": products}, extent.functions)["products"]
        ratio = ratio_of_runs(timing.times, to.times)
        yield ratio_row(f"{title}: the products alone", timing, to, ratio=ratio, more=", timed apart")


def _refusals(report: BenchReport) -> Iterator[str]:
    for outcome in report.outcomes:
        for name, why in outcome.refusals.items():
            if not why.startswith("has no "):  # operations that a library does not offer need no note
                yield f"{outcome.contest.name}: {name} {why}"
