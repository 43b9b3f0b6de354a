"""Decoders that attend to a source at every step (`bahdanau_decoder`, `luong_decoder`), each with its gradient.

The cell runs on columns and the attention batch first, with one query a step. Both bring the way back through a step of
their own; what is left here is which state asks, and where the context goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.reference.attention import PARAMETERS, Attention, kept_steps
from rnnspec.reference.call import Admitted, Vjp, admit, columns, from_columns, widened
from rnnspec.reference.parts import Part, batch_first, split_arguments, steps_first
from rnnspec.reference.unroll import Array, Arrays, Cell


def bahdanau_decoder(
    x: Array,
    annotations: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    cell: str = "gru_cell",
    score: str = "additive",
    **parameters: Any,
) -> Arrays:
    """Run a decoder that attends with the state before a step, and takes the step with the context it finds.

    At step i the query is the state before, ``h[i - 1]``; its scores against the valid annotations make the weights,
    and they the context; the input of the cell is ``[x[i]; context[i]]``. Below, G, H, S are the cell's gates, units
    and units of the state.

    Parameters
    ----------
    x
        The decoder's inputs, ``(B, U, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16,
        float32 or float64; the first two are computed in float32 and rounded once, at the end.
    annotations
        What is attended to, ``(B, T, E)``: mostly an encoder's outputs.
    W, R, b
        The cell's input weights ``(G, H, D + E)``, those of x first; recurrent weights ``(G, H, S)``; bias ``(G, H)``.
    h0
        Initial state, ``(B, S)``; zero if absent.
    lengths
        int64 ``(B,)``: source ``k`` has ``lengths[k]`` annotations and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: an annotation whose mask is false is taken out, wherever it stands. It
        gets weight 0, and what stands there, NaN included, changes nothing and has gradient 0. With none left, weights
        and context are 0.
    cell
        ``"rnn_cell"``, ``"lstm_cell"``, ``"lstm_1997_cell"``, ``"forget_only_lstm_cell"``, ``"peephole_lstm_cell"``,
        ``"layer_norm_lstm_cell"``, ``"gru_cell"`` or ``"nested_lstm_cell"``.
    score
        As in `attention_scores`, q being the state (so D there is S here) and k an annotation.
    **parameters
        What only some cells and scores have. The initial memory ``c0``, ``(B, H)`` (of a nested LSTM ``(B, M, H)``),
        zero if absent. The cell's other parameters, in its own shapes: ``P``, ``b_rn``, ``gain``, ``gain_c``, ``b_c``,
        ``W_inner``, ``R_inner``, ``b_inner``. The score's: ``W_a``, ``W_q``, ``W_k``, ``b_a``, ``v_a``. The cell's
        attributes: ``activation``, ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``,
        ``epsilon``, ``memory``, ``gradient``.

    Returns
    -------
    outputs
        ``y``, the state after each step, ``(B, U, S)``; ``weights`` of the annotations at each step, ``(B, U, T)``;
        ``h_n``, the state after the last step, ``(B, S)``; and, where the cell has a memory, ``c_n``, like ``c0``. Of
        the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Bahdanau, Cho & Bengio (2014), Neural machine translation by jointly learning to align and translate,
    arXiv:1409.0473, section 3.1.
    """
    given = {"x": x, "annotations": annotations, "W": W, "R": R, "b": b, "h0": h0, "lengths": lengths, "mask": mask}
    return _Bahdanau({**given, "cell": cell, "score": score, **parameters}).outputs


def bahdanau_decoder_vjp(
    x: Array,
    annotations: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    cell: str = "gru_cell",
    score: str = "additive",
    **parameters: Any,
) -> tuple[Arrays, Vjp]:
    """Run as `bahdanau_decoder` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again. The keywords under ``**parameters``
    are those of `bahdanau_decoder`.

    References
    ----------
    As of `bahdanau_decoder`.
    """
    given = {"x": x, "annotations": annotations, "W": W, "R": R, "b": b, "h0": h0, "lengths": lengths, "mask": mask}
    decoder = _Bahdanau({**given, "cell": cell, "score": score, **parameters})
    return decoder.outputs, decoder.vjp


def luong_decoder(
    x: Array,
    annotations: Array,
    W: Array,
    R: Array,
    b: Array,
    W_c: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    cell: str = "lstm_cell",
    score: str = "general",
    input_feeding: bool = False,
    **parameters: Any,
) -> Arrays:
    """Run a decoder that takes a step, attends with the state after it, and makes its output of context and state.

    At step i the query is the state after, ``h[i]``; its scores against the valid annotations make the weights, and
    they the context; the output is ``y[i] = tanh(W_c @ [context[i]; h[i]])``. Below, G, H, S are the cell's gates,
    units and units of the state, and Z the units of the output.

    Parameters
    ----------
    x
        The decoder's inputs, ``(B, U, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16,
        float32 or float64; the first two are computed in float32 and rounded once, at the end.
    annotations
        What is attended to, ``(B, T, E)``: mostly an encoder's outputs.
    W, R, b
        The cell's input weights ``(G, H, D)``, or, with input feeding, ``(G, H, D + Z)``, those of x first; recurrent
        weights ``(G, H, S)``; bias ``(G, H)``.
    W_c
        Weights of the output, ``(Z, E + S)``, those of the context first.
    h0
        Initial state, ``(B, S)``; zero if absent.
    lengths
        int64 ``(B,)``: source ``k`` has ``lengths[k]`` annotations and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: an annotation whose mask is false is taken out, wherever it stands. It
        gets weight 0, and what stands there, NaN included, changes nothing and has gradient 0. With none left, weights
        and context are 0.
    cell
        ``"rnn_cell"``, ``"lstm_cell"``, ``"lstm_1997_cell"``, ``"forget_only_lstm_cell"``, ``"peephole_lstm_cell"``,
        ``"layer_norm_lstm_cell"``, ``"gru_cell"`` or ``"nested_lstm_cell"``.
    score
        As in `attention_scores`, q being the state (so D there is S here) and k an annotation.
    input_feeding
        If true, the cell's input is ``[x[i]; y[i - 1]]``, the output before; else ``x[i]``.
    **parameters
        With input feeding, the output before the first step ``y0``, ``(B, Z)``; zero if absent. What only some cells
        and scores have: the initial memory ``c0``, ``(B, H)`` (of a nested LSTM ``(B, M, H)``), zero if absent; the
        cell's other parameters, in its own shapes: ``P``, ``b_rn``, ``gain``, ``gain_c``, ``b_c``, ``W_inner``,
        ``R_inner``, ``b_inner``; the score's: ``W_a``, ``W_q``, ``W_k``, ``b_a``, ``v_a``; the cell's attributes:
        ``activation``, ``activations``, ``clip``, ``coupled``, ``projection``, ``reset``, ``update``, ``epsilon``,
        ``memory``, ``gradient``.

    Returns
    -------
    outputs
        ``y``, the output of each step, ``(B, U, Z)``; ``weights`` of the annotations at each step, ``(B, U, T)``;
        ``h_n``, the state after the last step, ``(B, S)``; and, where the cell has a memory, ``c_n``, like ``c0``. Of
        the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Luong, Pham & Manning (2015), Effective approaches to attention-based neural machine translation, arXiv:1508.04025,
    sections 3.1 (global attention) and 3.3 (input feeding).
    """
    given = {"x": x, "annotations": annotations, "W": W, "R": R, "b": b, "W_c": W_c, "h0": h0}
    chosen = {"lengths": lengths, "mask": mask, "cell": cell, "score": score, "input_feeding": input_feeding}
    return _Luong({**given, **chosen, **parameters}).outputs


def luong_decoder_vjp(
    x: Array,
    annotations: Array,
    W: Array,
    R: Array,
    b: Array,
    W_c: Array,
    h0: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    cell: str = "lstm_cell",
    score: str = "general",
    input_feeding: bool = False,
    **parameters: Any,
) -> tuple[Arrays, Vjp]:
    """Run as `luong_decoder` does, and return its outputs and their vector-Jacobian product.

    ``vjp`` takes a gradient for each output, in order, and gives the gradient of every float input that was given, by
    name. The inputs must not change before it is called; it may be called again. The keywords under ``**parameters``
    are those of `luong_decoder`.

    References
    ----------
    As of `luong_decoder`.
    """
    given = {"x": x, "annotations": annotations, "W": W, "R": R, "b": b, "W_c": W_c, "h0": h0}
    chosen = {"lengths": lengths, "mask": mask, "cell": cell, "score": score, "input_feeding": input_feeding}
    decoder = _Luong({**given, **chosen, **parameters})
    return decoder.outputs, decoder.vjp


class _Decoder:
    """What both decoders share: a call taken apart, and results and gradients put together."""

    name: str

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.call: Admitted = admit(self.name, *split_arguments(self.name, arguments))
        floats, attributes = dict(self.call.floats), self.call.attributes
        self.x = steps_first(floats.pop("x"))
        memory = kept_steps(floats.pop("annotations"), self.call.holes)
        self.begin(floats)
        score = attributes["score"]
        self.attention = Attention(
            score, memory, {name: floats.pop(name) for name in PARAMETERS[score]}, self.call.holes
        )
        given = {name: floats.pop(name) for name in ("h0", "c0") if name in floats}
        part = Part.of(attributes["cell"].removesuffix("_cell"), floats, attributes, self.call.sizes)
        self.cell: Cell = part.cell
        self.batch = memory.shape[0]
        self.state_names, self.shapes = part.states, tuple((self.batch, *shape) for shape in part.shapes)
        initial = tuple(
            columns(given[name]) if name in given else np.zeros_like(memory, shape=(size, self.batch))
            for name, size in zip(self.state_names, self.cell.state_sizes, strict=True)
        )
        self.weights = np.empty_like(memory, shape=(self.batch, self.x.shape[0], memory.shape[1]))
        y, final = self.run(initial)
        states = (from_columns(state, shape) for state, shape in zip(final, self.shapes, strict=True))
        self.outputs = tuple(self.call.rounded(output) for output in (batch_first(y), self.weights, *states))

    def begin(self, floats: dict[str, Array]) -> None:
        """Take the decoder's own inputs out of `floats`."""

    def run(self, states: Arrays) -> tuple[Array, Arrays]:
        """From the initial states to the outputs ``(U, S or Z, B)`` and the final states; set the weights."""
        raise NotImplementedError

    def run_back(self, dy: Array, dweights: Array, dstates: Arrays, total: _Total) -> Arrays:
        """From the gradients of the outputs to those of the initial states; add the others to the `total`."""
        raise NotImplementedError

    def vjp(self, dy: Array, dweights: Array, *dfinal: Array) -> dict[str, Array]:
        """From the gradients of the outputs to those of the inputs, by name."""
        total = _Total(self.call.floats, self.x)
        dstates = tuple(columns(widened(d)) for d in dfinal)
        dinitial = self.run_back(steps_first(widened(dy)), widened(dweights), dstates, total)
        for name, d, shape in zip(self.state_names, dinitial, self.shapes, strict=True):
            total.gradients[name] = from_columns(d, shape)
        if total.noted:
            read = (np.concatenate(parts, axis=1) for parts in zip(*total.noted, strict=True))
            gradients = self.attention.gradients(*read)
            total.gradients |= {"annotations": gradients.pop("memory"), **gradients}
        return self.call.gradients({**total.gradients, "x": batch_first(total.dx)})


class _Total:
    """Gradients as they are added up step by step, and what the attention noted of each step."""

    def __init__(self, floats: dict[str, Array], x: Array) -> None:
        self.gradients = {name: np.zeros_like(array) for name, array in floats.items()}
        self.dx = np.empty_like(x)
        self.noted: list[Arrays] = []

    def add(self, gradients: dict[str, Array]) -> None:
        """Add what one step gave."""
        for name, d in gradients.items():
            self.gradients[name] += d


class _Bahdanau(_Decoder):
    name = "bahdanau_decoder"

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
    name = "luong_decoder"

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
    """From columns ``(S, B)`` to one row a sequence, ``(B, 1, S)``."""
    return column.T[:, np.newaxis]


def _column(row: Array) -> Array:
    """From one row a sequence, ``(B, 1, S)``, to columns ``(S, B)``."""
    return row[:, 0].T
