"""Decoders that attend to a source at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.attention_keys import prepared
from rnnspec.backends.composed.cells import make_cell
from rnnspec.backends.composed.fed_cell import FedCell
from rnnspec.backends.composed.layers import run_layer
from rnnspec.backends.composed.steps import valid_steps, zeroed

PARAMETERS: Final = ("W_a", "W_q", "W_k", "b_a", "v_a")
"""Those of the scores, of which each kind has some."""


class Attention:
    """The queries' reading of the annotations (B, T, E) of a source; in float32 where these have 16 bits."""

    def __init__(
        self, xp: ArrayNamespace, annotations: Tensor, valid: Tensor | None, score: str, arguments: Mapping[str, Any]
    ) -> None:
        self.xp, self.dtype, self.valid = xp, annotations.dtype, valid
        self.annotations = xp.widened(zeroed(xp, annotations, valid))
        parameters = {name: xp.widened(arguments[name]) for name in PARAMETERS if name in arguments}
        self.scores = prepared(xp, self.annotations, score=score, **parameters)
        self.penalty: Tensor | None = None
        if valid is not None:
            # Where there is nothing to attend to, all of these zeros is as good as none of them.
            compared = xp.logical_or(valid, xp.logical_not(xp.any(valid, 1, keepdims=True)))
            zeros = xp.zeros(xp.shape(valid), self.annotations.dtype)
            self.penalty = xp.where(compared, zeros, -float("inf"))[:, None]

    def read(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts (B, U, E) and weights (B, U, T) of queries (B, U, S); the weights are yet to be `shown`."""
        scores = self.scores(self.xp.widened(queries))
        weights = self.xp.softmax(scores if self.penalty is None else scores + self.penalty)
        return self.xp.astype(self.xp.matmul(weights, self.annotations), self.dtype), weights

    def shown(self, weights: Tensor) -> Tensor:
        """The weights as the specification has them: of their type, and all 0 where there is nothing to attend to."""
        if self.valid is not None:
            weights = self.xp.where(self.valid[:, None], weights, 0.0)
        return self.xp.astype(weights, self.dtype)


def bahdanau_decoder(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    annotations: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    cell: str,
    score: str,
    **arguments: Any,
) -> Many:
    """The state before a step asks; its reading enters the step, beside the input."""
    batch, steps, features = xp.shape(x)
    attention = Attention(xp, annotations, valid_steps(xp, xp.shape(annotations)[1], lengths, mask), score, arguments)
    decoder = FedCell(xp, cell, arguments, features)
    carry = decoder.first(batch, h=h0, c=c0)

    def step(carry: Many, entered: Many) -> tuple[Many, Many]:
        context, weights = attention.read(carry[0][:, None])
        carry = decoder.step(decoder.feed(entered, context[:, 0]), carry)
        return carry, (carry[0], weights[:, 0])

    carry, (y, weights) = xp.scan(step, carry, decoder.enter(xp.permute_dims(x, (1, 0, 2))), steps)
    y, weights = (xp.permute_dims(array, (1, 0, 2)) for array in (y, weights))
    return y, attention.shown(weights), *decoder.states(carry)


def luong_decoder(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    annotations: Tensor,
    W_c: Tensor,
    y0: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    cell: str,
    score: str,
    input_feeding: bool,
    **arguments: Any,
) -> Many:
    """The state after a step asks; it and what it reads make the output, which may be fed to the next step."""
    batch, steps, features = xp.shape(x)
    attention = Attention(xp, annotations, valid_steps(xp, xp.shape(annotations)[1], lengths, mask), score, arguments)
    columns = xp.permute_dims(W_c, (1, 0))

    def output(h: Tensor) -> tuple[Tensor, Tensor]:
        """The output (B, U, Z) after states (B, U, S), and the weights of the annotations."""
        context, weights = attention.read(h)
        return xp.tanh(xp.matmul(xp.concat([context, h], -1), columns)), weights

    if not input_feeding:  # no step waits for an output: all states ask at once
        layer = make_cell(xp, cell, arguments)
        h, carry = run_layer(xp, layer, x, layer.first(batch, h=h0, c=c0))
        y, weights = output(h)
        return y, attention.shown(weights), *layer.states(carry)

    decoder = FedCell(xp, cell, arguments, features)
    first = xp.zeros((batch, xp.shape(W_c)[0]), x.dtype) if y0 is None else y0
    held: Many = (first, *decoder.first(batch, h=h0, c=c0))

    def step(held: Many, entered: Many) -> tuple[Many, Many]:
        fed, *before = held
        carry = decoder.step(decoder.feed(entered, fed), tuple(before))
        y, weights = (array[:, 0] for array in output(carry[0][:, None]))
        return (y, *carry), (y, weights)

    held, (y, weights) = xp.scan(step, held, decoder.enter(xp.permute_dims(x, (1, 0, 2))), steps)
    y, weights = (xp.permute_dims(array, (1, 0, 2)) for array in (y, weights))
    return y, attention.shown(weights), *decoder.states(held[1:])
