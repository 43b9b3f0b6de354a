"""Stacks of layers, each on the outputs of the one below.

`stacked` reads every layer forward, `alternating_stack` every other one in reverse, and `bidirectional_stack` each both
ways. In `gate_once_stack`, only the top layer has an output gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.bidirectional import both_ways
from rnnspec.reference.call import Admitted, Computed, batch_first, dropout_scale, steps_first
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.parts import InnerLayer, PartBack, build_part, state_names
from rnnspec.reference.registry import computes
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array, Arrays

Back = Callable[[Array, Arrays], list[dict[str, Array]]]


class NoOutputGateLSTM(Gated):
    """The cell of `gate_once_stack` below the top, on columns: it has no output gate and shows all of its memory c."""

    def __init__(self, W: Array, R: Array, b: Array) -> None:
        super().__init__(W, R, b, memories=1)
        self.i, self.f, self.g = (rows(k, self.units) for k in range(3))
        self.i_f = slice(self.i.start, self.f.stop)

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memory after the step, and the arrays that `back` needs."""
        v = self.arguments(x, h_prev)
        logistic(v[self.i_f], out=v[self.i_f])
        tanh(v[self.g], out=v[self.g])
        c = v[self.f] * c_prev
        c += v[self.i] * v[self.g]
        h = tanh(c)
        return (h, c), (v, h_prev, c_prev, h)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
        v, h_prev, c_prev, h = known
        i, f, g = v[self.i], v[self.f], v[self.g]
        dc = dc + tanh.back(dh, h, h)
        da = np.empty_like(v)
        da[self.i] = logistic.back(dc * g, i, i)
        da[self.f] = logistic.back(dc * c_prev, f, f)
        da[self.g] = tanh.back(dc * i, g, g)
        return (self.R.T @ da, dc * f), (da, h_prev)


@computes("stacked", "alternating_stack")
def _stack(call: Admitted) -> Computed:
    layer = call.attributes["layer"]
    each = [key for key in call.floats if key not in ("x", "W", "W_above", *state_names(layer))]
    parts = []
    for k, W in enumerate(_input_weights(call)):
        parameters = {"W": W, **{key: call.floats[key][k] for key in each}}
        parts.append(InnerLayer.of(layer, parameters, call.attributes, call.sizes))
    outputs, back = _run_parts(call, parts, call.operation == "alternating_stack", _scales(call))
    return outputs, lambda dy, *dfinal: _collected(call, back(dy, dfinal), each)


@computes("bidirectional_stack")
def _bidirectional_stack(call: Admitted) -> Computed:
    states = state_names(call.attributes["layer"])
    each = [name for name in call.floats if name not in ("x", "W", "W_above", *states)]
    scales, finals, backs = _scales(call), [], []
    x = steps_first(call.without_holes("x"))
    for k, W in enumerate(_input_weights(call)):
        parameters = {"W": W, **{name: call.floats[name][k] for name in each}}
        begin = {name: call.floats[name][:, k] for name in states if name in call.floats}
        below = x if k == 0 or not scales else x * scales[k - 1]
        (x,), final, back = both_ways(call, below, parameters, begin)
        finals.append(final)
        backs.append(back)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        dx = steps_first(dy)
        by_layer: list[dict[str, Array]] = []
        for k in reversed(range(len(backs))):
            gradients = backs[k]((dx,), tuple(d[:, k] for d in dfinal))
            by_layer.insert(0, gradients)
            dx = gradients["x"] * scales[k - 1] if k and scales else gradients["x"]
        return _collected(call, by_layer, each)

    return (batch_first(x), *(np.stack(final, axis=1) for final in zip(*finals, strict=True))), vjp


@computes("gate_once_stack")
def _gate_once_stack(call: Admitted) -> Computed:
    floats, states = call.floats, ("h0", "c0")
    gated = [(name, floats[f"{name}_o"]) for name in "WRb"]
    parts = []
    for k, W in enumerate(_input_weights(call)):
        p = {"W": W, "R": floats["R"][k], "b": floats["b"][k]}
        top = k == len(floats["R"]) - 1
        if top:  # its output gate is the fourth
            p = {name: np.concatenate((p[name], gate[np.newaxis])) for name, gate in gated}
        cell = build_part("lstm", p, {}) if top else NoOutputGateLSTM(**p)
        parts.append(InnerLayer(cell, p, states, tuple((units,) for units in cell.state_sizes)))
    outputs, back = _run_parts(call, parts, False, [])

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        by_layer = back(dy, dfinal)
        top = by_layer[-1]
        output_gate = {f"{name}_o": top[name][3] for name in "WRb"}
        by_layer[-1] = top | {name: top[name][:3] for name in "WRb"}
        return _collected(call, by_layer, ("R", "b")) | output_gate

    return outputs, vjp


def _scales(call: Admitted) -> list[Array]:
    """Scale of the outputs of each layer but the last, in columns; none without dropout."""
    keep, p = call.inputs.get("keep"), call.attributes["dropout"]
    return [] if keep is None else [dropout_scale(call.floats["x"], steps_first(k), p) for k in keep.swapaxes(0, 1)]


def _input_weights(call: Admitted) -> Iterator[Array]:
    """Input weights of each layer, from the lowest to the top."""
    yield call.floats["W"]
    above = call.floats["W_above"]
    for k in range(above.shape[0]):
        yield above[k]


def _run_parts(
    call: Admitted, parts: Sequence[InnerLayer], alternating: bool, scales: Sequence[Array]
) -> tuple[Arrays, Back]:
    """Run layers, each on the outputs of the one below, times the scale between them if there are scales.

    Return the outputs, and the backward pass from their gradients to each layer's.
    """
    holes, truncate = call.holes, call.attributes.get("truncate")
    x = steps_first(call.without_holes("x"))
    finals: list[Arrays] = []
    backs: list[PartBack] = []
    for k, part in enumerate(parts):
        begin = {name: call.floats[name][:, k] for name in part.states if name in call.floats}
        reading = Reading(
            valid=None if holes is None else holes.T, reverse=alternating and k % 2 == 1, truncate=truncate
        )
        below = x if k == 0 or not scales else x * scales[k - 1]
        x, final, back = part.run(below, begin, reading, call.record)
        finals.append(final)
        backs.append(back)

    def all_back(dy: Array, dfinal: Arrays) -> list[dict[str, Array]]:
        dx = steps_first(dy)
        by_layer: list[dict[str, Array]] = []
        for k in reversed(range(len(parts))):
            gradients = backs[k](dx, tuple(d[:, k] for d in dfinal))
            by_layer.insert(0, gradients)
            dx = gradients["x"] * scales[k - 1] if k and scales else gradients["x"]
        return by_layer

    return (batch_first(x), *(np.stack(states, axis=1) for states in zip(*finals, strict=True))), all_back


def _collected(call: Admitted, by_layer: Sequence[dict[str, Array]], each: Sequence[str]) -> dict[str, Array]:
    """Join the layers' gradients in the shapes of the operation's inputs; `each` names those with an axis of layers."""
    lowest, *above = by_layer
    W_above = np.stack([part["W"] for part in above]) if above else np.zeros_like(call.floats["W_above"])
    gradients = {"x": batch_first(lowest["x"]), "W": lowest["W"], "W_above": W_above}
    gradients |= {name: np.stack([part[name] for part in by_layer]) for name in each}
    return gradients | {
        name: np.stack([part[name] for part in by_layer], axis=1) for name in ("h0", "c0") if name in lowest
    }
