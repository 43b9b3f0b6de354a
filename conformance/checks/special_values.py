"""Check ``special_values``: NaN, infinities and the ends of the type, at one place of one input.

Judged is only what every right implementation must give. A result that a special value cannot reach (other sequences,
steps read before it) stays what it is without. Where a result depends on the value, and the reference has NaN for NaN,
a number would hide it. A result that does not depend on it may be NaN, by 0 times NaN, or its usual value: an
implementation may leave out the product with an absent state. Behind an infinity or the largest number, results are
judged where gates squash it; elsewhere two right formulas may differ, as ``x - log_sum_exp(x)`` and
``(x - max(x)) - log_sum_exp(x - max(x))`` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.regimes import activations_of, functions_of
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked, blamed_on, shapes_of
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.conformance.checks.right import OutOfRangeError, expected_from
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded, expect
from rnnspec.spec import Operation, operation, operations
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import RANGED

_LARGE: Final = ("inf", "-inf", "largest", "-largest")
_SMALL: Final = ("-0", "smallest", "-smallest")
SPECIAL: Final = ("nan", *_LARGE, *_SMALL)
"""Not a number; infinities and the largest finite numbers; minus zero and the smallest subnormal numbers."""

_BEYOND: Final = 2.0**100
"""Saturates every gate, as an infinity does; the reference's bounds can be worked out for it."""

_SQUASHING: Final = frozenset({"tanh", "logistic"})
_DIVIDING: Final = frozenset({"zeros", "clipping"})
"""Laws of operations that divide by a length, of which squares vanish below the smallest normal number."""


class SpecialValues(Check):
    """One special value in one place."""

    id = "special_values"
    about = (
        "NaN and infinities reach what depends on them, NaN never ends as a number, and none of them reaches "
        "another sequence or an earlier step; -0 and subnormal numbers change no more than rounding does"
    )
    why = "a bad sequence must show, and must not spoil its batch"
    calls = 6

    def applies_to(self, op: Operation) -> bool:
        """Operations that have a float input in which NaN is legal."""
        return bool(_legal(op)) and op.name not in _ITERATING

    def forced(self, scope: Scope) -> Sequence[Any]:
        """NaN in each input, and each other special value in one, all attributes at their defaults."""
        usual = usual_case(scope)
        others = [special for special in _specials(usual.spec) if special != "nan"]
        return [*((usual, "nan", name) for name in _open(usual)), *((usual, special, "") for special in others)]

    def of(self, case: Case, scope: Scope) -> tuple[Case, str, str]:
        """A case of ordinary numbers, a special one, and the input it goes to; "": one that the case's seed chooses."""
        specials = _specials(operation(scope.operation))
        usual = replace(case.with_at_least(B=2, T=1), regime="generic")
        return usual, specials[int(stream(case.seed, "special value").integers(len(specials)))], ""

    def examine(self, backend: Backend, example: tuple[Case, str, str]) -> float:
        """Put the value in one place that is read, and run and differentiate."""
        case, special, wanted = example
        name, place = place_of(case, special, wanted)
        asked = Asked(case, _with(case, name, place, _value(special, case)), case.cotangents)
        with blamed_on(f"with {name}{list(place)} = {special}: ", backend, case):
            if special in _SMALL:
                return asked.compare_all(backend)
            return _examine(backend, asked, special, name, place)


def _examine(backend: Backend, back: Asked, special: str, name: str, place: tuple[int, ...]) -> float:
    case, call = back.case, back.call
    outputs, inputs = case.results, case.items
    without = expected_from(backend, case)
    forward = Asked(case, call)
    found = forward.named(shapes_of(without.outputs), got := forward.of(backend))
    worst = 0.0
    if inputs[name].per_sequence:
        for key, bounded in without.outputs.items():
            far = _out_of_reach(case, outputs[key].shape, inputs[name].shape, place)
            worst = max(worst, _judge_where(far, forward, key, bounded, found[key]))
    if special == "nan" and spreads(case):
        for key, (due, free) in demanded(case, call, name, place).items():
            _must_be_nan(forward, key, due, found[key])
            number = free & ~np.isnan(found[key])
            worst = max(worst, _judge_where(number, forward, key, without.outputs[key], found[key]))
    elif special in _LARGE and _squashes(case) and name == "x":
        stand_in = _BEYOND if "inf" in special else format_of(case.dtype).largest
        wide = call.inputs["x"].astype(np.float64)
        wide[place] = np.copysign(stand_in, wide[place])
        expected = expect(replace(call, inputs={**call.inputs, "x": wide}), case.dtype, None, case.seed)
        # One number alone overflows, with no other of its kind to take it from, and a gate squashes it.
        if not replace(expected, overflowed=False).in_range:
            raise OutOfRangeError(str(case))
        worst = max(worst, forward.compare(expected.outputs, got))
    if not backend.has_gradients(call.operation):
        return worst
    gradients = back.named(shapes_of(without.gradients), back.of(backend))
    if inputs[name].per_sequence and "batch" in case.spec.laws:
        for key, bounded in without.gradients.items():
            if inputs[key].per_sequence:
                others = np.arange(len(bounded.value)) != place[0]
                worst = max(worst, _judge_where(others, back, back.quantity(key), bounded, gradients[key]))
    return worst


# The cases to judge.


def _out_of_reach(case: Case, shape: tuple[str, ...], of_input: tuple[str, ...], place: tuple[int, ...]) -> Array:
    """Which rows, or steps of rows, of an output the value cannot reach, as it stands in the sequence `place[0]`."""
    if shape[:1] != ("B",):
        return np.array(False)
    rows = np.asarray(np.arange(case.sizes["B"]) != place[0])
    if not case.spec.unrolls or shape[:2] != ("B", "T"):
        return rows
    steps = np.arange(case.sizes["T"])
    earlier = steps > place[1] if case.attributes["direction"] == "reverse" else steps < place[1]
    in_time = "T" in of_input  # a state is there from the beginning
    return np.asarray(rows[:, np.newaxis] | (earlier & in_time))


def _judge_where(where: Array, asked: Asked, quantity: str, expected: Bounded, got: Array) -> float:
    """Hold an array to what is right `where`, on its first axes, that is so; elsewhere it may be anything."""
    everywhere = where.reshape((*where.shape, *(1,) * (got.ndim - where.ndim)))
    judged = np.where(everywhere, got, expected.value.astype(got.dtype))
    return asked.judge(quantity, expected, judged)


def _must_be_nan(asked: Asked, quantity: str, where: Array, got: Array) -> None:
    hidden = np.argwhere(where & (got == got))
    if len(hidden):
        place = tuple(int(i) for i in hidden[0])
        message = f"{quantity}{list(place)}: expected nan, got {float(got[place]):.9g}"
        raise asked.violation(message, quantity)


def of_reference(call: Call) -> dict[str, Array]:
    """The reference's results of a call, in float64 and without any bound."""
    floats = call.float_inputs
    inputs = {name: array.astype(np.float64) if name in floats else array for name, array in call.inputs.items()}
    with np.errstate(all="ignore"):
        outputs = getattr(reference, call.operation)(**inputs, **call.attributes)
    return dict(zip(call.spec.outputs_for(call.attributes), outputs, strict=True))


def demanded(case: Case, call: Call, name: str, place: tuple[int, ...]) -> dict[str, tuple[Array, Array]]:
    """Where NaN in this place must come out, by output; and where NaN may, or else what comes without it.

    A result that is the same for several numbers there does not depend on it: if it is NaN for NaN, it is so by 0 times
    NaN.
    """
    value = float(case.call.inputs[name][place])
    several = [of_reference(_with(case, name, place, number)) for number in _others(value)]
    results = {}
    for key, of_nan in of_reference(call).items():
        first, *others = (outputs[key] for outputs in several)
        free = np.all([first == other for other in others], axis=0)
        results[key] = np.isnan(of_nan) & ~free, free
    return results


def _others(value: float) -> tuple[float, ...]:
    """Numbers to put in the place of another, none of which rounds any of the others away."""
    return value, value + 0.5, 1 - value, 4 * value + 3


def spreads(case: Case) -> bool:
    """Whether NaN comes out wherever the reference has it: no choice, threshold or dropped unit may leave it out."""
    chooses = any(output.kind == "ids" for output in case.results.values())
    drops = any(case.items[name].kind == "bits" for name in case.call.inputs)
    flat = any(one.flat for one in activations_of(case.spec, case.attributes))
    cuts = flat or case.attributes.get("clip") is not None
    return not (chooses or drops or cuts or "clipping" in case.spec.laws)


def _squashes(case: Case) -> bool:
    """Whether the input is seen through gates alone, which saturate."""
    recurrent = case.spec.unrolls or any(op.unrolls == case.operation for op in operations().values())
    return bool(recurrent) and "gain" not in case.items and functions_of(case.spec, case.attributes) <= _SQUASHING


# Where the value goes.


_ITERATING: Final = frozenset({"recurrent_power_spectrum", "state_jacobian"})
"""Operations that give singular values: they are found by an iteration that ends in an error for NaN, which is loud."""


def _legal(op: Operation) -> list[str]:
    """Float inputs in which any number is legal."""
    return [name for name, item in op.inputs.items() if item.kind == "float" and item.domain not in RANGED]


def _specials(op: Operation) -> tuple[str, ...]:
    """Special values that something is known of, for this operation."""
    large = _LARGE if any(op.inputs[name].per_sequence for name in _legal(op)) else ()
    return ("nan", *large, *(_SMALL if not _DIVIDING & set(op.laws) else _SMALL[:1]))


def _open(case: Case) -> list[str]:
    """Float inputs of a call in which any number is legal."""
    return [name for name in case.call.float_inputs if case.items[name].domain not in RANGED]


def place_of(case: Case, special: str, wanted: str) -> tuple[str, tuple[int, ...]]:
    """An input, and a place there that is read; infinities in parameters may be anything to each formula."""
    rng = np.random.default_rng(case.seed)
    places: dict[str, Array] = {}
    for name in _open(case):
        item, array = case.items[name], case.call.inputs[name]
        if wanted not in ("", name) or (special in _LARGE and not item.per_sequence):
            continue
        read = np.ones(array.shape, np.bool_)
        if item.shape[:2] == ("B", "T"):
            read[~case.valid] = False
        if read.any():
            places[name] = np.argwhere(read)
    if not places:
        raise OutOfRangeError(str(case))
    name = str(rng.choice(list(places)))
    return name, tuple(int(i) for i in places[name][rng.integers(len(places[name]))])


def _value(special: str, case: Case) -> float:
    form = format_of(case.dtype)
    smallest = float(np.nextafter(form.dtype.type(0), form.dtype.type(1)))
    magnitudes = {"nan": np.nan, "inf": np.inf, "largest": form.largest, "0": 0.0, "smallest": smallest}
    magnitude = magnitudes[special.removeprefix("-")]
    return -magnitude if special.startswith("-") else magnitude


def _with(case: Case, name: str, place: tuple[int, ...], value: float) -> Call:
    array = case.call.inputs[name].copy()
    array[place] = value
    return replace(case.call, inputs={**case.call.inputs, name: array})
