"""Catalogue of workloads: named ones, every operation at three scales, and those of a user's file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from rnnspec.backends.words import name_of
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.workload import MODES, Workload, WorkloadStage, default_modes
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.reading import read_toml, shown
from rnnspec.spec import operation, operations
from rnnspec.spec.errors import one_of

LARGEST: Final = 2**31 - 1
"""No array has more numbers along an axis that frameworks take."""
SCALES = ("small", "medium", "large")
_OF_A_WORKLOAD = {"about": str, "sizes": dict, "stages": list}
_OF_A_STAGE = {"operation": str, "sizes": dict, "attributes": dict, "inputs": list, "lengths": bool, "modes": list}


@dataclass(frozen=True)
class Catalogue:
    """Workloads by name. Workloads at a scale are made on request."""

    named: Mapping[str, Workload]
    own: tuple[Workload, ...] = ()
    """Workloads of the user's file."""

    def get(self, name: str) -> Workload:
        """Return a workload by its name or by OPERATION-SCALE; raise BenchError if there is none."""
        if name in self.named:
            return self.named[name]
        op, dash, scale = name.rpartition("-")
        if dash and scale in SCALES and op in operations():
            return at_scale(op, scale)
        raise BenchError(
            f"unknown workload {name!r}: {one_of(name, self.named)}, or an operation and a scale, like "
            f"lstm-{'|'.join(SCALES)}; to add your own, use --workloads FILE"
        )


def load_catalogue(own: Path | None = None) -> Catalogue:
    """Return rnnspec's workloads and those of a file, which override them by name."""
    added = _workloads(_read(own), str(own)) if own else {}
    return Catalogue({**_workloads(_data(), "workloads.toml"), **added}, tuple(added.values()))


def at_scale(name: str, scale: str) -> Workload:
    """Return one operation under its default attributes, at one of `SCALES`."""
    if scale not in SCALES:
        raise BenchError(f"unknown scale {scale!r}: {one_of(scale, SCALES)}")
    op, data = operation(name), _data()
    sizes = {**data["scales"][scale], **data["operations"].get(name, {}).get(scale, {})}
    stage = WorkloadStage(name, default_modes(name))
    whole = Workload(f"{name}-{scale}", f"{op.title}, {scale}", sizes, (stage,))
    return Workload(whole.name, whole.about, {key: sizes[key] for key in whole.symbols if key in sizes}, (stage,))


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((files("rnnspec.conformance.bench") / "workloads.toml").read_text("utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = read_toml(path)
    except FileError as error:
        raise BenchError(str(error)) from error
    if set(data) != {"workloads"} or not isinstance(data["workloads"], dict):
        raise BenchError(
            f"{path}: expected [workloads.NAME] tables only, got {name_of(', '.join(data)) or 'an empty file'}"
        )
    return data


def _workloads(data: Mapping[str, Any], place: str) -> dict[str, Workload]:
    return {
        name: _workload(name, entry, f"{place}: workload {name_of(name)}") for name, entry in data["workloads"].items()
    }


def _workload(name: str, entry: Any, place: str) -> Workload:
    _must_have(entry, _OF_A_WORKLOAD, place, "stages")
    if not entry["stages"]:
        raise BenchError(f"{place}: stages: expected at least one, got none")
    for symbol, size in entry.get("sizes", {}).items():
        must_be_a_size(symbol, size, place)
    stages = tuple(_stage(stage, f"{place}: stage {number}") for number, stage in enumerate(entry["stages"], 1))
    return Workload(name, entry.get("about", name), entry.get("sizes", {}), stages)


def _stage(entry: Any, place: str) -> WorkloadStage:
    _must_have(entry, _OF_A_STAGE, place, "operation")
    for symbol, text in entry.get("sizes", {}).items():
        if not isinstance(text, str):
            raise BenchError(
                f'{place}: sizes: {symbol}: expected an expression in quotes, like "2 * H", got {shown(text)}'
            )
    modes = tuple(entry.get("modes", default_modes(entry["operation"])))
    for mode in modes:
        if mode not in MODES:
            raise BenchError(f"{place}: modes: expected some of {', '.join(MODES)}, got {shown(mode)}")
        if mode == "gradient" and not operation(entry["operation"]).differentiable:
            raise BenchError(f"{place}: modes: {entry['operation']} has no gradient; leave gradient out")
    return WorkloadStage(
        entry["operation"],
        modes,
        entry.get("sizes", {}),
        entry.get("attributes", {}),
        tuple(entry.get("inputs", ())),
        entry.get("lengths", False),
    )


def must_be_a_size(symbol: str, size: Any, place: str) -> None:
    """Raise BenchError unless `size` is a whole number from 1 to `LARGEST`."""
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST:
        much = isinstance(size, int) and size > LARGEST
        expected = f"at most {LARGEST:,}, got a larger one" if much else f"at least 1, got {name_of(repr(size))}"
        raise BenchError(f"{place}: size {symbol}: expected a whole number, {expected}")


def _must_have(entry: Any, kinds: Mapping[str, type], place: str, needed: str) -> None:
    if not isinstance(entry, dict) or set(entry) - set(kinds):
        raise BenchError(f"{place}: expected a table of {', '.join(kinds)}, got {shown(entry)}")
    if needed not in entry:
        raise BenchError(f"{place}: {needed} is missing")
    for key, value in entry.items():
        if not isinstance(value, kinds[key]):
            raise BenchError(f"{place}: {key}: expected a {kinds[key].__name__}, got {shown(value)}")
