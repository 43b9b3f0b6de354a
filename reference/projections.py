"""From states to outputs (`output_projection`), from one input to a sequence (`one_to_many`), with their gradients."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import numpy as np

from rnnspec.reference.call import Vjp, admit, widened
from rnnspec.reference.parts import Part, PartArguments, batch_first, split_arguments, state_names, steps_first
from rnnspec.reference.unroll import Array, Arrays, Reading


def output_projection(
    h: Array,
    V: Array,
    c: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    at: Literal["every", "last"] = "every",
) -> tuple[Array]:
    """Project the states of a layer: at every step (many to many), or the last one alone (many to one).

    Parameters
    ----------
    h
        State after each step, ``(B, T, H)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16,
        float32 or float64; the first two are computed in float32 and rounded once, at the end.
    V, c
        Weights ``(K, H)`` and bias ``(K,)``.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its output
        is 0, and what stands there in `h`, NaN included, changes nothing and has gradient 0.
    at
        ``"every"`` valid step, or the ``"last"`` valid one of each sequence.

    Returns
    -------
    y
        ``V h[t] + c``: ``(B, T, K)``, 0 at steps taken out; or ``(B, K)`` of the last step, 0 where a sequence has
        none. Of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Elman (1990), Finding structure in time, Cognitive Science 14(2), 179-211.
    """
    outputs, _ = output_projection_vjp(h, V, c, lengths=lengths, mask=mask, at=at)
    return outputs


def output_projection_vjp(
    h: Array,
    V: Array,
    c: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    at: Literal["every", "last"] = "every",
) -> tuple[tuple[Array], Vjp]:
    """Project as `output_projection` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of every input by name, for the gradient ``dy`` of the output. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    As of `output_projection`.
    """
    inputs = {"h": h, "V": V, "c": c, "lengths": lengths, "mask": mask}
    call = admit("output_projection", inputs, {"at": at})
    states, V, c = call.floats["h"], call.floats["V"], call.floats["c"]
    batch, steps, _ = states.shape
    taken = np.ones((batch, steps), np.bool_) if call.valid is None else call.valid
    if at == "last":  # the valid step up to which as many steps are valid as in all
        count = np.cumsum(taken, axis=1)
        taken = taken & (count == count[:, -1:])
    rows, columns = np.nonzero(taken)
    place = (rows, columns) if at == "every" else (rows,)
    read = states[rows, columns]
    y = np.zeros_like(states, shape=(batch, steps, V.shape[0]) if at == "every" else (batch, V.shape[0]))
    y[place] = read @ V.T + c

    def vjp(dy: Array) -> dict[str, Array]:
        d = widened(dy)[place]
        dh = np.zeros_like(states)
        dh[rows, columns] = d @ V
        return call.gradients({"h": dh, "V": d.T @ read, "c": d.sum(axis=0)})

    return (call.rounded(y),), vjp


def one_to_many(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    layer: str = "lstm",
    feed: Literal["first", "every"] = "first",
    steps: int = 3,
    **own: Unpack[PartArguments],
) -> Arrays:
    """Run a layer from one input vector for as many steps as asked for.

    Below, G, H, S are the layer's gates, units and units of the state.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(G, H, D)``, recurrent weights ``(G, H, S)`` and bias ``(G, H)``.
    h0
        Initial state, ``(B, S)``; zero if absent.
    layer
        The kind of layer: ``"rnn"``, ``"lstm"``, ``"lstm_1997"``, ``"forget_only_lstm"``, ``"peephole_lstm"``,
        ``"layer_norm_lstm"``, ``"gru"`` or ``"nested_lstm"``.
    feed
        Where the input enters: at the ``"first"`` step, the others' input being 0; or at ``"every"`` step.
    steps
        N, how many steps to take.
    **own
        What only some layers have, in the shapes that they have there. Parameters: ``P``, ``b_rn``, ``gain``,
        ``gain_c``, ``b_c``, ``W_inner``, ``R_inner``, ``b_inner``. The initial memory ``c0``, zero if absent.
        Attributes: ``activation``, ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``,
        ``epsilon``, ``memory``, ``gradient``, ``truncate``.

    Returns
    -------
    outputs
        ``y``, the state after each step, ``(B, N, S)``; ``h_n``, the last of them, ``(B, S)``; and, where the layer has
        a memory, ``c_n``, like ``c0``. All of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Vinyals et al. (2015), Show and tell: a neural image caption generator, arXiv:1411.4555 (the input enters once);
    Karpathy & Fei-Fei (2015), Deep visual-semantic alignments for generating image descriptions, arXiv:1412.2306.
    """
    given = {"x": x, "W": W, "R": R, "b": b, "h0": h0}
    outputs, _ = _run_one_to_many({**given, "layer": layer, "feed": feed, "steps": steps, **own}, record=False)
    return outputs


def one_to_many_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    layer: str = "lstm",
    feed: Literal["first", "every"] = "first",
    steps: int = 3,
    **own: Unpack[PartArguments],
) -> tuple[Arrays, Vjp]:
    """Run as `one_to_many` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every input that was given, by name.
    The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `one_to_many`.
    """
    given = {"x": x, "W": W, "R": R, "b": b, "h0": h0}
    return _run_one_to_many({**given, "layer": layer, "feed": feed, "steps": steps, **own}, record=True)


def _run_one_to_many(arguments: dict[str, Any], record: bool) -> tuple[Arrays, Vjp]:
    inputs, attributes = split_arguments("one_to_many", arguments)
    call = admit("one_to_many", inputs, attributes)
    layer, every = call.attributes["layer"], call.attributes["feed"] == "every"
    states = state_names(layer)
    parameters = {name: array for name, array in call.floats.items() if name not in ("x", *states)}
    part = Part.of(layer, parameters, call.attributes, call.sizes)
    x = call.floats["x"].T
    fed = np.zeros_like(x, shape=(call.attributes["steps"], *x.shape))
    fed[slice(None) if every else 0] = x
    y, final, back = part.run(fed, call.floats, Reading(truncate=call.attributes.get("truncate")), record)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        gradients = back(steps_first(widened(dy)), tuple(widened(d) for d in dfinal))
        dfed = gradients["x"]
        dx = dfed.sum(axis=0) if every else dfed[0]
        return call.gradients(gradients | {"x": dx.T})

    return tuple(call.rounded(output) for output in (batch_first(y), *final)), vjp
