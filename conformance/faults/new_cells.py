"""Faults of the rarer cells, and of what every layer can be asked for: truncation, recurrent dropout, the gradient of
1997.

A wrong cell takes the place of the reference's and is run by what runs the reference; or the reference is called in the
wrong way.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is the right cell's)
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnspec import reference, spec
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.fault import Fault, planted
from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, answer, split_arguments
from rnnspec.reference.forget_only_lstm import ForgetOnlyLSTM
from rnnspec.reference.layer_norm_lstm import LayerNorm, LayerNormLSTM
from rnnspec.reference.lstm import LSTM
from rnnspec.reference.lstm_1997 import LSTM1997
from rnnspec.reference.nested_lstm import NestedLSTM
from rnnspec.reference.parts import cell_name, one_step, state_names, whole_layer
from rnnspec.reference.peephole_lstm import PeepholeLSTM
from rnnspec.reference.registry import CELLS, Build
from rnnspec.reference.unroll import Array, Arrays

Arguments = dict[str, Any]
Named = dict[str, Array]

OPEN = 1e4
"""A bias that holds a logistic gate at 1."""


def wrong_cell(operation: str, build: Build, wrong: Callable[..., Any]) -> Fault:
    """The fault of building a cell, or a layer's, with `build`; named after `wrong` and described by its docstring."""
    compute = one_step(build) if operation in CELLS else whole_layer(build)

    def vjp(self: NumpyBackend, **call: Any) -> tuple[Arrays, Vjp]:
        return answer(operation, compute, *split_arguments(operation, call))

    return planted(operation, type(wrong.__name__, (NumpyBackend,), _methods(operation, vjp)), wrong)


def wrong_attributes(operation: str, cell: Build, wrong: Callable[..., Any]) -> Fault:
    """The fault of giving the cell the attributes that `wrong` makes of those that were asked for."""

    def build(**arguments: Any) -> Any:
        return cell(**{**arguments, **wrong(arguments)})

    return wrong_cell(operation, build, wrong)


def _methods(operation: str, vjp: Callable[..., tuple[Arrays, Vjp]]) -> dict[str, Any]:
    def forward(self: NumpyBackend, **call: Any) -> Arrays:
        return vjp(self, **call)[0]

    return {operation: forward, f"{operation}_vjp": vjp}


def _right_layer(name: str, arguments: Arguments) -> tuple[Arrays, Vjp]:
    """The reference's own outputs and gradients."""
    outputs, vjp = getattr(reference, f"{name}_vjp")(**arguments)
    return outputs, vjp


# lstm_1997


class ForgetGateKeptAtItsBias(LSTM1997):
    """There is a forget gate, held at the logistic of its usual bias of 1."""

    kept: ClassVar[float] = 0.7310585786300049

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        return super().step(x, h_prev, self.kept * c_prev)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        (dh_prev, dc_prev), noted = super().back(known, dh, dc)
        return (dh_prev, self.kept * dc_prev), noted


class MemoryGradientDecays(LSTM1997):
    """The memory's gradient is multiplied by 1 - i from step to step, as if i were coupled; the values are right."""

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        (dh_prev, dc_prev), noted = super().back(known, dh, dc)
        return (dh_prev, dc_prev * (1 - known[0][self.i])), noted


class CandidateNotSquashed(LSTM1997):
    """The candidate is its argument: no tanh."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        a = self.W @ x + self.R @ h_prev + self.b
        logistic(a[self.i], out=a[self.i])
        logistic(a[self.o], out=a[self.o])
        c = c_prev + a[self.i] * a[self.g]
        u = tanh(c)
        return (a[self.o] * u, c), (a, h_prev, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        v, h_prev, u = known
        i, g, o = v[self.i], v[self.g], v[self.o]
        dc = dc + tanh.back(dh * o, u, u)
        da = np.concatenate([logistic.back(dc * g, i, i), dc * i, logistic.back(dh * u, o, o)])
        return (self.R.T @ da if self.through_state else np.zeros_like(h_prev), dc), (da, h_prev)


class OutputGateBeforeTheCandidate(LSTM1997):
    """W, R and b are read with the gates in the order i, o, g, as in ONNX but for the forget gate."""

    order: ClassVar[Sequence[int]] = (0, 2, 1)

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        order = list(self.order)
        super().__init__(W[order], R[order], b[order], gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> Named:
        order = list(self.order)
        right = super().gradients(x, da, h_prev)
        return {name: d if name == "x" else d[order] for name, d in right.items()}


# forget_only_lstm


class ForgetGateOnTheWrongSide(ForgetOnlyLSTM):
    """A forget gate of 1 forgets: ``(1 - f) * h_prev + f * g``."""

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        super().__init__(*(self.negated(p) for p in (W, R, b)), gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> Named:
        right = super().gradients(x, da, h_prev)
        return {name: d if name == "x" else self.negated(d) for name, d in right.items()}

    @staticmethod
    def negated(parameter: Array) -> Array:
        """The forget gate's part with its sign changed: 1 - logistic(a) = logistic(-a)."""
        return np.concatenate([-parameter[:1], parameter[1:]])


class StateSquashed(ForgetOnlyLSTM):
    """The state is tanh of the memory, as where an output gate stands before it."""

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        (c,), known = super().step(x, h_prev)
        h = tanh(c)
        return (h,), (*known, h)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        *others, h = known
        return super().back(tuple(others), tanh.back(dh, h, h))


class BetaOfOne(ForgetOnlyLSTM):
    """The candidate's gate is ``1 - logistic(a_f - 1)``: the paper's beta, which is 0 here."""

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        a = self.W @ x + self.R @ h_prev + self.b
        f, admitted, g = logistic(a[self.f]), logistic(1 - a[self.f]), tanh(a[self.g])
        return (f * h_prev + admitted * g,), (f, admitted, g, h_prev)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        f, admitted, g, h_prev = known
        da_f = logistic.back(dh * h_prev, f, f) - logistic.back(dh * g, admitted, admitted)
        da = np.concatenate([da_f, tanh.back(dh * admitted, g, g)])
        through_gates = self.R.T @ da if self.through_state else np.zeros_like(h_prev)
        return (dh * f + through_gates,), (da, h_prev)


class GradientOfTheKeptStateMissing(ForgetOnlyLSTM):
    """The state before gets its gradient through the gates alone; the values are right."""

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        (dh_prev,), noted = super().back(known, dh)
        return (dh_prev - dh * known[0][self.f],), noted


class CellOnlyCutsTheKeptState(ForgetOnlyLSTM):
    """With cell_only the state before gets no gradient at all, as in an LSTM with a memory beside its state; the values
    are right."""

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        (dh_prev,), noted = super().back(known, dh)
        return (dh_prev if self.through_state else np.zeros_like(dh_prev),), noted


# peephole_lstm


class OutputGateSeesTheOldMemory(PeepholeLSTM):
    """The output gate sees the memory before the step, as the other gates do."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        a = self.W @ x + self.R @ h_prev + self.b
        i = logistic(a[self.i] + self.P_i * c_prev)
        f = logistic(a[self.f] + self.P_f * c_prev)
        o = logistic(a[self.o] + self.P_o * c_prev)
        g = tanh(a[self.g])
        c = f * c_prev + i * g
        u = tanh(c)
        return (o * u, c), (np.concatenate([i, f, g, o]), h_prev, c_prev, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        v, h_prev, c_prev, u = known
        i, f, g, o = v[self.i], v[self.f], v[self.g], v[self.o]
        dc = dc + tanh.back(dh * o, u, u)
        da_i, da_f = logistic.back(dc * g, i, i), logistic.back(dc * c_prev, f, f)
        da_g, da_o = tanh.back(dc * i, g, g), logistic.back(dh * u, o, o)
        da = np.concatenate([da_i, da_f, da_g, da_o])
        dc_prev = dc * f + self.P_i * da_i + self.P_f * da_f + self.P_o * da_o
        dh_prev = self.R.T @ da if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc_prev), (da, h_prev, c_prev, c_prev)


class PeepholesInOrderFIO(PeepholeLSTM):
    """The peepholes are read in the order f, i, o."""

    order: ClassVar[Sequence[int]] = (1, 0, 2)

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, P[list(self.order)], gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array, c_prev: Array, c: Array) -> Named:
        right = super().gradients(x, da, h_prev, c_prev, c)
        return {**right, "P": right["P"][list(self.order)]}


class PeepholesInOrderIOF(PeepholesInOrderFIO):
    """The peepholes are read in the order i, o, f, as in ONNX."""

    order: ClassVar[Sequence[int]] = (0, 2, 1)


class PeepholesDropped(PeepholeLSTM):
    """The gates do not see the memory."""

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, np.zeros_like(P), gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array, c_prev: Array, c: Array) -> Named:
        right = super().gradients(x, da, h_prev, c_prev, c)
        return {**right, "P": np.zeros_like(right["P"])}


class PeepholeOfTheOutputGateDropped(PeepholeLSTM):
    """The output gate does not see the memory: i and f alone have peepholes."""

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, np.concatenate([P[:2], np.zeros_like(P[2:])]), gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array, c_prev: Array, c: Array) -> Named:
        right = super().gradients(x, da, h_prev, c_prev, c)
        return {**right, "P": np.concatenate([right["P"][:2], np.zeros_like(right["P"][2:])])}


class PeepholeGradientMissing(PeepholeLSTM):
    """The memory gets no gradient through the peepholes, as if it were a constant there; the values are right."""

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, P, gradient=gradient)
        self.blind = PeepholeLSTM(W, R, b, np.zeros_like(P), gradient=gradient)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        return self.blind.back(known, dh, dc)


# layer_norm_lstm


class OtherNorm(LayerNormLSTM):
    """An LSTM with the class attribute `other` in the place of the layer normalisation."""

    other: ClassVar[type[LayerNorm]] = LayerNorm

    def __init__(
        self, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, *, epsilon: float, **choices: str
    ) -> None:
        super().__init__(W, R, b, gain, gain_c, b_c, epsilon=epsilon, **choices)
        self.norm = self.other(gain, b, epsilon)
        self.norm_c = self.other(gain_c[np.newaxis], b_c[np.newaxis], epsilon)


class SampleVarianceNorm(LayerNorm):
    """The sum of the squares is divided by H - 1 (by 1 where H is 1)."""

    def __call__(self, z: Array) -> Arrays:  # type: ignore[override]  # as many arrays
        apart = self._by_gate(z) - self._mean(self._by_gate(z))
        scale = 1 / np.sqrt(self._variance(apart, apart) + self.epsilon)
        normalised = (apart * scale).reshape(*z.shape)
        return self.gain * normalised + self.bias, normalised, scale.reshape(self.gates, z.shape[1])

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        apart, d = self._by_gate(normalised), self._by_gate(self.gain * da)
        dz: Array = scale[:, np.newaxis] * (d - self._mean(d) - apart * self._variance(d, apart))
        return dz.reshape(*da.shape)

    def _variance(self, a: Array, b: Array) -> Array:
        variance: Array = (a * b).sum(axis=1)[:, np.newaxis] / max(self.units - 1, 1)
        return variance


class OutsideTheRootNorm(LayerNorm):
    """Epsilon is added to the standard deviation, not to the variance."""

    def __call__(self, z: Array) -> Arrays:  # type: ignore[override]  # as many arrays
        apart = self._by_gate(z) - self._mean(self._by_gate(z))
        scale = 1 / (np.sqrt(self._mean(apart * apart)) + self.epsilon)
        normalised = (apart * scale).reshape(*z.shape)
        return self.gain * normalised + self.bias, normalised, scale.reshape(self.gates, z.shape[1])

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        apart, d = self._by_gate(normalised), self._by_gate(self.gain * da)
        # Where the deviation is 0, so is what is divided by it.
        part = self._mean(apart * apart)
        deviation = np.sqrt(np.where(part > 0, part, np.ones_like(part)))
        dz: Array = scale[:, np.newaxis] * (d - self._mean(d) - apart / deviation * self._mean(d * apart))
        return dz.reshape(*da.shape)


class ForgetfulNorm(LayerNorm):
    """The gradient leaves out that the mean moves with every unit; the values are right."""

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        apart, d = self._by_gate(normalised), self._by_gate(self.gain * da)
        dz: Array = scale[:, np.newaxis] * (d - apart * self._mean(d * apart))
        return dz.reshape(*da.shape)


class ConstantNorm(LayerNorm):
    """The gradient takes mean and variance for constants; the values are right."""

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        dz: Array = scale[:, np.newaxis] * self._by_gate(self.gain * da)
        return dz.reshape(*da.shape)


class VarianceOfASample(OtherNorm):
    """The variance is that of a sample: divided by H - 1."""

    other: ClassVar[type[LayerNorm]] = SampleVarianceNorm


class EpsilonOutsideTheRoot(OtherNorm):
    """Epsilon is added to the standard deviation, not to the variance."""

    other: ClassVar[type[LayerNorm]] = OutsideTheRootNorm


class GradientWithoutTheMean(OtherNorm):
    """The gradient leaves out that the mean moves with every unit; the values are right."""

    other: ClassVar[type[LayerNorm]] = ForgetfulNorm


class GradientOfConstantStatistics(OtherNorm):
    """The gradient takes mean and variance for constants; the values are right."""

    other: ClassVar[type[LayerNorm]] = ConstantNorm


class GatesNormalisedTogether(LayerNormLSTM):
    """One mean and one variance over the arguments of all gates."""

    def __init__(
        self, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, *, epsilon: float, **choices: str
    ) -> None:
        super().__init__(W, R, b, gain, gain_c, b_c, epsilon=epsilon, **choices)
        self.norm = LayerNorm(gain.reshape(1, gain.size), b.reshape(1, b.size), epsilon)


class GainOfTheMemoryForgotten(LayerNormLSTM):
    """The normalised memory is shifted and not scaled."""

    def __init__(self, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, **choices: Any) -> None:
        super().__init__(W, R, b, gain, np.ones_like(gain_c), b_c, **choices)

    def gradients(self, x: Array, *noted: Array) -> Named:
        right = super().gradients(x, *noted)
        return {**right, "gain_c": np.zeros_like(right["gain_c"])}


class MemoryShownAsItIs(LayerNormLSTM):
    """The output shows the memory as it is: the gates' arguments alone are normalised."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        a, normalised, scale = self.norm(self.W @ x + self.R @ h_prev)
        logistic(a[self.i_f], out=a[self.i_f])
        tanh(a[self.g], out=a[self.g])
        logistic(a[self.o], out=a[self.o])
        c = a[self.f] * c_prev + a[self.i] * a[self.g]
        u = tanh(c)
        return (a[self.o] * u, c), (a, normalised, scale, h_prev, c_prev, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        v, normalised, scale, h_prev, c_prev, u = known
        i, f, g, o = v[self.i], v[self.f], v[self.g], v[self.o]
        dc = dc + tanh.back(dh * o, u, u)
        da_i, da_f = logistic.back(dc * g, i, i), logistic.back(dc * c_prev, f, f)
        da = np.concatenate([da_i, da_f, tanh.back(dc * i, g, g), logistic.back(dh * u, o, o)])
        dz = self.norm.back(da, normalised, scale)
        dh_prev = self.R.T @ dz if self.through_state else np.zeros_like(h_prev)
        nothing = np.zeros_like(u)
        return (dh_prev, dc * f), (dz, h_prev, da, normalised, nothing, nothing)


def epsilon_ignored(arguments: Arguments) -> Arguments:
    """Epsilon is 1e-5, whatever was asked for."""
    return {"epsilon": 1e-5}


def memory_always_raw(arguments: Arguments) -> Arguments:
    """The raw memory is carried on, as in the paper, whatever was asked for."""
    return {"memory": "raw"}


def memory_always_normalised(arguments: Arguments) -> Arguments:
    """The normalised memory is carried on, as in TensorFlow, whatever was asked for."""
    return {"memory": "normalised"}


# nested_lstm


class Opened(NestedLSTM):
    """Holds the gate that stands at `gate` open on some levels: it is 1, and its weights mean nothing."""

    gate: ClassVar[int]

    def __init__(
        self, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner: Array, *, gradient: str
    ) -> None:
        W, R, b, W_inner, R_inner, b_inner = (np.array(p) for p in (W, R, b, W_inner, R_inner, b_inner))
        outer, inner = self.levels_of(len(W_inner))
        if outer:
            W[self.gate], R[self.gate], b[self.gate] = 0, 0, OPEN
        W_inner[inner, self.gate], R_inner[inner, self.gate], b_inner[inner, self.gate] = 0, 0, OPEN
        super().__init__(W, R, b, W_inner, R_inner, b_inner, gradient=gradient)

    def levels_of(self, inner: int) -> tuple[bool, slice]:
        """Whether the outermost level is opened, and which of so many inner ones are."""
        return True, slice(0, inner - 1)


class InnerStateIsTheMemoryBefore(Opened):
    """The inner LSTM's state before is the memory before, not what the forget gate keeps of it."""

    gate: ClassVar[int] = 1


class InnerInputIsTheCandidate(Opened):
    """The inner LSTM's input is the candidate, not what the input gate lets in of it."""

    gate: ClassVar[int] = 0


class InnerOutputGateLeftOut(Opened):
    """The inner LSTMs have no output gate: a memory is the squashed memory further in."""

    gate: ClassVar[int] = 3

    def levels_of(self, inner: int) -> tuple[bool, slice]:
        return False, slice(0, inner)


class MemoriesInReverseOrder(NestedLSTM):
    """The memories stand innermost first."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        (h, c), known = super().step(x, h_prev, self.flipped(c_prev))
        return (h, self.flipped(c)), known

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        (dh_prev, dc_prev), noted = super().back(known, dh, self.flipped(dc))
        return (dh_prev, self.flipped(dc_prev)), noted

    def flipped(self, c: Array) -> Array:
        """The levels' memories from the last to the first."""
        return np.concatenate([c[self.memory[m]] for m in reversed(self.levels)])


class InnerWeightsInReverseOrder(NestedLSTM):
    """The inner levels' weights stand innermost first: with three levels or more."""

    def __init__(
        self, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner: Array, *, gradient: str
    ) -> None:
        super().__init__(W, R, b, W_inner[::-1], R_inner[::-1], b_inner[::-1], gradient=gradient)

    def gradients(self, x: Array, da: Array, h_prev: Array, *between: Array) -> Named:
        right = super().gradients(x, da, h_prev, *between)
        return {name: d[::-1].copy() if name.endswith("_inner") else d for name, d in right.items()}


class InnerMemoryNotCarried(NestedLSTM):
    """The inner memories begin at zero in every step."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        return super().step(x, h_prev, self.outermost(c_prev))

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        (dh_prev, dc_prev), noted = super().back(known, dh, dc)
        return (dh_prev, self.outermost(dc_prev)), noted

    def outermost(self, c: Array) -> Array:
        """The outermost memory, and zeros for the others."""
        return np.concatenate([c[self.memory[0]], np.zeros_like(c[self.units :])])


# The truncation of 1997: gradient = "cell_only"


def cell_only_ignored(arguments: Arguments) -> Arguments:
    """The gradient is full, whatever was asked for; the values are right."""
    return {"gradient": "full"}


def cell_only_always(arguments: Arguments) -> Arguments:
    """The gradient reaches the step before through the memory alone, whatever was asked for; the values are right."""
    return {"gradient": "cell_only"}


class CellOnlyCutsTheMemoryToo(LSTM):
    """With cell_only no gradient reaches the step before at all; the values are right."""

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        (dh_prev, dc_prev), noted = super().back(known, dh, dc)
        return (dh_prev, dc_prev if self.through_state else np.zeros_like(dc_prev)), noted


class CellOnlyCutsTheRecurrentWeights(LSTM):
    """With cell_only the recurrent weights get no gradient, as if the state before were 0; the values are right."""

    def gradients(self, x: Array, da: Array, h_prev: Array, *projected: Array) -> Named:
        right = super().gradients(x, da, h_prev, *projected)
        return right if self.through_state else {**right, "R": np.zeros_like(right["R"])}


# Truncation


class Truncating(NumpyBackend):
    """A layer whose gradient is that of chunks of steps, one after the other; what is right, in methods of its own."""

    family: ClassVar[str]

    def chunk(self, place: NDArray[np.int64], steps: NDArray[np.int64], k: int, reverse: bool) -> NDArray[np.int64]:
        """Number of the chunk of the steps at these places in the order of reading, of so many valid ones."""
        return place // k

    def handed_back(self, dinitial: Named) -> Named:
        """What the gradients of a chunk's initial states leave for the chunk before it."""
        return {name: np.zeros_like(d) for name, d in dinitial.items()}

    def initial(self, dinitial: Named) -> Named:
        """The gradients of the initial states."""
        return dinitial

    def carried(self, state: Array) -> Array:
        """What a chunk begins with, of a state at the end of the chunk before it."""
        return state

    def truncated(self, call: Arguments) -> tuple[Arrays, Vjp]:
        """Run the chunks."""
        inputs, attributes = split_arguments(self.family, call)
        names, k = state_names(self.family), attributes["truncate"]
        # The reference refuses what is to be refused, and tells the states' shapes.
        whole, vjp = _right_layer(self.family, call)
        if k is None:
            return whole, vjp
        x = inputs["x"]
        valid = spec.check_call(self.family, inputs, attributes).valid
        assert valid is not None
        reverse = attributes["direction"] == "reverse"
        place = np.cumsum(valid[:, ::-1], axis=1)[:, ::-1] - 1 if reverse else np.cumsum(valid, axis=1) - 1
        number = self.chunk(place, valid.sum(axis=1)[:, np.newaxis], k, reverse)
        chunks = range(1 + int(number[valid].max(initial=0)))
        # Sequences that have a step in the chunk, and one before it: the others are passed by.
        cuts = [((valid & (number == m)).any(axis=1) & (m > 0))[:, np.newaxis] for m in chunks]
        states = {name: inputs.get(name, np.zeros(s.shape, x.dtype)) for name, s in zip(names, whole[1:], strict=True)}
        others = {name: array for name, array in inputs.items() if name not in ("lengths", "mask")}
        y, parts = np.zeros_like(whole[0]), []
        for m in chunks:
            states = {name: np.where(cuts[m], self.carried(state), state) for name, state in states.items()}
            given = {**others, **states, "mask": valid & (number == m)}
            (shown, *final), part = _right_layer(self.family, {**given, **attributes, "truncate": None})
            y, states = y + shown, dict(zip(names, final, strict=True))
            parts.append(part)

        def of_chunks(dy: Array, *dfinal: Array) -> Named:
            dstates = dict(zip(names, dfinal, strict=True))
            total: Named = {}
            for cut, part in zip(reversed(cuts), reversed(parts), strict=True):
                found = part(dy, *dstates.values())
                dinitial = {name: found.pop(name) for name in names}
                handed = self.handed_back(dinitial)
                dstates = {name: np.where(cut, handed[name], d) for name, d in dinitial.items()}
                total = {name: d + total[name] if total else d for name, d in found.items()}
            initial = {name: d for name, d in self.initial(dstates).items() if name in inputs}
            return {**total, **initial}

        return (y, *states.values()), of_chunks


class TruncatedOneStepLate(Truncating):
    """The gradient is cut one step late: between t + 1 and t where t is a multiple of k; the values are right."""

    def chunk(self, place: NDArray[np.int64], steps: NDArray[np.int64], k: int, reverse: bool) -> NDArray[np.int64]:
        return np.maximum(place - 1, 0) // k


class TruncatedBeforeTheFirstStep(Truncating):
    """The gradient is cut before the first step too: with truncation the initial states get none; the values are
    right."""

    def initial(self, dinitial: Named) -> Named:
        return {name: np.zeros_like(d) for name, d in dinitial.items()}


class TruncationCountedInTheInputsOrder(Truncating):
    """In reverse the steps are counted from the first of the sequence, not from the first that is read; the values are
    right."""

    def chunk(self, place: NDArray[np.int64], steps: NDArray[np.int64], k: int, reverse: bool) -> NDArray[np.int64]:
        return (steps - 1) // k - (steps - 1 - place) // k if reverse else place // k


class TruncationKeepsTheMemory(Truncating):
    """The gradient of the state is cut, that of the memory runs on; the values are right."""

    def handed_back(self, dinitial: Named) -> Named:
        return {name: d if name == "c0" else np.zeros_like(d) for name, d in dinitial.items()}


class TruncationIgnored(Truncating):
    """The gradient is not cut; the values are right."""

    def handed_back(self, dinitial: Named) -> Named:
        return dinitial


class TruncationCarriesNoState(Truncating):
    """Every k steps the state begins again at zero: what is not differentiated is not computed either."""

    def carried(self, state: Array) -> Array:
        return np.zeros_like(state)


def wrongly_truncated(family: str, wrong: type[Truncating]) -> Fault:
    """The fault `wrong` in the layer of that name."""

    def vjp(self: Truncating, **call: Any) -> tuple[Arrays, Vjp]:
        return self.truncated(call)

    methods: dict[str, Any] = {**_methods(family, vjp), "family": family}
    return planted(family, type(wrong.__name__, (wrong,), methods), wrong)


# Recurrent dropout


class Dropping(NumpyBackend):
    """A layer that is asked for recurrent dropout in the wrong way."""

    family: ClassVar[str]

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        """The call as it is passed on."""
        return call

    def output_scale(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Array | None:
        """What the outputs are multiplied by, if anything."""
        return None

    def dropped(self, call: Arguments) -> tuple[Arrays, Vjp]:
        """Run the layer."""
        p = call["recurrent_dropout"]
        scale = None
        asked = call
        # A call without its mask goes to the reference as it is, which refuses it.
        if p is not None and "recurrent_keep" in call:
            keep = call["recurrent_keep"]
            scale = self.output_scale(call, keep, p)
            asked = self.asked(call, keep, p)
        (y, *final), vjp = _right_layer(self.family, asked)
        if scale is None:
            return (y, *final), vjp
        factor = scale[:, np.newaxis]
        return (y * factor, *final), lambda dy, *dfinal: vjp(dy * factor, *dfinal)


class RecurrentDropoutNotRescaled(Dropping):
    """What recurrent dropout keeps is not divided by 1 - p."""

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        return {**call, "recurrent_dropout": 0.0}


class RecurrentDropoutInverted(Dropping):
    """Recurrent dropout drops where the mask says to keep."""

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        return {**call, "recurrent_keep": ~keep}


class RecurrentDropoutOfTheOutputToo(Dropping):
    """Recurrent dropout is applied to the outputs as well."""

    def output_scale(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Array:
        return (keep / (1 - p)).astype(call["x"].dtype)


class RecurrentDropoutOfTheOutputAlone(RecurrentDropoutOfTheOutputToo):
    """Recurrent dropout is applied to the outputs, and not to the state before a step."""

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        return {**call, "recurrent_keep": np.ones_like(keep), "recurrent_dropout": 0.0}


class RecurrentDropoutIgnored(Dropping):
    """Nothing is dropped."""

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        return {**call, "recurrent_keep": np.ones_like(keep), "recurrent_dropout": 0.0}


class RecurrentDropoutOfTheFirstSequence(Dropping):
    """All sequences of a batch share the first one's mask."""

    def asked(self, call: Arguments, keep: NDArray[np.bool_], p: float) -> Arguments:
        return {**call, "recurrent_keep": np.repeat(keep[:1], len(keep), axis=0)}


def wrongly_dropped(family: str, wrong: type[Dropping]) -> Fault:
    """The fault `wrong` in the layer of that name."""

    def vjp(self: Dropping, **call: Any) -> tuple[Arrays, Vjp]:
        return self.dropped(call)

    methods: dict[str, Any] = {**_methods(family, vjp), "family": family}
    return planted(family, type(wrong.__name__, (wrong,), methods), wrong)


_CELLS: dict[str, Sequence[Build]] = {
    "lstm_1997_cell": (
        ForgetGateKeptAtItsBias,
        CandidateNotSquashed,
        OutputGateBeforeTheCandidate,
    ),
    "lstm_1997": (MemoryGradientDecays,),
    "forget_only_lstm_cell": (
        ForgetGateOnTheWrongSide,
        StateSquashed,
        BetaOfOne,
        GradientOfTheKeptStateMissing,
        CellOnlyCutsTheKeptState,
    ),
    "peephole_lstm_cell": (
        OutputGateSeesTheOldMemory,
        PeepholesInOrderFIO,
        PeepholesInOrderIOF,
        PeepholesDropped,
        PeepholeOfTheOutputGateDropped,
        PeepholeGradientMissing,
    ),
    "layer_norm_lstm_cell": (
        VarianceOfASample,
        EpsilonOutsideTheRoot,
        GatesNormalisedTogether,
        GainOfTheMemoryForgotten,
        MemoryShownAsItIs,
        GradientWithoutTheMean,
        GradientOfConstantStatistics,
    ),
    "nested_lstm_cell": (
        InnerStateIsTheMemoryBefore,
        InnerInputIsTheCandidate,
        InnerOutputGateLeftOut,
        MemoriesInReverseOrder,
        InnerWeightsInReverseOrder,
    ),
    "nested_lstm": (InnerMemoryNotCarried,),
    "lstm_cell": (CellOnlyCutsTheMemoryToo,),
    "lstm": (CellOnlyCutsTheRecurrentWeights,),
}
_ATTRIBUTES: tuple[tuple[str, Callable[[Arguments], Arguments]], ...] = (
    ("layer_norm_lstm_cell", epsilon_ignored),
    ("layer_norm_lstm_cell", memory_always_raw),
    ("layer_norm_lstm_cell", memory_always_normalised),
    ("lstm_cell", cell_only_ignored),
    ("lstm_1997_cell", cell_only_ignored),
    ("peephole_lstm_cell", cell_only_always),
    ("nested_lstm_cell", cell_only_ignored),
)
_TRUNCATED: tuple[tuple[str, type[Truncating]], ...] = (
    ("lstm", TruncatedOneStepLate),
    ("lstm", TruncatedBeforeTheFirstStep),
    ("lstm", TruncationCountedInTheInputsOrder),
    ("lstm", TruncationKeepsTheMemory),
    ("lstm", TruncationIgnored),
    ("lstm", TruncationCarriesNoState),
    ("gru", TruncatedOneStepLate),
    ("rnn", TruncationIgnored),
    ("rnn", TruncatedOneStepLate),
)
_DROPPED: tuple[tuple[str, type[Dropping]], ...] = (
    ("lstm", RecurrentDropoutNotRescaled),
    ("lstm", RecurrentDropoutInverted),
    ("lstm", RecurrentDropoutOfTheOutputToo),
    ("lstm", RecurrentDropoutOfTheOutputAlone),
    ("lstm", RecurrentDropoutIgnored),
    ("lstm", RecurrentDropoutOfTheFirstSequence),
    ("gru", RecurrentDropoutNotRescaled),
    ("rnn", RecurrentDropoutNotRescaled),
    ("forget_only_lstm", RecurrentDropoutIgnored),
)

FAULTS: tuple[Fault, ...] = (
    *(wrong_cell(operation, wrong, wrong) for operation, cells in _CELLS.items() for wrong in cells),
    *(wrong_attributes(name, CELLS[cell_name(name)], wrong) for name, wrong in _ATTRIBUTES),
    *(wrongly_truncated(family, wrong) for family, wrong in _TRUNCATED),
    *(wrongly_dropped(family, wrong) for family, wrong in _DROPPED),
)
