"""Calls that are recorded: the same outputs and gradients as by `run` and `gradients`, on every way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest

from rnnspec import spec
from rnnspec.backends import Backend, Call, Cotangents, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.training.drawing import Batches, drawn_examples
from rnnspec.conformance.training.engine import FlowingEngine
from rnnspec.conformance.training.judging import Training, judge
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import model

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
    outputs, back = backend.recorded(LSTM, ["W", "b"])
    assert all(np.array_equal(a, b) for a, b in zip(outputs, backend.run(LSTM), strict=True))
    wanted = backend.gradients(LSTM, cotangents, ["W", "b"])
    found = back(cotangents)
    assert set(found) == {"W", "b"}
    assert all(np.array_equal(found[name], wanted[name]) for name in found)


def test_by_hand_a_recorded_call_is_computed_once() -> None:
    Counting.computed = 0
    _, back = Counting().recorded(DENSE)
    back((np.ones((3, 4)),))
    back((np.ones((3, 4)),))
    assert Counting.computed == 1


@pytest.mark.parametrize("name", ["image-rows", "char-rnn"])
def test_arrays_that_stay_on_the_device_are_trained_alike(name: str) -> None:
    pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend

    found = model(name)
    batches = Batches(found, found.small, drawn_examples(found, found.small, 0))
    request = Training(found, found.small, 2, batches)
    backends = {"torch": TorchBackend(), "numpy": NumpyBackend()}
    for outcome in judge(request, backends, engine=FlowingEngine).outcomes:
        assert (outcome.verdict, len(outcome.losses)) == ("conforms", 2), outcome


def test_a_backend_with_its_own_run_has_no_arrays_that_flow() -> None:
    with pytest.raises(Unsupported, match="its arrays cannot go from one operation to the next without a copy"):
        FlowingEngine(Doubled(), "float32", format_of("float32"))


def test_torch_computes_a_recorded_call_once() -> None:
    pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend

    class Once(TorchBackend):
        called = 0

        def _dispatch(self, operation: str, *, gradient: bool) -> Any:
            dispatched = super()._dispatch(operation, gradient=gradient)

            def method(**arguments: Any) -> Any:
                Once.called += 1
                return dispatched(**arguments)

            return method

    _, back = Once().recorded(DENSE, ["W"])
    assert set(back((np.ones((3, 4)),))) == {"W"}
    assert Once.called == 1
