"""A cell that writes tokens, each of which it reads next: greedily, and with a beam.

All steps are taken, for no value may be asked for: a sequence that has ended goes on with nothing looking at it. The
16-bit types are computed in float32 throughout, since their rounding would decide between tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.cells import make_cell


class Writer:
    """A cell whose state scores the tokens, and the term of each token in a step that reads it.

    `reads` is how many tokens will be read in all. Where they are at least as many as there are kinds, the product of
    the input weights with every kind is cheaper than with every token.
    """

    def __init__(
        self,
        xp: ArrayNamespace,
        cell: str,
        arguments: Mapping[str, Any],
        V: Tensor,
        c: Tensor,
        E: Tensor | None,
        reads: int,
    ) -> None:
        self.xp, self.dtype, self.kinds = xp, V.dtype, xp.shape(V)[0]
        self.V, self.c = xp.permute_dims(xp.widened(V), (1, 0)), xp.widened(c)
        self.E = None if E is None else xp.widened(E)
        self.cell = make_cell(xp, cell, {name: _widened(xp, value) for name, value in arguments.items()})
        self.brought = self.cell.enter(self.embed(xp.arange(self.kinds))) if self.kinds <= reads else None

    def embed(self, tokens: Tensor) -> Tensor:
        """The embeddings (B, D) of tokens (B,)."""
        xp = self.xp
        return xp.one_hot(tokens, self.kinds, self.c.dtype) if self.E is None else xp.take(self.E, tokens)

    def mix(self, probabilities: Tensor) -> Tensor:
        """The mean (B, D) of all embeddings under probabilities (B, K)."""
        return probabilities if self.E is None else self.xp.matmul(probabilities, self.E)

    def read(self, tokens: Tensor) -> Many:
        """The input of a step that reads tokens (B,)."""
        if self.brought is None:
            return self.cell.enter(self.embed(tokens))
        return tuple(self.xp.take(every, tokens) for every in self.brought)

    def logits(self, carry: Many) -> Tensor:
        """The tokens' logits (B, K) after a step."""
        return affine(self.xp, carry[0], self.V, self.c)


def greedy_decode(
    xp: ArrayNamespace,
    *,
    start: Tensor | None = None,
    first: Tensor | None = None,
    V: Tensor,
    c: Tensor,
    E: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    cell: str,
    begin: str,
    feedback: str,
    end: int | None,
    minimum: int,
    steps: int,
    **arguments: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """The most probable token at every step; the gradient is that of the chosen tokens' log-probabilities."""
    given = start if begin == "token" else _widened(xp, first)
    batch = xp.shape(given)[0]
    writer = Writer(xp, cell, arguments, V, c, E, reads=batch * (steps if feedback == "token" else 1))
    carry = writer.cell.first(batch, h=_widened(xp, h0), c=_widened(xp, c0))

    def go_on(entered: Many, held: Many, *entering: Tensor) -> tuple[Many, Many]:
        ended, *before = held
        carry = writer.cell.step(entered, tuple(before))
        if end is not None:
            carry = _blanked(xp, carry, ended)
        logits = writer.logits(carry)
        log_p = xp.log_softmax(logits)
        for barred in entering:
            logits = xp.where(barred, -float("inf"), logits)
        token = xp.argmax(logits, 1)
        wrote = (token, xp.take_along_axis(log_p, token[:, None], 1)[:, 0], ended)
        if end is not None:
            ended = xp.logical_or(ended, token == end)
        return (token if feedback == "token" else writer.mix(xp.exp(log_p)), ended, *carry), wrote

    def step(held: Many, entering: Many) -> tuple[Many, Many]:
        fed, *others = held
        entered = writer.read(fed) if feedback == "token" else writer.cell.enter(fed)
        return go_on(entered, tuple(others), *entering)

    # The first input may be a vector where tokens come back.
    entering = _barred(xp, writer.kinds, end, minimum, steps)
    entered = writer.read(given) if begin == "token" else writer.cell.enter(given)
    held, once = go_on(entered, (xp.zeros((batch,), xp.boolean), *carry), *(array[0] for array in entering))
    wrote = tuple(array[None] for array in once)
    if steps > 1:
        _, later = xp.scan(step, held, tuple(array[1:] for array in entering), steps - 1)
        wrote = tuple(xp.concat([one, more]) for one, more in zip(wrote, later, strict=True))
    tokens, log_probabilities, ended = (xp.permute_dims(array, (1, 0)) for array in wrote)
    lengths = xp.sum(xp.astype(xp.logical_not(ended), xp.int64), 1)
    log_probabilities = xp.where(ended, 0.0, log_probabilities)
    return xp.where(ended, 0, tokens), lengths, xp.astype(log_probabilities, writer.dtype)


def beam_search(
    xp: ArrayNamespace,
    *,
    start: Tensor,
    V: Tensor,
    c: Tensor,
    E: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    cell: str,
    width: int,
    normalise: bool,
    length_penalty: float | None,
    hypotheses: str,
    end: int | None,
    minimum: int,
    steps: int,
    **arguments: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best of the sequences that a beam of `width` beginnings leads to, or all; the gradient is that of scores.

    The beginnings stand side by side, as (B, Z), or one after the other as rows (B·Z) of the cell.
    """
    (batch,) = xp.shape(start)
    rows = batch * width
    writer = Writer(xp, cell, arguments, V, c, E, reads=rows * steps)
    kinds = writer.kinds
    carry = writer.cell.first(batch, h=_widened(xp, h0), c=_widened(xp, c0))
    carry = tuple(_repeated(xp, state, width) for state in carry)

    # A beginning that has ended is a candidate as it stands, in the place of its growth by token 0.
    as_it_stands = xp.where(xp.arange(kinds) == 0, xp.zeros((kinds,), writer.c.dtype), -float("inf"))
    first_row = width * xp.arange(batch)[:, None]

    def step(held: Many, entering: Many) -> tuple[Many, Many]:
        ended, length, sum_of, token, *before = held
        carry = writer.cell.step(writer.read(xp.reshape(token, (rows,))), tuple(before))
        if end is not None:
            carry = _blanked(xp, carry, xp.reshape(ended, (rows,)))
        log_p = xp.reshape(xp.log_softmax(writer.logits(carry)), (batch, width, kinds))
        for barred in entering:
            log_p = xp.where(barred, -float("inf"), log_p)
        if end is not None:
            log_p = xp.where(ended[..., None], as_it_stands, log_p)
        candidates = xp.reshape(sum_of[..., None] + log_p, (batch, width * kinds))
        sum_of, best = xp.top_k(candidates, width)
        origin, token = best // kinds, best % kinds
        if end is not None:
            ended, length = (xp.take_along_axis(array, origin, 1) for array in (ended, length))
            length = length + xp.astype(xp.logical_not(ended), xp.int64)
            ended = xp.logical_or(ended, token == end)
        row = xp.reshape(first_row + origin, (rows,))
        return (ended, length, sum_of, token, *(xp.take(state, row) for state in carry)), (best,)

    none_yet = xp.zeros((batch, width), xp.int64)
    # All beginnings are the same at first: the first one stands for all.
    sum_of = xp.where(xp.arange(width) == 0, xp.zeros((batch, width), writer.c.dtype), -float("inf"))
    held = (
        xp.zeros((batch, width), xp.boolean),
        none_yet if end is not None else none_yet + steps,
        sum_of,
        xp.broadcast_to(start[:, None], (batch, width)),
        *carry,
    )
    entering = _barred(xp, kinds, end, minimum, steps)
    (_, length, sum_of, *_), (best,) = xp.scan(step, held, entering, steps)

    final = sum_of
    if normalise:
        divisor = xp.astype(length, sum_of.dtype)
        if length_penalty is not None:
            divisor = xp.exp(length_penalty * xp.log((5.0 + divisor) / 6.0))
        final = sum_of / divisor
    if hypotheses == "best":
        winner = xp.argmax(final, 1)[:, None]
        score, lengths = (xp.take_along_axis(array, winner, 1)[:, 0] for array in (final, length))
        return _traced(xp, best, winner, kinds)[:, 0], lengths, xp.astype(score, writer.dtype)
    # Places without a sequence are the last ones.
    score, rank = xp.top_k(final, width)
    there = score > -float("inf")
    tokens = xp.where(there[..., None], _traced(xp, best, rank, kinds), 0)
    lengths = xp.where(there, xp.take_along_axis(length, rank, 1), 0)
    return tokens, lengths, xp.astype(xp.where(there, score, -float("inf")), writer.dtype)


def _traced(xp: ArrayNamespace, best: Tensor, places: Tensor, kinds: int) -> Tensor:
    """Tokens (B, M, N) of the beginnings in these places (B, M), from the candidates (N, B, Z) that were best."""

    def step(held: Many, entering: Many) -> tuple[Many, Many]:
        candidate = xp.take_along_axis(entering[0], held[0], 1)
        return (candidate // kinds,), (candidate,)

    _, (path,) = xp.scan(step, (places,), (xp.flip(best, 0),), xp.shape(best)[0])
    return xp.permute_dims(xp.flip(path, 0), (1, 2, 0)) % kinds


def _barred(xp: ArrayNamespace, kinds: int, end: int | None, minimum: int, steps: int) -> Many:
    """Which tokens may not be written at each step, (N, K): the end, before the minimum; nothing if all may."""
    if end is None or end >= kinds or minimum == 0 or kinds == 1:
        return ()
    early = xp.arange(steps) < minimum
    return (xp.logical_and(early[:, None], xp.arange(kinds) == end),)


def _blanked(xp: ArrayNamespace, carry: Many, ended: Tensor) -> Many:
    """The carry with zeros for rows that have ended: they could overflow, and infinity times 0 is no gradient of 0."""
    return tuple(xp.where(ended[:, None], 0.0, state) for state in carry)


def _repeated(xp: ArrayNamespace, state: Tensor, times: int) -> Tensor:
    """Each row (B, units) several times over, (B · times, units)."""
    batch, units = xp.shape(state)
    return xp.reshape(xp.broadcast_to(state[:, None], (batch, times, units)), (batch * times, units))


def _widened(xp: ArrayNamespace, value: Any) -> Any:
    """An array in float32 if it has 16 bits; an attribute or an absent state as it is."""
    return xp.widened(value) if hasattr(value, "dtype") else value
