"""Drawing of cases: one procedure for Hypothesis, which shrinks, and for plain random numbers, which are fast."""

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
    """A source of choices. The first option is the simplest, to which failures shrink."""

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""


class RandomChoices:
    """Choices from a NumPy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of the options with equal probability."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from low to high with equal probability."""
        return int(self.rng.integers(low, high + 1))


# Weighted by repetition: mostly small sizes, often distinct from each other, and now and then 0.
_BATCHES = (1, 2, 3, 4, 2, 3, 4, 2, 3, 5, 0)
# One id shows little of the computation behind it, so that batches of ids are larger.
_BATCHES_OF_IDS = (1, 2, 8, 12, 16, 20, 12, 16, 5, 24, 0)
_STEPS = (1, 2, 3, 4, 2, 3, 4, 5, 6, 3, 4, 5, 0)
_UNITS = (1, 2, 3, 4, 2, 3, 4, 5, 3, 4)
_LIKELY: Final[Mapping[Steps, int]] = {"lengths": 2, "no_lengths": 0, "no_mask": 0}
"""Weight of each kind of steps, 1 by default. Calls without a valid step are an edge, which is not drawn."""


@dataclass(frozen=True)
class Scope:
    """An operation and a type to draw cases of.

    With `largest`, one case in four has sizes up to it. Attributes come from `support`, by default all.
    """

    operation: str
    dtype: str
    largest: int = 0
    support: Support | None = None

    @property
    def supported(self) -> Support:
        """The backend's support of the operation; all that the specification allows where none is given."""
        return self.support or everything(self.operation)


def draw_case(choices: Choices, scope: Scope) -> Case:
    """Draw a case within the scope."""
    op = operation(scope.operation)
    support = scope.supported
    # Half of the cases are within the library's own support, since people run these without an adapter.
    own = support.own if support.own is not None and choices.pick((True, False)) else None
    big = scope.largest > 0 and choices.pick((False, False, False, True))
    levels = _draw_levels(choices, op, own.levels if own else support.levels)
    standing = {key: standing_for(level) for key, level in levels.items()}
    chosen = resolved(op, {**op.defaults(), **standing})
    sizes = _draw_sizes(choices, chosen, {**op.defaults(), **standing}, scope.largest if big else 0)
    optional = [key for key, item in chosen.inputs.items() if item.optional and item.kind == "float"]
    without = bool(optional) and choices.pick((False, False, False, True))
    absent = tuple(name for name in optional if without or name in support.absent)
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
    """A level for each attribute that has a meaning under those before it."""
    levels: dict[str, Level | Levels] = {}
    standing = op.defaults()
    for key, attribute in op.attributes.items():
        if not among[key] or (attribute.is_tuple and not all(among[key])):
            continue
        if attribute.is_tuple:
            # Mostly the usual level, under which other faults show best.
            usual = choices.pick((True, True, False))
            level: Level | Levels = tuple(entry[0] if usual else choices.pick(entry) for entry in among[key])
        else:
            level = choices.pick(among[key])
        # One without a meaning is asked for too: if what follows depended on it, cases would not shrink.
        if holds(attribute.when, standing):
            levels[key], standing[key] = level, standing_for(level)
    return levels


def _draw_sizes(choices: Choices, op: Operation, attributes: Mapping[str, Any], largest: int) -> dict[str, int]:
    """All sizes that do not follow from others, up to `largest` unless it is 0."""
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
    """A kind of steps; plain lengths if the sizes are too small for it, and any kind but ``all`` if `padded`."""
    likely = tuple(kind for kind in kinds for _ in range(_LIKELY.get(kind, 1)))
    taken_out = tuple(kind for kind in likely if kind != "all")
    kind: Steps = choices.pick((padded and taken_out) or likely or ("all",))
    # All kinds are offered whatever the sizes: with a list that depends on them, cases would not shrink.
    if all(sizes[symbol] >= least for symbol, least in NEEDS[kind].items()):
        return kind
    return "lengths" if "lengths" in kinds else "all"
