"""A layer read in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rnnspec.reference.call import Admitted, Computed, batch_first, steps_first
from rnnspec.reference.parts import InnerLayer, state_names
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Reading
from rnnspec.spec import operation, with_function
from rnnspec.spec.arrays import Array, Arrays

Merge = Callable[[Array, Array], Arrays]
MergeBack = Callable[[Arrays, Array, Array], tuple[Array, Array]]


@computes("bidirectional")
def _bidirectional(call: Admitted) -> Computed:
    states = state_names(call.attributes["layer"])
    parameters = {name: p for name, p in call.floats.items() if name not in ("x", *states)}
    begin = {name: call.floats[name] for name in states if name in call.floats}
    merged, final, back = both_ways(call, steps_first(call.without_holes("x")), parameters, begin)

    def vjp(*cotangents: Array) -> dict[str, Array]:
        dy, dfinal = cotangents[: len(merged)], cotangents[len(merged) :]
        gradients = back(tuple(steps_first(d) for d in dy), dfinal)
        return gradients | {"x": batch_first(gradients["x"])}

    return (*(batch_first(y) for y in merged), *final), vjp


def both_ways(
    call: Admitted, x: Array, parameters: Mapping[str, Array], begin: Mapping[str, Array]
) -> tuple[Arrays, Arrays, Callable[[Arrays, Arrays], dict[str, Array]]]:
    """Read ``x (T, D, B)`` in both directions, with parameters ``(2, …)`` and initial states ``(B, 2, …)``.

    Return the merged outputs in columns, the final states and the backward pass. From the gradients of both, the pass
    returns those of x in columns, of the parameters and of the initial states.
    """
    layer, truncate = call.attributes["layer"], call.attributes.get("truncate")
    in_reverse = with_function(operation(layer), call.attributes, call.attributes["reverse_activation"])
    merge, merge_back = _MERGES[call.attributes["merge"]]
    valid = None if call.holes is None else call.holes.T
    runs = []
    for k, (reverse, attributes) in enumerate(((False, call.attributes), (True, in_reverse))):
        part = InnerLayer.of(layer, {name: p[k] for name, p in parameters.items()}, attributes, call.sizes)
        given = {name: state[:, k] for name, state in begin.items()}
        runs.append(part.run(x, given, Reading(valid, reverse, truncate=truncate), call.record))
    (y_forward, final_forward, back_forward), (y_reverse, final_reverse, back_reverse) = runs

    def back(dmerged: Arrays, dfinal: Arrays) -> dict[str, Array]:
        dy = merge_back(dmerged, y_forward, y_reverse)
        forward = back_forward(dy[0], tuple(d[:, 0] for d in dfinal))
        reverse = back_reverse(dy[1], tuple(d[:, 1] for d in dfinal))
        gradients = {name: np.stack((forward[name], reverse[name])) for name in parameters}
        gradients |= {name: np.stack((forward[name], reverse[name]), axis=1) for name in part.states}
        return gradients | {"x": forward["x"] + reverse["x"]}

    final = tuple(np.stack(both, axis=1) for both in zip(final_forward, final_reverse, strict=True))
    return merge(y_forward, y_reverse), final, back


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
