"""``rnnspec convert``: carry the weights of recurrent layers from one framework's layout to another's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Layout, family_of, layout_of, read_layers, write_layers
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import FileError, write_json
from rnnspec.conformance.run.storage import read_stored, write_stored


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
