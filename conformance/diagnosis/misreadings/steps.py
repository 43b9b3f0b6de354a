"""Steps that count and should not, that do not and should, and outputs that are given at other steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import Change, Misreading, flipped, shown_as
from rnnspec.conformance.faults.altered import valid_of, with_inputs, with_steps
from rnnspec.spec.arrays import Array, NamedArrays

_GIVEN: Final = (("", ("lengths", "mask")), ("given lengths, ", ("lengths",)), ("given a mask, ", ("mask",)))
"""How steps may be given, in words, and the inputs that give them so."""


def misread(call: Call) -> Iterator[Misreading]:
    """Yield other sets of steps that may be taken to count, and other steps at which outputs may be given."""
    for what, change in _READINGS.items():
        for by, given in _GIVEN:
            alter = partial(_with_other_steps, change=change, given=given)
            over_zeros = partial(_over_zeros, change=change, given=given)
            yield Misreading(by + what, alter)
            yield Misreading(f"{by}{what} (what is given at padded steps is 0)", alter, _padded)
            yield Misreading(f"{by}{what} (where the padding is read as 0)", over_zeros)
            yield Misreading(f"{by}{what} (where the padding is read, and given, as 0)", over_zeros, _padded)
    for what in _OF_ALL_STEPS:
        alter = partial(_with_other_steps, change=_READINGS[what], given=None)
        yield Misreading(f"{what}, in calls without lengths and mask too", alter)
    outputs = call.spec.outputs_for(call.attributes)
    for name, item in outputs.items():
        if item.shape[:2] != ("B", "T"):
            continue
        yield shown_as(f"{name} is given in the order in which steps are read", name, partial(flipped, axis=1))
        for words, by_steps in (("late", 1), ("early", -1)):
            yield shown_as(f"{name} is given one step {words}", name, partial(np.roll, shift=by_steps, axis=1))
        yield Misreading(f"{name} keeps its last value at padded steps", outputs=partial(_held, name=name))
        for last in (other for other, result in outputs.items() if result.shape == ("B", *item.shape[2:])):
            for words, step in (("step T - 1", -1), ("step 0", 0)):
                at = partial(_at_step, name=name, last=last, step=step)
                yield Misreading(f"{last} is {name} at {words}", outputs=at)
    if any(name.endswith("_n") for name in outputs):
        for by, given in _GIVEN:
            words = f"{by}the state is 0 after a step that does not count"
            yield Misreading(words, partial(_begun_at_0, given=given), partial(_ended_at_0, given=given))
    if "direction" in call.attributes:
        words = "with direction=reverse, outputs are given in the order in which steps are read"
        yield Misreading(words, outputs=_in_reading_order)


# Sets of steps.


def _up_to_the_longest(valid: Array) -> Array:
    return np.broadcast_to(_filled(np.asarray(valid.any(axis=0, keepdims=True))), valid.shape)


def _as_the_first(valid: Array) -> Array:
    return np.broadcast_to(valid[:1], valid.shape)


def _as_the_shortest(valid: Array) -> Array:
    return np.broadcast_to(valid.all(axis=0), valid.shape)


def _filled(valid: Array) -> Array:
    return np.logical_or.accumulate(valid[:, ::-1], axis=1)[:, ::-1]


def _at_the_start(valid: Array) -> Array:
    return np.asarray(np.arange(valid.shape[1]) < valid.sum(axis=1, keepdims=True))


def _at_the_end(valid: Array) -> Array:
    return _at_the_start(valid)[:, ::-1]


def _up_to_a_hole(valid: Array) -> Array:
    return np.logical_and.accumulate(valid, axis=1)


def _without_the_last(valid: Array) -> Array:
    return np.asarray(valid & ~(np.cumsum(valid[:, ::-1], axis=1)[:, ::-1] == 1))


def _without_the_first(valid: Array) -> Array:
    return np.asarray(valid & ~(np.cumsum(valid, axis=1) == 1))


def _and_one_more(valid: Array) -> Array:
    return np.asarray(valid | np.pad(valid, ((0, 0), (1, 0)))[:, :-1])


def _never_none(valid: Array) -> Array:
    return np.asarray(valid | (~valid.any(axis=1, keepdims=True) & (np.arange(valid.shape[1]) == 0)))


def _one_late(valid: Array, first: bool | None = None) -> Array:
    """Each step as the one before it, and the first as it is itself, or as is said."""
    begin = valid[:, :1] if first is None else np.full_like(valid[:, :1], first)
    return np.concatenate([begin, valid[:, :-1]], axis=1)[:, : valid.shape[1]]


def _one_early(valid: Array, last: bool | None = None) -> Array:
    """Each step as the one after it, and the last as it is itself, or as is said."""
    return np.asarray(_one_late(valid[:, ::-1], last)[:, ::-1])


_READINGS: Final[dict[str, Change]] = {
    "every step counts: padding is not seen": np.ones_like,
    "all sequences are taken to be as long as the longest": _up_to_the_longest,
    "all sequences are taken to be as long as the first": _as_the_first,
    "all sequences are taken to be as long as the shortest": _as_the_shortest,
    "every step up to the last valid one counts: holes of the mask are not seen": _filled,
    "the valid steps are taken to stand first": _at_the_start,
    "the valid steps are taken to stand last": _at_the_end,
    "steps count up to the first hole of the mask": _up_to_a_hole,
    "the last valid step is left out": _without_the_last,
    "the first valid step is left out": _without_the_first,
    "one step too many counts": _and_one_more,
    "each step is masked as the one before it is": _one_late,
    "each step is masked as the one before it is, and the first counts": partial(_one_late, first=True),
    "each step is masked as the one before it is, and the first does not count": partial(_one_late, first=False),
    "each step is masked as the one after it is": _one_early,
    "each step is masked as the one after it is, and the last counts": partial(_one_early, last=True),
    "each step is masked as the one after it is, and the last does not count": partial(_one_early, last=False),
    "the mask is read the other way round": np.logical_not,
    "a sequence without a valid step is taken to have one": _never_none,
}
"""Sets of steps that may be taken to count, in words, made of those that do."""


_OF_ALL_STEPS: Final = (
    "the last valid step is left out",
    "the first valid step is left out",
    "the mask is read the other way round",
)
"""Those that change a set of all steps, as an adapter may give it where a call has none."""


def _with_other_steps(call: Call, change: Change, given: tuple[str, ...] | None) -> Call:
    """Return the call with another set of steps, where steps are given by one of these inputs, or in every call."""
    if given is not None and not any(name in call.inputs for name in given):
        return call
    return with_steps(call, change(valid_of(call)))


def _over_zeros(call: Call, change: Change, given: tuple[str, ...]) -> Call:
    """Return the call with another set of steps, and with inputs that are 0 at those that should not count."""
    items, valid = call.spec.inputs_for(call.attributes), valid_of(call)
    read = {
        name: np.where(_over(valid, array), array, 0)
        for name, array in call.float_inputs.items()
        if items[name].shape[:2] == ("B", "T")
    }
    return _with_other_steps(with_inputs(call, **read), change, given)


def _begun_at_0(call: Call, given: tuple[str, ...]) -> Call:
    """Return the call with initial states that are 0 where the step that is read first does not count."""
    if not any(name in call.inputs for name in given):
        return call
    states = [name for name, item in call.spec.inputs_for(call.attributes).items() if _is_state(item.shape, name, "0")]
    counts = _counts_at(call, first=True)
    return with_inputs(call, **{n: _where(counts, call.inputs[n]) for n in states if n in call.inputs})


# Outputs.


def _ended_at_0(call: Call, found: NamedArrays, given: tuple[str, ...]) -> NamedArrays:
    """Final states that are 0 where the step that is read last does not count."""
    if not any(name in call.inputs for name in given):
        return found
    items, counts = call.spec.outputs_for(call.attributes), _counts_at(call, first=False)
    return {n: _where(counts, a) if _is_state(items[n].shape, n, "_n") else a for n, a in found.items()}


def _is_state(shape: tuple[str, ...], name: str, ending: str) -> bool:
    return name.endswith(ending) and shape[:1] == ("B",)


def _counts_at(call: Call, *, first: bool) -> Array:
    """Whether the first or the last step that is read counts, by sequence."""
    valid = valid_of(call)
    is_at_the_start = first != (call.attributes.get("direction") == "reverse")
    return np.asarray((valid[:, :1] if is_at_the_start else valid[:, -1:]).all(axis=1))


def _where(counts: Array, array: Array) -> Array:
    return np.where(_over(counts, array), array, np.zeros_like(array))


def _over(valid: Array, array: Array) -> Array:
    """The valid steps, or sequences, with axes for all that an array has."""
    return valid.reshape(*valid.shape, *(1,) * (array.ndim - valid.ndim))


def _of_steps(call: Call, found: NamedArrays, change: Callable[[Array], Array]) -> NamedArrays:
    outputs = call.spec.outputs_for(call.attributes)
    return {name: change(a) if outputs[name].shape[:2] == ("B", "T") else a for name, a in found.items()}


def _padded(call: Call, found: NamedArrays) -> NamedArrays:
    """Outputs that are 0 at the steps that do not count."""
    valid = valid_of(call)
    return _of_steps(call, found, lambda array: np.where(_over(valid, array), array, 0))


def _in_reading_order(call: Call, found: NamedArrays) -> NamedArrays:
    if call.attributes["direction"] != "reverse":
        return found
    return _of_steps(call, found, lambda array: array[:, ::-1])


def _held(call: Call, found: NamedArrays, name: str) -> NamedArrays:
    valid, array = valid_of(call), found[name].copy()
    for step in range(1, valid.shape[1]):
        array[:, step][~valid[:, step]] = array[:, step - 1][~valid[:, step]]
    return {**found, name: array}


def _at_step(_: Call, found: NamedArrays, name: str, last: str, step: int) -> NamedArrays:
    return {**found, last: found[name][:, step]} if {name, last} <= found.keys() and found[name].shape[1] else found
