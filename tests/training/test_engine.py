"""Calls that are recorded: the same outputs and gradients as by `run` and `gradients`, on every way."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from rnnspec import spec
from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.spec.arrays import Array, NamedArrays

RNG = np.random.default_rng(0)
INPUTS = {"x": RNG.normal(size=(3, 2)), "W": RNG.normal(size=(4, 2)), "b": RNG.normal(size=4)}
DENSE = Call("dense", INPUTS, spec.check_attributes(spec.operation("dense"), {"activation": "tanh"}))
LSTM = Call(
    "rnn",
    {
        "x": RNG.normal(size=(3, 2, 2)),
        "W": RNG.normal(size=(1, 4, 2)),
        "R": RNG.normal(size=(1, 4, 4)),
        "b": np.zeros((1, 4)),
    },
    spec.check_attributes(spec.operation("rnn"), {}),
)


class Counting(NumpyBackend):
    """Counts how often the dense layer is computed."""

    computed = 0

    def dense_vjp(self, **call: Array) -> object:
        Counting.computed += 1
        return super().dense_vjp(**call)


class Doubled(NumpyBackend):
    """Runs and differentiates otherwise than its methods by hand do."""

    def run(self, call: Call) -> tuple[Array, ...]:
        return tuple(2 * output for output in super().run(call))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        return {name: 2 * d for name, d in super().gradients(call, cotangents, wanted).items()}


@pytest.mark.parametrize("backend", [NumpyBackend(), Doubled()], ids=["by hand", "overridden"])
@pytest.mark.parametrize("unused", [False, True])
def test_a_recorded_call_is_as_run_and_gradients_are(backend: Backend, unused: bool) -> None:
    cotangents: Cotangents = (RNG.normal(size=(3, 2, 4)), None if unused else RNG.normal(size=(3, 4)))
    outputs, back = backend.recorded(LSTM)
    assert all(np.array_equal(a, b) for a, b in zip(outputs, backend.run(LSTM), strict=True))
    wanted = backend.gradients(LSTM, cotangents, ["W", "b"])
    found = back(cotangents, ["W", "b"])
    assert set(found) == {"W", "b"}
    assert all(np.array_equal(found[name], wanted[name]) for name in found)


def test_by_hand_a_recorded_call_is_computed_once() -> None:
    Counting.computed = 0
    _, back = Counting().recorded(DENSE)
    back((np.ones((3, 4)),), ["x"])
    back((np.ones((3, 4)),), ["W"])
    assert Counting.computed == 1
