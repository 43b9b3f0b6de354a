"""Decoding: a recurrent cell writes tokens, each of which is its next input, greedily or with a beam.

The choice of a token and the end of a sequence jump as the parameters change, and have no gradient. The gradient is
that of the chosen tokens' log-probabilities for fixed tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.reference.call import Admitted, Computed, columns, from_columns
from rnnspec.reference.parts import build_part, state_names
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Arrays, Mask


@computes("greedy_decode")
def _greedy_decode(call: Admitted) -> Computed:
    writer, a = Writer(call), call.attributes
    tape: Tape = []
    outputs = writer.write(a["steps"], vector=a["feedback"] == "vector", tape=tape if call.record else None)
    return outputs, lambda dlog_probabilities: writer.back(dlog_probabilities, tape)


@computes("beam_search")
def _beam_search(call: Admitted) -> Computed:
    writer, steps, a = Writer(call), call.attributes["steps"], call.attributes

    def divisor(lengths: Array) -> Array | None:
        """Return the number that the sum over a sequence's tokens is divided by."""
        if not a["normalise"]:
            return None
        lengths = lengths.astype(writer.c.dtype)
        return lengths if a["length_penalty"] is None else np.exp(a["length_penalty"] * np.log((5 + lengths) / 6))

    tokens, lengths, score = writer.search(steps, a["width"], divisor)
    best = a["hypotheses"] == "best"
    if best:
        tokens, lengths, score = tokens[:, :1], lengths[:, :1], score[:, :1]
    # The caller may write to the outputs.
    own_tokens, divided, possible = tokens.copy(), divisor(lengths), np.isfinite(score)

    def vjp(dscore: Array) -> dict[str, Array]:
        d = np.where(possible, dscore[:, np.newaxis] if best else dscore, 0)
        if divided is not None:
            d = d / np.where(possible, divided, 1)
        each = []
        for place in range(own_tokens.shape[1]):
            tape: Tape = []
            writer.write(steps, given=own_tokens[:, place], tape=tape)
            each.append(writer.back(np.concatenate((d[:, place, np.newaxis],) * steps, axis=1), tape))
        return {name: sum((one[name] for one in each[1:]), of_first) for name, of_first in each[0].items()}

    return (tokens[:, 0], lengths[:, 0], score[:, 0]) if best else (tokens, lengths, score), vjp


@dataclass(frozen=True)
class _Step:
    """Arrays of one step for the backward pass, with a column or an entry for each sequence."""

    entered: Array | None
    """The token read, ``(B,)``, or the distribution, ``(K, B)``; None of a vector that is the caller's."""

    u: Array
    """The cell's input, ``(D, B)``."""

    known: Arrays
    h: Array
    p: Array
    token: Array
    alive: Mask | None
    """Sequences that had not ended before, ``(B,)``; None if none ever ends."""


Tape = list[_Step]


class Writer:
    """A cell on columns whose state scores tokens and whose input is a token."""

    def __init__(self, call: Admitted) -> None:
        floats = dict(call.floats)
        name, self.end = call.attributes["cell"], call.attributes["end"]
        self.start: Any = call.inputs.get("start")  # there, unless the first input is a vector
        self.first = floats.pop("first", None)
        self.V = floats.pop("V")
        self.c = floats.pop("c")[:, np.newaxis]
        self.E = floats.pop("E", None)
        self.every_token = np.arange(self.V.shape[0])[:, np.newaxis]
        # The end may not be written before, unless there is nothing else to write.
        self.minimum = call.attributes["minimum"] if self.V.shape[0] > 1 else 0
        self.states = state_names(name)
        self.given = {state: floats.pop(state) for state in self.states if state in floats}
        self.cell = build_part(name, floats, call.attributes)

    def begin(self) -> tuple[Arrays, Array]:
        """Return the initial states ``(S, B)`` and the first input ``(D, B)``."""
        u = self.read(self.start) if self.first is None else columns(self.first)
        states = tuple(
            columns(self.given[state]) if state in self.given else np.zeros_like(self.V, shape=(size, u.shape[1]))
            for state, size in zip(self.states, self.cell.state_sizes, strict=True)
        )
        return states, u

    def barred(self, t: int) -> Mask | None:
        """Return which tokens ``(K, 1)`` may not be written at step t; None if all may."""
        return self.every_token == self.end if self.end is not None and t < self.minimum else None

    def one_hot(self, token: Array) -> Array:
        """Return the distribution ``(K, B)`` with all probability on each sequence's token ``(B,)``."""
        one = np.ones_like(self.V, shape=(1, 1))
        return np.where(self.every_token == token, one, 0)

    def read(self, token: Array) -> Array:
        """Return the input ``(D, B)`` for tokens ``(B,)``."""
        if self.E is None:
            return self.one_hot(token)
        return np.take_along_axis(self.E.T, token[np.newaxis], axis=1)

    def read_distribution(self, p: Array) -> Array:
        """Return the input ``(D, B)`` for a distribution ``(K, B)``."""
        return p if self.E is None else self.E.T @ p

    def scores(self, h: Array) -> tuple[Array, Array, Array]:
        """Return the tokens' logits, log-probabilities and probabilities, each ``(K, B)``."""
        logits = self.V @ h
        logits += self.c
        shifted = logits - logits.max(axis=0, keepdims=True)
        odds = np.exp(shifted)
        total = odds.sum(axis=0, keepdims=True)
        return logits, shifted - np.log(total), odds / total

    def write(
        self,
        steps: int,
        vector: bool = False,
        given: Array | None = None,
        tape: Tape | None = None,
    ) -> tuple[Array, Array, Array]:
        """Write `steps` tokens, the best ones or the `given` ones ``(B, N)``.

        Return the tokens ``(B, N)``, the lengths ``(B,)`` and the log-probabilities ``(B, N)``. The `tape`, if given,
        receives the arrays that `back` needs.
        """
        states, u = self.begin()
        batch, entered = u.shape[1], None if self.first is not None else self.start
        alive = None if self.end is None else np.ones(batch, np.bool_)
        lengths = np.full(batch, steps) if alive is None else np.zeros(batch, np.int64)
        tokens, log_probabilities = [], []
        for t in range(steps):
            after, known = self.cell.step(u, *states)
            logits, log_p, p = self.scores(after[0])
            barred = self.barred(t)
            if given is not None:
                token = given[:, t]
            else:
                token = np.argmax(logits if barred is None else np.where(barred, -np.inf, logits), axis=0)
            log_probability = np.take_along_axis(log_p, token[np.newaxis], axis=0)[0]
            if alive is not None:
                token, log_probability = np.where(alive, token, 0), np.where(alive, log_probability, 0)
                lengths = lengths + alive
            tokens.append(token)
            log_probabilities.append(log_probability)
            if tape is not None:
                tape.append(_Step(entered, u, known, after[0], p, token, alive))
            entered = p if vector else token
            states, u = after, self.read_distribution(p) if vector else self.read(token)
            if alive is not None:
                alive = np.logical_and(alive, token != self.end)
                # No output reads the states of an ended sequence; zeros cannot overflow.
                states, u = tuple(np.where(alive, state, 0) for state in states), np.where(alive, u, 0)
        return np.stack(tokens, axis=1), lengths, np.stack(log_probabilities, axis=1)

    def back(self, dlog_probabilities: Array, tape: Tape) -> dict[str, Array]:
        """Return the gradients of parameters and initial states, by name, from that of log-probabilities ``(B, N)``."""
        V, E, batch = self.V, self.E, dlog_probabilities.shape[0]
        totals = {"V": np.zeros_like(V), "c": np.zeros_like(self.c)}
        if E is not None:
            totals["E"] = np.zeros_like(E)
        dstates: Arrays = tuple(np.zeros_like(V, shape=(size, batch)) for size in self.cell.state_sizes)
        dp: Array | None = None  # of a distribution that was fed back
        for t in reversed(range(len(tape))):
            step = tape[t]
            d = dlog_probabilities[:, t]
            if step.alive is not None:
                d = np.where(step.alive, d, 0)
            dlogits = np.where(self.every_token == step.token, d, 0) - step.p * d
            if dp is not None:
                dlogits += step.p * (dp - (step.p * dp).sum(axis=0, keepdims=True))
            dstates, noted = self.cell.back(step.known, dstates[0] + V.T @ dlogits, *dstates[1:])
            gradients = self.cell.gradients(step.u, *noted)
            du = gradients.pop("x")
            if step.alive is not None:
                dstates, du = tuple(np.where(step.alive, ds, 0) for ds in dstates), np.where(step.alive, du, 0)
            came_back = step.entered is not None and step.entered.ndim == 2
            if step.entered is None:
                gradients["first"] = du.T
            elif E is not None:
                gradients["E"] = (step.entered if came_back else self.one_hot(step.entered)) @ du.T
            dp = None if not came_back else du if E is None else E @ du
            gradients |= {"V": dlogits @ step.h.T, "c": dlogits.sum(axis=1)[:, np.newaxis]}
            totals |= {name: totals[name] + d if name in totals else d for name, d in gradients.items()}
        totals["c"] = totals["c"][:, 0]
        initial = zip(self.states, dstates, strict=True)
        return totals | {s: from_columns(d, self.given[s].shape) for s, d in initial if s in self.given}

    def search(self, steps: int, width: int, divisor: Callable[[Array], Array | None]) -> tuple[Array, Array, Array]:
        """Return the tokens ``(B, Z, N)``, lengths ``(B, Z)`` and scores ``(B, Z)`` of the hypotheses, the best first.

        A score is the sum of log-probabilities, over the `divisor` of the lengths. The hypotheses of one sequence are
        neighbours: ``(B, beams)``, or in columns ``(…, B · beams)``. A place of the beam is empty if there are fewer
        candidates than places.
        """
        states, u = self.begin()
        batch, kinds, end = u.shape[1], self.V.shape[0], self.end
        beams = 1
        total = np.zeros_like(self.V, shape=(batch, beams))
        filled, finished = np.ones((batch, beams), np.bool_), np.zeros((batch, beams), np.bool_)
        lengths = np.zeros((batch, beams), np.int64)
        as_it_is = np.arange(kinds) == 0  # a finished hypothesis is a candidate at token 0
        written: list[tuple[Array, Array]] = []
        for t in range(steps):
            after, _known = self.cell.step(u, *states)
            _, log_p, _ = self.scores(after[0])
            longer = total[:, :, np.newaxis] + log_p.reshape(kinds, batch, beams).transpose(1, 2, 0)
            ended, barred = finished[:, :, np.newaxis], self.barred(t)
            candidates = np.where(ended, total[:, :, np.newaxis], longer)
            there = np.logical_and(filled[:, :, np.newaxis], np.logical_or(np.logical_not(ended), as_it_is))
            if barred is not None:
                there = np.logical_and(there, np.logical_not(barred[:, 0]))
            ranked = np.where(there, candidates, -np.inf).reshape(batch, beams * kinds)
            places, total = _best(ranked, min(width, beams * kinds))
            parents, tokens = places // kinds, places % kinds

            filled = np.logical_not(np.isneginf(total))
            total = np.where(filled, total, 0)
            went_on = np.logical_not(np.take_along_axis(finished, parents, axis=1))
            tokens = np.where(went_on, tokens, 0)
            lengths = np.take_along_axis(lengths, parents, axis=1) + went_on
            finished = np.logical_not(went_on)
            if end is not None:
                finished = np.logical_or(finished, tokens == end)
            written.append((parents, tokens))

            old, beams = beams, places.shape[1]
            states = tuple(_moved(state.reshape(state.shape[0], batch, old), parents) for state in after)
            u = self.read(tokens.reshape(batch * beams))
            if end is not None:
                # No output reads the states of a finished hypothesis; zeros cannot overflow.
                running = np.logical_not(finished).reshape(batch * beams)
                states, u = tuple(np.where(running, state, 0) for state in states), np.where(running, u, 0)

        divided = divisor(lengths)
        final = np.where(filled, total if divided is None else total / divided, -np.inf)
        place, score = _best(final, beams)
        there = np.logical_not(np.isneginf(score))
        lengths = np.where(there, np.take_along_axis(lengths, place, axis=1), 0)
        chosen = []
        for parents, tokens in reversed(written):
            chosen.append(np.where(there, np.take_along_axis(tokens, place, axis=1), 0))
            place = np.take_along_axis(parents, place, axis=1)
        return self._in_every_place(width, np.stack(chosen[::-1], axis=2), lengths, score)

    @staticmethod
    def _in_every_place(width: int, tokens: Array, lengths: Array, score: Array) -> tuple[Array, Array, Array]:
        """Return the same with empty places up to the width."""
        batch, beams, steps = tokens.shape
        if beams == width:
            return tokens, lengths, score
        none = np.zeros((batch, width - beams), np.int64)
        no_tokens = np.zeros((batch, width - beams, steps), np.int64)
        never = np.zeros_like(score, shape=none.shape) - np.inf
        return (
            np.concatenate((tokens, no_tokens), axis=1),
            np.concatenate((lengths, none), axis=1),
            np.concatenate((score, never), axis=1),
        )


def _best(ranked: Array, number: int) -> tuple[Array, Array]:
    """Places of the greatest entries of each row, ``(B, number)``, and the entries.

    The greatest comes first, and the first of equal ones. Where only minus infinity is left, a place may come again.
    """
    every = np.arange(ranked.shape[1])
    found, entries = [], []
    for _ in range(number):
        place = np.argmax(ranked, axis=1)[:, np.newaxis]
        found.append(place)
        entries.append(np.take_along_axis(ranked, place, axis=1))
        ranked = np.where(every == place, -np.inf, ranked)
    return np.concatenate(found, axis=1), np.concatenate(entries, axis=1)


def _moved(states: Array, parents: Array) -> Array:
    """Columns ``(S, B · beams)`` of the parents' states, from ``(S, B, old beams)``."""
    moved = np.take_along_axis(states, parents[np.newaxis], axis=2)
    return moved.reshape(states.shape[0], parents.shape[0] * parents.shape[1])
