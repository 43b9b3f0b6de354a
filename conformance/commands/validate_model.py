"""``rnnspec validate --model``: a given model file, with its own weights, against the specification."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.text import Text

from rnnspec.backends import BackendError, Call
from rnnspec.backends.contract import Backend
from rnnspec.backends.discovery import installs, open_backend
from rnnspec.backends.given import Given, ModelError
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.regimes import regimes_for
from rnnspec.conformance.cases.steps import BY_LENGTHS, NEEDS, needs_of
from rnnspec.conformance.checks.asked import Asked, Violation
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.options import Options
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.report.tables import STYLES
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.report.writing import Written
from rnnspec.conformance.run import PROFILES, CheckResult, Verdict
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.storage import must_have_an_end
from rnnspec.spec import operation

_SIZES: Final = {"B": (1, 2, 3, 5), "T": (1, 2, 3, 7, 20)}
"""Sizes that are tried where the model leaves them open."""


def validate_model(options: Options, path: Path, for_pytest: tuple[str, ...], written: Written) -> int:
    """Judge each recurrent node of the model, print and write the verdict; return the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    written.must_be_possible()
    if for_pytest or options.operations or options.dtypes:
        raise PlanError("--model says the operation and the type: expected neither --op, --dtype nor options of pytest")
    if find_spec("onnx") is None:
        raise BackendError(f"--model reads ONNX models: {installs('onnxruntime')} installs what it needs")
    runtime = _runtime(options)
    try:
        must_have_an_end(path)
        nodes = runtime.given_in(path)
    except ModelError as error:
        raise FileError(str(error)) from error
    console = open_console()
    results = []
    for node in nodes:
        result = _judged(node, runtime, options)
        _print(console, node, result)
        results.append(result)
    merged = [_worst(list(group)) for _, group in groupby(sorted(results, key=_kind), _kind)]
    versions = {**runtime.versions(), "model": path.name}
    written.write(Report((summarise(runtime.name, versions, merged),), conditions()), nodes=_plain(nodes, results))
    return int(Verdict.worst(result.verdict for result in results).bad)


def _runtime(options: Options) -> Any:
    by_itself = "onnxruntime" if find_spec("onnxruntime") else "onnx-reference"
    if len(options.backends) > 1:
        raise PlanError(f"--model: expected one runtime of ONNX, got {', '.join(options.backends)}")
    backend = open_backend(next(iter(options.backends), by_itself), options.device)
    if not hasattr(backend, "given_in"):
        raise PlanError(f"--model: expected a runtime of ONNX such as onnxruntime, got {backend.name}")
    return backend


def _judged(node: Given, runtime: Backend, options: Options) -> CheckResult:
    """The verdict on a node, and on the first case that it gets wrong."""
    verdict, message, ratios, beyond = Verdict.CONFORMS, "", [0.0], 0
    for case in _cases(node, options):
        try:
            expected = expected_of(case)
            outputs = node.run(case.call.inputs)
            ratios.append(Asked(case, case.call).compare(expected.outputs, outputs))
        except OutOfRangeError:
            beyond += 1
        except Violation as error:
            verdict, message = Verdict.VIOLATES, str(error)
            ratios.append(error.error_ratio or 0.0)
        except Exception as error:  # as many kinds as runtimes have
            verdict, message = Verdict.CRASHED, f"{type(error).__name__}: {str(error).splitlines()[0]}\n  in {case}"
        if verdict is not Verdict.CONFORMS:
            break
    ratio = None if verdict is Verdict.CRASHED else max(ratios)
    dtype = node.weights["W"].dtype.name
    return CheckResult(
        runtime.name, node.operation, dtype, options.device, Values.id, "MUST", verdict, len(ratios) - 1, 0, (),
        ratio, message, "", 0.0, out_of_range=beyond,
    )  # fmt: skip


def _cases(node: Given, options: Options) -> Iterator[Case]:
    """Cases with the node's own weights, in every regime, at the sizes that it takes."""
    op = operation(node.operation)
    rng = np.random.default_rng(options.seed)
    there = node.fed | node.weights.keys()
    absent = tuple(name for name in ("h0", "c0", "b_R", "b_rn") if name in op.inputs and name not in there)
    attributes = {**op.defaults(), **node.attributes}
    kinds = ("all", *(kind for kind in BY_LENGTHS if kind in NEEDS)) if "lengths" in node.fed else ("all",)
    regimes = regimes_for(op)
    for number in range(PROFILES[options.profile].examples):
        steps = kinds[number % len(kinds)]
        sizes = {symbol: node.sizes.get(symbol, int(rng.choice(tried))) for symbol, tried in _SIZES.items()}
        needed = {key: max(size, needs_of(steps).get(key, 1)) for key, size in sizes.items()}
        if any(needed[key] != node.sizes[key] for key in needed if key in node.sizes):
            steps, needed = "all", sizes
        regime = regimes[number % len(regimes)]
        own = {**needed, "D": node.sizes["D"], "H": node.sizes["H"]}
        case = Case(
            node.operation, node.weights["W"].dtype.name, own, attributes, regime, steps,
            absent, int(rng.integers(2**31)), differentiated=False,
        )  # fmt: skip
        yield _with_weights(case, node)


def _with_weights(case: Case, node: Given) -> Case:
    """The case with the model's weights in the place of those that are drawn."""
    given, made = case.given, replace(case)
    made.__dict__["given"] = Call(case.operation, {**given.inputs, **node.weights}, given.attributes)
    return made


def _kind(result: CheckResult) -> tuple[str, str]:
    return result.operation, result.dtype


def _worst(results: list[CheckResult]) -> CheckResult:
    """One result for several nodes of an operation: the worst verdict, and the counts of all."""
    worst = max(results, key=lambda one: list(Verdict).index(one.verdict))
    ratios = [one.worst_error_ratio for one in results if one.worst_error_ratio is not None]
    return replace(
        worst,
        examples=sum(one.examples for one in results),
        out_of_range=sum(one.out_of_range for one in results),
        worst_error_ratio=max(ratios, default=None),
    )


def _print(console: Console, node: Given, result: CheckResult) -> None:
    defaults = operation(node.operation).defaults()
    chosen = [f"{key}={value}" for key, value in node.attributes.items() if value != defaults[key]]
    sizes = [f"{symbol}={size}" for symbol, size in node.sizes.items()]
    console.print(Text(f"{node.name}: {' '.join([node.operation, *chosen, *sizes])}"), soft_wrap=True)
    ratio = "" if result.worst_error_ratio is None else f", worst error ratio {ratio_text(result.worst_error_ratio)}"
    told = Text.assemble("  ", (result.verdict, STYLES[result.verdict]), f", {result.examples} cases{ratio}")
    console.print(told, soft_wrap=True)
    if result.message:
        console.print(Text("  " + result.message.replace("\n", "\n  ")), soft_wrap=True)


def _plain(nodes: list[Given], results: list[CheckResult]) -> list[dict[str, Any]]:
    return [
        {
            "name": node.name,
            "operation": node.operation,
            "attributes": dict(node.attributes),
            "sizes": dict(node.sizes),
            "verdict": result.verdict,
            "cases": result.examples,
            "worst_error_ratio": result.worst_error_ratio,
            "message": result.message,
        }
        for node, result in zip(nodes, results, strict=True)
    ]
