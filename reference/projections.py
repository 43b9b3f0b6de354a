"""Projections of states to outputs, and layers that make a sequence from one input."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed, batch_first, steps_first
from rnnspec.reference.parts import InnerLayer, state_names
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array


@computes("output_projection")
def _output_projection(call: Admitted) -> Computed:
    states, V, c = (call.floats[name] for name in ("h", "V", "c"))
    batch, steps, _ = states.shape
    every, taken = call.attributes["at"] == "every", call.steps
    if every and call.holes is None:
        return _of_all(states, V, c)
    if not every:  # the last valid step: up to it, as many steps are valid as in all
        count = np.cumsum(taken, axis=1)
        taken = taken & (count == count[:, -1:])
    rows, columns = np.nonzero(taken)
    place = (rows, columns) if every else (rows,)
    read = states[rows, columns]
    y = np.zeros_like(states, shape=(batch, steps, V.shape[0]) if every else (batch, V.shape[0]))
    y[place] = read @ V.T + c

    def vjp(dy: Array) -> dict[str, Array]:
        d = dy[place]
        dh = np.zeros_like(states)
        dh[rows, columns] = d @ V
        return {"h": dh, "V": d.T @ read, "c": d.sum(axis=0)}

    return (y,), vjp


def _of_all(states: Array, V: Array, c: Array) -> Computed:
    """The projection of every step, where none is left out: one product."""
    B, T, H = states.shape
    together = states.reshape(B * T, H)
    y = together @ V.T
    y += c

    def vjp(dy: Array) -> dict[str, Array]:
        d = dy.reshape(B * T, V.shape[0])
        return {"h": (d @ V).reshape(states.shape), "V": d.T @ together, "c": d.sum(axis=0)}

    return (y.reshape(B, T, V.shape[0]),), vjp


@computes("one_to_many")
def _one_to_many(call: Admitted) -> Computed:
    layer, every = call.attributes["layer"], call.attributes["feed"] == "every"
    parameters = {name: array for name, array in call.floats.items() if name not in ("x", *state_names(layer))}
    part = InnerLayer.of(layer, parameters, call.attributes, call.sizes)
    x = call.floats["x"].T
    fed = np.zeros_like(x, shape=(call.attributes["steps"], *x.shape))
    fed[slice(None) if every else 0] = x
    y, final, back = part.run(fed, call.floats, Reading(truncate=call.attributes.get("truncate")), call.record)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        gradients = back(steps_first(dy), dfinal)
        dfed = gradients["x"]
        dx = dfed.sum(axis=0) if every else dfed[0]
        return gradients | {"x": dx.T}

    return (batch_first(y), *final), vjp
