"""Checks ``reverse`` and ``permutation``: the same steps in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.check import Check, usual_case, with_all_outputs
from rnnspec.conformance.checks.pairs import Bounds, Pair, hold, moved
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Input, Output

Order = NDArray[np.int64]


class Reverse(Check):
    """Both directions of a layer."""

    id = "reverse"
    about = "reading in reverse is reading forward the sequence turned round, its outputs turned back"
    why = "outputs left in the order of reading, or padding that is read first, look right by themselves"
    law = "reverse"
    calls = 5

    def of(self, case: Case, scope: Scope) -> Case:
        """The case, with 0 at steps taken out: outputs that are held do not move with the steps."""
        return with_all_outputs(case) if case.attributes["output"] == "held" else case

    def forced(self, scope: Scope) -> Sequence[Case]:
        """A sequence whose gradient is cut after every second step as it is read, which is another one in reverse."""
        usual = replace(usual_case(scope), steps="all").with_at_least(T=5)
        return [usual.with_attributes(truncate=2)]

    def examine(self, backend: Backend, example: Case) -> float:
        """Turn the direction and the valid steps round; then the outputs and the gradient of the input are so too."""
        turned = {"forward": "reverse", "reverse": "forward"}[example.attributes["direction"]]
        order = _order(example, lambda steps: steps[::-1])
        return hold(backend, example, _reordered(example, order, self.about, {"direction": turned}))


class Permutation(Check):
    """The keys and values, in another order."""

    id = "permutation"
    about = "keys have no order: in another one, their weights move with them and all else stays"
    why = "a position that slips into the weights looks like attention"
    law = "permutation"
    calls = 5

    def of(self, case: Case, scope: Scope) -> Case:
        """The case, with no key hidden for its place."""
        return case.with_attributes(causal=False) if case.attributes.get("causal") else case

    def examine(self, backend: Backend, example: Case) -> float:
        """Put the valid steps in another order, in every array with steps; the rest is the same."""
        order = _order(example, np.random.default_rng(example.seed).permutation)
        return hold(backend, example, _reordered(example, order, self.about, {}))


def _order(case: Case, arrange: Callable[[Array], Array]) -> Order:
    """Which step stands at each place, (B, T): the valid ones as arranged, those taken out where they were."""
    order = np.tile(np.arange(case.sizes["T"]), (case.sizes["B"], 1))
    for row, valid in zip(order, case.valid, strict=True):
        row[valid] = arrange(row[valid])
    return order


def _reordered(case: Case, order: Order, about: str, changed: Mapping[str, Any]) -> Pair:
    """The case's call, and the one with its steps in this order."""
    inputs, outputs = case.items, case.results

    def rearranged(results: Bounds, items: Mapping[str, Input] | Mapping[str, Output]) -> Bounds:
        return {
            name: moved(bounded, partial(_in_order, shape=items[name].shape, order=order))
            for name, bounded in results.items()
        }

    second = {
        name: _in_order(array, inputs[name].shape, order) if inputs[name].kind in ("float", "ids") else array
        for name, array in case.call.inputs.items()
    }
    cotangents = tuple(
        _in_order(cotangent, output.shape, order)
        for output, cotangent in zip((o for o in outputs.values() if o.kind == "float"), case.cotangents, strict=True)
    )
    return Pair(
        about,
        case.call,
        Call(case.operation, second, {**case.call.attributes, **changed}),
        lambda results: rearranged(results, outputs),
        lambda results: rearranged(results, inputs),
        case.cotangents,
        cotangents,
    )


def _in_order(array: Array, shape: tuple[str, ...], order: Order) -> Array:
    """The array with its steps in this order, where it has steps."""
    if "T" not in shape:
        return array
    axis = shape.index("T")
    places = order.reshape(
        order.shape[0], *(1 for _ in range(axis - 1)), order.shape[1], *(1 for _ in shape[axis + 1 :])
    )
    return np.take_along_axis(array, places, axis)
