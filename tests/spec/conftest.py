from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.spec import System
from rnnspec.spec.evaluate import Evaluation
from rnnspec.spec.language import parse


@pytest.fixture
def solve() -> Callable[..., Any]:
    """Value of a quantity, ``h``, ``h[3]`` or ``h[3, 1]``, in a system of equations, given sizes and arrays."""

    def value(
        equations: str, name: str, *index: int, n: int = 0, sizes: dict[str, int] | None = None, **given: Any
    ) -> Any:
        numbers = {"n": n, **(sizes or {})}
        toy = System("toy", (), tuple(parse(equations, "toy.toml")), (), frozenset(numbers))
        arrays = {
            key: array if isinstance(array, np.ndarray) else np.asarray(array, np.float64)
            for key, array in given.items()
        }
        return Evaluation(toy, arrays, numbers).value(name, *index)

    return value
