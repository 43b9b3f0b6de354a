"""On what a fault depends: the choices of a case without which it does not show.

One choice of a failing case after another is changed to its simplest: an attribute to its default, an absent input to
one that is there, the steps to all, the numbers to ordinary ones, a size to the smallest. A case that still fails keeps
the change. The choices left over are then tried the other way round: a choice is a condition if the fault shows with it
and does not show without it, whatever the seed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, permutations
from typing import Any, Final

from rnnspec.conformance.cases import Case, entry_levels, regimes_for
from rnnspec.conformance.cases.steps import BY_LENGTHS, BY_MASK, HOLED, NEEDS, Steps, needs_of
from rnnspec.conformance.cases.support import everything, values_of
from rnnspec.conformance.diagnosis.condition import Condition
from rnnspec.conformance.diagnosis.misreadings.attributes import told
from rnnspec.conformance.diagnosis.oracle import Shows
from rnnspec.conformance.diagnosis.traits import trait_of, with_trait
from rnnspec.spec.operation import RANGED, WHOLE, Attribute, holds

SEEDS: Final = 3
"""Seeds at which a changed case is asked before the fault counts as gone."""

_TRIED: Final = 12
"""Seeds that are looked at for sequences of which each has a step, and some are shorter than others."""

_SIZES: Final = (1, 2, 3, 4, 5, 6, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 255, 256, 257, 300, 512, 513, 1024)
_PLAIN: Final[tuple[Steps, ...]] = (
    "all",
    "lengths",
    "shorter",
    "right_mask",
    "held_mask",
    "mask",
    "one_empty",
    "equal",
)
"""Kinds of steps, the plainest first: a sequence that is shorter before one that is empty."""

_RELATIONS: Final[dict[Callable[[Any, Any], bool], str]] = {
    operator.gt: ">",
    operator.eq: "=",
    operator.ne: "other than",
}
"""Ways in which a size may stand to another, in words."""

_EMPTY: Final[tuple[Steps, ...]] = ("one_empty", "no_lengths", "no_mask")
_HELD: Final[tuple[Steps, ...]] = ("mask", "held_mask", *HOLED)


EMPTY: Final = Condition("with a sequence that has no step", lambda case: not case.valid.any(axis=1).all())
"""The condition of what is wrong with empty sequences alone."""


@dataclass(frozen=True)
class Cause:
    """The conditions of a fault: it shows only where all of them hold, and not where an input of `gone` is 0."""

    conditions: tuple[Condition, ...] = ()
    gone: tuple[str, ...] = ()
    told: str = ""
    """The cause in words, where it is not one of conditions."""

    def holds(self, case: Case) -> bool:
        """Whether the fault may show at a case."""
        return all(condition.holds(case) for condition in self.conditions) and not any(
            name in case.zero or name in case.absent for name in self.gone
        )

    def fitting(self, case: Case) -> Cause:
        """The cause without what does not hold at a case in which the fault shows."""
        conditions = tuple(condition for condition in self.conditions if condition.holds(case))
        gone = tuple(name for name in self.gone if name not in case.zero and name not in case.absent)
        return replace(self, conditions=conditions, gone=gone)

    def __str__(self) -> str:
        if self.told:
            return self.told
        texts = [condition.text for condition in self.conditions]
        only = f"only {_listed(texts)}" if texts else "in every call"
        return f"{only}; gone when {_listed([f'{name} = 0' for name in self.gone], 'or')}" if self.gone else only


def simplest(case: Case, shows: Shows) -> Case:
    """Return the plainest case at which a fault shows, found by changing one choice of a failing case at a time."""
    for _ in range(3):
        before = case
        for simpler in _SIMPLER:
            case = _first_failing(simpler(case), shows) or case
            while simpler in (_attributes_simpler, _inputs_there) and (found := _first_failing(simpler(case), shows)):
                case = found
        case = _sizes_down(case, shows)
        if case == before:
            break
    return case


def numbers_gone(case: Case, shows: Shows) -> Case:
    """Return the case with as many inputs at 0 as leave the fault to be seen, so that it can be worked out by hand."""
    for name in _zeroable(case):
        zeroed = replace(case, zero=(*case.zero, name))
        if shows(zeroed) is not None:
            case = zeroed
    return case


def enlarged(case: Case, shows: Shows) -> Case:
    """Return the case at sizes that tell things apart, such as a matrix from its transpose, where it still fails."""
    wanted = {"B": 2, "T": 3, "D": 4, "H": 2, "S": 3}
    sizes = {
        symbol: max(size, wanted.get(symbol, 2 + place % 3)) for place, (symbol, size) in enumerate(case.sizes.items())
    }
    return _failing(replace(case, sizes=sizes), shows) or case


def cause_of(case: Case, shows: Shows) -> Cause:
    """Return what the fault of a case, the simplest one at which it shows, depends on."""
    rich = enlarged(case, shows)
    trait = trait_of(rich, shows)
    shows = shows if trait is None else with_trait(shows, trait)
    conditions = [*_on_attributes(rich, shows), *_on_steps(rich, shows), *_on_inputs(rich, shows)]
    conditions += _on_numbers(rich, shows)
    if trait is not None:
        conditions = [one for one in conditions if one.text not in trait.text] + [trait]
    elif EMPTY not in conditions:  # else chance decides at small sizes whether there is one
        of_sizes = [*_on_sizes(case, rich, shows)]
        conditions += of_sizes and (_on_size_against_size(case, shows) or of_sizes)
    gone = [name for name in _zeroable(rich) if _failing(replace(rich, zero=(name,)), shows) is None]
    return Cause(tuple(conditions), tuple(gone))


# Simpler cases.


def _attributes_simpler(case: Case) -> Iterator[Case]:
    plain = case.spec.defaults()
    if case.attributes != plain:
        yield case.with_attributes(**plain)
    for name, value in case.attributes.items():
        if value != plain[name]:
            yield case.with_attributes(**{name: plain[name]})


def _steps_simpler(case: Case) -> Iterator[Case]:
    places = _PLAIN[: _PLAIN.index(case.steps)] if case.steps in _PLAIN else _PLAIN
    for steps in places:
        yield replace(case, steps=steps).with_at_least(**NEEDS[steps])


def _inputs_there(case: Case) -> Iterator[Case]:
    if case.absent:
        yield replace(case, absent=())
        for name in case.absent if len(case.absent) > 1 else ():
            yield replace(case, absent=tuple(other for other in case.absent if other != name))


def _numbers_simpler(case: Case) -> Iterator[Case]:
    if case.regime != "generic":
        yield replace(case, regime="generic")


_SIMPLER: Final = (_attributes_simpler, _steps_simpler, _inputs_there, _numbers_simpler)


def _sizes_down(case: Case, shows: Shows) -> Case:
    least = {**case.spec.at_least}
    if case.steps != "all":
        least["T"] = max(2, least.get("T", 0))  # of a sequence without a step, documentations say little
    for symbol in sorted(case.sizes, key=lambda symbol: -case.sizes[symbol]):
        low, own = least.get(symbol, 1), case.sizes[symbol]
        smaller = [size for size in _SIZES if low <= size < own] if own >= low else [low]
        variants = (replace(case, sizes={**case.sizes, symbol: size}) for size in smaller)
        case = _first_failing(variants, shows) or case
    return case


def _first_failing(variants: Iterator[Case] | Sequence[Case], shows: Shows) -> Case | None:
    return next((found for variant in variants if (found := _failing(variant, shows))), None)


def _failing(case: Case, shows: Shows, count: int = SEEDS) -> Case | None:
    """Return the case, or one like it with other numbers, at which the fault shows."""
    seeds = list(dict.fromkeys((case.seed, *range(count))))
    if case.steps != "all" and case.steps not in _EMPTY:
        # Some step does not count, and every sequence has one that does: nobody disputes what is right there.
        own = (seed for seed in range(_TRIED) if _is_plainly_padded(replace(case, seed=seed)))
        seeds = list(dict.fromkeys([*islice(own, SEEDS), *seeds]))
    return next((one for one in (replace(case, seed=seed) for seed in seeds) if shows(one) is not None), None)


def _is_plainly_padded(case: Case) -> bool:
    return bool(case.valid.any(axis=1).all() and not case.valid.all())


# Conditions.


def _on_attributes(case: Case, shows: Shows) -> Iterator[Condition]:
    for name, attribute in case.spec.attributes.items():
        if not holds(attribute.when, case.attributes):
            continue
        if attribute.is_tuple:
            yield from _on_entries(case, name, attribute, shows)
            continue
        own = case.attributes[name]
        others = dict.fromkeys(value for value in (attribute.default, *values_of(case, attribute)) if value != own)
        failing, right = _tried({value: case.with_attributes(**{name: value}) for value in others}, shows)
        if right and not _only_smaller(attribute, [own, *failing]):
            yield _of_attribute(name, attribute, [own, *failing], right)


def _on_entries(case: Case, name: str, attribute: Attribute, shows: Shows) -> Iterator[Condition]:
    """The conditions on entries of a tuple, each of which chooses a function."""
    whole = case.attributes[name]
    for place, function in enumerate(attribute.functions):
        values = [level.only for level in entry_levels(attribute, place) if level.only != whole[place]]
        variants = {v: case.with_attributes(**{name: (*whole[:place], v, *whole[place + 1 :])}) for v in values}
        failing, right = _tried(variants, shows)
        if right:
            chosen = (whole[place], *failing)
            words = f"with {function}={' or '.join(chosen)}"
            yield Condition(words, partial(_has_entry, name=name, place=place, among=chosen))


def _tried(variants: Mapping[Any, Case], shows: Shows) -> tuple[list[Any], list[Any]]:
    """The values at which the fault shows, and those at which it does not."""
    failing = [value for value, case in variants.items() if _failing(case, shows)]
    others = [value for value in variants if value not in failing]
    if others:  # what hides the fault at some values alone may do so by chance
        failing += [value for value in others if _failing(variants[value], shows, 2 * SEEDS)]
    return failing, [value for value in others if value not in failing and shows.answers(variants[value])]


def _only_smaller(attribute: Attribute, failing: Sequence[Any]) -> bool:
    """Whether the numbers at which a fault does not show just make it too small: it shows at the default and another.

    Counts are no such numbers: one of 1 may leave something out altogether.
    """
    is_real = bool(attribute.domain) and attribute.domain not in WHOLE
    return is_real and attribute.default in failing and len(failing) > 1


def _of_attribute(name: str, attribute: Attribute, failing: Sequence[Any], right: Sequence[Any]) -> Condition:
    usual = attribute.default
    numbers = [value for value in right if value not in (None, usual)]
    own = failing[0]
    known = attribute.domain in WHOLE or own in attribute.usual or own == 0  # no end of a range that is just near
    singled_out = len(failing) == 1 and numbers and known
    if attribute.domain and usual in right and not singled_out:
        passing = [value for value in (usual, 0.0) if value in right]
        words = f"with {name}" if usual is None else f"with {name} other than {told(usual)}"
        words += " above 0" * (0.0 in passing and usual != 0.0)
        return Condition(words, lambda case: case.attributes.get(name, usual) not in passing)
    if len(right) == 1 and len(failing) > 1:
        (one,) = right
        return Condition(f"with {name} other than {told(one)}", lambda case: case.attributes.get(name) != one)
    wrong = tuple(failing)
    words = f"with {name}={' or '.join(map(told, wrong))}"
    return Condition(words, lambda case: case.attributes.get(name) in wrong)


def _on_steps(case: Case, shows: Shows) -> Iterator[Condition]:
    if not case.spec.has_steps:
        return
    kinds = [kind for kind in NEEDS if kind in everything(case.operation).steps]
    variants = {kind: replace(case, steps=kind).with_at_least(**NEEDS[kind]) for kind in kinds}
    failing = tuple(kind for kind, other in variants.items() if kind == case.steps or _failing(other, shows))
    kinds = [kind for kind, other in variants.items() if kind in failing or shows.answers(other)]
    if set(failing) == set(kinds):
        return
    if failing and not set(failing) & {"all"} and not _padding_suffices(case, kinds, shows):
        yield EMPTY
    else:
        yield from _of_steps(set(failing))


def _padding_suffices(case: Case, kinds: Sequence[Steps], shows: Shows) -> bool:
    """Whether the fault shows where sequences are shorter than others, and none is empty."""
    padded = (
        replace(case, steps=kind).with_at_least(B=2, T=3) for kind in ("lengths", "right_mask", "mask") if kind in kinds
    )
    tried = (replace(one, seed=seed) for one in padded for seed in range(_TRIED))
    plainly = [one for one in tried if _is_plainly_padded(one)]
    return not any(map(shows.answers, plainly[:1])) or any(shows(one) is not None for one in plainly)


def _of_steps(found: set[Steps]) -> Iterator[Condition]:
    """The trait that kinds of steps share; nothing where they share none that others lack."""
    by_lengths, by_mask = (set(some) - set(_EMPTY) for some in (BY_LENGTHS, BY_MASK))
    if found == {"all"}:
        yield Condition("with every step valid", lambda case: case.steps == "all")
    elif "all" in found:
        if not found & by_lengths:
            yield Condition("without lengths", lambda case: case.steps not in BY_LENGTHS)
        if not found & by_mask:
            yield Condition("without a mask", lambda case: case.steps not in BY_MASK)
    elif found <= set(_EMPTY):
        yield EMPTY
    elif found <= {*_HELD, "no_mask"}:
        yield Condition("with holes in the mask", lambda case: case.steps in _HELD)
    elif found <= set(BY_LENGTHS):
        yield Condition("with lengths", lambda case: case.steps in BY_LENGTHS)
    elif found <= set(BY_MASK):
        yield Condition("with a mask", lambda case: case.steps in BY_MASK)
    else:
        yield Condition("with sequences that are shorter than T", lambda case: not case.valid.all())


def _on_inputs(case: Case, shows: Shows) -> Iterator[Condition]:
    for name in case.absent:
        there = replace(case, absent=tuple(other for other in case.absent if other != name))
        if shows.answers(there):  # who refuses an input can be asked without it alone
            yield Condition(f"without {name}", partial(_lacks, name=name))
    for name, item in case.items.items():
        if item.optional and item.kind == "float" and name not in case.absent and name in case.call.inputs:
            without = replace(case, absent=(*case.absent, name))
            zeroed = _failing(replace(case, zero=(name,)), shows)
            if zeroed and shows.answers(without) and not _failing(without, shows):
                yield Condition(f"with {name}", partial(_has, name=name))


def _on_numbers(case: Case, shows: Shows) -> Iterator[Condition]:
    if case.regime == "generic":
        return
    kinds = tuple(dict.fromkeys((*regimes_for(case.spec), case.regime)))
    failing = tuple(kind for kind in kinds if kind == case.regime or _failing(replace(case, regime=kind), shows))
    words = f"with numbers of the kind {' or '.join(failing)}"
    yield Condition(words, lambda case: case.regime in failing)


def _on_sizes(case: Case, rich: Case, shows: Shows) -> Iterator[Condition]:
    """The conditions on sizes: those below which the fault does not show beside other sizes either."""
    for symbol, size in case.sizes.items():
        least = max(1, case.spec.at_least.get(symbol, 0), needs_of(case.steps).get(symbol, 0))
        if symbol == "T" and case.steps != "all":
            least = max(least, 2)
        if symbol not in case.spec.sizes:
            continue
        if size <= least:
            above = replace(case, sizes={**case.sizes, symbol: size + 1})
            if rich == case and shows.answers(above) and not _failing(above, shows):
                yield Condition(f"with {symbol} = {size}", partial(_is_of_size, symbol=symbol, low=size, high=size))
            continue
        small = replace(rich, sizes={**rich.sizes, symbol: least})
        if not shows.answers(small) or _failing(small, shows):
            continue
        larger = _failing(replace(case, sizes={**case.sizes, symbol: size + 1}), shows)
        if larger is None:
            yield Condition(f"with {symbol} = {size}", partial(_is_of_size, symbol=symbol, low=size, high=size))
        else:
            yield Condition(f"with {symbol} >= {size}", partial(_is_of_size, symbol=symbol, low=size))


def _on_size_against_size(case: Case, shows: Shows) -> list[Condition]:
    """The condition that one size is above another; none where the fault shows at other pairs of sizes too."""
    symbols = [symbol for symbol in case.sizes if symbol in case.spec.sizes]
    for one, other in permutations(symbols, 2):
        if max(case.spec.at_least.get(one, 0), case.spec.at_least.get(other, 0)) > 2:
            continue
        at = {
            pair: replace(case, sizes={**case.sizes, one: pair[0], other: pair[1]})
            for pair in ((3, 2), (2, 2), (2, 3), (3, 3), (4, 3), (3, 4))
        }
        for relation, words in _RELATIONS.items():
            # The first pair that speaks against it ends the search.
            if all(
                (_failing(at[pair], shows) is not None) == relation(*pair) and shows.answers(at[pair]) for pair in at
            ):
                holds = partial(_are_related, one=one, other=other, relation=relation)
                return [Condition(f"with {one} {words} {other}", holds)]
    return []


def _are_related(case: Case, one: str, other: str, relation: Callable[[Any, Any], bool]) -> bool:
    return bool(relation(case.lengths_of.get(one, 0), case.lengths_of.get(other, 0)))


def _has_entry(case: Case, name: str, place: int, among: Sequence[Any]) -> bool:
    return case.attributes[name][place] in among


def _lacks(case: Case, name: str) -> bool:
    return name in case.absent


def _has(case: Case, name: str) -> bool:
    return name not in case.absent


def _is_of_size(case: Case, symbol: str, low: int, high: float = math.inf) -> bool:
    return low <= case.lengths_of.get(symbol, 0) <= high  # sizes that no case chose have a length too


def _zeroable(case: Case) -> list[str]:
    """Inputs that may be 0 without another call coming of it."""
    return [
        name
        for name, item in case.items.items()
        if item.kind == "float" and name in case.given.inputs and item.domain not in RANGED and name not in case.zero
    ]


def _listed(texts: Sequence[str], junction: str = "and") -> str:
    return f" {junction} ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
