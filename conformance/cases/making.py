"""Cases of chosen levels: their sizes, and the seeds of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rnnspec.conformance.cases.case import Case, Steps
from rnnspec.conformance.cases.factors import SMALL, STEPS, UNUSED, Factors
from rnnspec.conformance.cases.levels import settled, standing_for
from rnnspec.conformance.cases.steps import needs_of
from rnnspec.conformance.cases.streams import stream
from rnnspec.spec import resolved

ATTEMPTS: Final = 16
"""Most seeds that are tried for a case with a valid step."""

_LARGE: Final = 255
"""Size from which all other sizes are at most 2."""
_HUGE: Final = 512
"""Size from which all other sizes are 1, if they can be."""


@dataclass(frozen=True)
class Maker:
    """Maker of cases of the levels of some choices, with numbers by a seed."""

    factors: Factors
    seed: int

    def with_some_step(self, chosen: Mapping[str, Any], salt: int, sizes: Mapping[str, int] | None = None) -> Case:
        """A case of these levels with a valid step, without which it would meet its choices only in name."""
        cases = [self.case(chosen, salt, sizes)]
        while cases[-1].spec.has_steps and not cases[-1].valid.any() and len(cases) < ATTEMPTS:
            cases.append(self.case(chosen, salt + len(cases), sizes))
        return cases[-1]

    def case(self, chosen: Mapping[str, Any], salt: int, sizes: Mapping[str, int] | None = None) -> Case:
        """The case of these levels; with given `sizes`, all other sizes are small."""
        op = self.factors.op
        chosen = {**self.factors.fixed, **chosen}
        seed = int(stream(self.seed, f"{op.name} {salt}").integers(2**31))
        rng = stream(seed, "sizes")
        levels = self._attribute_levels(chosen)
        standing = {**op.defaults(), **{key: standing_for(level) for key, level in levels.items()}}
        resolved_op = resolved(op, standing)
        given = {"G", "n", *resolved_op.same_sizes_for(standing)}
        given |= {item.size for item in op.attributes.values()}
        steps: Steps = chosen.get(STEPS, "all")
        found: dict[str, int] = {}
        for place, symbol in enumerate(symbol for symbol in resolved_op.sizes if symbol not in given):
            low, high = self._ends(chosen, symbol, place)
            if sizes is not None:
                largest = max(sizes.values())
                small = 3 if largest < _LARGE else 2 if largest < _HUGE else 1
                low, high = min(low, small), min(high, small)
            found[symbol] = max(int(rng.integers(low, high + 1)), resolved_op.at_least.get(symbol, 0))
        for symbol, least in needs_of(steps).items() if op.has_steps else ():
            found[symbol] = max(found[symbol], least)
        found.update({symbol: size for symbol, size in (sizes or {}).items() if symbol in found})
        return Case(
            operation=op.name,
            dtype=self.factors.scope.dtype,
            sizes=found,
            attributes=settled(op, levels, found, seed),
            regime=chosen.get("regime", "generic"),
            steps=steps,
            absent=tuple(
                name for name in self.factors.optional if chosen.get(f"absent {name}") and name in resolved_op.inputs
            ),
            seed=seed,
        )

    def _ends(self, chosen: Mapping[str, Any], symbol: str, place: int) -> tuple[int, int]:
        """Least and greatest size of a symbol at these levels."""
        if "shape" in chosen:
            size = (2, 3, 2, 4, 3)[place % 5] if chosen["shape"] == 0 else (3, 4, 5, 2, 4)[place % 5]
            return size, size
        ends: tuple[int, int] = chosen.get(f"size {symbol}", SMALL[1 + place % 3])
        return ends

    def _attribute_levels(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        levels: dict[str, Any] = {}
        for key, attribute in self.factors.op.attributes.items():
            if attribute.is_tuple:
                entries = tuple(chosen[f"{key}[{index}]"] for index in range(len(attribute.functions)))
                if UNUSED not in entries:
                    levels[key] = entries
            elif chosen[key] != UNUSED:
                levels[key] = chosen[key]
        return levels
