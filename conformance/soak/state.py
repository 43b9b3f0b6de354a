"""Finished part of a soak, saved in a file, so that the soak can go on later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rnnspec import reference, spec
from rnnspec.conformance import cases, judge
from rnnspec.conformance.run.files import FileError, write_bytes
from rnnspec.conformance.soak import examining
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.statistics import Statistics

FORMAT: Final = 1


def identity(soak: Soak, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that must be equal if the results of two runs are added up."""
    return {
        "format": FORMAT,
        "rnnspec": version("rnnspec"),
        "judge": fingerprint(),
        "backend": soak.backend,
        "device": soak.device,
        "versions": dict(versions),
        "seed": soak.seed,
        "operations": list(dict.fromkeys(operation for operation, _ in soak.targets)),
        "dtypes": list(dict.fromkeys(dtype for _, dtype in soak.targets)),
    }


def fingerprint() -> str:
    """Return a digest of the code that draws the cases and computes their expected results."""
    digest = hashlib.sha256()
    for package in (spec, reference, cases, judge):
        assert package.__file__ is not None  # each is a folder with an __init__
        for path in sorted(Path(package.__file__).parent.rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(Path(examining.__file__).read_bytes())
    return digest.hexdigest()[:16]


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

    def save(self, path: Path, of: Mapping[str, Any]) -> None:
        """Write the state to a file, whole or not at all."""
        data = {
            "of": of,
            "done": [[part.start, part.stop] for part in self.done],
            "seconds": self.seconds,
            "statistics": self.statistics.to_json(),
        }
        write_bytes(path, json.dumps(data, allow_nan=False).encode())

    @classmethod
    def load(cls, path: Path, of: Mapping[str, Any]) -> State:
        """Read the state from a file; empty if there is none. Raise FileError if the file is of another soak."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return cls()
        try:
            data = json.loads(text)
            found = data["of"]
            state = cls(
                [range(start, stop) for start, stop in data["done"]],
                Statistics.from_json(data["statistics"]),
                data["seconds"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(
                f"{path}: expected the file of an earlier soak, got something else; name another file, or a new one"
            ) from error
        different = [
            f"{key}: expected {_short(of.get(key))}, got {_short(found.get(key))}"
            for key in {**of, **found}
            if of.get(key) != found.get(key)
        ]
        if different:
            told = "\n  ".join(different)
            raise FileError(
                f"{path} is of another soak, whose results cannot be added to this one's:\n  {told}\n"
                "go on with the same command as before, or name a new file"
            )
        return state


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


def _short(value: Any) -> str:
    text = json.dumps(value) if value is not None else "none"
    return text if len(text) <= 200 else f"{text[:200]}…"
