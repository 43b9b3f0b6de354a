"""A layer read in both directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.reference.call import Admitted, Computed, batch_first, steps_first
from rnnspec.reference.parts import InnerLayer, state_names
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array, Arrays

Merge = Callable[[Array, Array], Arrays]
MergeBack = Callable[[Arrays, Array, Array], tuple[Array, Array]]


@computes("bidirectional")
def _bidirectional(call: Admitted) -> Computed:
    layer, truncate = call.attributes["layer"], call.attributes.get("truncate")
    merge, merge_back = _MERGES[call.attributes["merge"]]
    x, holes = steps_first(call.without_holes("x")), call.holes
    valid = None if holes is None else holes.T
    states = state_names(layer)
    parameters = {name: p for name, p in call.floats.items() if name not in ("x", *states)}

    runs = []
    for k, reverse in enumerate((False, True)):
        part = InnerLayer.of(layer, {name: p[k] for name, p in parameters.items()}, call.attributes, call.sizes)
        begin = {name: call.floats[name][:, k] for name in states if name in call.floats}
        runs.append(part.run(x, begin, Reading(valid, reverse, truncate=truncate), call.record))
    (y_forward, final_forward, back_forward), (y_reverse, final_reverse, back_reverse) = runs

    def vjp(*cotangents: Array) -> dict[str, Array]:
        merged = len(cotangents) - len(states)
        dy = merge_back(tuple(steps_first(d) for d in cotangents[:merged]), y_forward, y_reverse)
        dfinal = cotangents[merged:]
        forward = back_forward(dy[0], tuple(d[:, 0] for d in dfinal))
        reverse = back_reverse(dy[1], tuple(d[:, 1] for d in dfinal))
        gradients = {name: np.stack((forward[name], reverse[name])) for name in parameters}
        gradients |= {name: np.stack((forward[name], reverse[name]), axis=1) for name in states}
        return gradients | {"x": batch_first(forward["x"] + reverse["x"])}

    final = (np.stack(both, axis=1) for both in zip(final_forward, final_reverse, strict=True))
    return (*(batch_first(y) for y in merge(y_forward, y_reverse)), *final), vjp


def _concatenated(forward: Array, reverse: Array) -> Arrays:
    return (np.concatenate((forward, reverse), axis=1),)


def _concatenated_back(dy: Arrays, forward: Array, reverse: Array) -> tuple[Array, Array]:
    units = forward.shape[1]
    return dy[0][:, :units], dy[0][:, units:]


def _added(forward: Array, reverse: Array) -> Arrays:
    return (forward + reverse,)


def _added_back(dy: Arrays, forward: Array, reverse: Array) -> tuple[Array, Array]:
    return dy[0], dy[0]


def _multiplied(forward: Array, reverse: Array) -> Arrays:
    return (forward * reverse,)


def _multiplied_back(dy: Arrays, forward: Array, reverse: Array) -> tuple[Array, Array]:
    return dy[0] * reverse, dy[0] * forward


def _averaged(forward: Array, reverse: Array) -> Arrays:
    return ((forward + reverse) * 0.5,)


def _averaged_back(dy: Arrays, forward: Array, reverse: Array) -> tuple[Array, Array]:
    half = dy[0] * 0.5
    return half, half


def _both(forward: Array, reverse: Array) -> Arrays:
    return forward, reverse


def _both_back(dy: Arrays, forward: Array, reverse: Array) -> tuple[Array, Array]:
    return dy[0], dy[1]


_MERGES: dict[str, tuple[Merge, MergeBack]] = {
    "concat": (_concatenated, _concatenated_back),
    "sum": (_added, _added_back),
    "mul": (_multiplied, _multiplied_back),
    "ave": (_averaged, _averaged_back),
    "none": (_both, _both_back),
}
"""Functions by name: one merges both outputs, in columns; the other returns their gradients from the merged one's."""
