"""The encoder-decoder of one kind of layer."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed, batch_first, steps_first
from rnnspec.reference.parts import InnerLayer
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array, Arrays


@computes("seq2seq")
def _seq2seq(call: Admitted) -> Computed:
    layer, truncate = call.attributes["layer"], call.attributes.get("truncate")
    at_every_step = call.attributes["context_use"] == "every_step"
    holes, floats = call.holes, call.floats
    x, z = steps_first(call.without_holes("x")), steps_first(floats["z"])

    def part(name: str) -> InnerLayer:
        own = {key.removeprefix(name): array for key, array in floats.items() if key.startswith(name)}
        return InnerLayer.of(layer, own, call.attributes, call.sizes)

    encoder, decoder = part("encoder_"), part("decoder_")
    source = Reading(None if holes is None else holes.T, truncate=truncate)
    encoded, states, encoder_back = encoder.run(x, {}, source, call.record)
    target = Reading(truncate=truncate)
    if at_every_step:
        y, final, decoder_back = decoder.run(_beside(z, states[0].T), {}, target, call.record)
    else:
        y, final, decoder_back = decoder.run(z, dict(zip(decoder.states, states, strict=True)), target, call.record)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        of_decoder = decoder_back(steps_first(dy), dfinal)
        du = of_decoder["x"]
        if at_every_step:
            dcontext = du[:, z.shape[1] :].sum(axis=0).T
            dstates: Arrays = (dcontext, *(np.zeros_like(state) for state in states[1:]))
        else:
            dstates = tuple(of_decoder[name] for name in decoder.states)
        of_encoder = encoder_back(np.zeros_like(encoded), dstates)
        gradients = {"x": batch_first(of_encoder["x"]), "z": batch_first(du[:, : z.shape[1]])}
        gradients |= {f"encoder_{name}": of_encoder[name] for name in encoder.parameters}
        return gradients | {f"decoder_{name}": of_decoder[name] for name in decoder.parameters}

    return (batch_first(y), *final), vjp


def _beside(z: Array, context: Array) -> Array:
    """``[z[i]; context]`` for every step i, in columns."""
    steps, features, batch = z.shape
    both = np.empty_like(z, shape=(steps, features + context.shape[0], batch))
    both[:, :features] = z
    both[:, features:] = context
    return both
