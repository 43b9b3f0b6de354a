"""How thorough a run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rnnspec.conformance.cases import Extent
from rnnspec.conformance.cases.ladder import LARGEST


@dataclass(frozen=True)
class Profile:
    """The extent of the plan and of the drawn cases for each operation, in the main type and in the others.

    Parameters
    ----------
    name
        Its name.
    examples, examples_other_types
        Examples of each check that makes calls of its own; a check whose examples take several calls has fewer.
    largest
        The largest size that is drawn beyond the deck.
    planned, planned_other_types
        What the deck holds.
    draws
        Whether as many examples are drawn beyond the deck.
    dtypes
        The types that are asked for; none: all that there are.
    """

    name: str
    examples: int
    examples_other_types: int
    largest: int
    planned: Extent = field(default_factory=Extent)
    planned_other_types: Extent = field(default_factory=Extent)
    draws: bool = True
    dtypes: tuple[str, ...] = ()

    def examples_for(self, dtype: str) -> int:
        """Examples of one check; float32 is what people run, so it gets the most, unless it is not asked for."""
        most = "float32" if not self.dtypes or "float32" in self.dtypes else self.dtypes[0]
        return self.examples if dtype == most else self.examples_other_types

    def up_to(self, largest: int | None) -> Profile:
        """The same with another largest size on the ladder; None: its own."""
        if largest is None:
            return self
        return replace(self, planned=replace(self.planned, largest=largest))

    def of_types(self, dtypes: Sequence[str]) -> Profile:
        """The same where these types alone are asked for."""
        return replace(self, dtypes=tuple(dtypes))

    def extent_for(self, dtype: str, main_type: str) -> Extent:
        """The extent of a type's deck; `main_type` is the type in which a backend is tested most closely."""
        return self.planned if dtype == main_type else self.planned_other_types


PAIRS: Final = Extent(2, largest=LARGEST)
PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("quick", 40, 8, largest=0, planned=PAIRS, planned_other_types=Extent(1, generic=12), draws=False),
        Profile(
            "standard", 150, 50, largest=16,
            planned=Extent(2, deep=True, largest=LARGEST), planned_other_types=Extent(2, deep=True, generic=12),
        ),
        Profile("thorough", 1500, 1000, largest=48, planned=Extent(3, largest=LARGEST), planned_other_types=Extent(3)),
    )
}  # fmt: skip
