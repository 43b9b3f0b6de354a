"""The finding of one check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from rnnspec.conformance.run.typed import made

RESULT: Final = "rnnspec"
"""Name of the user property in which a test's report carries its result."""

FAULTS: Final = "rnnspec faults"
"""Name of the user property in which the last report of an operation carries the faults that were found in it."""

UNPLANNED: Final = "rnnspec unplanned"
"""Name of the user property with the reason why nothing could be planned."""


class Verdict(StrEnum):
    """The outcome of a check, an operation or a backend, from best to worst.

    A check that says SHOULD is departed from, where one that says MUST is violated.
    """

    CONFORMS = "conforms"
    NOT_IMPLEMENTED = "not implemented"
    REFUSED = "refused"
    DEPARTS = "departs"
    EXPECTED = "violates as expected"
    VIOLATES = "violates"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"

    @property
    def judged(self) -> bool:
        """Whether anything was asked of what has this verdict, and answered."""
        return self not in (Verdict.NOT_IMPLEMENTED, Verdict.REFUSED)

    @property
    def bad(self) -> bool:
        """Whether a backend with this verdict does not conform, and that is news."""
        return self in (Verdict.VIOLATES, Verdict.TIMED_OUT, Verdict.CRASHED)

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict on the whole: the worst of the bad ones; else it conforms if anything does.

        A backend that departs from a SHOULD conforms.
        """
        found = {Verdict.CONFORMS if verdict is Verdict.DEPARTS else verdict for verdict in verdicts}
        for verdict in (
            Verdict.CRASHED,
            Verdict.TIMED_OUT,
            Verdict.VIOLATES,
            Verdict.EXPECTED,
            Verdict.CONFORMS,
            Verdict.REFUSED,
        ):
            if verdict in found:
                return verdict
        return Verdict.NOT_IMPLEMENTED


@dataclass(frozen=True)
class Coverage:
    """The coverage by the planned cases that were judged.

    `met` of `total` tuples of choices: pairs where `strength` is 2, and with `deep` also the triples of choices that
    change what code runs. `largest` has the largest of each size by its symbol, `left_out` the sizes that take too long
    to judge.
    """

    strength: int
    met: int
    total: int
    largest: Mapping[str, int]
    left_out: Mapping[str, tuple[int, ...]]
    deep: bool = False


@dataclass(frozen=True)
class CheckResult:
    """One check of one operation in one type.

    `examples` counts the calls that were judged, `refused` those that the backend refused, for `reasons`;
    `worst_error_ratio` is the largest error / bound among the judged, None where nothing was measured. `expected` has
    the titles of the expected failures that were seen. `out_of_range` counts the calls that the type cannot hold, which
    are not judged; `coverage` is that of a check that asks the whole deck. `no_repro` tells why no repro was written
    where one was asked for. `ended` tells that a call lost its process, so that the rest of the check was not asked.
    """

    backend: str
    operation: str
    dtype: str
    device: str
    id: str
    level: Literal["MUST", "SHOULD"]
    verdict: Verdict
    examples: int
    refused: int
    reasons: tuple[str, ...]
    worst_error_ratio: float | None
    message: str
    repro: str
    seconds: float
    expected: tuple[str, ...] = ()
    out_of_range: int = 0
    coverage: Coverage | None = None
    no_repro: str = ""
    ended: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data, which goes between processes too."""
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CheckResult:
        """From plain data."""
        return made(cls, data)
