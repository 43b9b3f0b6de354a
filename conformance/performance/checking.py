"""Rate of checked cases, and cost of a computed tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, open_backend
from rnnspec.conformance.bench.catalogue import at_scale
from rnnspec.conformance.bench.timing import Effort, in_turn
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.judge.tolerance import PerturbedRun, expect
from rnnspec.conformance.performance.rows import Repetitions, Row, Section, ratio_row
from rnnspec.conformance.run.profile import Profile
from rnnspec.conformance.run.runner import run_check
from rnnspec.spec.arrays import Floats

CASES_A_SECOND = 150.0
PARTS = ("drawing the case", "running the backend", "computing the tolerance", "comparing")


def checked_cases(extent: Repetitions) -> Section:
    """Measure the cases a second, and the shares of their time."""
    backend = open_backend("numpy")
    with np.errstate(all="ignore"):  # cases beyond the range of their type are part of the work
        with_hypothesis = np.array([_rate_with_hypothesis(backend, extent.examples, k) for k in range(extent.rounds)])
        rounds = [_plain_loop(backend, extent.cases, k) for k in range(extent.rounds)]
    plain = np.array([judged / parts.sum() for judged, parts in rounds])
    shares = np.median([parts / parts.sum() for _, parts in rounds], axis=0)
    return Section(
        "Checked cases",
        "The `numpy` backend at the small sizes of profile `quick`: all its operations and types. A case counts once "
        "both its values and its gradients are checked, each against a tolerance of its own. One process; the "
        "split is that of the plain loop.",
        (
            _rate_row("cases a second, drawn by Hypothesis", with_hypothesis),
            _rate_row("cases a second, plain loop", plain),
            *(Row(f"time for {part}", 100 * share, "%") for part, share in zip(PARTS, shares, strict=True)),
        ),
    )


def tolerance_cost(extent: Repetitions) -> Section:
    """Measure the perturbed pass, which gives the tolerance, as a multiple of the plain one."""
    choices = RandomChoices(np.random.default_rng(0))
    small = [draw_case(choices, scope) for scope in _scopes(open_backend("numpy")) for _ in range(extent.examples)]
    rows = [_cost("small sizes, all operations", small, extent.functions)]
    for name in ("rnn", "lstm", "gru"):
        workload = at_scale(name, extent.scale)
        sizes = ", ".join(f"{symbol} = {size}" for symbol, size in workload.sizes.items())
        rows.append(_cost(f"{name}, {sizes}", workload.cases("gradient", "float32"), extent.functions))
    return Section(
        "Cost of a tolerance",
        "The reference on seven versions of every number, forward and backward, as a multiple of the same reference on "
        "float64 arrays.",
        tuple(rows),
    )


def _rate_row(name: str, rates: Floats) -> Row:
    detail = f"median of {rates.size}, {rates.min():.0f} to {rates.max():.0f} /s"
    return Row(name, float(np.median(rates)), "/s", target=CASES_A_SECOND, at_least=True, detail=detail)


def _scopes(backend: Backend) -> list[Scope]:
    """Scopes of all operations with gradients, in all types."""
    return [
        Scope(operation, dtype)
        for operation in backend.operations()
        if backend.has_gradients(operation)
        for dtype in backend.dtypes()
    ]


def _rate_with_hypothesis(backend: Backend, examples: int, seed: int) -> float:
    """Cases a second through the checks, run as `rnnspec validate` does."""
    profile = Profile("benchmark", examples, examples, largest=0)
    spent = judged = 0.0
    for scope in _scopes(backend):
        for check in (Values(), Gradients()):
            result = run_check(check, backend, scope.operation, scope.dtype, profile, seed_number=seed)
            spent += result.seconds
            judged += result.examples
    return judged / 2 / spent


def _plain_loop(backend: Backend, cases: int, seed: int) -> tuple[int, Floats]:
    """Number of judged random cases, and the seconds of each of `PARTS`."""
    choices = RandomChoices(np.random.default_rng(seed))
    scopes = _scopes(backend)
    judged, spent = 0, np.zeros(len(PARTS))
    for number in range(cases):
        times = [perf_counter()]
        case = draw_case(choices, scopes[number % len(scopes)])
        call, cotangents = case.call, case.cotangents
        times.append(perf_counter())
        outputs, gradients = backend.run(call), backend.gradients(call, cotangents)
        times.append(perf_counter())
        for_values = expect(call, case.dtype, None, case.seed)
        for_gradients = expect(call, case.dtype, cotangents, case.seed)
        times.append(perf_counter())
        if for_gradients.in_range:
            Asked(case, call).compare(for_values.outputs, outputs)
            Asked(case, call, cotangents).compare(for_gradients.gradients, gradients)
            judged += 1
        times.append(perf_counter())
        spent += np.diff(times)
    return judged, spent


def _cost(name: str, cases: Sequence[Case], effort: Effort) -> Row:
    """Row for the tolerances of some cases, as a multiple of their plain runs."""

    def all_of(functions: Sequence[Callable[[], object]]) -> None:
        for function in functions:
            function()

    tolerances = [partial(_tolerances, case) for case in cases]
    runs = [_plain_run(case) for case in cases]
    with np.errstate(all="ignore"):
        timings = in_turn({"tolerances": partial(all_of, tolerances), "runs": partial(all_of, runs)}, effort)
    return ratio_row(name, timings["tolerances"], timings["runs"])


def _tolerances(case: Case) -> object:
    """The computation of `expect` without its cache."""
    return PerturbedRun(case.call, case.dtype).gradients(case.cotangents)


def _plain_run(case: Case) -> Callable[[], object]:
    """A function that runs the reference forward and backward in float64."""
    floats = {name: array.astype(np.float64) for name, array in case.call.float_inputs.items()}
    inputs = {**case.call.inputs, **floats}
    cotangents = [cotangent.astype(np.float64) for cotangent in case.cotangents]
    function = getattr(reference, case.operation + "_vjp")

    def run() -> object:
        _, vjp = function(**inputs, **case.call.attributes)
        return vjp(*cotangents)

    return run
