"""An encoder and a decoder of one kind of layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cells import make_cell
from rnnspec.backends.composed.fed_cell import FedCell
from rnnspec.backends.composed.layers import run_layer
from rnnspec.backends.composed.steps import valid_steps


def seq2seq(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    z: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    layer: str,
    context_use: str,
    truncate: int | None,
    **arguments: Any,
) -> Many:
    """The decoder's states, from the encoder's final ones or with its final h beside the input of every step."""
    batch, steps = xp.shape(x)[:2]
    encoder = make_cell(xp, layer, _own("encoder_", arguments))
    valid = valid_steps(xp, steps, lengths, mask)
    _, carry = run_layer(xp, encoder, x, encoder.first(batch), valid=valid, truncate=truncate)
    if context_use == "initial_state":
        decoder = make_cell(xp, layer, _own("decoder_", arguments))
    else:
        decoder = ContextCell(xp, layer, _own("decoder_", arguments), context=carry[0])
        carry = decoder.first(batch)
    y, carry = run_layer(xp, decoder, z, carry, truncate=truncate)
    return y, *decoder.states(carry)


class ContextCell(FedCell):
    """A cell that is fed the same context (B, C) at every step."""

    def __init__(self, xp: ArrayNamespace, name: str, arguments: Mapping[str, Any], context: Tensor) -> None:
        super().__init__(xp, name, arguments, features=xp.shape(arguments["W"])[-1] - xp.shape(context)[-1])
        self.context = context

    def enter(self, x: Tensor) -> Many:
        """The terms of x (T, B, D) and of the context in the steps."""
        return self.feed(super().enter(x), self.context)


def _own(prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the encoder or the decoder by the cell's own names, and the attributes of both."""
    return {name.removeprefix(prefix): value for name, value in arguments.items()}
