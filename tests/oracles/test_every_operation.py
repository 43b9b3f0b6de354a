"""Every operation of the reference, judged by its literal equations and by complex steps through them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.regimes import REGIMES as VALUES
from rnnspec.conformance.cases.regimes import regimes_for
from rnnspec.spec import SpecError, evaluate, evaluate_gradient, operations

Fixture = Callable[..., Any]
DIFFERENTIABLE = [name for name, op in operations().items() if op.differentiable]
FLOOR = 1e-2
REGIMES = ("generic", "scaled", "tiny", "saturating", "forbidding")
AT_THE_ENDS = [
    (name, regime)
    for name, op in operations().items()
    for regime in ("masking", "far", "impossible", "padding_forbidden", "ties")
    if regime in regimes_for(op)
]
ELEMENTS = 6
"""Elements of an input by which a complex step differentiates: each takes an evaluation of the literal equations."""

DEEPEST = 1e10
"""Of scores below, the literal sums of exponentials hold no digit: they add the greatest score again."""


def case_of(name: str, seed: int, **fixed: Any) -> Case:
    """A case of moderate numbers: chaos would tell rounding errors apart, and nothing else."""
    choices = RandomChoices(np.random.default_rng([seed, zlib.crc32(name.encode())]))
    while True:
        case = draw_case(choices, Scope(name, "float64"))
        if case.regime in REGIMES and max(case.sizes.values()) <= 4:
            return case.with_attributes(**fixed) if fixed else case


def case_at_the_ends(name: str, seed: int, regime: str) -> tuple[Case, Call]:
    """A case of numbers at the ends of float32, and its call in float64, which holds their squares."""
    choices = RandomChoices(np.random.default_rng([seed, zlib.crc32(f"{name} {regime}".encode())]))
    while True:
        case = replace(draw_case(choices, Scope(name, "float32")), regime=regime)
        padded = case.steps != "all" or not VALUES[regime].forbids_padding
        if max(case.sizes.values()) <= 4 and padded and (regime != "masking" or depth(case.call) < DEEPEST):
            wide = {key: array.astype(np.float64) for key, array in case.call.float_inputs.items()}
            return case, replace(case.call, inputs={**case.call.inputs, **wide})


def depth(call: Call) -> float:
    """The greatest magnitude of all finite inputs."""
    return max(np.abs(array).max(where=np.isfinite(array), initial=0) for array in call.float_inputs.values())


def has_gradient_equations(case: Case) -> bool:
    try:
        evaluate_gradient(case.operation, case.call.inputs, case.cotangents, case.attributes)
    except SpecError as error:
        if "no equations for its gradient" in str(error) or "neither an input nor defined" in str(error):
            return False
        raise
    return True


def detached(case: Case) -> bool:
    """Whether the gradient is, on purpose, not the derivative."""
    return case.attributes.get("truncate") is not None or case.attributes.get("gradient") == "cell_only"


def run(call: Call) -> tuple[Any, ...]:
    found: tuple[Any, ...] = getattr(reference, call.operation)(**call.inputs, **call.attributes)
    return found


def run_with_gradients(case: Case, call: Call | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    call = call or case.call
    outputs, vjp = getattr(reference, f"{call.operation}_vjp")(**call.inputs, **call.attributes)
    return outputs, vjp(*case.cotangents)


def complex_step(case: Case) -> dict[str, tuple[Any, Any]]:
    """The derivatives by some elements of each input: their places in the flat array, and the numbers."""
    step = 1e-30
    call = case.call
    kinds = [output.kind for output in case.results.values()]
    derivatives = {}
    rng = np.random.default_rng(case.seed)
    for key, array in call.float_inputs.items():
        places = rng.permutation(array.size)[:ELEMENTS]
        found = np.zeros(len(places))
        for k, place in enumerate(places):
            moved = array.astype(np.complex128)
            moved.flat[place] += step * 1j
            inputs = {**call.inputs, **{k: v.astype(np.complex128) for k, v in call.float_inputs.items()}, key: moved}
            outputs = [
                output
                for output, kind in zip(evaluate(call.operation, inputs, call.attributes), kinds, strict=True)
                if kind == "float"
            ]
            found[k] = sum(np.sum(d * o.imag) for o, d in zip(outputs, case.cotangents, strict=True)) / step
        derivatives[key] = places, found
    return derivatives


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", operations())
def test_values_are_those_of_the_literal_equations(assert_agree: Fixture, name: str, seed: int) -> None:
    call = case_of(name, seed).call
    assert_agree(run(call), evaluate(name, call.inputs, call.attributes), 1e-12, FLOOR)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_the_literal_equations(assert_agree: Fixture, name: str, seed: int) -> None:
    case = case_of(name, seed)
    if not has_gradient_equations(case):
        pytest.skip("the specification leaves this gradient to the derivative of the equations")
    outputs, gradients = run_with_gradients(case)
    assert_agree(outputs, run(case.call), 0)
    wanted = evaluate_gradient(name, case.call.inputs, case.cotangents, case.attributes)
    assert_agree(gradients, wanted, 1e-11, FLOOR)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_the_complex_step(assert_agree: Fixture, name: str, seed: int) -> None:
    case = case_of(name, seed)
    if detached(case):
        case = case.with_attributes(
            **{key: case.spec.defaults()[key] for key in ("truncate", "gradient") if key in case.attributes}
        )
    gradients, wanted = run_with_gradients(case)[1], complex_step(case)
    at_places = {key: np.ravel(gradients[key])[places] for key, (places, _) in wanted.items()}
    assert_agree(at_places, {key: numbers for key, (_, numbers) in wanted.items()}, 1e-11, FLOOR)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "regime"), AT_THE_ENDS)
def test_values_at_the_ends_are_those_of_the_literal_equations(
    assert_agree: Fixture, name: str, regime: str, seed: int
) -> None:
    _, call = case_at_the_ends(name, seed, regime)
    # The literal sum of exponentials is rounded as the greatest score is, which it adds again.
    rounding = 8 * np.finfo(np.float64).eps * depth(call) if regime == "masking" else 0.0
    assert_agree(run(call), evaluate(name, call.inputs, call.attributes), 1e-12 + rounding, FLOOR if rounding else 0.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "regime"), [pair for pair in AT_THE_ENDS if operations()[pair[0]].differentiable])
def test_gradients_at_the_ends_are_those_of_the_literal_equations(
    assert_agree: Fixture, name: str, regime: str, seed: int
) -> None:
    case, call = case_at_the_ends(name, seed, regime)
    if (name, regime) == ("layer_norm_lstm_cell", "far"):
        pytest.skip("of few units the gradient cancels, but for what epsilon leaves of it: less than rounding does")
    if not has_gradient_equations(case):
        pytest.skip("the specification leaves this gradient to the derivative of the equations")
    cotangents = tuple(cotangent.astype(np.float64) for cotangent in case.cotangents)
    rounding = 8 * np.finfo(np.float64).eps * depth(call) if regime == "masking" else 0.0
    _, vjp = getattr(reference, f"{name}_vjp")(**call.inputs, **call.attributes)
    wanted = evaluate_gradient(name, call.inputs, cotangents, call.attributes)
    assert_agree(vjp(*cotangents), wanted, 1e-11 + rounding, FLOOR if rounding else 0.0)
