"""Finished part of a soak, saved in a file, so that the soak can go on later."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.resuming import ResumeFile, facts_of_run
from rnnspec.conformance.soak import examining
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.statistics import Statistics

FORMAT: Final = 2


def facts_of_soak(soak: Soak, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that must be equal if the results of two runs are added up."""
    return facts_of_run(
        "soak",
        (examining,),
        format=FORMAT,
        backend=soak.backend,
        device=soak.device,
        versions=dict(versions),
        seed=soak.seed,
        operations=list(dict.fromkeys(operation for operation, _ in soak.targets)),
        dtypes=list(dict.fromkeys(dtype for _, dtype in soak.targets)),
    )


@dataclass
class State:
    """The finished cases, their statistics, and the seconds that they took."""

    done: list[range] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """Number of finished cases."""
        return sum(map(len, self.done))

    def add(self, numbers: range, statistics: Statistics) -> None:
        """Add finished cases and their statistics."""
        if numbers:
            self.done = joined([*self.done, numbers])
            self.statistics.merge(statistics)

    def pending(self, cases: int) -> list[range]:
        """Return the unfinished ones of the first `cases` cases."""
        starts = [0, *(part.stop for part in self.done)]
        stops = [*(min(part.start, cases) for part in self.done), cases]
        return [range(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "done": [[part.start, part.stop] for part in self.done],
            "seconds": self.seconds,
            "statistics": self.statistics.to_json(),
        }

    @classmethod
    def load(cls, file: ResumeFile, asked: int) -> State:
        """Read the state from a file; empty if there is none.

        Raises
        ------
        FileError
            If the file is of another soak, contradicts itself, or has cases beyond the `asked` ones.
        """
        data = file.load()
        if not data:
            return cls()
        try:
            done = joined([range(*_bounds(part)) for part in data["done"]])
            state = cls(done, Statistics.from_json(data["statistics"]), float(data["seconds"]))
            if not (math.isfinite(state.seconds) and state.seconds >= 0):
                raise ValueError(f"expected seconds from 0 on, got {state.seconds}")
            if state.statistics.whole().cases != state.cases:
                raise ValueError(f"{state.cases} cases are done, and {state.statistics.whole().cases} counted")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise file.error(f"got something else: {error}") from error
        if state.done and state.done[-1].stop > asked:
            raise FileError(
                f"{file.path}: has cases up to {state.done[-1].stop:,}, and {asked:,} are asked: expected --cases "
                f"{state.done[-1].stop} or more, or a new file"
            )
        return state


@contextmanager
def kept_in(path: Path | None, soak: Soak, versions: Mapping[str, str]) -> Iterator[ResumeFile]:
    """Have the file of a soak, which no other process has meanwhile."""
    with ResumeFile(path, facts_of_soak(soak, versions), "soak") as file:
        yield file


def _bounds(part: Any) -> tuple[int, int]:
    start, stop = part
    if not (type(start) is type(stop) is int and 0 <= start < stop < 2**62):
        raise ValueError(f"expected two whole numbers, the second larger, got {part}")
    return start, stop


def joined(parts: list[range]) -> list[range]:
    """Return the same numbers in the fewest ranges; raise ValueError if two overlap."""
    result: list[range] = []
    for part in sorted(parts, key=lambda part: part.start):
        if result and part.start < result[-1].stop:
            raise ValueError(f"expected parts that do not overlap, got {result[-1]} and {part}")
        if result and part.start == result[-1].stop:
            result[-1] = range(result[-1].start, part.stop)
        else:
            result.append(part)
    return result
