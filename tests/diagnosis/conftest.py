"""Wrong backends made of the right one, and what is found out about them from a few planned checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Cotangents, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.diagnosis import Diagnosis, FoundFault, oracle
from rnnspec.conformance.diagnosis.oracle import LARGEST, size_of
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.runner import Failed
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

Outputs = dict[str, Array]
_BY_ID = {check.id: check for check in CHECKS}
_MOST = 200
_SECONDS = 60.0
"""More than any diagnosis here takes, so that a slow machine finds no less."""

RESULTS = ("values", "gradients")


def same(call: Call) -> Call:
    """The call."""
    return call


def kept(call: Call, results: Outputs) -> Outputs:
    """The results."""
    return results


class Wrong(NumpyBackend):
    """The reference, which computes another call than it is given, or hands out other results."""

    name = "wrong"

    def __init__(
        self,
        alter: Callable[[Call], Call] = same,
        outputs: Callable[[Call, Outputs], Outputs] = kept,
        gradients: Callable[[Call, Outputs], Outputs] = kept,
        *,
        altered_gradients: bool = True,
    ) -> None:
        super().__init__()
        self.alter, self.shown, self.shown_gradients = alter, outputs, gradients
        self.altered_gradients = altered_gradients

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the other call, or other outputs."""
        results = call.spec.outputs_for(call.attributes)
        found = dict(zip(results, super().run(self.alter(call)), strict=True))
        return tuple(self.shown(call, found).values())

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> Outputs:
        """Gradients of the other call, or other gradients."""
        other = self.alter(call) if self.altered_gradients else call
        found = self.shown_gradients(call, super().gradients(other, cotangents))
        return {name: found[name] for name in (call.float_inputs if wanted is None else wanted)}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other programs of the machine end no diagnosis, and NumPy warns of nothing."""
    monkeypatch.setattr(oracle, "_WAITING", 1e6)
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(scope="session")
def wrong() -> type[Wrong]:
    """A backend with one thing wrong."""
    return Wrong


@pytest.fixture(scope="session")
def failures() -> Callable[..., list[Failed]]:
    """The first violation of each of some checks of a backend, in the small planned cases of each type."""

    def make(
        backend: Backend,
        name: str,
        checks: Sequence[str] = RESULTS,
        dtypes: Sequence[str] = ("float64",),
    ) -> list[Failed]:
        found = []
        for dtype in dtypes:
            session = session_of(Guarded(backend), name, dtype, PROFILES["quick"], 0)
            for check in (_BY_ID[one] for one in checks):
                if check.needs_gradients and not operation(name).differentiable:
                    continue
                planned = check.planned(session.deck, _MOST) if check.by_case else [session.deck]
                for example in islice(chain(check.forced(session.scope), planned), _MOST):
                    if any(size_of(case) > LARGEST for case in cases_of(example)):
                        continue
                    try:
                        check.examine(Guarded(backend), example)
                    except (Unsupported, OutOfRangeError):
                        continue
                    except (Violation, BackendCrashError) as failure:
                        found.append(Failed(check, dtype, example, failure, session.deck))
                        break
        return found

    return make


@pytest.fixture(scope="session")
def faults_of(failures: Callable[..., list[Failed]]) -> Callable[..., list[FoundFault]]:
    """The faults behind what some checks find wrong."""

    def make(backend: Backend, name: str, *checks: str, dtypes: Sequence[str] = ("float64",)) -> list[FoundFault]:
        failed = failures(backend, name, checks or RESULTS, dtypes)
        assert failed, "nothing is wrong"
        return Diagnosis(backend, name, seconds=_SECONDS).find(failed)

    return make


@pytest.fixture(scope="session")
def small_case() -> Callable[..., Case]:
    """A case with attributes at their defaults, but for what is given."""

    def make(name: str, **given: Any) -> Case:
        op = operation(name)
        sizes = {"B": 2, "T": 3, "D": 3, "H": 2, "K": 3}
        known = {symbol: size for symbol, size in sizes.items() if symbol in op.sizes}
        attributes = {**op.defaults(), **given.pop("attributes", {})}
        return Case(name, "float64", {**known, **given.pop("sizes", {})}, attributes, **given)

    return make
