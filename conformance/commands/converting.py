"""``rnnspec convert``: carry the weights of recurrent layers from one framework's layout to another's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Layout, family_of, layout_of, read_layers, write_layers
from rnnspec.conformance.run.files import FileError, write_arrays, write_bytes, write_json

Arrays = dict[str, NDArray[Any]]

_SAFE_TYPES: Final = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
}


def convert_weights(source: Path, target: Path, to: Layout, json_file: Path | None) -> None:
    """Convert a file and print what became of every layer."""
    read, write = _format_of(source)[0], _format_of(target)[1]
    if not source.is_file():
        raise FileError(f"{source}: there is no such file")
    arrays = read(source)
    xp = NumpyShaping()
    layout = layout_of(arrays)
    layers, others = read_layers(xp, layout, arrays)
    written = write_layers(xp, to, layers)
    write(target, written)
    report = [
        {"layer": place.grouped_name(""), "family": family_of(xp, parameters), "notes": _notes(layout, to, parameters)}
        for place, parameters in layers.items()
    ]
    _print(layout, to, target, report, others)
    if json_file:
        write_json(json_file, {"from": layout, "to": to, "layers": report, "left_out": others})


def _notes(layout: Layout, to: Layout, parameters: Mapping[str, Any]) -> list[str]:
    """What the numbers alone do not carry over."""
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
    console = Console(file=sys.stdout)
    table = Table("layer", "family", "note", title=f"{layout} to {to}: {target}", title_justify="left")
    for row in report:
        table.add_row(row["layer"] or "(top)", row["family"], "; ".join(row["notes"]))
    console.print(table)
    for name in others:
        console.print(Text(f"left out: {name}, of no recurrent layer"), soft_wrap=True)


def _format_of(path: Path) -> tuple[Callable[[Path], Arrays], Callable[[Path, Arrays], None]]:
    match path.suffix:
        case ".npz":
            return _read_npz, _write_npz
        case ".safetensors":
            return _read_safe, _write_safe
    raise FileError(f"{path}: expected a file that ends in .npz or .safetensors; others hold code, not arrays alone")


def _read_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (OSError, ValueError, AttributeError) as error:
        raise FileError(f"{path}: expected an .npz of plain arrays: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind == "V":
            raise FileError(f"{path}: {name}: NumPy's files do not name the type bfloat16; use .safetensors")
    return arrays


def _write_npz(path: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if array.dtype == ml_dtypes.bfloat16:
            raise FileError(f"{path}: {name}: NumPy's files do not name the type bfloat16; use .safetensors")
    write_arrays(path, arrays)


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise FileError("safetensors is not installed: pip install 'rnnspec[convert]'") from error
    return safetensors


def _read_safe(path: Path) -> Arrays:
    library = _safetensors()
    try:
        entries = library.deserialize(path.read_bytes())
    except library.SafetensorError as error:
        raise FileError(f"{path}: expected a .safetensors file: {error}") from error
    arrays: Arrays = {}
    for name, entry in entries:
        if entry["dtype"] in _SAFE_TYPES:  # others are no parameters of a recurrent layer
            arrays[name] = np.frombuffer(entry["data"], _SAFE_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _write_safe(path: Path, arrays: Arrays) -> None:
    _safetensors()
    from safetensors.numpy import save

    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
