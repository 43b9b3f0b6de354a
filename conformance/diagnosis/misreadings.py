"""Ways to misread a call, or to hand out its results wrongly, that are no change of an equation.

A misreading alters the call that is computed, shows other results than were computed, or both: a weight is transposed,
gates stand in another order, an attribute or the lengths are not read, an output is given at another step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.cases import levels_of
from rnnspec.spec import Operation, check_call, resolved
from rnnspec.spec.arrays import Array, NamedArrays

Altering = Callable[[Call], Call]
Showing = Callable[[Call, NamedArrays], NamedArrays]
"""What is handed out in the place of results, by name, of a call."""

MOST_GATES: Final = 4
"""Gates of which every order is tried; of more, those in which two have changed places."""


def _as_it_is(call: Call) -> Call:
    return call


def _as_they_are(call: Call, found: NamedArrays) -> NamedArrays:
    return found


@dataclass(frozen=True, eq=False)
class Misreading:
    """One way: what it is in words, the call that is computed, and what is shown of its outputs or its gradients."""

    text: str
    alter: Altering = _as_it_is
    outputs: Showing = _as_they_are
    gradients: Showing = _as_they_are


def misreadings(op: Operation, call: Call) -> Iterator[Misreading]:
    """Yield every misreading that may be told from right at a call like this one, simple ones first."""
    yield from _of_inputs(op, call)
    yield from _of_gates(op, call)
    yield from _of_attributes(op, call)
    if op.has_steps:
        yield from _of_steps(op, call)
    yield from _of_batches(op, call)
    yield from _of_outputs(op, call)


def wrong_gradients(op: Operation, call: Call) -> Iterator[Misreading]:
    """Yield ways to hand out right gradients wrongly, or to read their cotangents so."""
    whole = resolved(op, call.attributes)
    items = whole.inputs_for(call.attributes)
    names = list(call.float_inputs)
    for name in names:
        yield _shown_gradient(f"d{name} is 0", name, lambda d: 0 * d)
        yield _shown_gradient(f"d{name} is doubled", name, lambda d: 2 * d)
        yield _shown_gradient(f"d{name} has the other sign", name, lambda d: -d)
        if call.inputs[name].ndim >= 2 and call.inputs[name].shape[-1] == call.inputs[name].shape[-2]:
            yield _shown_gradient(f"d{name} is transposed", name, lambda d: d.swapaxes(-1, -2))
        if not items[name].per_sequence and "B" in whole.sizes:
            yield _averaged(name)
    yield _averaged(*(name for name in names if not items[name].per_sequence))
    for one, other in combinations(names, 2):
        if call.inputs[one].shape == call.inputs[other].shape:
            yield Misreading(f"d{one} and d{other} are exchanged", gradients=_exchanged(one, other))
    for order, words in _orders(whole.gates_for(call.attributes)):
        for name in names:
            if "G" in items[name].shape:
                axis = items[name].shape.index("G")
                yield _shown_gradient(f"the gates of d{name} are given in the order {words}", name, _taken(order, axis))


def _averaged(*names: str) -> Misreading:
    text = f"the gradient of {', '.join(names)} is the mean over the sequences, where it is their sum"

    def show(call: Call, found: NamedArrays) -> NamedArrays:
        batch = next(array.shape[0] for name, array in call.inputs.items() if call.spec.inputs[name].per_sequence)
        return {name: array / batch if name in names else array for name, array in found.items()}

    return Misreading(text, gradients=show)


def _shown_gradient(text: str, name: str, change: Callable[[Array], Array]) -> Misreading:
    return Misreading(text, gradients=lambda _, found: {**found, name: change(found[name])})


def _with(call: Call, **changed: Array) -> Call:
    return Call(call.operation, {**call.inputs, **changed}, call.attributes)


def _changed(text: str, name: str, change: Callable[[Array], Array]) -> Misreading:
    """One input is read otherwise."""

    def alter(call: Call) -> Call:
        return _with(call, **{name: change(call.inputs[name])}) if name in call.inputs else call

    return Misreading(text, alter)


def _of_inputs(op: Operation, call: Call) -> Iterator[Misreading]:
    floats = call.float_inputs
    for name, array in floats.items():
        yield _changed(f"{name} is not read: it is taken as 0", name, lambda a: 0 * a)
        yield _changed(f"{name} counts twice", name, lambda a: 2 * a)
        yield _changed(f"{name} has the other sign", name, lambda a: -a)
        for axis in range(array.ndim - 1):
            if array.shape[axis] == array.shape[axis + 1] and array.shape[axis] > 1:
                words = f"{name} is transposed" + f" (axes {axis} and {axis + 1})" * (array.ndim > 2)
                yield _changed(words, name, lambda a, axis=axis: a.swapaxes(axis, axis + 1))
        for axis in range(array.ndim):
            if array.shape[axis] > 1:
                yield _changed(
                    f"{name} is read backwards along axis {axis}", name, lambda a, axis=axis: np.flip(a, axis)
                )
            if array.ndim > 1 and array.shape[axis] > 1:
                words = f"{name} is read as the first of its axis {axis} everywhere"
                yield _changed(words, name, lambda a, axis=axis: _first(a, axis))
    for one, other in combinations(floats, 2):
        if floats[one].shape == floats[other].shape:
            yield Misreading(f"{one} and {other} are exchanged", _inputs_exchanged(one, other))
            yield Misreading(f"{one} is read in the place of {other}", _read_for(one, other))
            yield Misreading(f"{other} is read in the place of {one}", _read_for(other, one))


def _first(array: Array, axis: int) -> Array:
    return np.repeat(array.take([0], axis), array.shape[axis], axis)


def _inputs_exchanged(one: str, other: str) -> Altering:
    def alter(call: Call) -> Call:
        if one not in call.inputs or other not in call.inputs:
            return call
        return _with(call, **{one: call.inputs[other], other: call.inputs[one]})

    return alter


def _read_for(source: str, name: str) -> Altering:
    def alter(call: Call) -> Call:
        return _with(call, **{name: call.inputs[source]}) if {source, name} <= call.inputs.keys() else call

    return alter


def _of_gates(op: Operation, call: Call) -> Iterator[Misreading]:
    """Gates in another order on the axis that parameters have for them, in all of these or in one."""
    whole = resolved(op, call.attributes)
    items = whole.inputs_for(call.attributes)
    axes = {name: items[name].shape.index("G") for name in call.float_inputs if "G" in items[name].shape}
    for order, words in _orders(whole.gates_for(call.attributes)):
        yield Misreading(f"gates are read in the order {words}", _taken_of(axes, order))
        if len(axes) > 1:
            for name, axis in axes.items():
                yield Misreading(f"the gates of {name} are read in the order {words}", _taken_of({name: axis}, order))
    for name in call.float_inputs:
        rows = items[name].rows
        if rows:
            axis = items[name].shape.index(str(len(rows)))
            for order, words in _orders(tuple(rows)):
                yield Misreading(f"the rows of {name} are read in the order {words}", _taken_of({name: axis}, order))


def _orders(names: Sequence[str]) -> Iterator[tuple[list[int], str]]:
    """Yield every other order of gates, and its words; of many, those in which two have changed places."""
    usual = list(range(len(names)))
    if len(names) <= MOST_GATES:
        orders = [list(order) for order in permutations(usual)][1:]
    else:
        orders = [[{a: b, b: a}.get(place, place) for place in usual] for a, b in combinations(usual, 2)]
    for order in orders:
        yield order, ", ".join(names[place] for place in order)


def _taken(order: Sequence[int], axis: int) -> Callable[[Array], Array]:
    return lambda array: array.take(order, axis) if array.shape[axis] == len(order) else array


def _taken_of(axes: Mapping[str, int], order: Sequence[int]) -> Altering:
    def alter(call: Call) -> Call:
        return _with(call, **{n: _taken(order, axis)(call.inputs[n]) for n, axis in axes.items() if n in call.inputs})

    return alter


def _of_attributes(op: Operation, call: Call) -> Iterator[Misreading]:
    """An attribute is taken at another value than the call gives it."""
    for name, attribute in op.attributes.items():
        if attribute.is_tuple:
            yield Misreading(
                f"{name} is not read: it is taken as {_told(attribute.default)}", _taking(name, attribute.default)
            )
            for place, function in enumerate(attribute.functions):
                for value in attribute.values:
                    words = f"the function {function} is not read: it is taken as {value}"
                    yield Misreading(words, _taking_entry(name, place, value))
            for one, other in combinations(range(len(attribute.functions)), 2):
                words = f"the entries {one} and {other} of {name} are exchanged"
                yield Misreading(words, _entries_exchanged(name, one, other))
            continue
        values = [level.only for level in levels_of(attribute) if not level.is_drawn]
        for value in dict.fromkeys((attribute.default, *values)):
            usual = "it is taken as" if value == attribute.default else "it is always taken as"
            yield Misreading(f"{name} is not read: {usual} {_told(value)}", _taking(name, value))
        if not attribute.domain and len(values) == 2:
            yield Misreading(f"{name} is read the other way round", _taking_other(name, values))


def _taking(name: str, value: Any) -> Altering:
    def alter(call: Call) -> Call:
        return Call(call.operation, call.inputs, {**call.attributes, name: value})

    return alter


def _taking_entry(name: str, place: int, value: Any) -> Altering:
    def alter(call: Call) -> Call:
        entries = list(call.attributes[name])
        entries[place] = value
        return Call(call.operation, call.inputs, {**call.attributes, name: tuple(entries)})

    return alter


def _taking_other(name: str, values: Sequence[Any]) -> Altering:
    def alter(call: Call) -> Call:
        other = values[1 - values.index(call.attributes[name])]
        return Call(call.operation, call.inputs, {**call.attributes, name: other})

    return alter


def _entries_exchanged(name: str, one: int, other: int) -> Altering:
    def alter(call: Call) -> Call:
        entries = list(call.attributes[name])
        entries[one], entries[other] = entries[other], entries[one]
        return Call(call.operation, call.inputs, {**call.attributes, name: tuple(entries)})

    return alter


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def valid_of(call: Call) -> Array:
    """Return the valid steps of a call, (B, T)."""
    valid = check_call(call.operation, call.inputs, call.attributes).valid
    assert valid is not None  # the operation has steps
    return np.array(valid)


def _with_steps(call: Call, valid: Array) -> Call:
    others = {name: array for name, array in call.inputs.items() if name not in ("lengths", "mask")}
    return Call(call.operation, {**others, "mask": valid} if "mask" in call.spec.inputs else others, call.attributes)


def _stepping(change: Callable[[Array], Array], given: Collection[str]) -> Altering:
    """Another set of steps counts, where steps are given by one of these inputs."""

    def alter(call: Call) -> Call:
        return _with_steps(call, change(valid_of(call))) if any(name in call.inputs for name in given) else call

    return alter


def _over_zeros(change: Callable[[Array], Array], given: Collection[str]) -> Altering:
    """Another set of steps counts, and the inputs of steps that should not are 0."""
    step = _stepping(change, given)

    def alter(call: Call) -> Call:
        items, valid = call.spec.inputs_for(call.attributes), valid_of(call)
        read = {
            name: np.where(valid.reshape(*valid.shape, *(1,) * (array.ndim - 2)), array, 0)
            for name, array in call.float_inputs.items()
            if items[name].shape[:2] == ("B", "T")
        }
        return step(_with(call, **read))

    return alter


def _of_steps(op: Operation, call: Call) -> Iterator[Misreading]:
    readings: list[tuple[str, Callable[[Array], Array]]] = [
        ("every step counts: padding is not seen", np.ones_like),
        (
            "all sequences are taken to be as long as the longest",
            lambda v: np.broadcast_to(v.any(axis=0)[::-1].cumsum()[::-1] > 0, v.shape),
        ),
        ("all sequences are taken to be as long as the first", lambda v: np.broadcast_to(v[:1], v.shape)),
        ("all sequences are taken to be as long as the shortest", lambda v: np.broadcast_to(v.all(axis=0), v.shape)),
        ("every step up to the last valid one counts: holes of the mask are not seen", _filled),
        ("the valid steps are taken to stand first: their number alone is read", _first_ones),
        ("the valid steps are taken to stand last", lambda v: _first_ones(v)[:, ::-1]),
        ("steps count up to the first hole of the mask", lambda v: np.logical_and.accumulate(v, axis=1)),
        ("one step too few counts", lambda v: v & ~_last_ones(v)),
        ("the first valid step is left out", lambda v: v & ~_last_ones(v[:, ::-1])[:, ::-1]),
        ("one step too many counts", lambda v: v | np.pad(v, ((0, 0), (1, 0)))[:, :-1]),
        ("the mask is read the other way round", np.logical_not),
        (
            "a sequence without a valid step is taken to have one",
            lambda v: v | (~v.any(axis=1, keepdims=True) & (np.arange(v.shape[1]) == 0)),
        ),
    ]
    for text, change in readings:
        for by, given in (("", ("lengths", "mask")), ("given lengths, ", ("lengths",)), ("given a mask, ", ("mask",))):
            yield Misreading(by + text, _stepping(change, given))
            yield Misreading(f"{by}{text} (what is given at padded steps is 0)", _stepping(change, given), _padded)
            yield Misreading(f"{by}{text} (where the padding is read as 0)", _over_zeros(change, given))
            words = f"{by}{text} (the padding is read as 0, and what is given at padded steps is 0)"
            yield Misreading(words, _over_zeros(change, given), _padded)
    names = [
        name
        for name, item in resolved(op, call.attributes).outputs_for(call.attributes).items()
        if item.kind == "float" and "T" not in item.shape
    ]
    outputs = resolved(op, call.attributes).outputs_for(call.attributes)
    if "y" in outputs and "h_n" in outputs:
        yield Misreading(
            "h_n is y at step T - 1",
            outputs=lambda _, found: (
                {**found, "h_n": found["y"][:, -1]}
                if found["y"].shape[1] and found["y"][:, -1].shape == found["h_n"].shape
                else found
            ),
        )
        yield Misreading(
            "h_n is y at step 0",
            outputs=lambda _, found: (
                {**found, "h_n": found["y"][:, 0]}
                if found["y"].shape[1] and found["y"][:, 0].shape == found["h_n"].shape
                else found
            ),
        )
    for name, item in outputs.items():
        if item.shape[:2] == ("B", "T"):
            yield _shown(f"{name} is given in the order in which steps are read", name, lambda a: a[:, ::-1])
            yield _shown(f"{name} is given one step late", name, lambda a: np.roll(a, 1, axis=1))
            yield _shown(f"{name} is given one step early", name, lambda a: np.roll(a, -1, axis=1))
            yield Misreading(f"{name} keeps its last value at padded steps", outputs=_held(name))
    if "direction" in op.attributes:
        yield Misreading(
            "with direction=reverse, outputs are given in the order in which steps are read", outputs=_reading_order
        )
    del names


def _filled(valid: Array) -> Array:
    return np.logical_or.accumulate(valid[:, ::-1], axis=1)[:, ::-1]


def _first_ones(valid: Array) -> Array:
    return np.asarray(np.arange(valid.shape[1]) < valid.sum(axis=1, keepdims=True))


def _last_ones(valid: Array) -> Array:
    """The last valid step of each sequence."""
    after = np.cumsum(valid[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(valid & (after == 1))


def _padded(call: Call, found: NamedArrays) -> NamedArrays:
    """Outputs that are 0 at the steps that do not count."""
    valid, outputs = valid_of(call), call.spec.outputs_for(call.attributes)
    return {
        name: np.where(valid.reshape(*valid.shape, *(1,) * (array.ndim - 2)), array, 0)
        if outputs[name].shape[:2] == ("B", "T")
        else array
        for name, array in found.items()
    }


def _held(name: str) -> Showing:
    def show(call: Call, found: NamedArrays) -> NamedArrays:
        valid, array = valid_of(call), found[name].copy()
        for step in range(1, valid.shape[1]):
            array[:, step][~valid[:, step]] = array[:, step - 1][~valid[:, step]]
        return {**found, name: array}

    return show


def _reading_order(call: Call, found: NamedArrays) -> NamedArrays:
    if call.attributes["direction"] != "reverse":
        return found
    outputs = call.spec.outputs_for(call.attributes)
    return {n: a[:, ::-1] if outputs[n].shape[:2] == ("B", "T") else a for n, a in found.items()}


def _of_batches(op: Operation, call: Call) -> Iterator[Misreading]:
    whole = resolved(op, call.attributes)
    items = whole.inputs_for(call.attributes)
    rows = [name for name in call.inputs if items[name].per_sequence]
    for name in rows:
        if len(call.inputs[name]) > 1 and call.inputs[name].ndim == 1:
            yield _changed(f"{name} of the first sequence is read for all", name, lambda a: _first(a, 0))
    if rows and all(len(call.inputs[name]) > 1 for name in rows):
        yield Misreading(
            "the first sequence is computed for all",
            lambda call: _with(
                call,
                **{
                    name: _first(call.inputs[name], 0)
                    for name in rows
                    if name in call.inputs and len(call.inputs[name])
                },
            ),
        )
        yield Misreading(
            "the last sequence is computed for all",
            lambda call: _with(
                call,
                **{
                    name: _first(call.inputs[name][::-1], 0)
                    for name in rows
                    if name in call.inputs and len(call.inputs[name])
                },
            ),
        )


def _of_outputs(op: Operation, call: Call) -> Iterator[Misreading]:
    outputs = resolved(op, call.attributes).outputs_for(call.attributes)
    for name, item in outputs.items():
        if item.kind == "float":
            yield _shown(f"{name} is 0", name, lambda a: 0 * a)
            yield _shown(f"{name} is doubled", name, lambda a: 2 * a)
            yield _shown(f"{name} has the other sign", name, lambda a: -a)
        for axis in range(len(item.shape)):
            words = f"{name} is given backwards along axis {axis}"
            yield _shown(words, name, lambda a, axis=axis: np.flip(a, axis) if axis < a.ndim else a)
        for axis in range(len(item.shape) - 1):
            yield _shown(
                f"{name} is transposed (axes {axis} and {axis + 1})",
                name,
                lambda a, axis=axis: a.swapaxes(axis, axis + 1),
            )
    for one, other in combinations(outputs, 2):
        if outputs[one].kind == outputs[other].kind:
            yield Misreading(f"{one} and {other} are exchanged", outputs=_exchanged(one, other))
            yield Misreading(f"{one} is given in the place of {other}", outputs=_given_for(one, other))
            yield Misreading(f"{other} is given in the place of {one}", outputs=_given_for(other, one))
    if op.has_steps:
        for name, item in resolved(op, call.attributes).inputs_for(call.attributes).items():
            if item.kind == "float" and item.per_sequence and name in call.inputs:
                for result, output in outputs.items():
                    if output.shape == item.shape:
                        yield Misreading(
                            f"{result} is {name}, as it was given",
                            outputs=lambda call, found, name=name, result=result: {
                                **found,
                                result: call.inputs.get(name, found[result]),
                            },
                        )


def _shown(text: str, name: str, change: Callable[[Array], Array]) -> Misreading:
    return Misreading(text, outputs=lambda _, found: {**found, name: change(found[name])} if name in found else found)


def _exchanged(one: str, other: str) -> Showing:
    return lambda _, found: {**found, one: found[other], other: found[one]} if {one, other} <= found.keys() else found


def _given_for(source: str, name: str) -> Showing:
    return lambda _, found: {**found, name: found[source]} if {source, name} <= found.keys() else found
