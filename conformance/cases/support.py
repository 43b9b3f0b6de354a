"""A backend's support, found by small calls, so that cases are drawn from calls that it does not refuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases.case import NEEDS, Case, Steps
from rnnspec.conformance.cases.levels import Level, Levels, among, entry_levels, levels_of
from rnnspec.conformance.cases.streams import stream
from rnnspec.spec import Operation, operation
from rnnspec.spec.composition import possible_inputs
from rnnspec.spec.operation import Attribute

PROBE_SIZES: Final = {"B": 2, "T": 3, "D": 2, "H": 4, "S": 3}
"""Sizes of the small calls; every other symbol has size 2."""
PROBES: Final = 3
"""Calls for each kind of steps, since chance may make one easy, such as a mask without holes."""


AttributeLevels = Mapping[str, tuple[Any, ...]]
"""Levels of each attribute to draw from; a tuple attribute has a tuple of levels for each entry."""
KINDS_OF_STEPS: Final[tuple[Steps, ...]] = tuple(NEEDS)
_MOST_TRIES: Final = 256


@dataclass(frozen=True)
class Own:
    """Support of the judged implementation itself, if its adapter answers more calls."""

    levels: AttributeLevels
    steps: tuple[Steps, ...]


@dataclass(frozen=True)
class Support:
    """Levels of each attribute to draw from, kinds of steps, and reasons of the refusals.

    Each level is tried with the other attributes as in `base`; pairs that fail only together are still drawn. `absent`
    are the optional inputs that are refused. `own` is None if the implementation itself supports all of it, or none.
    """

    operation: str
    levels: AttributeLevels
    steps: tuple[Steps, ...]
    base: Mapping[str, Any]
    reasons: tuple[str, ...] = ()
    own: Own | None = None
    absent: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.operation, tuple(self.levels.items()), self.absent))

    def defaults(self) -> dict[str, Any]:
        """Return a supported base: the defaults, except attributes whose default is refused."""
        return dict(self.base)


def everything(name: str) -> Support:
    """Return all levels and steps that the specification allows."""
    op = operation(name)
    levels = {key: _all_levels(attribute) for key, attribute in op.attributes.items()}
    return Support(name, levels, _kinds_of(op), op.defaults())


def supported_by(backend: Backend, name: str, dtype: str) -> Support:
    """Try each level of each attribute on a small case; keep those that the backend does not refuse."""
    op = operation(name)
    reasons: dict[str, None] = {}
    answers: dict[str, bool] = {}

    def answered(case: Case) -> bool:
        if str(case) not in answers:
            try:
                reason = backend.refuses(case.call)
            except Exception:  # the checks find all other faults
                reason = None
            if reason is not None:
                reasons[reason] = None
            answers[str(case)] = reason is None
        return answers[str(case)]

    def its_own(case: Case) -> bool:
        return backend.refusal(case.call) is None and answered(case)

    plain = Case(name, dtype, PROBE_SIZES, op.defaults())
    base = _base(plain, answered)
    if base is None:
        base = _base(replace(plain, absent=optional_inputs(op)), answered)
        if base is None:
            return replace(everything(name), reasons=tuple(reasons))
        base = plain = replace(base, absent=_refused_inputs(base, answered))
    levels, kinds = _levels_where(base, answered), _steps_where(base, answered)
    own = None
    own_base = _base(plain, its_own)
    if own_base is not None:
        done = Own(_levels_where(own_base, its_own), _steps_where(own_base, its_own))
        own = None if done == Own(levels, kinds) else done
    return Support(name, levels, kinds, base.attributes, tuple(reasons), own, base.absent)


Good = Callable[[Case], bool]


def optional_inputs(op: Operation) -> tuple[str, ...]:
    """Return the float inputs that may be absent, those of the parts included."""
    return tuple(name for name, item in possible_inputs(op).items() if item.optional and item.kind == "float")


def _refused_inputs(base: Case, good: Good) -> tuple[str, ...]:
    """The absent inputs of a good case that are refused where they are present, each beside no other of them."""
    alone = ((name, tuple(other for other in base.absent if other != name)) for name in base.absent)
    return tuple(name for name, others in alone if name in base.items and not good(replace(base, absent=others)))


def _base(plain: Case, good: Good) -> Case | None:
    """The case at its defaults if that is good, or else the first good one with one or two attributes changed."""
    single = [(key, value) for key, attribute in plain.spec.attributes.items() for value in values_of(plain, attribute)]
    changes = itertools.chain(
        [{}],
        ({key: value} for key, value in single),
        (dict(pair) for pair in itertools.combinations(single, 2) if pair[0][0] != pair[1][0]),
    )
    cases = (plain.with_attributes(**change) for change in itertools.islice(changes, _MOST_TRIES))
    return next((case for case in cases if good(case)), None)


def values_of(case: Case, attribute: Attribute) -> Iterator[Any]:
    """Yield a value of an attribute for each level but the default's, and for a tuple for each level of each entry."""
    if attribute.is_tuple:
        for index in range(len(attribute.functions)):
            for level in entry_levels(attribute, index)[1:]:
                yield _with_entry(attribute.default, index, level)
    else:
        for level in levels_of(attribute)[1:]:
            yield _value(case, level)


def _value(case: Case, level: Level) -> Any:
    return level.value(stream(0, level.attribute), case.lengths_of)


def _with_entry(whole: tuple[Any, ...], index: int, level: Level) -> tuple[Any, ...]:
    return (*whole[:index], level.only, *whole[index + 1 :])


def _levels_where(base: Case, good: Good) -> AttributeLevels:
    """Levels of each attribute at which a call is good, with the other attributes as in the base."""
    levels: dict[str, tuple[Any, ...]] = {}
    for key, attribute in operation(base.operation).attributes.items():
        case = base.with_attributes(**_needed(base.operation, attribute, levels))
        if attribute.is_tuple:
            levels[key] = tuple(
                _good_levels(case, key, entry_levels(attribute, index), good, index)
                for index in range(len(attribute.functions))
            )
        else:
            levels[key] = _good_levels(case, key, levels_of(attribute), good)
    return levels


def _good_levels(case: Case, key: str, levels: Levels, good: Good, index: int | None = None) -> Levels:
    """Levels at which a call is good; of one of which a value is drawn, with the good values alone."""

    def fits(level: Level) -> bool:
        whole = case.attributes[key]
        value = _value(case, level) if index is None else _with_entry(whole, index, level)
        return good(case.with_attributes(**{key: value}))

    kept: list[Level] = []
    for level in levels:
        if not level.among:
            kept += [level] if fits(level) else []
        elif values := tuple(value for value in level.among if fits(among(level, (value,)))):
            kept.append(among(level, values))
    return tuple(kept)


def _needed(name: str, attribute: Attribute, levels: AttributeLevels) -> dict[str, Any]:
    """Values of other attributes that give an attribute a meaning, a good one if there is one."""
    needed, attributes = {}, operation(name).attributes
    for key, wanted in attribute.when.items():
        options = wanted if isinstance(wanted, list | tuple) else (wanted,)
        good = [level.only for level in levels.get(key, ()) if isinstance(level, Level)]
        value = next((option for option in options if option in good), options[0])
        needed[key] = attributes[key].a_number if value == "number" else value
    return needed


def _steps_where(base: Case, good: Good) -> tuple[Steps, ...]:
    """Kinds of steps with which all of several random calls are good."""
    return tuple(
        kind
        for kind in _kinds_of(base.spec)
        if all(good(replace(base, steps=kind, seed=seed).with_at_least(**NEEDS[kind])) for seed in range(PROBES))
    )


def _kinds_of(op: Operation) -> tuple[Steps, ...]:
    return KINDS_OF_STEPS if op.has_steps else ("all",)


def _all_levels(attribute: Attribute) -> Levels | tuple[Levels, ...]:
    if attribute.is_tuple:
        return tuple(entry_levels(attribute, index) for index in range(len(attribute.functions)))
    return levels_of(attribute)
