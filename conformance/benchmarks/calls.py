"""The layers that are timed at a size that people run."""

from __future__ import annotations

from typing import Final

from rnnspec.conformance.cases import Case
from rnnspec.spec import operation

SIZES: Final = {"B": 32, "T": 64, "D": 128, "H": 128, "S": 128, "N": 1}
LARGE: Final = "T = 64, B = 32, D = H = 128"


def layer_case(name: str, dtype: str = "float32") -> Case:
    """Return a call of a layer under its default attributes, without initial states, and its cotangents."""
    spec = operation(name)
    sizes = {symbol: SIZES[symbol] for symbol in spec.sizes if symbol in SIZES}
    return Case(name, dtype, sizes, spec.defaults(), absent=("h0", "c0"))
