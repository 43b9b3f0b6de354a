"""Faults of calls that other calls stand between or before: a tape that a later call writes over, and a cold start."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections import deque
from collections.abc import Collection

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, NamedArrays


@plant("gru", "dense")
class TapeOfTheLastRun(Altered):
    """Of the last two runs of the same parameters and shapes there is one tape: the second writes over the first's."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._ran: deque[Call] = deque(maxlen=2)

    def run(self, call: Call) -> tuple[Array, ...]:
        self._ran.append(call)
        return super().run(call)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        overwritten = len(self._ran) == 2 and self._ran[0] is call and _tape(call) == _tape(self._ran[1])
        return super().gradients(self._ran[1] if overwritten else call, cotangents, wanted)


def _tape(call: Call) -> tuple[object, ...]:
    """The parameters of a call, and the shapes of all else."""
    inputs = call.spec.inputs_for(call.attributes)
    return tuple(
        (name, array.shape if inputs[name].per_sequence else array.tobytes()) for name, array in call.inputs.items()
    )


@plant("mgu_cell")
class FirstCallBeforeTheTables(Altered):
    """The very first call is answered before the tables of the exponential are filled, with zeros."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._ready = False

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        ready, self._ready = self._ready, True
        return outputs if ready else tuple(np.zeros_like(y) for y in outputs)
