"""Names of array types, the same in every package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Floats = NDArray[np.float64]
NamedArrays = dict[str, Array]
Vjp = Callable[..., NamedArrays]
Mask = NDArray[np.bool_]
