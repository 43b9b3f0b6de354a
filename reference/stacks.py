"""Layers on layers, each on the outputs of the one below, with their gradients.

`stacked` reads every layer forward, `alternating_stack` every other one in reverse; in `gate_once_stack` information
passes one output gate in all, at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Admitted, Vjp, admit, dropout_scale, widened
from rnnspec.reference.gates import outer, rows, total
from rnnspec.reference.gates import stacked as gates_stacked
from rnnspec.reference.parts import (
    Part,
    PartArguments,
    PartBack,
    batch_first,
    build_part,
    split_arguments,
    state_names,
    steps_first,
)
from rnnspec.reference.unroll import Array, Arrays, Reading

Back = Callable[[Array, Arrays], list[dict[str, Array]]]


def stacked(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    dropout: float | None = None,
    **own: Unpack[PartArguments],
) -> Arrays:
    """Run a stack of layers of one kind over a batch of sequences, each on the outputs of the one below.

    Every parameter and state of the layer, but for the input weights, has one more axis, of L: an entry for each layer,
    the lowest first. Below, G, H, S are the layer's gates, units and units of the state.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All arrays but `keep`, `lengths` and `mask` have one type: float16, bfloat16,
        float32 or float64; the first two are computed in float32 and rounded once, at the end.
    W
        Input weights of the lowest layer, ``(G, H, D)``.
    W_above
        Input weights of the layers above the lowest, ``(A, G, H, S)``; ``A = L - 1`` may be 0.
    R, b
        Recurrent weights ``(L, G, H, S)`` and bias ``(L, G, H)`` of every layer, the lowest first.
    h0
        Initial states, ``(B, L, S)``; zero if absent.
    keep
        bool ``(B, A, T, S)``; with a number for `dropout` only. Mask ``keep[:, l]`` stands between layer l and the next
        one: an entry that is kept goes on times ``1 / (1 - dropout)``, another as 0. No mask follows the top layer.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its output
        is 0, and its input, NaN included, changes nothing and has gradient 0.
    layer
        The kind of every layer: ``"rnn"``, ``"lstm"``, ``"lstm_1997"``, ``"forget_only_lstm"``, ``"peephole_lstm"``,
        ``"layer_norm_lstm"``, ``"gru"`` or ``"nested_lstm"``.
    dropout
        The probability with which entries were taken out of `keep`, less than 1; None: no dropout.
    **own
        What only some layers have. Parameters, each with a first axis of L before its axes there: ``P``, ``b_rn``,
        ``gain``, ``gain_c``, ``b_c``, ``W_inner``, ``R_inner``, ``b_inner``. The initial memories ``c0``, ``(B, L, H)``
        (of a nested LSTM ``(B, L, M, H)``), zero if absent. Attributes, the same for all layers: ``activation``,
        ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``, ``epsilon``, ``memory``,
        ``gradient``, ``truncate``.

    Returns
    -------
    outputs
        ``y``, the top layer's state after each step, ``(B, T, S)``; ``h_n``, every layer's state after the last step
        that it read, ``(B, L, S)``; and, where the layer has a memory, ``c_n``, like ``c0``. All of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Graves, Mohamed & Hinton (2013), Speech recognition with deep recurrent neural networks, arXiv:1303.5778 (stack);
    Zaremba, Sutskever & Vinyals (2014), Recurrent neural network regularization, arXiv:1409.2329 (dropout between).
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "h0": h0, "keep": keep}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "dropout": dropout}
    outputs, _ = _run("stacked", {**given, **chosen, **own}, record=False)
    return outputs


def stacked_vjp(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    dropout: float | None = None,
    **own: Unpack[PartArguments],
) -> tuple[Arrays, Vjp]:
    """Run as `stacked` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `stacked`.
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "h0": h0, "keep": keep}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "dropout": dropout}
    return _run("stacked", {**given, **chosen, **own}, record=True)


def alternating_stack(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    dropout: float | None = None,
    **own: Unpack[PartArguments],
) -> Arrays:
    """Run a stack of layers whose directions alternate: the lowest reads forward, the next in reverse, and so on.

    The outputs of every layer stand in the inputs' order, so that each step of a layer sees the output that the layer
    below has for that same step.

    Parameters
    ----------
    x, W, W_above, R, b, h0, keep, lengths, mask, layer, dropout, **own
        As in `stacked`.

    Returns
    -------
    outputs
        ``y``, the top layer's state after each step, ``(B, T, S)``; ``h_n``, every layer's state after the last step
        that it read, ``(B, L, S)``, which is the first step for a layer in reverse; and, where the layer has a memory,
        ``c_n``, like ``c0``. All of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Zhou & Xu (2015), End-to-end learning of semantic role labeling using recurrent neural networks, ACL 2015;
    He et al. (2017), Deep semantic role labeling, ACL 2017.
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "h0": h0, "keep": keep}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "dropout": dropout}
    outputs, _ = _run("alternating_stack", {**given, **chosen, **own}, record=False)
    return outputs


def alternating_stack_vjp(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    dropout: float | None = None,
    **own: Unpack[PartArguments],
) -> tuple[Arrays, Vjp]:
    """Run as `alternating_stack` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `alternating_stack`.
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "h0": h0, "keep": keep}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "dropout": dropout}
    return _run("alternating_stack", {**given, **chosen, **own}, record=True)


class UngatedLSTM:
    """The cell on columns below the top of `gate_once_stack`: it has no output gate and shows all of its memory c."""

    def __init__(self, W: Array, R: Array, b: Array) -> None:
        self.W, self.R, self.b = gates_stacked(W), gates_stacked(R), gates_stacked(b)
        self.units = R.shape[1]
        self.state_sizes = (self.units, self.units)
        self.i, self.f, self.g = (rows(k, self.units) for k in range(3))
        self.i_f = slice(self.i.start, self.f.stop)

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        v = self.W @ x
        v += self.R @ h_prev
        v += self.b
        logistic(v[self.i_f], out=v[self.i_f])
        tanh(v[self.g], out=v[self.g])
        c = v[self.f] * c_prev
        c += v[self.i] * v[self.g]
        h = tanh(c)
        return (h, c), (v, h_prev, c_prev, h)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """From the gradients of the state and memory after to those before."""
        v, h_prev, c_prev, h = known
        i, f, g = v[self.i], v[self.f], v[self.g]
        dc = dc + tanh.back(dh, h, h)
        da = np.empty_like(v)
        da[self.i] = logistic.back(dc * g, i, i)
        da[self.f] = logistic.back(dc * c_prev, f, f)
        da[self.g] = tanh.back(dc * i, g, g)
        return (self.R.T @ da, dc * f), (da, h_prev)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        return {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }


def gate_once_stack(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    W_o: Array,
    R_o: Array,
    b_o: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Run a stack of long short-term memories in which only the top layer has an output gate.

    A layer below the top shows ``h = tanh(c)``, to the layer above and to its own next step. The top layer is an LSTM;
    with one layer there is nothing else.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    W
        Input weights of the lowest layer's gates i, f, g: ``(3, H, D)``.
    W_above
        Those of the layers above the lowest, ``(A, 3, H, H)``; ``A = L - 1`` may be 0.
    R, b
        Recurrent weights ``(L, 3, H, H)`` and bias ``(L, 3, H)`` of every layer's gates i, f, g, the lowest first.
    W_o, R_o, b_o
        Input weights ``(H, H)`` (``(H, D)`` if there is one layer), recurrent weights ``(H, H)`` and bias ``(H,)`` of
        the top layer's output gate.
    h0, c0
        Initial states and memories, ``(B, L, H)``; zero if absent.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its output
        is 0, and its input, NaN included, changes nothing and has gradient 0.

    Returns
    -------
    y, h_n, c_n
        The top layer's state after each step, ``(B, T, H)``; every layer's state and memory after the last step taken,
        ``(B, L, H)``. All of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input is not as above; the message says what was expected.

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780 (the top layer, with
    the forget gate of Gers, Schmidhuber & Cummins, 2000).
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "W_o": W_o, "R_o": R_o, "b_o": b_o}
    outputs, _ = _run_gate_once({**given, "h0": h0, "c0": c0, "lengths": lengths, "mask": mask}, record=False)
    return outputs


def gate_once_stack_vjp(
    x: Array,
    W: Array,
    W_above: Array,
    R: Array,
    b: Array,
    W_o: Array,
    R_o: Array,
    b_o: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Run as `gate_once_stack` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `gate_once_stack`.
    """
    given = {"x": x, "W": W, "W_above": W_above, "R": R, "b": b, "W_o": W_o, "R_o": R_o, "b_o": b_o}
    return _run_gate_once({**given, "h0": h0, "c0": c0, "lengths": lengths, "mask": mask}, record=True)


def _run(name: str, arguments: dict[str, Any], record: bool) -> tuple[Arrays, Vjp]:
    """Run `stacked` or `alternating_stack`."""
    inputs, attributes = split_arguments(name, arguments)
    call = admit(name, inputs, attributes)
    layer = call.attributes["layer"]
    each = [key for key in call.floats if key not in ("x", "W", "W_above", *state_names(layer))]
    parts = []
    for k, W in enumerate(_input_weights(call)):
        parameters = {"W": W, **{key: call.floats[key][k] for key in each}}
        parts.append(Part.of(layer, parameters, call.attributes, call.sizes))
    keep, p = inputs.get("keep"), call.attributes["dropout"]
    scales = [] if keep is None else [dropout_scale(call.floats["x"], steps_first(k), p) for k in keep.swapaxes(0, 1)]
    outputs, back = _run_parts(call, parts, name == "alternating_stack", scales, record)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        return call.gradients(_collected(call, back(dy, dfinal), each))

    return tuple(call.rounded(output) for output in outputs), vjp


def _run_gate_once(arguments: dict[str, Any], record: bool) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Run `gate_once_stack`."""
    call = admit("gate_once_stack", arguments, {})
    floats, states = call.floats, ("h0", "c0")
    gated = [(name, floats[f"{name}_o"]) for name in "WRb"]
    parts = []
    for k, W in enumerate(_input_weights(call)):
        p = {"W": W, "R": floats["R"][k], "b": floats["b"][k]}
        top = k == len(floats["R"]) - 1
        if top:  # its output gate is the fourth
            p = {name: np.concatenate((p[name], gate[np.newaxis])) for name, gate in gated}
        cell = build_part("lstm", p, {}) if top else UngatedLSTM(**p)
        parts.append(Part(cell, p, states, tuple((units,) for units in cell.state_sizes)))
    (y, h_n, c_n), back = _run_parts(call, parts, False, [], record)

    def vjp(*cotangents: Array) -> dict[str, Array]:
        by_layer = back(cotangents[0], cotangents[1:])
        top = by_layer[-1]
        output_gate = {f"{name}_o": top[name][3] for name in "WRb"}
        by_layer[-1] = top | {name: top[name][:3] for name in "WRb"}
        return call.gradients(_collected(call, by_layer, ("R", "b")) | output_gate)

    return (call.rounded(y), call.rounded(h_n), call.rounded(c_n)), vjp


def _input_weights(call: Admitted) -> Iterator[Array]:
    """Each layer's, from the lowest to the top."""
    yield call.floats["W"]
    above = call.floats["W_above"]
    for k in range(above.shape[0]):
        yield above[k]


def _run_parts(
    call: Admitted, parts: Sequence[Part], alternating: bool, scales: Sequence[Array], record: bool
) -> tuple[Arrays, Back]:
    """Run layers, each on the outputs of the one below, times the scale between the two if there are scales.

    Return the outputs, and the way back from their gradients to each layer's.
    """
    holes, truncate = call.holes, call.attributes.get("truncate")
    x = call.floats["x"]
    x = steps_first(x if holes is None else np.where(holes[:, :, np.newaxis], x, 0))
    finals: list[Arrays] = []
    backs: list[PartBack] = []
    for k, part in enumerate(parts):
        begin = {name: call.floats[name][:, k] for name in part.states if name in call.floats}
        reading = Reading(
            valid=None if holes is None else holes.T, reverse=alternating and k % 2 == 1, truncate=truncate
        )
        below = x if k == 0 or not scales else x * scales[k - 1]
        x, final, back = part.run(below, begin, reading, record)
        finals.append(final)
        backs.append(back)

    def all_back(dy: Array, dfinal: Arrays) -> list[dict[str, Array]]:
        dx = steps_first(widened(dy))
        wide = [widened(d) for d in dfinal]
        by_layer: list[dict[str, Array]] = []
        for k in reversed(range(len(parts))):
            gradients = backs[k](dx, tuple(d[:, k] for d in wide))
            by_layer.insert(0, gradients)
            dx = gradients["x"] * scales[k - 1] if k and scales else gradients["x"]
        return by_layer

    return (batch_first(x), *(np.stack(states, axis=1) for states in zip(*finals, strict=True))), all_back


def _collected(call: Admitted, by_layer: Sequence[dict[str, Array]], each: Sequence[str]) -> dict[str, Array]:
    """Put the layers' gradients together as the operation has its inputs; `each` are those with an axis of layers."""
    lowest, *above = by_layer
    W_above = np.stack([part["W"] for part in above]) if above else np.zeros_like(call.floats["W_above"])
    gradients = {"x": batch_first(lowest["x"]), "W": lowest["W"], "W_above": W_above}
    gradients |= {name: np.stack([part[name] for part in by_layer]) for name in each}
    return gradients | {
        name: np.stack([part[name] for part in by_layer], axis=1) for name in ("h0", "c0") if name in lowest
    }
