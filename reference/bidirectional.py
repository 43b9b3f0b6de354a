"""A layer read in both directions (`bidirectional`), with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from rnnspec.reference.call import Vjp, admit, widened
from rnnspec.reference.parts import Part, PartArguments, batch_first, split_arguments, state_names, steps_first
from rnnspec.reference.unroll import Array, Arrays, Reading

Merge = Callable[[Array, Array], Arrays]
MergeBack = Callable[[Arrays, Array, Array], tuple[Array, Array]]


def bidirectional(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    merge: str = "concat",
    **own: Unpack[PartArguments],
) -> Arrays:
    """Run a layer forward and another, of its own parameters, in reverse over a batch of sequences.

    Every parameter and state of the layer has one more axis, of 2: first what belongs to the forward layer, then what
    belongs to the reverse one. Below, G, H, S are the layer's gates, units and units of the state.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(2, G, H, D)``, recurrent weights ``(2, G, H, S)`` and bias ``(2, G, H)``.
    h0
        Initial states, ``(B, 2, S)``; zero if absent.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its output
        is 0, and its input, NaN included, changes nothing and has gradient 0.
    layer
        The kind of both layers: ``"rnn"``, ``"lstm"``, ``"lstm_1997"``, ``"forget_only_lstm"``, ``"peephole_lstm"``,
        ``"layer_norm_lstm"``, ``"gru"`` or ``"nested_lstm"``.
    merge
        What becomes of the two outputs of a step: ``"concat"``, forward first; ``"sum"``; ``"mul"``; ``"ave"``, half
        their sum; ``"none"``: both are returned.
    **own
        What only some layers have. Parameters, each with a first axis of 2 before its axes there: ``P``, ``b_rn``,
        ``gain``, ``gain_c``, ``b_c``, ``W_inner``, ``R_inner``, ``b_inner``. The initial memories ``c0``, ``(B, 2, H)``
        (of a nested LSTM ``(B, 2, M, H)``), zero if absent. Attributes, the same for both directions: ``activation``,
        ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``, ``epsilon``, ``memory``,
        ``gradient``, ``truncate``.

    Returns
    -------
    outputs
        ``y``, ``(B, T, 2 S)`` if concatenated, else ``(B, T, S)``; with ``merge="none"``, in its place,
        ``y_forward`` and ``y_reverse``, ``(B, T, S)``. Then ``h_n``, ``(B, 2, S)``, and, where the layer has a memory,
        ``c_n``, like ``c0``: each direction's states after the last step that it read, which is the first step for the
        reverse one. Outputs stand in the inputs' order and have the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Schuster & Paliwal (1997), Bidirectional recurrent neural networks, IEEE Transactions on Signal Processing 45(11);
    Graves & Schmidhuber (2005), Framewise phoneme classification, Neural Networks 18(5-6), 602-610.
    """
    given = {"x": x, "W": W, "R": R, "b": b, "h0": h0, "lengths": lengths, "mask": mask}
    outputs, _ = _run({**given, "layer": layer, "merge": merge, **own}, record=False)
    return outputs


def bidirectional_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    merge: str = "concat",
    **own: Unpack[PartArguments],
) -> tuple[Arrays, Vjp]:
    """Run as `bidirectional` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `bidirectional`.
    """
    given = {"x": x, "W": W, "R": R, "b": b, "h0": h0, "lengths": lengths, "mask": mask}
    return _run({**given, "layer": layer, "merge": merge, **own}, record=True)


def _run(arguments: dict[str, Any], record: bool) -> tuple[Arrays, Vjp]:
    inputs, attributes = split_arguments("bidirectional", arguments)
    call = admit("bidirectional", inputs, attributes)
    layer, truncate = call.attributes["layer"], call.attributes.get("truncate")
    merge, merge_back = _MERGES[call.attributes["merge"]]
    holes, floats = call.holes, dict(call.floats)
    x = floats.pop("x")
    x = steps_first(x if holes is None else np.where(holes[:, :, np.newaxis], x, 0))
    valid = None if holes is None else holes.T
    states = state_names(layer)
    initial = {name: floats.pop(name) for name in states if name in floats}

    runs = []
    for k, reverse in enumerate((False, True)):
        part = Part.of(layer, {name: p[k] for name, p in floats.items()}, call.attributes, call.sizes)
        begin = {name: state[:, k] for name, state in initial.items()}
        runs.append(part.run(x, begin, Reading(valid, reverse, truncate=truncate), record))
    (y_forward, final_forward, back_forward), (y_reverse, final_reverse, back_reverse) = runs

    def vjp(*cotangents: Array) -> dict[str, Array]:
        wide = [widened(d) for d in cotangents]
        merged = len(wide) - len(states)
        dy = merge_back(tuple(steps_first(d) for d in wide[:merged]), y_forward, y_reverse)
        dfinal = wide[merged:]
        forward = back_forward(dy[0], tuple(d[:, 0] for d in dfinal))
        reverse = back_reverse(dy[1], tuple(d[:, 1] for d in dfinal))
        gradients = {name: np.stack((forward[name], reverse[name])) for name in floats}
        gradients |= {name: np.stack((forward[name], reverse[name]), axis=1) for name in states}
        gradients["x"] = batch_first(forward["x"] + reverse["x"])
        return call.gradients(gradients)

    final = (np.stack(both, axis=1) for both in zip(final_forward, final_reverse, strict=True))
    outputs = (*(batch_first(y) for y in merge(y_forward, y_reverse)), *final)
    return tuple(call.rounded(output) for output in outputs), vjp


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
"""By name: from both outputs, in columns, to those of the operation, and from their gradients to those of both."""
