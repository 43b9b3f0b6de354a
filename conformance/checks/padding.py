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


class Padding(Check):
    """NaN in every step that is taken out."""

    id = "padding"
    about = (
        "steps taken out by lengths or mask, NaN there included, change no output; outputs and gradients there are 0"
    )
    law = "padding"

    def examples(self, scope: Scope) -> st.SearchStrategy[Any]:
        """Cases that have lengths or a mask."""
        return cases(scope).filter(lambda case: case.steps != "all")

    def examine(self, backend: Backend, example: Case) -> float:
        """Put NaN in the padding and run and differentiate again."""
        out = ~example.valid
        x = np.array(example.call.inputs["x"])
        x[out] = np.nan
        call = Call(example.operation, {**example.call.inputs, "x": x}, example.call.attributes)
        outputs = backend.run(call)
        expected = expected_of(example, gradients=True)
        worst = compare_outputs(example, call, expected.outputs, outputs)
        for name, array in zip(expected.outputs, outputs, strict=True):
            if "T" in example.spec.outputs[name].shape:
                _must_be_zero(example, call, name, array[out])
        if not backend.has_gradients(call.operation):
            return worst
        gradients = backend.gradients(call, example.cotangents)
        worst = max(worst, compare_gradients(example, call, example.cotangents, expected.gradients, gradients))
        _must_be_zero(example, call, "dx", gradients["x"][out], example.cotangents)
        return worst


def _must_be_zero(
    case: Case, call: Call, quantity: str, padded: Array, cotangents: tuple[Array, ...] | None = None
) -> None:
    if np.any(padded != 0):
        message = f"{quantity}: expected exactly 0 at the steps taken out, got {float(padded[padded != 0][0]):.9g}"
        raise Violation(message, str(case), call, quantity=quantity, cotangents=cotangents)
