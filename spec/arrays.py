"""Names of array types, the same in every package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = tuple[Array, ...]
NamedArrays = dict[str, Array]
Mask = NDArray[np.bool_]
