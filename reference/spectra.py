"""Diagnosis of vanishing and exploding gradients: powers of recurrent weights, and Jacobians of a layer's state."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed, no_way_back, steps_first
from rnnspec.reference.parts import InnerLayer, state_names
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Cell, Reading
from rnnspec.spec.arrays import Array, Arrays, Mask


@computes("recurrent_power_spectrum")
def _recurrent_power_spectrum(call: Admitted) -> Computed:
    matrix, powers = call.floats["R"], call.attributes["powers"]
    kth = [matrix]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(powers - 1):
            kth.append(kth[-1] @ matrix)
    stacked = np.stack(kth)
    entries = np.sort(stacked.reshape(powers, -1), axis=1)
    return (entries, _singular_values(stacked)), no_way_back


@computes("state_jacobian")
def _state_jacobian(call: Admitted) -> Computed:
    layer, x = call.attributes["layer"], np.where(call.steps[:, :, np.newaxis], call.floats["x"], 0)
    parameters = {name: array for name, array in call.floats.items() if name not in ("x", *state_names(layer))}
    part = InnerLayer.of(layer, parameters, call.attributes, call.sizes)
    reading = Reading(valid=call.steps.T, truncate=call.attributes["truncate"])
    states = part.begin(call.floats, x, x.shape[0])
    jacobian = _jacobians(part.cell, steps_first(x), states, reading, call.attributes["since"])
    return (jacobian, _singular_values(jacobian)[:, :, 0]), no_way_back


def _jacobians(cell: Cell, x: Array, states: Arrays, reading: Reading, since: int) -> Array:
    """Jacobians ``(B, T, Q, Q)`` of the state after each step of ``x (T, D, B)`` by the state before step `since`."""
    steps, _, batch = x.shape
    size = sum(cell.state_sizes)
    valid = reading.valid
    assert valid is not None
    place = np.cumsum(valid, axis=0) - 1
    cuts = reading.cuts(steps, batch)
    result = np.zeros_like(x, shape=(batch, steps, size, size))
    product = np.zeros_like(x, shape=(batch, size, size))
    identity = np.zeros_like(product)
    for q in range(size):
        identity[:, q, q] = 1
    for t in range(steps):
        after, own = _step_jacobian(cell, x[t], states)
        if cuts is not None:
            own = _where(cuts[t], np.zeros_like(own), own)
        before = _where(place[t] == since, identity, product)
        product = _where(valid[t], own @ before, product)
        result[:, t] = _where(valid[t] & (place[t] >= since), product, np.zeros_like(product))
        states = tuple(np.where(valid[t], new, old) for new, old in zip(after, states, strict=True))
    return result


def _step_jacobian(cell: Cell, x: Array, states: Arrays) -> tuple[Arrays, Array]:
    """States after one step, and its Jacobian ``(B, Q, Q)``, by the cell's backward pass from each unit vector.

    Every sequence is repeated Q times, once for each unit vector, so that one step is enough.
    """
    batch, size = x.shape[1], sum(cell.state_sizes)

    def repeated(array: Array) -> Array:
        return np.concatenate([array] * size, axis=1)

    after, known = cell.step(repeated(x), *(repeated(state) for state in states))
    unit = np.zeros_like(x, shape=(size, size * batch))
    for q in range(size):
        unit[q, q * batch : (q + 1) * batch] = 1
    dafter, start = [], 0
    for length in cell.state_sizes:
        dafter.append(unit[start : start + length])
        start += length
    dbefore, _ = cell.back(known, *dafter)
    rows = np.concatenate(dbefore, axis=0).reshape(size, size, batch)
    return tuple(state[:, :batch] for state in after), rows.transpose(2, 1, 0)


def _where(condition: Mask, yes: Array, no: Array) -> Array:
    """Choose a whole matrix for each sequence."""
    return np.where(condition[:, np.newaxis, np.newaxis], yes, no)


def _singular_values(matrices: Array) -> Array:
    """Singular values of the last two axes, the greatest first; all equal the greatest entry if it is not finite."""
    greatest = np.abs(matrices).max(axis=(-2, -1))[..., np.newaxis]
    finite = np.isfinite(greatest)
    values = np.linalg.svd(np.where(finite[..., np.newaxis], matrices, 0), compute_uv=False)
    return np.where(finite, values, greatest)
