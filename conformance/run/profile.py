"""How thorough a run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Profile:
    """Examples for each check of each operation, in the types that matter most and in the others, and largest size."""

    name: str
    examples: int
    examples_other_types: int
    largest: int

    def examples_for(self, dtype: str) -> int:
        """Examples of one check; float32 is what people run, so it gets the most."""
        return self.examples if dtype == "float32" else self.examples_other_types


PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("quick", examples=40, examples_other_types=10, largest=0),
        Profile("standard", examples=150, examples_other_types=50, largest=16),
        Profile("thorough", examples=1500, examples_other_types=1000, largest=48),
    )
}
