"""Check ``padding``: what stands in the padding changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope, cases
from rnnspec.conformance.checks.check import (
    Array,
    Check,
    Violation,
    compare_gradients,
    compare_outputs,
    expected_of,
)
from rnnspec.spec.operation import Input


class Padding(Check):
    """NaN in every step that is taken out."""

    id = "padding"
    about = (
        "steps taken out by lengths or mask, NaN there included, change no output; outputs and gradients there are 0"
    )
    law = "padding"

    def examples(self, scope: Scope) -> st.SearchStrategy[Any]:
        """Cases that have lengths or a mask."""
        padded = cases(scope).map(Case.with_padding)
        return padded.filter(lambda case: bool({"lengths", "mask"} & set(case.call.inputs)))

    def examine(self, backend: Backend, example: Case) -> float:
        """Put NaN in the padding and run and differentiate again."""
        out = ~example.valid
        items = example.items
        spoilt = {name: _spoilt(array, items[name], out) for name, array in example.call.inputs.items()}
        call = Call(example.operation, spoilt, example.call.attributes)
        outputs = backend.run(call)
        expected = expected_of(example, gradients=example.spec.differentiable)
        worst = compare_outputs(example, call, expected.outputs, outputs)
        for name, array in zip(expected.outputs, outputs, strict=True):
            shape = example.results[name].shape
            if "T" in shape:
                _must_be_zero(example, call, name, _at_steps(array, shape)[out])
        if not backend.has_gradients(call.operation):
            return worst
        gradients = backend.gradients(call, example.cotangents)
        worst = max(worst, compare_gradients(example, call, example.cotangents, expected.gradients, gradients))
        for name, gradient in gradients.items():
            if "T" in items[name].shape:
                _must_be_zero(
                    example, call, f"d{name}", _at_steps(gradient, items[name].shape)[out], example.cotangents
                )
        return worst


def _at_steps(array: Array, shape: tuple[str, ...]) -> Array:
    """The array with the steps on its second axis, after the sequences."""
    return np.moveaxis(array, shape.index("T"), 1)


def _spoilt(array: Array, item: Input, out: Array) -> Array:
    """The input with NaN, or an id that there is not, at every step that is taken out."""
    if "T" not in item.shape or item.kind not in ("float", "ids"):
        return array
    spoilt = np.array(array)
    _at_steps(spoilt, item.shape)[out] = np.nan if item.kind == "float" else -1
    return spoilt


def _must_be_zero(
    case: Case, call: Call, quantity: str, padded: Array, cotangents: tuple[Array, ...] | None = None
) -> None:
    if np.any(padded != 0):
        message = f"{quantity}: expected exactly 0 at the steps taken out, got {float(padded[padded != 0][0]):.9g}"
        raise Violation(message, str(case), call, quantity=quantity, cotangents=cotangents)
