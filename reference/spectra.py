"""Where gradients vanish and explode: powers of recurrent weights, and the Jacobian of a layer's state."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from rnnspec.reference.call import admit, columns
from rnnspec.reference.parts import PartArguments, build_part, split_arguments, state_names, steps_first
from rnnspec.reference.unroll import Array, Arrays, Cell, Mask, Reading


def recurrent_power_spectrum(R: Array, *, powers: int = 8) -> tuple[Array, Array]:
    """Compute the entries and the singular values of ``R``, ``R @ R`` and so on.

    Parameters
    ----------
    R
        Recurrent weights, ``(H, H)``, of float16, bfloat16, float32 or float64; the first two are computed in float32
        and rounded once, at the end.
    powers
        N: how many powers are taken, from the first on.

    Returns
    -------
    entries
        Entries of each power, the smallest first, ``(N, H * H)``, of the type of R.
    singular_values
        Singular values of each power, the greatest first, ``(N, H)``; infinite where the power is too large for the
        type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Bengio, Simard & Frasconi (1994), Learning long-term dependencies with gradient descent is difficult, IEEE TNN 5(2);
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, ICML.
    """
    call = admit("recurrent_power_spectrum", {"R": R}, {"powers": powers})
    matrix = call.floats["R"]
    kth = [matrix]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(powers - 1):
            kth.append(kth[-1] @ matrix)
    stacked = np.stack(kth)
    entries = np.sort(stacked.reshape(powers, -1), axis=1)
    return call.rounded(entries), call.rounded(_singular_values(stacked))


def state_jacobian(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    since: int = 0,
    **own: Unpack[PartArguments],
) -> tuple[Array, Array]:
    """Compute how a layer's state after each step changes with its state before step `since`.

    The state is that which the layer carries from step to step: all of its states, one after the other, ``s = [h; c]``
    of Q numbers for an LSTM. Row i, column j of the Jacobian is the derivative of ``s[t][i]`` by ``s[since - 1][j]``,
    where ``s[-1]`` is the initial state. It is the product of the Jacobians of single steps, whose spectral norms tell
    whether what is handed back through time shrinks or grows.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    W, R, b, h0
        The layer's input weights, recurrent weights, bias and, optionally, initial state.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands.
    layer
        Name of the layer.
    since
        The first step of the product, counted among the valid steps of a sequence.
    own
        What else the layer takes: further parameters and initial states, and attributes. Where the layer cuts its
        gradient (``truncate``, ``gradient="cell_only"``), the Jacobian is the one that its gradient goes through.

    Returns
    -------
    jacobian
        ``(B, T, Q, Q)``, of the inputs' type; 0 before step `since` and at steps taken out.
    norm
        Spectral norm of each Jacobian, ``(B, T)``.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, ICML.
    """
    arguments = {"x": x, "W": W, "R": R, "b": b, "h0": h0, "lengths": lengths, "mask": mask, "layer": layer}
    call = admit("state_jacobian", *split_arguments("state_jacobian", {**arguments, "since": since, **own}))
    assert call.valid is not None
    parameters = dict(call.floats)
    sequences = np.where(call.valid[:, :, np.newaxis], parameters.pop("x"), 0)
    given = {name: parameters.pop(name) for name in state_names(layer) if name in parameters}
    cell = build_part(layer, parameters, call.attributes)
    states = tuple(
        columns(given[name]) if name in given else np.zeros_like(sequences, shape=(size, sequences.shape[0]))
        for name, size in zip(state_names(layer), cell.state_sizes, strict=True)
    )
    reading = Reading(valid=call.valid.T, truncate=call.attributes["truncate"])
    jacobian = _jacobians(cell, steps_first(sequences), states, reading, since)
    return call.rounded(jacobian), call.rounded(_singular_values(jacobian)[:, :, 0])


def _jacobians(cell: Cell, x: Array, states: Arrays, reading: Reading, since: int) -> Array:
    """Jacobian of the state after each step of ``x (T, D, B)`` by that before step `since`, ``(B, T, Q, Q)``."""
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
    """One step's states after, and its Jacobian ``(B, Q, Q)``: the cell's way back, from each unit vector in turn.

    Every sequence stands side by side with itself Q times, once for each unit vector, so that one step does.
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
    """Choose whole matrices, one a sequence."""
    return np.where(condition[:, np.newaxis, np.newaxis], yes, no)


def _singular_values(matrices: Array) -> Array:
    """Singular values of matrices on the last two axes, the greatest first; what is not finite stands for all."""
    greatest = np.abs(matrices).max(axis=(-2, -1))[..., np.newaxis]
    finite = np.isfinite(greatest)
    values = np.linalg.svd(np.where(finite[..., np.newaxis], matrices, 0), compute_uv=False)
    return np.where(finite, values, greatest)
