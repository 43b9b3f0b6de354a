"""A ``.keras`` file: one stack of recurrent layers as a Sequential model, its configuration as plain JSON."""

from __future__ import annotations

import io
import json
from importlib.metadata import version
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

from rnnspec.backends.layouts.gates import LayoutError
from rnnspec.conformance.weights.hdf5 import MEMBER
from rnnspec.conformance.weights.stacks import Layer, expect_chain

_CLASSES: Final = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


def write_keras(layers: list[Layer], weights: bytes, dtype: str) -> bytes:
    """Return the content of a ``.keras``, which ``keras.models.load_model`` takes; LayoutError for what is no chain."""
    try:
        expect_chain(layers)
    except LayoutError as error:
        raise LayoutError(f"a .keras holds a chain of layers: {error}; write a .weights.h5") from error
    first = _layer("InputLayer", {"batch_shape": [None, None, layers[0].features], "dtype": dtype, "name": "x"})
    config = {"name": "rnnspec", "layers": [first, *(_of(layer, dtype) for layer in layers)]}
    model = {"module": "keras", "class_name": "Sequential", "config": config}
    parts = {
        "metadata.json": json.dumps({"keras_version": "3", "written_by": f"rnnspec {version('rnnspec')}"}).encode(),
        "config.json": json.dumps(model).encode(),
        MEMBER: weights,
    }
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, part in parts.items():
            archive.writestr(ZipInfo(name), part)  # without the time of day: the same weights make the same file
    return content.getvalue()


def call_of(layer: Layer) -> str:
    """The layer's constructor, as one writes it in Python."""
    if layer.cell:
        return f"RNN({_CLASSES[layer.family]}Cell({_words(_of_cell(layer))}), {_words(_SEQUENCES)})"
    call = f"{_CLASSES[layer.family]}({_words(_settings(layer))})"
    return f"Bidirectional({call})" if layer.both else call


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(str(value) if key == "units" else f"{key}={value}" for key, value in settings.items())


_SEQUENCES: Final = {"return_sequences": True}


def _of_cell(layer: Layer) -> dict[str, Any]:
    unusual = layer.family == "gru" and not layer.resets_after
    return {"units": layer.units, **({"reset_after": False} if unusual else {})}


def _settings(layer: Layer) -> dict[str, Any]:
    settings = {**_of_cell(layer), **_SEQUENCES}
    if not layer.both and layer.places[0].reverse:
        settings["go_backwards"] = True
    return settings


def _of(layer: Layer, dtype: str) -> dict[str, Any]:
    name = layer.name.replace("/", "_")
    if layer.cell:
        cell = _layer(f"{_CLASSES[layer.family]}Cell", {**_of_cell(layer), "dtype": dtype})
        return _layer("RNN", {"cell": cell, **_SEQUENCES, "dtype": dtype, "name": name})
    inner = _layer(_CLASSES[layer.family], {**_settings(layer), "dtype": dtype, "name": name})
    return _layer("Bidirectional", {"layer": inner, "dtype": dtype, "name": name}) if layer.both else inner


def _layer(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}
