"""A clock that moves when it is told to, and backends whose calls take what they are told to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rnnspec.backends import Backend, Call
from rnnspec.backends.contract import Prepared
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.bench import machine
from rnnspec.conformance.bench.contender import Contender
from rnnspec.conformance.bench.engine import Setting
from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.bench.workload import Workload, WorkloadStage

TICK = 2.0**-30
"""The time of reading the clock: no time is zero."""


@dataclass
class Clock:
    """Seconds pass by `pass_by`, and a tick at each reading; `order` is who let them pass."""

    now: float = 0.0
    order: list[str] = field(default_factory=list)

    def __call__(self) -> float:
        self.now += TICK
        return self.now

    def pass_by(self, seconds: float, name: str = "") -> None:
        self.now += seconds
        self.order.append(name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def outside_of_xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-benchmark measures nothing in a worker of pytest-xdist, and these runs of pytest are none."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of small products: what they are is no matter here."""
    monkeypatch.setattr(machine, "SIDE", {"cpu": 8, "accelerator": 8})
    monkeypatch.setattr(machine, "NUMBERS", {"cpu": 64, "accelerator": 64})


@pytest.fixture
def contender(clock: Clock) -> Callable[..., Contender]:
    """Make a contender: NumPy's backend, whose calls take so many seconds and the first `first` more.

    With `seconds` a function of the call's sizes, calls of different sizes differ; `functions` replace operations.
    """

    def make(
        name: str, seconds: float | Callable[[Call], float] = 0.0, first: float = 0.0, **functions: Any
    ) -> Contender:
        class Fake(NumpyBackend):
            def prepare(self, call: Call, cotangents: tuple[Any, ...] | None = None) -> Prepared:
                extra = [first]

                def run() -> None:
                    each = seconds(call) if callable(seconds) else seconds
                    of_the_machine = call.operation in ("dense", "clip_by_value")
                    clock.pass_by(each + (extra.pop() if extra else 0.0), "" if of_the_machine else name)

                return Prepared(run, lambda: None)

        Fake.name = name
        for operation, function in functions.items():
            setattr(Fake, operation, staticmethod(function))
        return Contender(name, Fake())

    return make


@pytest.fixture
def setting(clock: Clock) -> Callable[..., Setting]:
    """A setting under the fake clock, without measuring memory."""

    def make(*contenders: Contender, **given: Any) -> Setting:
        options: dict[str, Any] = {"effort": Effort(fewest=10, most=20, seconds=2.0), "memory": None, **given}
        return Setting(contenders, 1, (0,), clock=clock, **options)

    return make


@pytest.fixture
def tiny() -> Callable[..., Workload]:
    """A workload of one small operation."""

    def make(operation: str = "lstm", sizes: Mapping[str, int] | None = None, **given: Any) -> Workload:
        modes = given.pop("modes", ("forward", "gradient"))
        stage = WorkloadStage(operation, modes, **given)
        return Workload(f"tiny-{operation}", "tiny", sizes or {"B": 3, "T": 4, "D": 2, "H": 5}, (stage,))

    return make


@pytest.fixture
def wrong() -> Callable[..., Any]:
    """An LSTM that adds 1 to its forget gate."""
    from rnnspec.conformance.edits.changing import changed
    from rnnspec.conformance.faults.changed import backend_of
    from rnnspec.spec import operation
    from rnnspec.spec.operation import Block

    op = changed(operation("lstm"), [Block("f = gate(arg(a_f + 1))", "here", {"coupled": False})])
    backend: Backend = backend_of(op)()

    def lstm(**arguments: Any) -> Any:
        return backend.lstm(**arguments)  # type: ignore[attr-defined]  # methods are there by the operations' names

    return lstm
