"""Check ``padding``: what stands in the padding changes nothing."""

from __future__ import annotations

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.check import (
    Array,
    Check,
    Violation,
    compare_gradients,
    compare_outputs,
    expected_of,
)
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.operation import Input


class Padding(Check):
    """NaN in every step that is taken out."""

    id = "padding"
    about = (
        "steps taken out by lengths or mask, NaN there included, change no output; outputs and gradients there are 0"
    )
    why = "what stands there is whatever a batch was filled up with"
    law = "padding"
    calls = 2

    def of(self, case: Case, scope: Scope) -> Case | None:
        """Cases that have lengths or a mask."""
        padded = case.with_padding()
        return padded if {"lengths", "mask"} & set(padded.call.inputs) else None

    def examine(self, backend: Backend, example: Case) -> float:
        """Put NaN in the padding and run and differentiate again."""
        items = example.items
        call = spoilt(example)
        outputs = backend.run(call)
        expected = expected_of(example, gradients=example.spec.differentiable)
        worst = compare_outputs(example, call, expected.outputs, outputs)
        for name, array in zip(expected.outputs, outputs, strict=True):
            shape = example.results[name].shape
            if "T" in shape:
                _must_be_zero(example, call, name, shape, expected.outputs[name], array)
        if not backend.has_gradients(call.operation):
            return worst
        gradients = backend.gradients(call, example.cotangents)
        worst = max(worst, compare_gradients(example, call, example.cotangents, expected.gradients, gradients))
        for name, gradient in gradients.items():
            if "T" in items[name].shape:
                due, shape = expected.gradients[name], items[name].shape
                _must_be_zero(example, call, f"d{name}", shape, due, gradient, example.cotangents)
        return worst


def spoilt(case: Case) -> Call:
    """The case's call with NaN, or an id that there is not, at every step that is taken out."""
    items, out = case.items, ~case.valid
    inputs = {name: _spoilt(array, items[name], out) for name, array in case.call.inputs.items()}
    return Call(case.operation, inputs, case.call.attributes)


def at_steps(array: Array, shape: tuple[str, ...]) -> Array:
    """The array with the steps on its second axis, after the sequences."""
    return np.moveaxis(array, shape.index("T"), 1)


def _spoilt(array: Array, item: Input, out: Array) -> Array:
    if "T" not in item.shape or item.kind not in ("float", "ids"):
        return array
    changed = np.array(array)
    at_steps(changed, item.shape)[out] = np.nan if item.kind == "float" else -1
    return changed


def _must_be_zero(
    case: Case,
    call: Call,
    quantity: str,
    shape: tuple[str, ...],
    expected: Bounded,
    got: Array,
    cotangents: tuple[Array, ...] | None = None,
) -> None:
    """Raise Violation where anything else than 0 stands at a step that is taken out, however little."""
    padded = at_steps(got, shape)[~case.valid]
    if np.any(padded != 0):
        due = Bounded(expected.value.copy(), expected.bound.copy())
        for exact in (due.value, due.bound):
            at_steps(exact, shape)[~case.valid] = 0
        message = f"{quantity}: expected exactly 0 at the steps taken out, got {float(padded[padded != 0][0]):.9g}"
        raise Violation(
            message, str(case), call, quantity=quantity, cotangents=cotangents, expected=due, got=got,
        )  # fmt: skip
