"""``rnnspec convert``: carry the weights of recurrent layers from one framework's layout to another's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import ml_dtypes
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Layout, family_of, layout_of, read_layers, write_layers
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import FileError, write_json
from rnnspec.conformance.run.storage import read_stored, write_stored
from rnnspec.spec import FLOAT_TYPES


def convert_weights(source: Path, target: Path, to: Layout, json_file: Path | None) -> None:
    """Convert a file and print what became of every layer."""
    for path in (source, target):
        _expect_format(path)
    if not source.is_file():
        raise FileError(f"{source}: there is no such file")
    arrays = read_stored(source)
    _expect_named_types(source, arrays)
    xp = NumpyShaping()
    layout = layout_of(arrays)
    layers, others = read_layers(xp, layout, arrays)
    for place, parameters in layers.items():
        _expect_a_layer(f"{source}: {place.grouped_name('')}", parameters)
    written = write_layers(xp, to, layers)
    _expect_named_types(target, written)
    write_stored(target, written)
    report = [
        {"layer": place.grouped_name(""), "family": family_of(xp, parameters), "notes": _notes(layout, to, parameters)}
        for place, parameters in layers.items()
    ]
    _print(layout, to, target, report, others)
    if json_file:
        write_json(json_file, {"from": layout, "to": to, "layers": report, "left_out": others})


def _expect_a_layer(where: str, parameters: Mapping[str, NDArray[Any]]) -> None:
    """Raise FileError for parameters that are no real floats of one type, or no layer's."""
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


_AXES: Final = {"W": "GHD", "R": "GHS", "b": "GH", "b_rn": "H", "P": "SH"}
"""Axes of the specification's parameters: gates, units, features and, with a projection, the state's size."""

_FLOATS: Final = tuple(format_of(name).dtype for name in FLOAT_TYPES)


def _notes(layout: Layout, to: Layout, parameters: Mapping[str, Any]) -> list[str]:
    """Warnings of properties that the numbers alone do not carry over."""
    notes = []
    gates = parameters["R"].shape[0]
    if layout == "torch":
        kept = "for r and z; the candidate's stay apart" if gates == 3 else "into one"
        notes.append(f"torch's two biases were added up, {kept}")
    if to == "torch":
        notes.append("the bias stands in bias_ih" + ("" if gates == 3 else "; bias_hh is 0"))
    if gates == 1:
        notes.append("the activation is none of the weights: see that both sides have the same")
    if gates == 3 and to == "keras":
        notes.append(f"reset_after={'b_rn' in parameters}")
    return notes


def _print(layout: Layout, to: Layout, target: Path, report: list[dict[str, Any]], others: list[str]) -> None:
    console = open_console(sys.stdout)
    table = Table("layer", "family", "note", title=f"{layout} to {to}: {target}", title_justify="left")
    for row in report:
        table.add_row(row["layer"] or "(top)", row["family"], "; ".join(row["notes"]))
    console.print(table)
    for name in others:
        console.print(Text(f"left out: {name}, of no recurrent layer"), soft_wrap=True)


def _expect_format(path: Path) -> None:
    if path.suffix not in (".npz", ".safetensors"):
        raise FileError(
            f"{path}: expected a file that ends in .npz or .safetensors; others hold code, not arrays alone"
        )


def _expect_named_types(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if path.suffix == ".npz" and (array.dtype.kind == "V" or array.dtype == ml_dtypes.bfloat16):
            raise FileError(f"{path}: {name}: NumPy's files do not name the type bfloat16; use .safetensors")
