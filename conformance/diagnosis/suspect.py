"""The equations that a backend's code may compute in place of the specification's."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from rnnspec.conformance.cases import Case
from rnnspec.conformance.diagnosis.causes import Cause
from rnnspec.conformance.diagnosis.misreadings import Misreading
from rnnspec.conformance.edits.single import Edit
from rnnspec.conformance.faults.equations import ChangedEquation
from rnnspec.conformance.faults.fault import Fault
from rnnspec.spec.language import parse


@dataclass(frozen=True, eq=False)
class KnownLines(Edit):
    """The lines of a fault of the catalogue. They stand beside other slips, as an edit does."""

    fault: Fault = field(kw_only=True)

    @classmethod
    def of(cls, known: ChangedEquation) -> KnownLines:
        """Return those of a fault that is nothing but lines."""
        text = "; ".join(block.text for block in known.blocks)
        return cls(text, known.operation, "values", known.blocks, fault=known.fault)

    @property
    def when(self) -> Mapping[str, Any]:
        """Nothing: each line says itself when it holds."""
        return {}

    @property
    def defines(self) -> bool:
        """Whether the whole system is worked out anew, as it must be: the lines may belong to any part."""
        return True


@dataclass(frozen=True, eq=False)
class Slip:
    """One thing that is computed otherwise: an edit, a misreading, or a fault of the catalogue.

    Of a fault of the catalogue that is no lines of equations, no more is known than that it gives the same numbers: it
    stands alone. `where` limits the slip to the calls in which a cause holds.
    """

    change: Edit | Misreading | Fault
    where: Cause | None = None

    def __str__(self) -> str:
        match self.change:
            case Misreading(text=text):
                return text
            case Fault(name=name, about=about) | KnownLines(fault=Fault(name=name, about=about)):
                return f"in `{name}` of the catalogue: {about.rstrip('.')}"
            case edit:
                return _edit_text(edit)


@dataclass(frozen=True, eq=False)
class Suspect:
    """The equations that the code computes. Without slips, they are the specification's."""

    slips: tuple[Slip, ...] = ()

    @classmethod
    def of(cls, change: Edit | Misreading | Fault) -> Suspect:
        """Return the suspect with one slip."""
        return cls((Slip(change),))

    def __bool__(self) -> bool:
        return bool(self.slips)

    def __add__(self, other: Suspect) -> Suspect:
        return Suspect(self.slips + other.slips)

    def __str__(self) -> str:
        return " and ".join(map(str, self.slips))

    def at(self, case: Case) -> Suspect:
        """Return the suspect with the slips that it has at a case."""
        return Suspect(tuple(slip for slip in self.slips if slip.where is None or slip.where.holds(case)))

    def limited(self, cause: Cause) -> Suspect:
        """Return the suspect with its slips where a cause holds alone."""
        return Suspect(tuple(replace(slip, where=cause) for slip in self.slips))

    @property
    def edits(self) -> list[Edit]:
        """Its edits."""
        return [slip.change for slip in self.slips if isinstance(slip.change, Edit)]

    @property
    def misreadings(self) -> list[Misreading]:
        """Its misreadings."""
        return [slip.change for slip in self.slips if isinstance(slip.change, Misreading)]

    @property
    def planted(self) -> list[Fault | KnownLines]:
        """Its faults of the catalogue."""
        return [slip.change for slip in self.slips if isinstance(slip.change, Fault | KnownLines)]

    @property
    def alone(self) -> Fault | None:
        """The fault of the catalogue beside which nothing can be computed."""
        return next((slip.change for slip in reversed(self.slips) if isinstance(slip.change, Fault)), None)

    def widened(self) -> Suspect:
        """Return the suspect with its lines in the place of all of the same left side, under whatever attributes."""
        return Suspect(tuple(map(_widened, self.slips)))

    @property
    def simplicity(self) -> tuple[int, int, int, int]:
        """A simpler suspect has fewer slips, none of the catalogue, and fewer names that read otherwise."""
        lines = (edit for edit in self.edits if not isinstance(edit, KnownLines))
        return len(self.slips), len(self.planted), sum(map(_difference, lines)), len(str(self))


def _widened(slip: Slip) -> Slip:
    if not isinstance(slip.change, Edit) or not slip.change.when:
        return slip
    lines = tuple(replace(line, when={}) for line in slip.change.lines)
    return replace(slip, change=replace(slip.change, lines=lines))


def _edit_text(edit: Edit) -> str:
    where = " > ".join(f"{choice} {number + 1}" if number else choice for number, choice in edit.path)
    if not edit.right:
        (equation,) = parse(edit.lines[0].text, "")
        assert isinstance(equation.value, ast.Call)
        return f"`{ast.unparse(equation.value.func)}` stood everywhere for `{equation.target}`"
    of = f" (of {where})" if where else ""
    return f"`{edit.text}`{of}, where the specification has `{edit.right}`"


def _difference(edit: Edit) -> int:
    """How many characters of the lines read otherwise."""
    blocks: Sequence[tuple[int, int, int]] = SequenceMatcher(None, edit.text, edit.right, False).get_matching_blocks()
    return max(len(edit.text), len(edit.right)) - sum(size for _, _, size in blocks)
