from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.spec import System
from rnnspec.spec.evaluate import Evaluation
from rnnspec.spec.language import parse


@pytest.fixture
def solve() -> Callable[..., Any]:
    """Value of a quantity, ``h`` or ``h[3]``, in a system of equations for n steps and given arrays."""

    def value(equations: str, name: str, index: int | None = None, *, n: int = 0, **given: Any) -> Any:
        toy = System("toy", (), tuple(parse(equations, "toy.toml")), ())
        arrays = {key: np.asarray(array, np.float64) for key, array in given.items()}
        return Evaluation(toy, arrays, {"n": n}).value(name, index)

    return value
