"""Check ``clipping``: gradients short enough are left alone, bit for bit, and others come out as long as allowed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.pairs import results_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array


class Clipping(Check):
    """The case's gradients, made short and made long."""

    id = "clipping"
    about = "a gradient within the threshold comes back bit for bit, and a longer one as long as the threshold allows"
    why = "a short gradient that is multiplied and divided by the threshold is no longer the one that came"
    law = "clipping"
    calls = 2

    def examine(self, backend: Backend, example: Case) -> float:
        """Bring the gradients to half the threshold or less, then to twice or more."""
        # Multiplied and divided by a power of two, numbers would come back as they were.
        case = example.with_attributes(threshold=1.4 * example.attributes["threshold"])
        threshold, epsilon = case.attributes["threshold"], case.attributes.get("epsilon", 0.0)
        if epsilon < threshold:
            self._left_alone(backend, case, _of_length(case, (threshold - epsilon) / 2))
        return self._shortened(backend, case, _of_length(case, 4 * threshold))

    def _left_alone(self, backend: Backend, case: Case, call: Call) -> None:
        outputs = results_of(backend, case, call).outputs
        for x, (name, y) in zip(call.inputs.values(), outputs.items(), strict=False):
            if y.value.astype(x.dtype).tobytes() != x.tobytes():
                message = f"{name}: expected the input bit for bit, as it is within the threshold, got another"
                due = Bounded(x.astype(np.float64), np.zeros(x.shape))
                raise Asked(case, call).violation(message, name, expected=due, got=y.value)

    def _shortened(self, backend: Backend, case: Case, call: Call) -> float:
        threshold, epsilon = case.attributes["threshold"], case.attributes.get("epsilon", 0.0)
        before = _length(case, call.inputs.values())
        if before <= threshold:  # zeros, which no factor makes longer
            return 0.0
        outputs = [y for _, y in zip(call.inputs, results_of(backend, case, call).outputs.values(), strict=False)]
        due = threshold * before / (before + epsilon)
        # The length of a difference is at least the difference of the lengths.
        bound = _length(case, (y.bound for y in outputs))
        after = _length(case, (y.value for y in outputs))
        return Asked(case, call).judge("length", Bounded(np.array(due), np.array(bound)), np.array(after))


def _of_length(case: Case, most: float) -> Call:
    """The case's call with its gradients at more than half this length and no more than it; scaled by a power of 2."""
    length = _length(case, case.call.inputs.values())
    factor = 2.0 ** np.floor(np.log2(most / length)) if length else 1.0
    inputs = {name: (x.astype(np.float64) * factor).astype(x.dtype) for name, x in case.call.inputs.items()}
    return Call(case.operation, inputs, case.call.attributes)


def _length(case: Case, arrays: Iterable[Array]) -> float:
    """The common norm of all arrays, or the greatest magnitude where that is what is clipped."""
    numbers = np.concatenate([array.astype(np.float64).ravel() for array in arrays])
    return float(np.abs(numbers).max(initial=0.0) if case.operation == "clip_by_value" else np.linalg.norm(numbers))
