"""How often a diagnosis is right: over planted faults, edits drawn at random, and two faults at once.

Each wrong implementation is asked the small planned cases of its operation, and what fails is diagnosed. The suspects
and causes are then held against the implementation on calls that are drawn anew, none of them of size 0. Suspects are
right if they give its numbers on all of them. Of two faults, one that
is named alone is right if its suspect gives the numbers of an implementation with that fault alone. Causes are right if
they hold wherever it is wrong, and it is wrong in most calls where they hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Case, Deck, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.diagnosis.faults import Diagnosis
from rnnspec.conformance.diagnosis.oracle import LARGEST, Clock, Oracle, size_of
from rnnspec.conformance.diagnosis.suspect import Suspect
from rnnspec.conformance.diagnosis.suspects import Searcher
from rnnspec.conformance.edits.changing import changed
from rnnspec.conformance.edits.single import Edit, EditedPart, single_edits
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.equations import ChangedEquation, changed_equations
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.run.profile import Profile
from rnnspec.conformance.run.runner import Failed
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import Operation, operation, operations

SECONDS: Final = 45.0
"""The time that a diagnosis may take: equations that are evaluated as they stand are slower than any library."""

DRAWN: Final = 40
"""Calls that are drawn anew for each wrong implementation."""

WrongKind = Literal["catalogue", "single", "double", "pair"]
Named = Literal["right", "part", "wrong", "none"]
_CHECKS: Final[tuple[Check, ...]] = (Values(), Gradients())


@dataclass(frozen=True)
class Diagnosed:
    """The result of the diagnosis of one wrong implementation.

    `shows` tells whether planned calls have wrong results, and none ends in an error. `named` tells whether the
    suspects give its numbers, or those of one of two faults alone, and `by` what they are; `caused` whether the causes
    tell its wrong calls from its right ones. `faults` is how many were reported, `seconds` how long it took. `number`
    and `seed` are what it was drawn by.
    """

    kind: WrongKind
    operation: str
    title: str
    shows: bool
    named: Named = "none"
    by: str = ""
    caused: bool = False
    faults: int = 0
    suspect: str = ""
    cause: str = ""
    seconds: float = 0.0
    number: int = -1
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


_DRAWN: Final[Mapping[WrongKind, int]] = {"single": 500, "double": 200, "pair": 200}


def count_of(kind: WrongKind) -> int:
    """How many wrong implementations of a kind there are."""
    return len(faults()) if kind == "catalogue" else _DRAWN[kind]


@dataclass(frozen=True)
class Wrong:
    """A wrong implementation of an operation."""

    kind: WrongKind
    operation: str
    title: str
    implementation: type[Backend]
    dtype: str = "float64"
    alone: tuple[type[Backend], ...] = ()
    """Of two faults, or edits, implementations that have one alone."""


def implementation(kind: WrongKind, number: int, seed: int = 0) -> Wrong:
    """Return one of the wrong implementations of a kind; the same for the same seed."""
    drawn = stream(seed, f"{kind} {number}")
    match kind:
        case "catalogue":
            every = faults()
            return planted(every[(number + seed) % len(every)])
        case "pair":
            return paired(drawn)
        case _:
            return edited(kind, drawn)


def planted(fault: Fault) -> Wrong:
    """Return a fault of the catalogue, in float64 unless it was planted in a type of two bytes."""
    dtype = fault.dtype if fault.dtype in ("float16", "bfloat16") else "float64"
    return Wrong("catalogue", fault.operation, fault.name, fault.implementation, dtype)


def paired(drawn: np.random.Generator) -> Wrong:
    """Return an implementation with two faults of the catalogue that are changed equations."""
    by_operation: dict[str, list[ChangedEquation]] = {}
    for one in changed_equations():
        if one.blocks:
            by_operation.setdefault(one.fault.operation, []).append(one)
    names = [name for name, some in by_operation.items() if len(some) > 1]
    name = names[int(drawn.integers(len(names)))]
    some = by_operation[name]
    one, other = (some[place] for place in sorted(drawn.choice(len(some), 2, replace=False)))
    op = operation(name)
    alone = tuple(backend_of(changed(op, single.blocks)) for single in (one, other))
    both = backend_of(changed(op, [*one.blocks, *other.blocks]))
    return Wrong("pair", name, f"{one.fault.name} and {other.fault.name}", both, alone=alone)


def edited(kind: WrongKind, drawn: np.random.Generator) -> Wrong:
    """Return an implementation by edited equations, one or two, of an operation drawn from all."""
    names, edits = list(operations()), list[Edit]()
    right = op = operation(names[int(drawn.integers(len(names)))])
    for _ in range(1 if kind == "single" else 2):
        edits.append(_drawn_edit(op, drawn))
        op = edits[-1].operation
    alone = tuple(backend_of(edit.made_in(right)) for edit in edits) if len(edits) > 1 else ()
    return Wrong(kind, op.name, "; ".join(edit.title for edit in edits), backend_of(op), alone=alone)


def _drawn_edit(op: Operation, drawn: np.random.Generator) -> Edit:
    edits = list(single_edits(op))
    return edits[int(drawn.integers(len(edits)))]


def diagnosed(wrong: Wrong, profile: Profile) -> Diagnosed:
    """Diagnose a wrong implementation, and hold what comes of it against the implementation."""
    backend = wrong.implementation()
    parts = _parts(wrong, backend)
    deck = session_of(Guarded(backend), wrong.operation, "float32", profile, 0).deck
    failed = list(_failing(backend, deck, wrong.dtype, parts))
    if not failed or any(isinstance(one.failure, BackendCrashError) for one in failed):
        return Diagnosed(wrong.kind, wrong.operation, wrong.title, False)
    started = time.process_time()
    diagnosis = Diagnosis(backend, wrong.operation, seconds=SECONDS, parts=parts)
    faults = diagnosis.find(failed)
    seconds = time.process_time() - started
    held, wrong_calls, told = 0, 0, True
    oracle = Oracle(backend, (), Clock(3600))
    drawn = [case for case in _drawn(wrong) if all(case.sizes.values())]
    for case in drawn:
        holds, is_wrong = False, False
        for part in parts:
            failure = oracle.wrong(case, part)
            # Where outputs are right by chance, the gradients are those of what is wrong with the outputs.
            holds_here = any(fault.cause.holds(case) for fault in faults if fault.part in (part, "values"))
            told = told and (holds_here or failure is None)
            holds, is_wrong = holds or holds_here, is_wrong or (holds_here and failure is not None)
            if failure is not None:
                break
        held, wrong_calls = held + holds, wrong_calls + is_wrong  # a call is one, whatever its parts
    known = diagnosis.known
    by = "catalogue" if known.planted else "edit" if known.edits else "misreading" if known else ""
    return Diagnosed(
        wrong.kind,
        wrong.operation,
        wrong.title,
        True,
        _named(wrong, diagnosis, drawn, parts),
        by,
        told and 2 * wrong_calls >= held,
        len(faults),
        str(known),
        "; ".join(str(fault.cause) for fault in faults),
        seconds,
    )


def _named(wrong: Wrong, diagnosis: Diagnosis, drawn: Sequence[Case], parts: Sequence[EditedPart]) -> Named:
    """Whether the suspects give the numbers of an implementation, or each those of one of its faults alone."""
    named = [fault for fault in diagnosis.faults if fault.suspects]
    if not named:
        return "none"
    suspected = [part for part in parts if any(fault.part == part for fault in named)]
    if _gives(wrong.operation, wrong.implementation(), diagnosis.known, drawn, parts, suspected):
        return "right"
    for fault in named:
        alone, own = (one() for one in wrong.alone), [part for part in parts if fault.part == part]
        if not any(_gives(wrong.operation, one, fault.known, drawn, parts, own) for one in alone):
            return "wrong"
    return "part" if wrong.alone else "wrong"


def _gives(
    name: str,
    backend: Backend,
    suspect: Suspect,
    drawn: Sequence[Case],
    parts: Sequence[EditedPart],
    suspected: Sequence[EditedPart],
) -> bool:
    """Whether a suspect gives the numbers of a backend in all of these calls."""
    oracle = Oracle(backend, (), Clock(3600))
    searcher = Searcher(name, oracle, oracle.clock)
    for case in drawn:
        for part in parts:
            failure = oracle.wrong(case, part)
            asked = part in suspected and oracle.answer(case, part) is not None
            if asked and not searcher.gives(suspect, case, part):
                return False
            if failure is not None:
                break
    return True


def _failing(backend: Backend, deck: Deck, dtype: str, parts: Sequence[EditedPart]) -> Iterator[Failed]:
    """The first small planned case that each of the checks of results finds wrong."""
    for check in (one for one in _CHECKS if one.id in parts):
        for planned_case in deck.cases:
            case = replace(planned_case, dtype=dtype)
            if size_of(case) > LARGEST:
                continue
            try:
                check.examine(Guarded(backend), case)
            except (Violation, BackendCrashError) as failure:
                yield Failed(check, dtype, case, failure, deck)
                break
            except (Unsupported, OutOfRangeError):
                continue


def _drawn(wrong: Wrong) -> Iterator[Case]:
    choices = RandomChoices(stream(1, wrong.title))
    for _ in range(DRAWN):
        case = draw_case(choices, Scope(wrong.operation, wrong.dtype))
        yield replace(case, regime="generic") if case.regime in ("masking", "far", "overflowing") else case


def _parts(wrong: Wrong, backend: Backend) -> tuple[EditedPart, ...]:
    """The results that are compared: not gradients that take a complex step of every number."""
    op = operation(wrong.operation)
    by_steps = backend.name == "changed" and not op.gradient
    return ("values", "gradients") if op.differentiable and not by_steps else ("values",)
