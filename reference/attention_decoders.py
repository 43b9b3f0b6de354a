"""Decoders that attend to a source at every step.

The cell runs on columns, and the attention batch first, with one query a step. Both have backward passes of their own.
The decoders choose the state that is the query, and the place where the context enters.
"""

from __future__ import annotations

import numpy as np

from rnnspec.reference.attention import Attention, score_parameters
from rnnspec.reference.call import Admitted, Computed, batch_first, columns, steps_first
from rnnspec.reference.parts import InnerLayer, layer_name, state_names
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Arrays


@computes("bahdanau_decoder")
def _bahdanau(call: Admitted) -> Computed:
    decoder = _Bahdanau(call)
    return decoder.outputs, decoder.vjp


@computes("luong_decoder")
def _luong(call: Admitted) -> Computed:
    decoder = _Luong(call)
    return decoder.outputs, decoder.vjp


class _Decoder:
    """Common base of both decoders: it splits a call, and joins results and gradients."""

    def __init__(self, call: Admitted) -> None:
        floats, attributes, score = dict(call.floats), call.attributes, call.attributes["score"]
        self.call, self.x = call, steps_first(floats.pop("x"))
        del floats["annotations"]
        memory = call.without_holes("annotations")
        self.begin(floats)
        parameters = {name: floats.pop(name) for name in score_parameters(score)}
        self.attention = Attention(score, memory, parameters, call.holes)
        given = {name: floats.pop(name) for name in state_names(attributes["cell"]) if name in floats}
        self.part = InnerLayer.of(layer_name(attributes["cell"]), floats, attributes, call.sizes)
        self.cell, self.batch = self.part.cell, memory.shape[0]
        self.weights = np.empty_like(memory, shape=(self.batch, self.x.shape[0], memory.shape[1]))
        y, final = self.run(self.part.begin(given, memory, self.batch))
        self.outputs = (batch_first(y), self.weights, *self.part.batch_first(final))

    def begin(self, floats: dict[str, Array]) -> None:
        """Remove the decoder's own inputs from `floats` and keep them."""

    def run(self, states: Arrays) -> tuple[Array, Arrays]:
        """Return the outputs ``(U, S or Z, B)`` and the final states from the initial ones; set the weights."""
        raise NotImplementedError

    def run_back(self, dy: Array, dweights: Array, dstates: Arrays, total: _Total) -> Arrays:
        """Return the gradients of the initial states from those of the outputs; add all others to the `total`."""
        raise NotImplementedError

    def vjp(self, dy: Array, dweights: Array, *dfinal: Array) -> dict[str, Array]:
        """Return the gradients of the inputs by name, from those of the outputs."""
        total = _Total(self.call.floats, self.x)
        dinitial = self.run_back(steps_first(dy), dweights, tuple(columns(d) for d in dfinal), total)
        total.gradients |= zip(self.part.states, self.part.batch_first(dinitial), strict=True)
        if total.noted:
            read = (np.concatenate(parts, axis=1) for parts in zip(*total.noted, strict=True))
            gradients = self.attention.gradients(*read)
            total.gradients |= {"annotations": gradients.pop("memory"), **gradients}
        return {**total.gradients, "x": batch_first(total.dx)}


class _Total:
    """Gradients, added up step by step, and the arrays that the attention notes at each step."""

    def __init__(self, floats: dict[str, Array], x: Array) -> None:
        self.gradients = {name: np.zeros_like(array) for name, array in floats.items()}
        self.dx = np.empty_like(x)
        self.noted: list[Arrays] = []

    def add(self, gradients: dict[str, Array]) -> None:
        """Add the gradients of one step."""
        for name, d in gradients.items():
            self.gradients[name] += d


class _Bahdanau(_Decoder):
    def run(self, states: Arrays) -> tuple[Array, Arrays]:
        self.tape: list[tuple[Array, Arrays, Arrays]] = []
        y = np.empty_like(self.x, shape=(self.x.shape[0], *states[0].shape))
        for i in range(self.x.shape[0]):
            context, weights, read = self.attention.read(_query(states[0]))
            seen = np.concatenate((self.x[i], _column(context)))
            states, known = self.cell.step(seen, *states)
            y[i] = states[0]
            self.weights[:, i] = weights[:, 0]
            self.tape.append((seen, known, read))
        return y, states

    def run_back(self, dy: Array, dweights: Array, dstates: Arrays, total: _Total) -> Arrays:
        features = self.x.shape[1]
        for i in reversed(range(len(self.tape))):
            seen, known, read = self.tape[i]
            dstates, noted = self.cell.back(known, dstates[0] + dy[i], *dstates[1:])
            gradients = self.cell.gradients(seen, *noted)
            dseen = gradients.pop("x")
            total.add(gradients)
            total.dx[i] = dseen[:features]
            dquery, noted = self.attention.back(read, _query(dseen[features:]), dweights[:, i : i + 1])
            total.noted.append(noted)
            dstates = (dstates[0] + _column(dquery), *dstates[1:])
        return dstates


class _Luong(_Decoder):
    def begin(self, floats: dict[str, Array]) -> None:
        self.feeding: bool = self.call.attributes["input_feeding"]
        self.W_c = floats.pop("W_c")
        self.y0 = floats.pop("y0", None)

    def run(self, states: Arrays) -> tuple[Array, Arrays]:
        self.tape: list[tuple[Array, Arrays, Arrays, Array, Array]] = []
        shape = (self.W_c.shape[0], self.batch)
        y = np.empty_like(self.x, shape=(self.x.shape[0], *shape))
        before = np.zeros_like(self.x, shape=shape) if self.y0 is None else self.y0.T
        for i in range(self.x.shape[0]):
            seen = np.concatenate((self.x[i], before)) if self.feeding else self.x[i]
            states, known = self.cell.step(seen, *states)
            context, weights, read = self.attention.read(_query(states[0]))
            joined = np.concatenate((_column(context), states[0]))
            y[i] = before = np.tanh(self.W_c @ joined)
            self.weights[:, i] = weights[:, 0]
            self.tape.append((seen, known, read, joined, before))
        return y, states

    def run_back(self, dy: Array, dweights: Array, dstates: Arrays, total: _Total) -> Arrays:
        features, width = self.x.shape[1], self.attention.memory.shape[2]
        dfed = np.zeros_like(dy, shape=dy.shape[1:])
        for i in reversed(range(len(self.tape))):
            seen, known, read, joined, out = self.tape[i]
            da = (dy[i] + dfed) * (1 - out * out)
            djoined = self.W_c.T @ da
            dquery, noted = self.attention.back(read, _query(djoined[:width]), dweights[:, i : i + 1])
            total.noted.append(noted)
            dstates = (dstates[0] + djoined[width:] + _column(dquery), *dstates[1:])
            dstates, noted = self.cell.back(known, *dstates)
            gradients = self.cell.gradients(seen, *noted)
            dseen = gradients.pop("x")
            total.add({**gradients, "W_c": da @ joined.T})
            total.dx[i] = dseen[:features]
            dfed = dseen[features:] if self.feeding else dfed
        total.gradients["y0"] = dfed.T.copy()
        return dstates


def _query(column: Array) -> Array:
    """Return columns ``(S, B)`` as one row for each sequence, ``(B, 1, S)``."""
    return column.T[:, np.newaxis]


def _column(row: Array) -> Array:
    """Return one row for each sequence, ``(B, 1, S)``, as columns ``(S, B)``."""
    return row[:, 0].T
