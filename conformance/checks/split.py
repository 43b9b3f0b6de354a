"""Check ``split``: a long sequence is two shorter ones with the state carried over."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, with_all_outputs
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array


class Split(Check):
    """One call against two."""

    id = "split"
    about = "a sequence in two calls, the second starting from the state that the first returned, is the whole sequence"
    why = "streaming and truncated training carry the state from call to call"
    law = "split"

    def of(self, case: Case, scope: Scope) -> tuple[Case, int]:
        """A case of at least two steps, and where to split it."""
        long = with_all_outputs(case).with_at_least(T=2)
        return long, int(stream(case.seed, "split").integers(1, long.sizes["T"]))

    def like(self, example: tuple[Case, int], case: Case) -> tuple[Case, int]:
        """Another case, split at the same step or the last that it has."""
        long = with_all_outputs(case).with_at_least(T=2)
        return long, min(example[1], long.sizes["T"] - 1)

    def examine(self, backend: Backend, example: tuple[Case, int]) -> float:
        """Run the part that is read first, then the other from its final state, and join the outputs."""
        case, at = example
        expected = expected_of(case)
        parts = [slice(0, at), slice(at, None)]
        reverse = case.attributes.get("direction") == "reverse"
        carried: dict[str, Array] = {}
        pieces: list[dict[str, Array]] = []
        for part in reversed(parts) if reverse else parts:
            call = _part(case, part, carried)
            outputs = _outputs(Asked(case, call), part, expected.outputs, backend.run(call))
            carried = {name: outputs[final] for name, final in case.spec.carries.items()}
            pieces.append(outputs)
        in_order = pieces[::-1] if reverse else pieces
        joined = [
            np.concatenate([piece[name] for piece in in_order], axis=1)
            if "T" in case.results[name].shape
            else pieces[-1][name]
            for name in expected.outputs
        ]
        return Asked(case, case.call).compare(expected.outputs, joined)


def _outputs(asked: Asked, part: slice, expected: Mapping[str, Bounded], got: tuple[Array, ...]) -> dict[str, Array]:
    """A part's results, by name; refuse arrays without the form to be carried over and joined."""
    results = asked.case.results
    shapes = {
        name: (bounded.value[:, part] if "T" in results[name].shape else bounded.value).shape
        for name, bounded in expected.items()
    }
    return asked.named(shapes, got)


def _part(case: Case, part: slice, carried: dict[str, Array]) -> Call:
    """The call on some of the steps."""
    kinds = case.items
    inputs = {**case.call.inputs, **carried}
    for name, array in inputs.items():
        if kinds[name].kind == "lengths":
            inputs[name] = case.valid[:, part].sum(axis=1, dtype=np.int64)
        elif "T" in kinds[name].shape:
            inputs[name] = np.ascontiguousarray(array[:, part])
    return Call(case.operation, inputs, case.call.attributes)
