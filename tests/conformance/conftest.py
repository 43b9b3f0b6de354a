from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rnnspec.backends import Backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.tolerance import forget
from rnnspec.conformance.run import Profile
from rnnspec.spec import operation


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    """The right results are computed anew in each test: some tests put a wrong judge in the place of the right one."""
    forget()


@pytest.fixture(scope="session")
def few() -> Profile:
    """Few cases, all small."""
    return Profile("few", examples=40, examples_other_types=40, largest=0)


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    """A case with sizes that all differ and every attribute at its default, but for what is given."""

    def make(name: str = "lstm", dtype: str = "float32", **given: Any) -> Case:
        op = operation(name)
        sizes = {"B": 3, "T": 4, "D": 2, "H": 5, "S": 6}
        known = {symbol: size for symbol, size in sizes.items() if symbol in op.sizes}
        attributes = {**op.defaults(), **given.pop("attributes", {})}
        return Case(name, dtype, {**known, **given.pop("sizes", {})}, attributes, **given)

    return make


@pytest.fixture(scope="session")
def numpy_with() -> Callable[..., Backend]:
    """The NumPy backend with some of its functions replaced."""

    def make(**functions: Callable[..., Any]) -> Backend:
        methods = {name: staticmethod(function) for name, function in functions.items()}
        return type("Fake", (NumpyBackend,), {"name": "fake", **methods})()

    return make
