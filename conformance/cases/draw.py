"""How a case is chosen: one procedure for Hypothesis, which shrinks, and for plain random numbers, which are fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from rnnspec.conformance.cases.case import NEEDS, Case, Steps
from rnnspec.conformance.cases.levels import Level, Levels, settled, standing_for
from rnnspec.conformance.cases.regimes import REGIMES, gives_ids, regimes_for
from rnnspec.conformance.cases.support import AttributeLevels, Support, everything
from rnnspec.spec import Operation, operation, resolved
from rnnspec.spec.operation import holds


class Choices(Protocol):
    """A source of choices; what stands first is the simplest, to which failures shrink."""

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options."""

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""


class RandomChoices:
    """Choices from a NumPy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options, all alike likely."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, all alike likely."""
        return int(self.rng.integers(low, high + 1))


# Weighted by repetition: mostly small, all distinct sizes likely, and now and then nothing at all.
_BATCHES = (1, 2, 3, 4, 2, 3, 4, 2, 3, 5, 0)
# An id is one of few and shows little of its computation: sequences that end in ids come in larger batches.
_BATCHES_OF_IDS = (1, 2, 8, 12, 16, 20, 12, 16, 5, 24, 0)
_STEPS = (1, 2, 3, 4, 2, 3, 4, 5, 6, 3, 4, 5, 0)
_UNITS = (1, 2, 3, 4, 2, 3, 4, 5, 3, 4)
_LIKELY: Final[Mapping[Steps, int]] = {"lengths": 2, "no_lengths": 0, "no_mask": 0}
"""How often a kind of steps stands among those to draw, where not once; whether any step is valid is an edge."""


@dataclass(frozen=True)
class Scope:
    """Which cases to draw: of an operation, in a type.

    With `largest`, one in four has sizes up to that; attributes are chosen among those of `support` (all by default).
    """

    operation: str
    dtype: str
    largest: int = 0
    support: Support | None = None


def draw_case(choices: Choices, scope: Scope) -> Case:
    """Choose a case."""
    op = operation(scope.operation)
    support = scope.support or everything(scope.operation)
    # Of what an adapter does in several ways, half is what the library does itself: that is what people run.
    own = support.own if support.own is not None and choices.pick((True, False)) else None
    big = scope.largest > 0 and choices.pick((False, False, False, True))
    levels = _draw_levels(choices, op, own.levels if own else support.levels)
    standing = {key: standing_for(level) for key, level in levels.items()}
    chosen = resolved(op, {**op.defaults(), **standing})
    sizes = _draw_sizes(choices, chosen, {**op.defaults(), **standing}, scope.largest if big else 0)
    optional = [key for key, item in chosen.inputs.items() if item.optional and item.kind == "float"]
    absent = tuple(optional) if optional and choices.pick((False, False, False, True)) else ()
    regime = choices.pick(regimes_for(op))
    steps: Steps = "all"
    if op.has_steps:
        steps = _draw_steps(choices, own.steps if own else support.steps, sizes, REGIMES[regime].forbids_padding)
    seed = choices.integer(0, 2**31 - 1)
    return Case(
        operation=scope.operation,
        dtype=scope.dtype,
        sizes=sizes,
        attributes=settled(op, levels, sizes, seed),
        regime=regime,
        steps=steps,
        absent=absent,
        seed=seed,
    )


def _draw_levels(choices: Choices, op: Operation, among: AttributeLevels) -> dict[str, Level | Levels]:
    """A level for each attribute that has a meaning beside those before it."""
    levels: dict[str, Level | Levels] = {}
    standing = op.defaults()
    for key, attribute in op.attributes.items():
        if not holds(attribute.when, standing) or not among[key]:
            continue
        if attribute.is_tuple:
            if not all(among[key]):
                continue
            # Mostly as people use it: what else is wrong shows best there.
            usual = choices.pick((True, True, False))
            levels[key] = tuple(entry[0] if usual else choices.pick(entry) for entry in among[key])
        else:
            levels[key] = choices.pick(among[key])
        standing[key] = standing_for(levels[key])
    return levels


def _draw_sizes(choices: Choices, op: Operation, attributes: Mapping[str, Any], largest: int) -> dict[str, int]:
    """Every size that does not follow from others, up to `largest` if that is not 0."""
    given = {"G", "n", *op.same_sizes_for(attributes), *(item.size for item in op.attributes.values())}
    batches = _BATCHES_OF_IDS if gives_ids(op) else _BATCHES
    sizes = {}
    for symbol in op.sizes:
        if symbol not in given:
            usual = {"B": batches, "T": _STEPS}.get(symbol, _UNITS)
            size = choices.integer(1, largest) if largest else choices.pick(usual)
            sizes[symbol] = max(size, op.at_least.get(symbol, 0))
    return sizes


def _draw_steps(choices: Choices, kinds: Sequence[Steps], sizes: Mapping[str, int], padded: bool) -> Steps:
    """A kind of steps, plain lengths where sizes are too small for it; some taken out if it is to be `padded`."""
    likely = tuple(kind for kind in kinds for _ in range(_LIKELY.get(kind, 1)))
    taken_out = tuple(kind for kind in likely if kind != "all")
    kind: Steps = choices.pick((padded and taken_out) or likely or ("all",))
    # All kinds are offered whatever the sizes: if the list were another, what is drawn would not shrink.
    if all(sizes[symbol] >= least for symbol, least in NEEDS[kind].items()):
        return kind
    return "lengths" if "lengths" in kinds else "all"
