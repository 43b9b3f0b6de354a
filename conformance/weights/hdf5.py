"""Keras's files of weights: ``.weights.h5``, the ``model.weights.h5`` within a ``.keras``, and the older ``.h5``.

Numbers are read and nothing else: no configuration, no class and no code. A file's links to other files, its filters
that would load a library, and arrays that stand in other files are refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile, is_zipfile

import ml_dtypes
import numpy as np

from rnnspec.backends.discovery import installs
from rnnspec.backends.layouts.finding import Groups, LayerPlace
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import MOST_BYTES, must_have_an_end
from rnnspec.conformance.weights.stacks import Layer
from rnnspec.spec.arrays import Array, NamedArrays

MEMBER: Final = "model.weights.h5"
_ORDER: Final = ("kernel", "recurrent_kernel", "bias")
"""The variables of a cell, which Keras numbers."""

_CELL: Final = re.compile(r"(?P<layer>.*?)/(?:cell|cell/cells/(?P<of>[^/]+))/vars/(?P<number>[0-2])")
_CLASSES: Final = {"rnn": "simple_rnn", "lstm": "lstm", "gru": "gru"}
_FILTERS: Final = {1, 2, 3, 32000}
"""HDF5's numbers of deflate, shuffle, fletcher32 and h5py's lzf."""
_DEFLATED: Final = 1100
"""Bytes that one byte of a compressed file can stand for, at most."""
_DEEPEST: Final = 20
_MOST_OBJECTS: Final = 100_000


def read_hdf5(path: Path) -> NamedArrays:
    """Return a file's arrays; those of recurrent layers have the names of `rnnspec.backends.layouts.finding`.

    Raises
    ------
    FileError
        If it is no such file, or has more than arrays of its own.
    """
    library = _h5py()
    try:
        must_have_an_end(path)
        content = path.read_bytes()
        if path.suffix == ".keras":
            content = _member(content)
        with library.File(io.BytesIO(content), "r") as file:
            found = dict(_arrays(library, file, "", 0, [0, 0]))
            titles = {name: _title(file, name) for name in found}
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path}: expected a file of HDF5: {words_of(error)}") from error
    except Exception as error:  # a damaged file raises as many kinds of errors as it has parts
        what = "" if isinstance(error, ValueError) else f"{kind_of(error)}: "
        raise FileError(f"{path}: expected arrays of Keras: {what}{words_of(error)}") from error
    return _named(found, titles)


def write_hdf5(layers: list[Layer], own: Groups) -> tuple[bytes, dict[LayerPlace, str]]:
    """Return the content of a ``.weights.h5``, and each layer's path in it.

    Keras's own loader takes it for a model whose recurrent layers are these, in this order: it finds them by their
    classes and numbers. The name beside each is the place, which `read_hdf5` reads again.
    """
    library, content, paths = _h5py(), io.BytesIO(), dict[LayerPlace, str]()
    counts: dict[str, int] = {}
    with library.File(content, "w") as file:
        for layer in layers:
            kind = "bidirectional" if layer.both else "rnn" if layer.cell else _CLASSES[layer.family]
            number = counts.setdefault(kind, 0)
            counts[kind] += 1
            base = f"layers/{kind}{f'_{number}' if number else ''}"
            for place in layer.places:
                way = ("/backward_layer" if place.reverse else "/forward_layer") if layer.both else ""
                paths[place] = base + way
                group = file.create_group(f"{base}{way}/cell/vars")
                group.attrs["name"] = f"{_CLASSES[layer.family]}_cell"
                file.create_group(f"{base}{way}/vars").attrs["name"] = place.grouped_name("")
                for key, name in enumerate(name for name in _ORDER if name in own[place]):
                    _write(group, str(key), own[place][name])
            if layer.both:
                file.create_group(f"{base}/vars").attrs["name"] = layer.name
    return content.getvalue(), paths


def _write(group: Any, key: str, array: Array) -> None:
    if array.dtype == ml_dtypes.bfloat16:  # as Keras stores it: the bits, and the type's name beside them
        group.create_dataset(key, data=array.view("V2")).attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(key, data=array)


def _named(found: NamedArrays, titles: dict[str, str]) -> NamedArrays:
    named: NamedArrays = {}
    for name, array in found.items():
        match = _CELL.fullmatch(name)
        if match is None:
            named.setdefault(_older(name), array)
            continue
        base, way = _without_way(match["layer"])
        title = titles[name]
        place = title if _is_place(title) else f"{title or base}{'' if match['of'] is None else '/' + match['of']}"
        if not _is_place(title):
            place += way
        key = f"{place}/{_ORDER[int(match['number'])]}"
        if key in named:  # two layers of one name: their paths are apart
            key = f"{base}{way}/{_ORDER[int(match['number'])]}"
        named[key] = array
    return named


def _is_place(title: str) -> bool:
    return re.fullmatch(r"(?:.*/)?(?:cell|l\d+(?:_reverse)?)", title) is not None


def _without_way(layer: str) -> tuple[str, str]:
    """The path of a layer, and the place of its direction."""
    for end, place in (("/forward_layer", "/l0"), ("/backward_layer", "/l0_reverse")):
        if layer.endswith(end):
            return layer.removesuffix(end).rpartition("/")[2], place
    return layer.rpartition("/")[2], "/l0"


def _title(file: Any, name: str) -> str:
    """The name that Keras keeps beside a layer's variables, of a Bidirectional its own."""
    match = _CELL.fullmatch(name)
    if match is None:
        return ""
    own = _attribute(file, f"{match['layer']}/vars")
    if _is_place(own) or not match["layer"].endswith(("/forward_layer", "/backward_layer")):
        return own
    return _attribute(file, f"{match['layer'].rpartition('/')[0]}/vars")


def _attribute(file: Any, path: str) -> str:
    title = file[path].attrs.get("name", "") if path in file else ""
    return name_of(title) if isinstance(title, str) else ""


def _older(name: str) -> str:
    """The name of a variable in an ``.h5`` that ``model.save`` wrote: its layer's, then its own path from there."""
    parts = name.removeprefix("model_weights/").removesuffix(":0").split("/")
    last = max((place for place, part in enumerate(parts[:-1]) if part == parts[0]), default=0)
    return "/".join(parts[last:])


def _arrays(library: Any, group: Any, path: str, depth: int, counted: list[int]) -> Iterator[tuple[str, Array]]:
    if depth > _DEEPEST:
        raise ValueError(f"{name_of(path)}: expected at most {_DEEPEST} groups in each other")
    for name in sorted(group, key=_by_number):
        where = f"{path}/{name}" if path else str(name)
        counted[0] += 1
        if counted[0] > _MOST_OBJECTS:
            raise ValueError(f"expected at most {_MOST_OBJECTS:,} groups and arrays")
        if not isinstance(group.get(name, getlink=True), library.HardLink):
            raise ValueError(f"{name_of(where)}: expected an array or a group, got a link to elsewhere")
        child = group[name]
        if isinstance(child, library.Group):
            yield from _arrays(library, child, where, depth + 1, counted)
        elif isinstance(child, library.Dataset) and child.dtype.kind in "fiubV" and child.shape is not None:
            yield where, _array(child, where, counted)


def _array(dataset: Any, where: str, counted: list[int]) -> Array:
    plan = dataset.id.get_create_plist()
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name_of(where)}: expected an array within the file, got one that stands in another")
    if any(plan.get_filter(number)[0] not in _FILTERS for number in range(plan.get_nfilters())):
        raise ValueError(f"{name_of(where)}: expected an array that HDF5 itself can unpack: save it uncompressed")
    counted[1] += dataset.nbytes
    if counted[1] > MOST_BYTES or dataset.nbytes > _DEFLATED * dataset.id.get_storage_size():
        raise ValueError(f"{name_of(where)}: the header says {dataset.nbytes:,} bytes, and less is there")
    array = np.asarray(dataset[()])
    if array.dtype.kind == "V":
        if array.dtype != np.dtype("V2") or dataset.attrs.get("dtype") != "bfloat16":
            raise ValueError(f"{name_of(where)}: expected plain numbers, got {array.dtype}")
        array = array.view(ml_dtypes.bfloat16)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _by_number(name: str) -> list[tuple[int, str]]:
    """lstm_2 before lstm_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d{1,9})", name)]


def _member(content: bytes) -> bytes:
    if not is_zipfile(io.BytesIO(content)):
        raise ValueError("got a file that is no archive of Keras 3")
    with ZipFile(io.BytesIO(content)) as archive:
        if MEMBER not in archive.namelist():
            raise ValueError(f"{MEMBER} is missing")
        if archive.getinfo(MEMBER).file_size > MOST_BYTES:
            raise ValueError(f"{MEMBER}: expected at most {MOST_BYTES / 2**30:.0f} GiB")
        return archive.read(MEMBER)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise FileError(f"h5py is not installed: {installs('convert')}") from error
    return h5py
