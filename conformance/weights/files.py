"""Files of weights, each read and written as its name ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import ml_dtypes
from numpy.typing import NDArray

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import (
    Groups,
    LayerPlace,
    Layout,
    groups_in,
    layout_of,
    named_arrays,
    read_layers,
)
from rnnspec.backends.layouts.gates import LayoutError
from rnnspec.conformance.run.files import FileError, write_bytes
from rnnspec.conformance.run.storage import read_stored, write_stored
from rnnspec.conformance.weights.found import Weights, expect_layers
from rnnspec.conformance.weights.hdf5 import read_hdf5, write_hdf5
from rnnspec.conformance.weights.keras_model import call_of, write_keras
from rnnspec.conformance.weights.onnx_models import read_onnx, write_onnx
from rnnspec.conformance.weights.stacks import layers_of, stacks_of

_OWN: Final[Mapping[str, Layout]] = {".onnx": "onnx", ".h5": "keras", ".keras": "keras"}
"""Endings of files that have one layout alone."""
_ARRAYS: Final = (".npz", ".safetensors", ".json")
_PICKLES: Final = (".pt", ".pth", ".bin", ".pkl", ".ckpt")


def layout_for(target: Path, to: Layout | None) -> Layout:
    """Return the layout that a target gets; raise FileError if the file cannot have it, or nothing says which."""
    _expect_ending(target)
    own = _OWN.get(target.suffix)
    if target.suffix == ".h5" and not target.name.endswith(".weights.h5"):
        raise FileError(f"{target}: expected a name that ends in .weights.h5, which Keras's loader asks for")
    if own is None and to == "onnx":
        raise FileError(f"{target}: expected a file that ends in .onnx for ONNX's layout")
    if own is None and to is None:
        raise FileError(f"{target}: expected --to torch, keras or spec: this file may have any layout")
    if own is not None and to not in (None, own):
        raise FileError(f"{target}: expected --to {own}, the only layout of this file, got {to}")
    return own or to  # type: ignore[return-value]  # one of them is there


def read_weights(path: Path) -> Weights:
    """Read a file's recurrent layers.

    Raises
    ------
    FileError
        If the file cannot be read, or its arrays are no real floats of one type.
    LayoutError
        If there is no recurrent layer in it, or one that is incomplete.
    """
    _expect_ending(path)
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    if path.suffix == ".onnx":
        weights = read_onnx(path)
    else:
        arrays = read_hdf5(path) if path.suffix in _OWN else read_stored(path)
        _expect_named_types(path, arrays)
        try:
            layout = layout_of(arrays)
            own, others = groups_in(layout, arrays)
            weights = Weights(layout, own, read_layers(NumpyShaping(), layout, own), others)
        except LayoutError as error:
            raise LayoutError(f"{path}: {error}") from error
    expect_layers(path, weights.layers)
    return weights


def write_weights(path: Path, layout: Layout, own: Groups, layers: Groups) -> tuple[dict[LayerPlace, str], str]:
    """Write layers; return the name that each has in the file, and the model in words that the file loads into."""
    if path.suffix not in _OWN:
        named = named_arrays(layout, own)
        _expect_named_types(path, named)
        write_stored(path, named)
        shown = LayerPlace.torch_pattern if layout == "torch" else lambda place: place.grouped_name("")
        return {place: shown(place) for place in own}, ""
    if path.suffix == ".onnx":
        content, names = write_onnx(stacks_of(layers), own, layers)
        write_bytes(path, content)
        return names, ""
    flat = layers_of(layers)
    content, names = write_hdf5(flat, own)
    if path.suffix == ".keras":
        content = write_keras(flat, content, next(iter(layers.values()))["W"].dtype.name)
    write_bytes(path, content)
    return names, ", ".join(call_of(layer) for layer in flat)


def _expect_ending(path: Path) -> None:
    if path.suffix in (*_ARRAYS, *_OWN):
        return
    hint = "others hold code, not arrays alone"
    if path.suffix in _PICKLES:
        hint = "a pickle runs code: write safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
    raise FileError(f"{path}: expected a file that ends in {', '.join((*_ARRAYS, *_OWN))}; {hint}")


def _expect_named_types(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if path.suffix == ".npz" and (array.dtype.kind == "V" or array.dtype == ml_dtypes.bfloat16):
            raise FileError(f"{path}: {name}: NumPy's files do not name the type bfloat16; use .safetensors")
