"""``rnnspec trace``: every intermediate value of a call, by the literal equations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rnnspec.conformance.cases import Case
from rnnspec.conformance.commands.show import parse_settings
from rnnspec.conformance.diagnosis.result import wide
from rnnspec.conformance.numbers import is_whole
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.trace import drawn, drawn_sizes, print_trace, to_json
from rnnspec.conformance.run.again import case_in
from rnnspec.conformance.run.files import FileError, must_differ, write_json
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.repro.record import CALL, COTANGENT, INPUT, record_of
from rnnspec.conformance.run.storage import read_stored
from rnnspec.spec import Operation, SpecError, check_attributes, operation, resolved
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.tracing import trace

_WANTED: Final = "an OPERATION, a repro's .npz or a case's .json"


@dataclass(frozen=True)
class TraceRequest:
    """The call that the user asked for, and which of its quantities.

    `operation` is an operation's name or the file of a repro or a case; empty if the file in `arrays` says which it is.
    """

    operation: str = ""
    arrays: Path | None = None
    settings: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    seed: int = 0
    gradient: bool = False
    sequence: int = 0
    step: int | None = None


@dataclass(frozen=True)
class Stored:
    """The arrays of a file."""

    path: Path
    arrays: NamedArrays


def trace_call(request: TraceRequest, json_file: Path | None) -> None:
    """Print every quantity of one sequence with its equation, and write them as JSON if asked to."""
    if json_file and Path(request.operation).suffix:
        must_differ((json_file,), (Path(request.operation),))
    op, attributes, stored = _asked(request)
    if isinstance(stored, Case):
        _must_have_no_sizes(request)
        inputs = {name: wide(array) for name, array in stored.given.inputs.items()}
        cotangents = tuple(map(wide, stored.given_cotangents))
    elif stored is None:
        inputs, cotangents = drawn(op, attributes, _sizes(op, request.sizes), request.seed)
    else:
        inputs, cotangents = _read(op, attributes, request, stored)
    try:
        found = trace(
            op.name, inputs, attributes,
            cotangents=cotangents if request.gradient else None, sequence=request.sequence,
        )  # fmt: skip
    except SpecError as error:
        raise PlanError(str(error)) from error
    if request.step is not None:
        found = [one for one in found if one.index[-1:] == (request.step,)]
        if not found:
            raise PlanError(f"--step {request.step}: expected a step of the sequence, which has no such one")
    print_trace(open_console(), op, inputs, found)
    if json_file:
        write_json(json_file, to_json(op, attributes, inputs, found))


def _asked(request: TraceRequest) -> tuple[Operation, dict[str, Any], Stored | Case | None]:
    """The operation and its attributes, and the case or the file of its arrays if there is one, which may say both."""
    name, path = request.operation, request.arrays
    if Path(name).suffix in (".npz", ".json"):
        if path is not None:
            raise PlanError(f"expected one file of arrays, got {name} and {path}")
        name, path = "", Path(name)
        if path.suffix == ".json":
            case, _ = case_in(path)
            op = operation(case.operation)
            return op, check_attributes(op, {**case.attributes, **parse_settings(op, request.settings)}), case
    if path is None:
        if not name:
            raise PlanError(f"expected {_WANTED}, got neither")
        if "/" in name or Path(name).suffix:  # no operation's name is like this
            raise PlanError(f"expected {_WANTED}, got {name!r}")
        op = operation(name)
        return op, check_attributes(op, parse_settings(op, request.settings)), None
    stored = Stored(path, read_stored(path))
    recorded = record_of(path, stored.arrays) if CALL in stored.arrays or not name else None
    op = operation(name or (recorded.operation if recorded else name))
    known = recorded.attributes if recorded and recorded.operation == op.name else {}
    return op, check_attributes(op, {**known, **parse_settings(op, request.settings)}), stored


def _must_have_no_sizes(request: TraceRequest) -> None:
    if request.sizes:
        raise PlanError("expected a file or --size, got both: the file's arrays have sizes of their own")


def _sizes(op: Operation, texts: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    symbols = drawn_sizes(op)
    for text in texts:
        symbol, equals, number = text.partition("=")
        if not (equals and symbol in symbols and is_whole(number)):
            raise PlanError(f"--size: expected SYMBOL=NUMBER with one of {', '.join(symbols)}, got {text!r}")
        if symbol in found:
            raise PlanError(f"--size: {symbol}: expected one number, got another: {text!r}")
        found[symbol] = int(number)
    return found


def _read(
    op: Operation, attributes: dict[str, Any], request: TraceRequest, file: Stored
) -> tuple[NamedArrays, tuple[Array, ...]]:
    """The inputs and cotangents in a file, under their own names or as a repro has them."""
    path, arrays = file.path, file.arrays
    _must_have_no_sizes(request)
    stored = {name.removeprefix(INPUT): array for name, array in arrays.items()}
    whole = resolved(op, attributes)
    call_inputs = {name: stored[name] for name in whole.inputs_for(attributes) if name in stored}
    if not call_inputs:
        raise FileError(f"{path}: expected inputs of {op.name} by name, got {', '.join(arrays) or 'no array'}")
    outputs = [name for name, item in whole.outputs_for(attributes).items() if item.kind == "float"]
    missing = [name for name in outputs if COTANGENT + name not in arrays]
    if request.gradient and missing:
        raise FileError(f"{path}: expected {COTANGENT}{missing[0]}, a cotangent of each output, for --gradient")
    return call_inputs, tuple(arrays[COTANGENT + name] for name in outputs if COTANGENT + name in arrays)
