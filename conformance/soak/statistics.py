"""Statistics of many cases; those of the parts of a run add up to the same whole in any order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

PER_OCTAVE: Final = 32
"""Bins for each doubling of the error ratio; quantiles are therefore at most 2.2 % too large."""
SMALLEST: Final = -40 * PER_OCTAVE
"""The bin of all ratios below 2⁻⁴⁰, including zero."""
RECORDED: Final = 100
"""Failures of an operation in a type that are kept in full; all are counted."""


class Ending(StrEnum):
    """Ending of a request to a backend for the values or the gradients of one case."""

    JUDGED = "judged"
    REFUSED = "refused"
    OUT_OF_RANGE = "out of range"
    EXPECTED = "expected"
    REJECTED = "rejected"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"

    @property
    def bad(self) -> bool:
        """Whether a right implementation never ends so."""
        return self in (Ending.REJECTED, Ending.CRASHED, Ending.TIMED_OUT)


@dataclass(frozen=True)
class Share:
    """Number of compared elements, and of those without a bound, which are not judged."""

    elements: int = 0
    open: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.elements + other.elements, self.open + other.open)


@dataclass(frozen=True)
class SoakOutcome:
    """One answer; `ratio` is its largest error / bound, None if nothing was measured or it is infinite."""

    ending: Ending
    ratio: float | None = None
    message: str = ""
    numbers: Share = Share()
    ids: Share = Share()


@dataclass(frozen=True, order=True)
class CasePlace:
    """Identity of a case, together with the seed: the number-th case of an operation in a type."""

    operation: str
    dtype: str
    number: int

    def __str__(self) -> str:
        return f"{self.operation} {self.dtype} {self.number}"


@dataclass(frozen=True)
class Failure:
    """An answer that no right implementation gives."""

    place: CasePlace
    quantity: str
    ending: Ending
    message: str

    @property
    def key(self) -> tuple[CasePlace, str]:
        """Sort key of failures."""
        return self.place, self.quantity

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        of_answer = {"quantity": self.quantity, "ending": self.ending.value, "message": self.message}
        return {**asdict(self.place), **of_answer}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Failure:
        """Make it from plain data."""
        place = CasePlace(data["operation"], data["dtype"], data["number"])
        return cls(place, data["quantity"], Ending(data["ending"]), data["message"])


class Histogram:
    """Error ratios, counted on a logarithmic scale, and the largest of them with its case."""

    def __init__(self, counts: Mapping[int, int] | None = None, largest: float = 0.0, place: str = "") -> None:
        self.counts = Counter(counts or {})
        self.largest = largest
        self.place = place

    def add(self, ratio: float, place: str) -> None:
        """Count a ratio."""
        self.counts[bin_of(ratio)] += 1
        self._meet(ratio, place)

    def merge(self, other: Histogram) -> None:
        """Add another histogram."""
        self.counts.update(other.counts)
        if other.place:
            self._meet(other.largest, other.place)

    def _meet(self, ratio: float, place: str) -> None:
        # The first by name of equal ratios, so that the order of arrival does not matter.
        if not self.place or (-ratio, place) < (-self.largest, self.place):
            self.largest, self.place = ratio, place

    @property
    def total(self) -> int:
        """Number of counted ratios."""
        return self.counts.total()

    def quantile(self, share: float) -> float | None:
        """Return the ratio that this share does not exceed, at most a bin's width too large; None without ratios."""
        due, passed = share * self.total, 0
        for number in sorted(self.counts):
            passed += self.counts[number]
            if passed >= due:
                return min(upper_edge(number), self.largest)
        return None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        counts = {str(number): self.counts[number] for number in sorted(self.counts)}
        return {"counts": counts, "largest": self.largest, "place": self.place}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Histogram:
        """Make it from plain data."""
        counts = {int(number): _count(count) for number, count in data["counts"].items()}
        largest = float(data["largest"])
        if not 0 <= largest < math.inf:
            raise ValueError(f"expected a largest ratio from 0 on, got {largest}")
        return cls(counts, largest, str(data["place"]))


def _count(number: Any) -> int:
    """Return a number of things; raise ValueError for anything else."""
    if type(number) is not int or number < 0:
        raise ValueError(f"expected a number of things, got {number!r}")
    return number


def bin_of(ratio: float) -> int:
    """Return the number of a ratio's bin."""
    return max(math.floor(math.log2(ratio) * PER_OCTAVE), SMALLEST) if ratio > 0 else SMALLEST


def upper_edge(number: int) -> float:
    """Return the upper limit of the ratios in a bin."""
    return float(2.0 ** ((number + 1) / PER_OCTAVE))


@dataclass
class Tally:
    """Endings, error ratios and judged elements of the values or the gradients of many cases."""

    endings: Counter[str] = field(default_factory=Counter)
    ratios: Histogram = field(default_factory=Histogram)
    numbers: Share = Share()
    ids: Share = Share()

    def add(self, outcome: SoakOutcome, place: str) -> None:
        """Count an outcome."""
        self.endings[outcome.ending.value] += 1
        if outcome.ratio is not None:
            self.ratios.add(outcome.ratio, place)
        self.numbers += outcome.numbers
        self.ids += outcome.ids

    def merge(self, other: Tally) -> None:
        """Add another tally."""
        self.endings.update(other.endings)
        self.ratios.merge(other.ratios)
        self.numbers += other.numbers
        self.ids += other.ids

    def count(self, *endings: Ending) -> int:
        """Return the number of answers with one of these endings."""
        return sum(self.endings[ending.value] for ending in endings)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "endings": {ending.value: self.endings[ending.value] for ending in Ending if self.endings[ending.value]},
            "ratios": self.ratios.to_json(),
            "numbers": [self.numbers.elements, self.numbers.open],
            "ids": [self.ids.elements, self.ids.open],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """Make it from plain data."""
        ratios = Histogram.from_json(data["ratios"])
        endings = Counter({Ending(ending).value: _count(count) for ending, count in data["endings"].items()})
        return cls(endings, ratios, Share(*map(_count, data["numbers"])), Share(*map(_count, data["ids"])))


@dataclass
class Group:
    """Cases with a common property: the tallies of their values and of their gradients."""

    cases: int = 0
    values: Tally = field(default_factory=Tally)
    gradients: Tally = field(default_factory=Tally)

    def tallies(self) -> dict[str, Tally]:
        """Return both tallies, by quantity."""
        return {"values": self.values, "gradients": self.gradients}

    def merge(self, other: Group) -> None:
        """Add another group."""
        self.cases += other.cases
        for quantity, tally in self.tallies().items():
            tally.merge(other.tallies()[quantity])

    def both(self) -> Tally:
        """Return one tally of values and gradients together."""
        return merged(Tally(), self.tallies().values())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"cases": self.cases, **{name: tally.to_json() for name, tally in self.tallies().items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Group:
        """Make it from plain data."""
        return cls(_count(data["cases"]), Tally.from_json(data["values"]), Tally.from_json(data["gradients"]))


Sum = TypeVar("Sum", Tally, Group)


def merged(whole: Sum, parts: Iterable[Sum]) -> Sum:
    """Add parts to the whole, and return it."""
    for part in parts:
        whole.merge(part)
    return whole


Pair = tuple[str, str]


@dataclass
class Statistics:
    """Statistics of many cases: groups by operation and type, groups by type and regime, and single failures."""

    by_operation: dict[Pair, Group] = field(default_factory=dict)
    by_regime: dict[Pair, Group] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, place: CasePlace, regime: str, outcomes: Mapping[str, SoakOutcome]) -> None:
        """Count a case; `outcomes` are by quantity."""
        for groups, key in (
            (self.by_operation, (place.operation, place.dtype)),
            (self.by_regime, (place.dtype, regime)),
        ):
            group = groups.setdefault(key, Group())
            group.cases += 1
            for quantity, outcome in outcomes.items():
                group.tallies()[quantity].add(outcome, str(place))
        for quantity, outcome in outcomes.items():
            if outcome.ending.bad:
                self.failures.append(Failure(place, quantity, outcome.ending, outcome.message))

    def merge(self, other: Statistics) -> None:
        """Add other statistics."""
        for mine, theirs in ((self.by_operation, other.by_operation), (self.by_regime, other.by_regime)):
            for key, group in theirs.items():
                mine.setdefault(key, Group()).merge(group)
        self.failures = list(_first(sorted((*self.failures, *other.failures), key=lambda failure: failure.key)))

    def whole(self) -> Group:
        """Return one group of all cases."""
        return merged(Group(), self.by_operation.values())

    def by_dtype(self) -> dict[str, Group]:
        """Return one group for each type."""
        dtypes = dict.fromkeys(dtype for dtype, _ in self.by_regime)
        return {
            dtype: merged(Group(), (group for (other, _), group in self.by_regime.items() if other == dtype))
            for dtype in dtypes
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "by_operation": [[*key, group.to_json()] for key, group in sorted(self.by_operation.items())],
            "by_regime": [[*key, group.to_json()] for key, group in sorted(self.by_regime.items())],
            "failures": [failure.to_json() for failure in self.failures],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Make it from plain data."""
        return cls(
            {(first, second): Group.from_json(group) for first, second, group in data["by_operation"]},
            {(first, second): Group.from_json(group) for first, second, group in data["by_regime"]},
            [Failure.from_json(failure) for failure in data["failures"]],
        )


def _first(failures: Iterable[Failure]) -> Iterator[Failure]:
    """The first `RECORDED` of each operation in each type; `failures` are in order."""
    seen: Counter[Pair] = Counter()
    for failure in failures:
        key = failure.place.operation, failure.place.dtype
        seen[key] += 1
        if seen[key] <= RECORDED:
            yield failure
