"""Faults of the long short-term memory."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from rnnspec.conformance.faults.fault import Fault, plant
from rnnspec.conformance.faults.functions import Array, Function
from rnnspec.conformance.faults.loops import Arrays, Attributes
from rnnspec.conformance.faults.lstm_loops import LstmLoops

LIBRARIES = {"iofg": "ONNX", "igfo": "Haiku", "figo": "OpenVINO"}
"""Whose order of the gates it is."""


def gates_in_order(order: str) -> Fault:
    """The fault of reading W, R and b with the gates in this order."""

    def wrong_order(self: LstmLoops, a: Attributes) -> Sequence[str]:
        return order.replace("f", "") if self.coupled(a) else order

    whose = f", as in {LIBRARIES[order]}" if order in LIBRARIES else ""
    return Fault(
        f"lstm-gates-in-order-{'-'.join(order)}",
        "lstm",
        f"W, R and b are read with the gates in the order {', '.join(order)}{whose}.",
        type("GatesInOrder", (LstmLoops,), {"order": wrong_order}),
    )


class ForgetBiasOfOne(LstmLoops):
    """1 is added to the forget gate's bias, as Haiku does."""

    def bias_of(self, gate: str, b: Array) -> Array:
        return b + 1 if gate == "f" else b


class ActivationsIgnored(LstmLoops):
    """The activations are logistic, tanh and tanh, whatever was asked for."""

    def activations(self, a: Attributes) -> Sequence[str]:
        return ("logistic", "tanh", "tanh")


class OutputActivationIgnored(LstmLoops):
    """The output's activation is tanh, whatever was asked for."""

    def activations(self, a: Attributes) -> Sequence[str]:
        return (*super().activations(a)[:2], "tanh")


class ReluForTanh(LstmLoops):
    """relu in place of tanh."""

    def activations(self, a: Attributes) -> Sequence[str]:
        return tuple(name.replace("tanh", "relu") for name in super().activations(a))


class ClipIgnored(LstmLoops):
    """Nothing is clipped."""

    def clipped(self, argument: Array, a: Attributes) -> Array:
        return argument


class ClipMissesTheOutput(LstmLoops):
    """The argument of the output's activation is not clipped."""

    def clipped_memory(self, c: Array, a: Attributes) -> Array:
        return c


class ClipFromAboveOnly(LstmLoops):
    """Arguments are clipped above and not below."""

    def clipped(self, argument: Array, a: Attributes) -> Array:
        return argument if a["clip"] is None else np.minimum(argument, argument.dtype.type(a["clip"]))


class CoupledForgetEqualsInput(LstmLoops):
    """The coupled forget gate is i, not 1 - i."""

    def coupled_forget(self, i: Array) -> Array:
        return i


class CoupledForgetAlwaysOpen(LstmLoops):
    """The coupled forget gate is 1: as though there were none."""

    def coupled_forget(self, i: Array) -> Array:
        return np.ones_like(i)


class ForgetGateInverted(LstmLoops):
    """A forget gate of 1 forgets."""

    def memory(self, i: Array, f: Array, g: Array, c_prev: Array) -> Array:
        return np.asarray((1 - f) * c_prev + i * g)


class InputGateLeftOut(LstmLoops):
    """The candidate is written in full."""

    def memory(self, i: Array, f: Array, g: Array, c_prev: Array) -> Array:
        return f * c_prev + g


class OutputOfTheOldMemory(LstmLoops):
    """The output shows the memory before the step: ``h = o tanh(c_prev)``."""

    def output(self, c: Array, c_prev: Array, a: Attributes) -> Array:
        return super().output(c_prev, c_prev, a)


class OutputNotSquashed(LstmLoops):
    """The output has no activation: ``h = o c``."""

    def output(self, c: Array, c_prev: Array, a: Attributes) -> Array:
        return self.clipped_memory(c, a)


class OutputGateLeftOut(LstmLoops):
    """The output is the squashed memory in full."""

    def exposed(self, o: Array, output: Array) -> Array:
        return output


class LogisticOverflows(LstmLoops):
    """The logistic is ``exp(a) / (1 + exp(a))``, which is no number for large a."""

    def function(self, name: str) -> Function:
        if name != "logistic":
            return super().function(name)

        def value(a: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray(np.exp(a) / (1 + np.exp(a)))

        return Function(value, super().function(name).slope)


class ProjectionLeftOut(LstmLoops):
    """The state is the output's first units, not their projection."""

    def projected(self, m: Array, p: Arrays, a: Attributes) -> Array:
        return fitted(m, p["P"].shape[0]) if a["projection"] else m


class ProjectionSquashed(LstmLoops):
    """The projection is squashed."""

    def projected(self, m: Array, p: Arrays, a: Attributes) -> Array:
        return np.tanh(super().projected(m, p, a)) if a["projection"] else m


class ProjectionMissesTheRecurrence(LstmLoops):
    """The outputs are projected, the state that the next step sees is not."""

    def step(self, x: Array, before: Arrays, p: Arrays, a: Attributes) -> tuple[Arrays, Arrays]:
        after, known = super().step(x, before, p, a)
        return {**after, "unprojected": fitted(known["m"], after["h"].shape[1])}, known

    def carried(self, after: Arrays, before: Arrays, valid: Array, a: Attributes) -> Arrays:
        return super().carried({**after, "h": after["unprojected"]}, before, valid, a)


class InitialMemoryIgnored(LstmLoops):
    """The memory begins at zero, whatever was given."""

    def begin(self, given: Arrays) -> Arrays:
        return {**given, "c": np.zeros_like(given["c"])}


class InitialStateAndMemorySwapped(LstmLoops):
    """The state begins with c0 and the memory with h0, where their sizes allow it."""

    def begin(self, given: Arrays) -> Arrays:
        h, c = given["h"], given["c"]
        return {"h": c, "c": h} if h.shape == c.shape else given


class GradientOfTheMemoryMissing(LstmLoops):
    """The memory gets its gradient through the output alone, none from the step after."""

    def memory_gradient(self, dc: Array, through_output: Array) -> Array:
        return through_output


class GradientThroughTheOutputMissing(LstmLoops):
    """The memory gets its gradient from the step after alone, none through the output."""

    def memory_gradient(self, dc: Array, through_output: Array) -> Array:
        return dc


class GradientThroughTheMemoryAlone(LstmLoops):
    """Gradient reaches the step before through the memory alone: the truncation of 1997, without being asked."""

    def handed_back(self, dbefore: Arrays, t: int, a: Attributes) -> Arrays:
        return {**dbefore, "h": np.zeros_like(dbefore["h"])}


class GradientPassesTheClip(LstmLoops):
    """Outside the clip, where an activation is constant, the gradient passes as inside."""

    def within(self, argument: Array, a: Attributes) -> Array:
        return np.ones_like(argument)


class GradientOfTheForgetGateMissing(LstmLoops):
    """The gradient of the memory before ignores the forget gate."""

    def forgotten_gradient(self, dc: Array, known: Arrays) -> Array:
        return dc


class GradientOfTheCouplingMissing(LstmLoops):
    """The coupled input gate gets no gradient for what it forgets."""

    def coupled_gradient(self, dc: Array, known: Arrays) -> Array:
        return dc * known["g"]


class CellOnlyKeepsTheState(LstmLoops):
    """With cell_only, gradient reaches the step before through the state as well as through the memory."""

    def state_gradient(self, dh_prev: Array, a: Attributes) -> Array:
        return dh_prev


def fitted(m: Array, size: int) -> Array:
    """The first units of m, and zeros if it has too few."""
    return np.pad(m, ((0, 0), (0, max(size - m.shape[1], 0))))[:, :size]


_CELL = (
    ForgetBiasOfOne,
    ActivationsIgnored,
    OutputActivationIgnored,
    ReluForTanh,
    ClipIgnored,
    ClipMissesTheOutput,
    ClipFromAboveOnly,
    CoupledForgetEqualsInput,
    CoupledForgetAlwaysOpen,
    ForgetGateInverted,
    InputGateLeftOut,
    OutputOfTheOldMemory,
    OutputNotSquashed,
    OutputGateLeftOut,
    LogisticOverflows,
    ProjectionLeftOut,
    ProjectionSquashed,
    GradientOfTheMemoryMissing,
    GradientThroughTheOutputMissing,
    GradientPassesTheClip,
    GradientOfTheForgetGateMissing,
    GradientOfTheCouplingMissing,
)
_LAYER = (
    ProjectionMissesTheRecurrence,
    InitialMemoryIgnored,
    InitialStateAndMemorySwapped,
    GradientThroughTheMemoryAlone,
    CellOnlyKeepsTheState,
)

FAULTS: tuple[Fault, ...] = (
    *(gates_in_order("".join(order)) for order in permutations("ifgo") if order != tuple("ifgo")),
    *(plant("lstm_cell", fault) for fault in _CELL),
    *(plant("lstm", fault) for fault in _LAYER),
)
