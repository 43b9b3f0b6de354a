"""Faults of gradients that are asked for in part, and of gradients of gradients; all else of them is right.

The first show only where some outputs are not used or some inputs are constants, the others only where a gradient is
differentiated.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; its methods are the contract's)
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import plant
from rnnspec.reference.call import answer, split_arguments
from rnnspec.reference.gru import GRU
from rnnspec.reference.lstm import LSTM
from rnnspec.reference.parts import whole_layer
from rnnspec.reference.traced import Traced
from rnnspec.spec.arrays import Array

Gradients = dict[str, Array]
Wanted = Collection[str] | None


@plant("lstm", "gru")
class FinalStateAtTheLastStep(NumpyBackend):
    """A loss of the final state alone is taken for one of the last output, which in a padded sequence is none."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Wanted = None) -> Gradients:
        dy, dh_n, *rest = cotangents
        steps = call.inputs["x"].shape[1] and call.attributes.get("output") != "last"
        if dy is None and dh_n is not None and steps:
            dy = np.zeros((*call.inputs["x"].shape[:2], dh_n.shape[1]), dh_n.dtype)
            dy[:, 0 if call.attributes["direction"] == "reverse" else -1] = dh_n
            dh_n = None
        return super().gradients(call, (dy, dh_n, *rest), wanted)


@plant("lstm")
class UnusedOutputsSeededWithOnes(NumpyBackend):
    """An output without a cotangent is given one of ones, as a loss would be."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Wanted = None) -> Gradients:
        outputs = self.run(call)
        seeds = tuple(np.ones_like(y) if d is None else d for y, d in zip(outputs, cotangents, strict=True))
        return super().gradients(call, seeds, wanted)


@plant("rnn")
class NothingAfterTheLastStep(NumpyBackend):
    """The way back is skipped where no cotangent stands at the last step: one of an earlier step alone is lost."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Wanted = None) -> Gradients:
        found = super().gradients(call, cotangents, wanted)
        dy, *final = cotangents
        last = call.attributes.get("output") == "last"
        if dy is None or last or dy[:, -1:].any() or any(d is not None for d in final):
            return found
        return {name: np.zeros_like(gradient) for name, gradient in found.items()}


@plant("gru", "peephole_lstm")
class InitialStateWithTheWeights(Altered):
    """The gradient of the initial state is a by-product of that of W: where W is a constant, it stays 0."""

    def shown_gradients(self, call: Call, gradients: Gradients) -> Gradients:
        lost = () if "W" in gradients else ("h0", "c0")
        return {name: np.zeros_like(d) if name in lost else d for name, d in gradients.items()}


@plant("stacked", "output_projection")
class FrozenWeightsCutTheGradient(Altered):
    """Where no parameter's gradient is asked for, none goes through the layer to its input either."""

    def shown_gradients(self, call: Call, gradients: Gradients) -> Gradients:
        if any(not call.spec.inputs[name].per_sequence for name in gradients):
            return gradients
        return {name: np.zeros_like(gradient) for name, gradient in gradients.items()}


@plant("crf_log_partition")
class GradientsAreConstants(NumpyBackend):
    """A gradient is a constant: its own gradient is 0."""

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> Gradients:
        return {name: np.zeros_like(d) for name, d in super().second_order(call, cotangents, directions).items()}


@plant("dense", "layer_norm_lstm")
class MixedDerivativesDropped(NumpyBackend):
    """Each input's gradient is differentiated with respect to that input alone."""

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> Gradients:
        own = super().second_order
        return {
            name: own(call, cotangents, {name: directions[name]})[name] if name in directions else np.zeros_like(array)
            for name, array in call.float_inputs.items()
        }


@plant("gru")
class UnusedOutputsUsed(NumpyBackend):
    """An output that the first gradient does not use is given ones."""

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> Gradients:
        seeds = tuple(np.ones_like(y) if d is None else d for y, d in zip(self.run(call), cotangents, strict=True))
        return super().second_order(call, seeds, directions)


def _constant(array: Array | Traced) -> Traced:
    return Traced(array.value if isinstance(array, Traced) else array)


class _StepsRemembered:
    """A cell whose way back knows what it remembers of a step as constants."""

    def step(self, *arguments: Any) -> tuple[Any, Any]:
        after, known = super().step(*arguments)  # type: ignore[misc]  # of the cell that this is mixed into
        return after, tuple(map(_constant, known))


class _LSTM(_StepsRemembered, LSTM):
    pass


class _GRU(_StepsRemembered, GRU):
    pass


class _GatesRemembered(LSTM):
    """An LSTM cell whose way back knows its gates' values as constants."""

    def step(self, *arguments: Any) -> tuple[Any, Any]:
        after, (a, v, *others) = super().step(*arguments)
        return after, (a, _constant(v), *others)


class _OfCells(NumpyBackend):
    """Layers that unroll other cells than the reference's."""

    cells: ClassVar[Mapping[str, Callable[..., Any]]]

    def has_second_order(self, operation: str) -> bool:
        return operation in self.cells

    def vjp_of(self, operation: str) -> Callable[..., Any]:
        def with_vjp(**arguments: Any) -> Any:
            return answer(operation, whole_layer(self.cells[operation]), *split_arguments(operation, arguments))

        return with_vjp


@plant("lstm", "gru")
class StepsSavedAsConstants(_OfCells):
    """A step's saved values are constants on the way back: derivatives through the parameters alone are left."""

    cells: ClassVar[Mapping[str, Callable[..., Any]]] = {"lstm": _LSTM, "gru": _GRU}


@plant("lstm")
class GatesSavedAsConstants(_OfCells):
    """The gates' values are constants of the way back: their slopes v (1 - v) have no derivative."""

    cells: ClassVar[Mapping[str, Callable[..., Any]]] = {"lstm": _GatesRemembered}
