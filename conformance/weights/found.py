"""The recurrent layers that a file of weights has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from rnnspec.backends.layouts.finding import Groups, LayerPlace, Layout
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.run.files import FileError
from rnnspec.spec import FLOAT_TYPES


@dataclass(frozen=True)
class Weights:
    """Layers by their places.

    `own` has each layer's arrays as its layout names them, `layers` the same in the specification's arrays.
    """

    layout: Layout
    own: Groups
    layers: Groups
    left_out: list[str]
    notes: Mapping[LayerPlace, tuple[str, ...]] = field(default_factory=dict)


def expect_layers(path: Path, layers: Groups) -> None:
    """Raise FileError for parameters that are no real floats of one type, or no layer's."""
    for place, parameters in layers.items():
        _expect_a_layer(f"{path}: {place.grouped_name('')}", parameters)


def _expect_a_layer(where: str, parameters: Mapping[str, NDArray[Any]]) -> None:
    for name, array in parameters.items():
        if array.dtype not in _FLOATS:
            raise FileError(f"{where}: {name}: expected one of {', '.join(FLOAT_TYPES)}, got {array.dtype}")
    if len(types := {array.dtype.name for array in parameters.values()}) > 1:
        raise FileError(f"{where}: expected parameters of one type, got {' and '.join(sorted(types))}")
    axes: dict[str, int] = {}
    for name, symbols in _AXES.items():
        if name not in parameters:
            if name in ("W", "b"):
                raise FileError(f"{where}: {name} is missing")
            continue
        shape = parameters[name].shape
        symbols = symbols if "P" in parameters else symbols.replace("S", "H")
        due = tuple(axes.get(symbol, size) for symbol, size in zip(symbols, shape, strict=False))
        if len(shape) != len(symbols) or shape != due or 0 in shape[:2]:
            sizes = ", ".join(f"{symbol} = {axes[symbol]}" for symbol in symbols if symbol in axes)
            raise FileError(f"{where}: {name}: expected the axes ({', '.join(symbols)}), {sizes}, got shape {shape}")
        axes |= dict(zip(symbols, shape, strict=True))


_AXES: Final = {"W": "GHD", "R": "GHS", "b": "GH", "b_R": "GH", "b_rn": "H", "P": "SH"}
"""Axes of the specification's parameters: gates, units, features and, with a projection, the state's size."""

_FLOATS: Final = tuple(format_of(name).dtype for name in FLOAT_TYPES)
