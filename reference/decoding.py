"""A recurrent cell that writes tokens, each of which is its next input: `greedy_decode`, `beam_search`, with gradients.

Which token is chosen, and where a sequence ends, jumps as the parameters change, and has no gradient. The gradient is
that of the chosen tokens' log-probabilities, the tokens being given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np

from rnnspec.reference.call import Admitted, Vjp, admit, columns, from_columns, widened
from rnnspec.reference.parts import PartArguments, build_part, split_arguments, state_names
from rnnspec.reference.unroll import Array, Arrays, Mask

Feedback = Literal["token", "vector"]
Embedding = Literal["one_hot", "table"]


def greedy_decode(
    start: Array,
    W: Array,
    R: Array,
    b: Array,
    V: Array,
    c: Array,
    E: Array | None = None,
    h0: Array | None = None,
    *,
    steps: int,
    cell: str = "gru_cell",
    feedback: Feedback = "token",
    embedding: Embedding = "table",
    end: int | None = None,
    **own: Unpack[PartArguments],
) -> tuple[Array, Array, Array]:
    """Write a sequence of tokens, the most probable one at each step.

    For one sequence, with the rows ``E[k]`` of the table (or, one-hot, those of the identity)::

        u[0] = E[start]
        h[t], … = cell(u[t], h[t-1], …)
        a[t] = V @ h[t] + c
        p[t] = softmax(a[t])
        token[t] = argmax(a[t])
        log_probability[t] = log p[t, token[t]]
        u[t+1] = E[token[t]]           with feedback "token"
        u[t+1] = E.T @ p[t]            with feedback "vector"

    Its length is N, the number of steps; or, if ``end`` is chosen before, the number of steps up to and with the first
    time that it is. What stands at later steps is 0. `start` ends nothing, even if it equals `end`. Below, G, H, S are
    the cell's gates, units and units of the state; K is the number of tokens.

    Parameters
    ----------
    start
        int64 ``(B,)``, tokens below K: what is read first; it is not written. All other arrays have one type: float16,
        bfloat16, float32 or float64; the first two are computed in float32 and rounded once, at the end.
    W, R, b
        The cell's input weights ``(G, H, D)``, recurrent weights ``(G, H, S)`` and bias ``(G, H)``.
    V, c
        Weights ``(K, S)`` and bias ``(K,)`` of the tokens' logits.
    E
        Embedding of each token, ``(K, D)``; with ``embedding="table"`` only.
    h0
        Initial state, ``(B, S)``; zero if absent.
    steps
        N, at least 1: the most tokens that are written.
    cell
        ``"rnn_cell"``, ``"lstm_cell"``, ``"lstm_1997_cell"``, ``"forget_only_lstm_cell"``, ``"peephole_lstm_cell"``,
        ``"layer_norm_lstm_cell"``, ``"gru_cell"`` or ``"nested_lstm_cell"``.
    feedback
        What comes back as the next input: the ``"token"`` chosen (of equally probable ones the lowest), or as a
        ``"vector"`` the whole distribution: the mean of the embeddings that it gives, or the distribution itself. With
        either, the first input is that of `start`, and the tokens put out are the most probable ones.
    embedding
        ``"table"``: token k enters as ``E[k]``; ``"one_hot"``: as a vector of ``D = K`` entries, 1 at k and
        0 elsewhere.
    end
        The token that ends a sequence; None: none does, and all have length N. One that is not below K is never chosen.
    **own
        What only some cells have. Parameters: ``P``, ``b_rn``, ``gain``, ``gain_c``, ``b_c``, ``W_inner``, ``R_inner``,
        ``b_inner``. The initial memory ``c0``, ``(B, H)`` (of a nested LSTM ``(B, M, H)``), zero if absent. Attributes:
        ``activation``, ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``, ``epsilon``,
        ``memory``, ``gradient``.

    Returns
    -------
    tokens, lengths, log_probabilities
        The tokens, int64 ``(B, N)``; how many they are, the ending one counted, int64 ``(B,)``; and the natural
        logarithm of each one's probability, ``(B, N)``, of the inputs' type. Tokens and log-probabilities after the end
        are 0.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Graves (2013), Generating sequences with recurrent neural networks, arXiv:1308.0850 (what is written is read);
    Sutskever, Vinyals & Le (2014), arXiv:1409.3215 (the token that ends a sequence).
    """
    given = {"start": start, "W": W, "R": R, "b": b, "V": V, "c": c, "E": E, "h0": h0}
    chosen = {"steps": steps, "cell": cell, "feedback": feedback, "embedding": embedding, "end": end}
    outputs, _ = _greedy({**given, **chosen, **own}, record=False)
    return outputs


def greedy_decode_vjp(
    start: Array,
    W: Array,
    R: Array,
    b: Array,
    V: Array,
    c: Array,
    E: Array | None = None,
    h0: Array | None = None,
    *,
    steps: int,
    cell: str = "gru_cell",
    feedback: Feedback = "token",
    embedding: Embedding = "table",
    end: int | None = None,
    **own: Unpack[PartArguments],
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Write as `greedy_decode` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dlog_probabilities)`` gives the gradient of every float input that was given, by name. The chosen tokens and
    the lengths are constants; with feedback "vector" the gradient flows through every distribution that came back. What
    stands after the end of a sequence counts for nothing. The inputs must not change before vjp is called; it may be
    called again.

    References
    ----------
    As of `greedy_decode`.
    """
    given = {"start": start, "W": W, "R": R, "b": b, "V": V, "c": c, "E": E, "h0": h0}
    chosen = {"steps": steps, "cell": cell, "feedback": feedback, "embedding": embedding, "end": end}
    return _greedy({**given, **chosen, **own}, record=True)


def beam_search(
    start: Array,
    W: Array,
    R: Array,
    b: Array,
    V: Array,
    c: Array,
    E: Array | None = None,
    h0: Array | None = None,
    *,
    steps: int,
    width: int,
    normalise: bool = True,
    cell: str = "gru_cell",
    embedding: Embedding = "table",
    end: int | None = None,
    **own: Unpack[PartArguments],
) -> tuple[Array, Array, Array]:
    """Look for the most probable sequence of tokens, keeping the best `width` beginnings at each step.

    Tokens are read and scored as by `greedy_decode` with feedback "token". A hypothesis is a sequence of tokens and its
    total, the sum of their log-probabilities; it is finished once its last token is `end`. For one sequence, the beam
    is a list that begins as the empty hypothesis alone, of total 0. N times:

    - Every hypothesis of the beam gives candidates: one that is not finished, itself with each of the K tokens after
      it, from token 0 on; a finished one, itself alone, as it is.
    - The candidates are ranked by their totals, greatest first, not by their lengths; of equal ones first that of the
      hypothesis that stood first in the beam, and then that of the lower token.
    - The first `width` of them, or all if they are fewer, are the new beam, in this order.

    So finished hypotheses compete with the others for their place at every step, and nothing ends the search but its N
    steps. The result is the hypothesis of the last beam whose score is greatest, of equal ones the first: its total
    divided by its length (the ending token counted), or its total if not `normalise`.

    With a width of 1 the tokens are those of `greedy_decode`. With a width of ``K**N`` or more no candidate is ever
    left out, and the result is the best of all sequences of N tokens, cut off after their first `end`.

    Parameters
    ----------
    start, W, R, b, V, c, E, h0, steps, cell, embedding, end, **own
        As in `greedy_decode`.
    width
        Z, at least 1: the most hypotheses that are kept. It may be greater than the number of tokens.
    normalise
        Whether the hypotheses of the last beam are compared, and the best one scored, by the total divided by length.

    Returns
    -------
    tokens, lengths, score
        The best hypothesis: its tokens, int64 ``(B, N)``, 0 after its end; how many they are, the ending one counted,
        int64 ``(B,)``; and its score, ``(B,)``, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Lowerre (1976), The Harpy speech recognition system (beam); Sutskever, Vinyals & Le (2014), arXiv:1409.3215 (of a
    recurrent decoder); Graves (2012), arXiv:1211.3711 (the choice by the total divided by the length).
    """
    given = {"start": start, "W": W, "R": R, "b": b, "V": V, "c": c, "E": E, "h0": h0}
    chosen = {"steps": steps, "width": width, "normalise": normalise, "cell": cell, "embedding": embedding, "end": end}
    outputs, _ = _beam({**given, **chosen, **own})
    return outputs


def beam_search_vjp(
    start: Array,
    W: Array,
    R: Array,
    b: Array,
    V: Array,
    c: Array,
    E: Array | None = None,
    h0: Array | None = None,
    *,
    steps: int,
    width: int,
    normalise: bool = True,
    cell: str = "gru_cell",
    embedding: Embedding = "table",
    end: int | None = None,
    **own: Unpack[PartArguments],
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Search as `beam_search` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dscore)`` gives the gradient of every float input that was given, by name: that of the best hypothesis's
    score, its tokens and length being constants. The inputs must not change before vjp is called; it may be called
    again.

    References
    ----------
    As of `beam_search`.
    """
    given = {"start": start, "W": W, "R": R, "b": b, "V": V, "c": c, "E": E, "h0": h0}
    chosen = {"steps": steps, "width": width, "normalise": normalise, "cell": cell, "embedding": embedding, "end": end}
    return _beam({**given, **chosen, **own})


@dataclass(frozen=True)
class _Step:
    """What the way back has to know of one step; arrays have a column, or an entry, for each sequence."""

    entered: Array
    """The token read, ``(B,)``, or the distribution, ``(K, B)``."""

    u: Array
    """The cell's input, ``(D, B)``."""

    known: Arrays
    h: Array
    p: Array
    token: Array
    alive: Mask | None
    """Which sequences had not ended before; None: none ever ends."""


Tape = list[_Step]


class Writer:
    """A cell whose state scores tokens, on columns; and its input for a token."""

    def __init__(self, call: Admitted) -> None:
        floats = dict(call.floats)
        name = call.attributes["cell"]
        self.V = floats.pop("V")
        self.c = floats.pop("c")[:, np.newaxis]
        self.E = floats.pop("E", None)
        self.every_token = np.arange(self.V.shape[0])[:, np.newaxis]
        self.states = state_names(name)
        self.given = {state: floats.pop(state) for state in self.states if state in floats}
        self.cell = build_part(name, floats, call.attributes)

    def begin(self, batch: int) -> Arrays:
        """Initial states ``(S, B)``."""
        return tuple(
            columns(self.given[state]) if state in self.given else np.zeros_like(self.V, shape=(size, batch))
            for state, size in zip(self.states, self.cell.state_sizes, strict=True)
        )

    def one_hot(self, token: Array) -> Array:
        """Distribution ``(K, B)`` that is sure of each sequence's token ``(B,)``."""
        one = np.ones_like(self.V, shape=(1, 1))
        return np.where(self.every_token == token, one, 0)

    def read(self, token: Array) -> Array:
        """Input ``(D, B)`` for a token each."""
        if self.E is None:
            return self.one_hot(token)
        return np.take_along_axis(self.E.T, token[np.newaxis], axis=1)

    def read_distribution(self, p: Array) -> Array:
        """Input ``(D, B)`` for a distribution ``(K, B)``."""
        return p if self.E is None else self.E.T @ p

    def scores(self, h: Array) -> tuple[Array, Array, Array]:
        """Logits of the tokens, their log-probabilities and their probabilities, ``(K, B)``."""
        logits = self.V @ h
        logits += self.c
        shifted = logits - logits.max(axis=0, keepdims=True)
        odds = np.exp(shifted)
        total = odds.sum(axis=0, keepdims=True)
        return logits, shifted - np.log(total), odds / total

    def write(
        self,
        start: Array,
        steps: int,
        end: int | None,
        vector: bool = False,
        given: Array | None = None,
        tape: Tape | None = None,
    ) -> tuple[Array, Array, Array]:
        """Write `steps` tokens: the best ones, or those that are `given`, ``(B, N)``.

        Return the tokens ``(B, N)``, the lengths ``(B,)`` and the log-probabilities ``(B, N)``. What `back` has to know
        goes on the `tape`, if there is one.
        """
        batch = start.shape[0]
        states, entered, u = self.begin(batch), start, self.read(start)
        alive = None if end is None else np.ones(batch, np.bool_)
        lengths = np.full(batch, steps) if alive is None else np.zeros(batch, np.int64)
        tokens, log_probabilities = [], []
        for t in range(steps):
            after, known = self.cell.step(u, *states)
            logits, log_p, p = self.scores(after[0])
            token = np.argmax(logits, axis=0) if given is None else given[:, t]
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
                alive = np.logical_and(alive, token != end)
                # Nothing reads what an ended sequence goes on with: zeros can overflow nowhere.
                states, u = tuple(np.where(alive, state, 0) for state in states), np.where(alive, u, 0)
        return np.stack(tokens, axis=1), lengths, np.stack(log_probabilities, axis=1)

    def back(self, dlog_probabilities: Array, tape: Tape) -> dict[str, Array]:
        """From the gradient of the log-probabilities ``(B, N)`` to those of parameters and initial states, by name."""
        V, E, batch = self.V, self.E, dlog_probabilities.shape[0]
        totals = {"V": np.zeros_like(V), "c": np.zeros_like(self.c)}
        if E is not None:
            totals["E"] = np.zeros_like(E)
        dstates: Arrays = tuple(np.zeros_like(V, shape=(size, batch)) for size in self.cell.state_sizes)
        dp: Array | None = None  # of a distribution that came back
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
            came_back = step.entered.ndim == 2
            if E is not None:
                gradients["E"] = (step.entered if came_back else self.one_hot(step.entered)) @ du.T
            dp = None if not came_back else du if E is None else E @ du
            gradients |= {"V": dlogits @ step.h.T, "c": dlogits.sum(axis=1)[:, np.newaxis]}
            totals = {name: totals[name] + d if name in totals else d for name, d in gradients.items()}
        totals["c"] = totals["c"][:, 0]
        initial = zip(self.states, dstates, strict=True)
        return totals | {s: from_columns(d, self.given[s].shape) for s, d in initial if s in self.given}

    def search(
        self, start: Array, steps: int, end: int | None, width: int, normalise: bool
    ) -> tuple[Array, Array, Array]:
        """Return the best hypothesis's tokens ``(B, N)``, lengths ``(B,)`` and score ``(B,)``.

        The hypotheses of one sequence stand side by side: ``(B, beams)``, or in columns ``(…, B · beams)``. A place of
        the beam may be empty, where there were fewer candidates than places.
        """
        batch, kinds = start.shape[0], self.V.shape[0]
        beams = 1
        states, u = self.begin(batch), self.read(start)
        total = np.zeros_like(self.V, shape=(batch, beams))
        filled, finished = np.ones((batch, beams), np.bool_), np.zeros((batch, beams), np.bool_)
        lengths = np.zeros((batch, beams), np.int64)
        as_it_is = np.arange(kinds) == 0  # the candidate of a finished hypothesis stands in the place of its token 0
        written: list[tuple[Array, Array]] = []
        for _ in range(steps):
            after, _known = self.cell.step(u, *states)
            _, log_p, _ = self.scores(after[0])
            longer = total[:, :, np.newaxis] + log_p.reshape(kinds, batch, beams).transpose(1, 2, 0)
            ended = finished[:, :, np.newaxis]
            candidates = np.where(ended, total[:, :, np.newaxis], longer)
            there = np.logical_and(filled[:, :, np.newaxis], np.logical_or(np.logical_not(ended), as_it_is))
            ranked = np.where(there, candidates, -np.inf).reshape(batch, beams * kinds)
            places = _best(ranked, min(width, beams * kinds))
            parents, tokens = places // kinds, places % kinds

            total = np.take_along_axis(ranked, places, axis=1)
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
                # Nothing reads what a finished hypothesis goes on with: zeros can overflow nowhere.
                running = np.logical_not(finished).reshape(batch * beams)
                states, u = tuple(np.where(running, state, 0) for state in states), np.where(running, u, 0)

        score = total / lengths.astype(total.dtype) if normalise else total
        best = np.argmax(np.where(filled, score, -np.inf), axis=1)[:, np.newaxis]
        chosen = []
        place = best
        for parents, tokens in reversed(written):
            chosen.append(np.take_along_axis(tokens, place, axis=1)[:, 0])
            place = np.take_along_axis(parents, place, axis=1)
        tokens_of_best = np.stack(chosen[::-1], axis=1)
        return (
            tokens_of_best,
            np.take_along_axis(lengths, best, axis=1)[:, 0],
            np.take_along_axis(score, best, axis=1)[:, 0],
        )


def _best(ranked: Array, number: int) -> Array:
    """Places of the greatest entries of each row, greatest first, of equal ones the first: ``(B, number)``."""
    every = np.arange(ranked.shape[1])
    found = []
    for _ in range(number):
        place = np.argmax(ranked, axis=1)[:, np.newaxis]
        found.append(place)
        ranked = np.where(every == place, -np.inf, ranked)
    return np.concatenate(found, axis=1)


def _moved(states: Array, parents: Array) -> Array:
    """Columns ``(S, B · beams)`` of the parents' states, from ``(S, B, old beams)``."""
    moved = np.take_along_axis(states, parents[np.newaxis], axis=2)
    return moved.reshape(states.shape[0], parents.shape[0] * parents.shape[1])


def _greedy(arguments: dict[str, Any], record: bool) -> tuple[tuple[Array, Array, Array], Vjp]:
    inputs, attributes = split_arguments("greedy_decode", arguments)
    call = admit("greedy_decode", inputs, attributes)
    writer, start = Writer(call), arguments["start"]
    chosen = call.attributes
    tape: Tape = []
    tokens, lengths, log_probabilities = writer.write(
        start, chosen["steps"], chosen["end"], chosen["feedback"] == "vector", tape=tape if record else None
    )

    def vjp(dlog_probabilities: Array) -> dict[str, Array]:
        return call.gradients(writer.back(widened(dlog_probabilities), tape))

    return (tokens, lengths, call.rounded(log_probabilities)), vjp


def _beam(arguments: dict[str, Any]) -> tuple[tuple[Array, Array, Array], Vjp]:
    inputs, attributes = split_arguments("beam_search", arguments)
    call = admit("beam_search", inputs, attributes)
    writer, start = Writer(call), arguments["start"]
    chosen = call.attributes
    steps, end, normalise = chosen["steps"], chosen["end"], chosen["normalise"]
    tokens, lengths, score = writer.search(start, steps, end, chosen["width"], normalise)
    # What is handed out may be written to.
    own_tokens, own_lengths = tokens.copy(), lengths.copy()

    def vjp(dscore: Array) -> dict[str, Array]:
        d = widened(dscore)[:, np.newaxis]
        if normalise:
            d = d / own_lengths[:, np.newaxis].astype(d.dtype)
        tape: Tape = []
        writer.write(start, steps, end, given=own_tokens, tape=tape)
        return call.gradients(writer.back(np.concatenate((d,) * steps, axis=1), tape))

    return (tokens, lengths, call.rounded(score)), vjp
