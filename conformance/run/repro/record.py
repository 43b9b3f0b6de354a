"""A call in a repro's archive: its arrays, and as JSON all that is no array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import parts_of
from rnnspec.conformance.hosting.guest import MemoryLayout
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.repro.witness import Ask
from rnnspec.conformance.run.storage import read_stored
from rnnspec.spec.arrays import Array, NamedArrays

INPUT: Final = "input."
COTANGENT: Final = "cotangent."
DIRECTION: Final = "direction."
"""The beginnings of the names that arrays have in the archive."""

CALL: Final = "call"
"""The name of the string that holds the rest as JSON."""

_BFLOAT16: Final = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True)
class FailureRecord:
    """The contents of a repro's archive about a failure.

    `call` is the one at fault, with the arrays in their types and layouts; None where no single call is. Of
    `cotangents`, None stands for outputs alone; `wanted` and `directions` are as of `Backend.gradients` and
    `Backend.second_order`. `case` is the check's case, and `example` all that the check was given, where the archive
    can hold it: several cases, or a case with names and numbers.
    """

    operation: str
    dtype: str
    attributes: Mapping[str, Any]
    check: str
    case: Case | None
    example: Any = None
    call: Call | None = None
    cotangents: Cotangents | None = None
    wanted: tuple[str, ...] = ()
    directions: NamedArrays = field(default_factory=dict)

    def ask(self, backend: Backend) -> Mapping[str, Array] | tuple[Array, ...]:
        """Make the call on a backend, as it was made."""
        assert self.call is not None
        if self.cotangents is None:
            return backend.run(self.call)
        if self.directions:
            return backend.second_order(self.call, self.cotangents, self.directions)
        return backend.gradients(self.call, self.cotangents, self.wanted)


def arrays_of(ask: Ask | None, operation: str, dtype: str, check: str, example: Any) -> NamedArrays:
    """Return what an archive holds of a request and of the example on which a check made it, by name."""
    case, *more = parts_of(example)
    is_case = isinstance(case, Case)
    data = {
        "operation": operation if ask is None else ask.call.operation,
        "dtype": dtype,
        "attributes": (case.attributes if is_case else {}) if ask is None else ask.call.attributes,
        "check": check,
        "case": case.to_json() if is_case else None,
        "more": [_plain(part) for part in more] if is_case and all(map(_is_plain, more)) else None,
    }
    arrays: NamedArrays = {}
    if ask is not None:
        arrays = {INPUT + name: array for name, array in ask.call.inputs.items()}
        arrays |= {DIRECTION + name: array for name, array in ask.directions.items()}
        if ask.cotangents is not None:
            named = zip(cotangent_names(ask.call), ask.cotangents, strict=True)
            arrays |= {name: cotangent for name, cotangent in named if cotangent is not None}
            data["wanted"] = list(ask.wanted)
        given = ask.given.inputs
        layouts = {name: MemoryLayout.of(array) for name, array in given.items() if isinstance(array, np.ndarray)}
        data["layouts"] = {name: [laid.strides, laid.writeable] for name, laid in layouts.items() if laid}
        first: dict[int, str] = {}
        for name, array in given.items():
            first.setdefault(id(array), name)
        data["one_array"] = {name: first[id(array)] for name, array in given.items() if first[id(array)] != name}
        data["bfloat16"] = [name for name, array in arrays.items() if array.dtype == _BFLOAT16]
    return {**arrays, CALL: np.array(json.dumps(data, default=repr))}


def cotangent_names(call: Call) -> tuple[str, ...]:
    """Names, in the archive, of the cotangents of a call."""
    outputs = call.spec.outputs_for(call.attributes)
    return tuple(COTANGENT + name for name, item in outputs.items() if item.kind == "float")


def read_record(path: Path) -> FailureRecord:
    """Read what `write_repro` wrote into an archive; raise FileError for any other file."""
    return record_of(path, read_stored(path))


def record_of(path: Path, arrays: Mapping[str, Array]) -> FailureRecord:
    """Return what the arrays of an archive record; raise FileError if they are none of a repro."""
    if CALL not in arrays:
        raise FileError(f"{path}: expected a repro's file, which has a {CALL!r}; got {', '.join(arrays) or 'nothing'}")
    try:
        return _record(json.loads(str(arrays[CALL])), arrays)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise FileError(f"{path}: {CALL!r} is none of a repro: {kind_of(error)}: {words_of(error)}") from error


def _record(data: Mapping[str, Any], arrays: Mapping[str, Array]) -> FailureRecord:
    case = None if data["case"] is None else Case.from_json(data["case"])
    more = data["more"]
    example = None if case is None or more is None else (case, *map(_part, more)) if more else case
    known = data["operation"], data["dtype"], _attributes(data["attributes"]), data["check"], case, example
    narrow = data.get("bfloat16", ())
    typed = {name: array.astype(_BFLOAT16) if name in narrow else array for name, array in arrays.items()}
    inputs = {name.removeprefix(INPUT): array for name, array in typed.items() if name.startswith(INPUT)}
    if not inputs:
        return FailureRecord(*known)
    for name, (strides, writeable) in data["layouts"].items():
        inputs[name] = MemoryLayout(tuple(strides), writeable).apply(inputs[name])
    inputs |= {name: inputs[first] for name, first in data["one_array"].items()}
    call = Call(data["operation"], inputs, known[2])
    if "wanted" not in data:
        return FailureRecord(*known, call)
    cotangents = tuple(typed.get(name) for name in cotangent_names(call))
    directions = {name.removeprefix(DIRECTION): array for name, array in typed.items() if name.startswith(DIRECTION)}
    return FailureRecord(*known, call, cotangents, tuple(data["wanted"]), directions)


def _attributes(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The specification's tuples are lists in JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def _is_plain(part: Any) -> bool:
    return isinstance(part, Case | str | int | float | np.integer)


def _plain(part: Any) -> Any:
    if isinstance(part, Case):
        return {"case": part.to_json()}
    return int(part) if isinstance(part, np.integer) else part


def _part(stored: Any) -> Any:
    return Case.from_json(stored["case"]) if isinstance(stored, dict) else stored
