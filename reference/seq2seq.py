"""An encoder and a decoder of one kind of layer (`seq2seq`), with its gradient."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack

import numpy as np

from rnnspec.reference.call import Vjp, admit, widened
from rnnspec.reference.parts import Part, batch_first, split_arguments, steps_first
from rnnspec.reference.unroll import Array, Arrays, Reading

Use = Literal["initial_state", "every_step"]


class Seq2SeqArguments(TypedDict, total=False):
    """Keywords that only some kinds of layer have: the encoder's and the decoder's further parameters, and attributes.

    Those that the chosen kind has not are refused.
    """

    encoder_P: Array | None
    encoder_b_rn: Array | None
    encoder_gain: Array | None
    encoder_gain_c: Array | None
    encoder_b_c: Array | None
    encoder_W_inner: Array | None
    encoder_R_inner: Array | None
    encoder_b_inner: Array | None
    decoder_P: Array | None
    decoder_b_rn: Array | None
    decoder_gain: Array | None
    decoder_gain_c: Array | None
    decoder_b_c: Array | None
    decoder_W_inner: Array | None
    decoder_R_inner: Array | None
    decoder_b_inner: Array | None
    activation: str
    activations: tuple[str, str, str]
    clip: float | None
    coupled: bool
    projection: bool
    reset: Literal["before", "after"]
    update: Literal["keeps", "admits"]
    epsilon: float
    memory: Literal["raw", "normalised"]
    gradient: Literal["full", "cell_only"]
    truncate: int | None


def seq2seq(
    x: Array,
    z: Array,
    encoder_W: Array,
    encoder_R: Array,
    encoder_b: Array,
    decoder_W: Array,
    decoder_R: Array,
    decoder_b: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    context_use: Use = "initial_state",
    **own: Unpack[Seq2SeqArguments],
) -> Arrays:
    """Read a source with an encoder, and run a decoder over given inputs with what the encoder has made of the source.

    The encoder runs from zero states over the valid steps of `x`; its outputs are not used, its states after the last
    valid step are (zeros, where there is none). The decoder runs over every step of `z`, whatever it has put out itself
    (teacher forcing: z is what it should have put out, one step later). Both are layers of one kind and of one size,
    each with its own parameters. Below, G, H, S are the layer's gates, units and units of the state.

    Parameters
    ----------
    x
        Source sequences, ``(B, T, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16, float32
        or float64; the first two are computed in float32 and rounded once, at the end.
    z
        The decoder's inputs, ``(B, U, F)``. All U steps are taken: `lengths` and `mask` are the source's.
    encoder_W, encoder_R, encoder_b
        The encoder's input weights ``(G, H, D)``, recurrent weights ``(G, H, S)`` and bias ``(G, H)``.
    decoder_W, decoder_R, decoder_b
        The decoder's. With ``context_use="initial_state"`` its input weights are ``(G, H, F)``; with ``"every_step"``
        they are ``(G, H, F + S)``: those of z stand first, those of the context after them.
    lengths
        int64 ``(B,)``: source ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a source's step whose mask is false is taken out, wherever it stands.
        Its input, NaN included, changes nothing and has gradient 0.
    layer
        The kind of both layers: ``"rnn"``, ``"lstm"``, ``"lstm_1997"``, ``"forget_only_lstm"``, ``"peephole_lstm"``,
        ``"layer_norm_lstm"``, ``"gru"`` or ``"nested_lstm"``.
    context_use
        ``"initial_state"``: every final state of the encoder (h, and c where there is one) is the decoder's initial
        one. ``"every_step"``: the decoder begins at zero states, and its input at step i is ``[z[i]; context]``, where
        the context is the encoder's final h, the same at every step; its final c is not used.
    **own
        What only some layers have. Parameters, for the encoder and the decoder alike and in the layer's own shapes:
        ``encoder_P``, ``decoder_P``, and so on for ``b_rn``, ``gain``, ``gain_c``, ``b_c``, ``W_inner``, ``R_inner``,
        ``b_inner``. Attributes, of both: ``activation``, ``activations``, ``clip``, ``coupled``, ``projection``,
        ``reset``, ``update``, ``epsilon``, ``memory``, ``gradient``, and ``truncate``, for which the encoder and the
        decoder each count their own steps: it never cuts the way from the decoder's first step to the encoder.

    Returns
    -------
    outputs
        ``y``, the decoder's state after each step, ``(B, U, S)``; ``h_n``, its state after the last one, ``(B, S)``;
        and, where the layer has a memory, ``c_n``, ``(B, H)`` (of a nested LSTM ``(B, M, H)``). Of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Sutskever, Vinyals & Le (2014), Sequence to sequence learning with neural networks, arXiv:1409.3215 (initial state);
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078 (every step);
    Williams & Zipser (1989), A learning algorithm for continually running fully recurrent neural networks, Neural
    Computation 1(2), 270-280 (teacher forcing).
    """
    given = {"x": x, "z": z, "encoder_W": encoder_W, "encoder_R": encoder_R, "encoder_b": encoder_b}
    given |= {"decoder_W": decoder_W, "decoder_R": decoder_R, "decoder_b": decoder_b}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "context_use": context_use}
    outputs, _ = _run({**given, **chosen, **own}, record=False)
    return outputs


def seq2seq_vjp(
    x: Array,
    z: Array,
    encoder_W: Array,
    encoder_R: Array,
    encoder_b: Array,
    decoder_W: Array,
    decoder_R: Array,
    decoder_b: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    layer: str = "lstm",
    context_use: Use = "initial_state",
    **own: Unpack[Seq2SeqArguments],
) -> tuple[Arrays, Vjp]:
    """Run as `seq2seq` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `seq2seq`.
    """
    given = {"x": x, "z": z, "encoder_W": encoder_W, "encoder_R": encoder_R, "encoder_b": encoder_b}
    given |= {"decoder_W": decoder_W, "decoder_R": decoder_R, "decoder_b": decoder_b}
    chosen = {"lengths": lengths, "mask": mask, "layer": layer, "context_use": context_use}
    return _run({**given, **chosen, **own}, record=True)


def _run(arguments: dict[str, Any], record: bool) -> tuple[Arrays, Vjp]:
    inputs, attributes = split_arguments("seq2seq", arguments)
    call = admit("seq2seq", inputs, attributes)
    layer, truncate = call.attributes["layer"], call.attributes.get("truncate")
    at_every_step = call.attributes["context_use"] == "every_step"
    holes, floats = call.holes, call.floats
    x = steps_first(floats["x"] if holes is None else np.where(holes[:, :, np.newaxis], floats["x"], 0))
    z = steps_first(floats["z"])

    def part(name: str) -> Part:
        own = {key.removeprefix(name): array for key, array in floats.items() if key.startswith(name)}
        return Part.of(layer, own, call.attributes, call.sizes)

    encoder, decoder = part("encoder_"), part("decoder_")
    source = Reading(None if holes is None else holes.T, truncate=truncate)
    encoded, states, encoder_back = encoder.run(x, {}, source, record)
    target = Reading(truncate=truncate)
    if at_every_step:
        y, final, decoder_back = decoder.run(_beside(z, states[0].T), {}, target, record)
    else:
        y, final, decoder_back = decoder.run(z, dict(zip(decoder.states, states, strict=True)), target, record)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        of_decoder = decoder_back(steps_first(widened(dy)), tuple(widened(d) for d in dfinal))
        du = of_decoder["x"]
        if at_every_step:
            dcontext = du[:, z.shape[1] :].sum(axis=0).T
            dstates: Arrays = (dcontext, *(np.zeros_like(state) for state in states[1:]))
        else:
            dstates = tuple(of_decoder[name] for name in decoder.states)
        of_encoder = encoder_back(np.zeros_like(encoded), dstates)
        gradients = {"x": batch_first(of_encoder["x"]), "z": batch_first(du[:, : z.shape[1]])}
        gradients |= {f"encoder_{name}": of_encoder[name] for name in encoder.parameters}
        gradients |= {f"decoder_{name}": of_decoder[name] for name in decoder.parameters}
        return call.gradients(gradients)

    return tuple(call.rounded(output) for output in (batch_first(y), *final)), vjp


def _beside(z: Array, context: Array) -> Array:
    """``[z[i]; context]`` for every step i, in columns."""
    steps, features, batch = z.shape
    both = np.empty_like(z, shape=(steps, features + context.shape[0], batch))
    both[:, :features] = z
    both[:, features:] = context
    return both
