"""The seeds that faults are run with, as people write them: ``0-4``, ``3`` or ``0,2,7``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

LARGEST = 2**32 - 1
"""The largest seed; both sources of random numbers take it."""

MOST = 1000
"""The most seeds of one run: more are a slip of the hand."""


def seeds_from(text: str) -> tuple[int, ...]:
    """Read seeds, in the order in which they are written; ValueError if they are malformed or repeated."""
    seeds: list[int] = []
    for part in text.split(","):
        written = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", part.strip())
        if written is None:
            raise ValueError(f"expected seeds such as 0-4, 3 or 0,2,7, got {text!r}")
        first, last = int(written[1]), int(written[2] or written[1])
        if last < first:
            raise ValueError(f"expected seeds that rise, got {part.strip()!r}")
        if last > LARGEST:
            raise ValueError(f"expected seeds up to {LARGEST}, got {part.strip()!r}")
        if len(seeds) + last - first >= MOST:
            raise ValueError(f"expected at most {MOST} seeds, got {text!r}")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"expected each seed once, got {text!r}")
    return tuple(seeds)


def seeds_text(seeds: Sequence[int]) -> str:
    """Write seeds; `seeds_from` reads them back."""
    runs = (
        [seed for _, seed in group] for _, group in groupby(enumerate(seeds), key=lambda placed: placed[1] - placed[0])
    )
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def at_seeds(seeds: Sequence[int]) -> str:
    """Say that something holds at these seeds: ``at seed 3``, ``at every one of the seeds 0-4``."""
    return f"at {'seed' if len(seeds) == 1 else 'every one of the seeds'} {seeds_text(seeds)}"
