"""How often the diagnoses of many wrong implementations are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from rnnspec.conformance.diagnosis.measuring import Diagnosed, WrongKind
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.reading import read_json

WORDS: Final[dict[WrongKind, str]] = {
    "catalogue": "faults of the catalogue",
    "single": "single edits",
    "double": "two edits at once",
    "pair": "two faults of the catalogue at once",
}


@dataclass(frozen=True)
class Rates:
    """Counts over the wrong implementations of a kind whose results small planned calls show to be wrong."""

    kind: str
    shown: int
    named: int
    partly: int
    wrongly: int
    caused: int
    once: int
    seconds: float

    HEADINGS: ClassVar = (
        "seen", "named rightly", "one of two", "named wrongly", "cause right", "as many faults as there are", "s",
    )  # fmt: skip

    def cells(self) -> list[str]:
        """Return the counts as text, with their shares."""
        of_all = [self.named, self.partly, self.wrongly, self.caused, self.once]
        shares = [f"{count} ({count / self.shown:.1%})" if self.shown else "0" for count in of_all]
        return [str(self.shown), *shares, f"{self.seconds:.1f}"]


def rates(found: Sequence[Diagnosed]) -> list[Rates]:
    """Return the rates of each kind that there is; the time is the median of the diagnoses."""
    return [
        _rates(WORDS[kind], [one for one in found if one.kind == kind and one.shows])
        for kind in WORDS
        if any(one.kind == kind for one in found)
    ]


def _rates(words: str, found: Sequence[Diagnosed]) -> Rates:
    return Rates(
        words,
        len(found),
        sum(one.named == "right" for one in found),
        sum(one.named == "part" for one in found),
        sum(one.named == "wrong" for one in found),
        sum(one.caused for one in found),
        sum(one.faults <= (2 if one.kind in ("double", "pair") else 1) for one in found),
        float(np.median([one.seconds for one in found])) if found else 0.0,
    )


def read(file: Path) -> list[Diagnosed]:
    """Read what was written; raise FileError if the file is something else."""
    try:
        return [Diagnosed(**one) for one in read_json(file)["diagnosed"]]
    except (KeyError, TypeError) as error:
        message = f"{file}: expected a file that `rnnspec faults --diagnose --json` wrote, got {error!r}"
        raise FileError(message) from error
