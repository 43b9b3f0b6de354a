"""Check ``drawn``: the laws of dropout whose masks a library draws itself.

A result of chance has no right number. The mask is therefore read off a call that shows it: its outputs are exactly 0
where a unit is dropped. Given its mask, each call has a right result, which the reference computes as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, Drawing
from rnnspec.backends.drawing import Masks, masks_of
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked, prefixed_by
from rnnspec.conformance.checks.chance import are_the_same, binomial_interval
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec import Operation, operation
from rnnspec.spec.arrays import Array, NamedArrays

RATES: Final = (0.25, 0.625)
"""Rates that every type holds exactly; neither is the share that it keeps."""

NOTHING: Final = 0.0
EVERYTHING: Final = 0.5
"""The rate of the case at which nothing is drawn, and of the one of which no unit is kept: the library's is then 1."""

SIZES: Final = {"B": 8, "T": 8, "D": 12, "H": 12, "L": 2}
WIDE: Final = {**SIZES, "D": 64, "H": 64}
"""Sizes where one mask holds for all steps: there are more choices among other units in its place."""

LAYERS: Final = ("rnn", "lstm", "gru")
"""The layers that stacks are made of."""

SHUT: Final = -1000.0
"""The bias of a gate that is then 0, and not only nearly."""

_SMALL: Final = 2.0**-7
"""A factor of weights beside which a bias decides."""

EACH: Final = "a mask for each step"
ALL: Final = "one mask for all steps"

OF_ZONEOUT: Final = {
    "off in evaluation": "evaluation takes the expectation",
    "rate 0 drops nothing": "rate 0 renews everything",
    "rate 1 drops everything": "rate 1 renews nothing",
    "kept units are divided by 1 - p": "each unit is the old or the new one",
}
"""Laws of units that are kept as they were, in the place of those of units that are dropped."""

Example = tuple[Case, str]
"""A case, and the masks that are to be drawn: EACH or ALL."""


class Drawn(Check):
    """Calls of which the library draws the masks."""

    id = "drawn"
    about = (
        "masks that the library draws drop nothing in evaluation or at rate 0, and all at rate 1; what they keep is "
        "divided by 1 - p; they drop as many as the rate says, each sequence, step and unit for itself, or the same "
        "units at every step where that is asked for; states and the outputs of the last layer are not touched; one "
        "seed repeats a mask, and other calls have others"
    )
    why = "no reference has the numbers of chance, and networks train with wrong dropout too"
    law = "drawn"
    by_case = False
    needs_drawing = True

    def without_deck(self, scope: Scope, seed: int) -> Sequence[Example]:
        """Each kind of layer, with masks for each step and with one for all, at each rate."""
        number = int(stream(seed, "drawn").integers(2**31))
        return [
            (replace(_case(scope, choices, rate, wide=masks == ALL), seed=number), masks)
            for choices, masks in _choices(operation(scope.operation))
            for rate in (NOTHING, *RATES, EVERYTHING)
        ]

    def examine(self, backend: Backend, example: Example) -> float:
        """Ask for what the case's rate is there for."""
        drawn = _Drawn(backend, *example)
        if drawn.rate == NOTHING:
            return drawn.without_masks()
        return drawn.with_everything_dropped() if drawn.rate == EVERYTHING else drawn.with_masks()


def _choices(op: Operation) -> Iterator[tuple[dict[str, Any], str]]:
    """Attributes that differ from their defaults, and the masks."""
    if "shared_over" in op.attributes:
        yield from (({"shared_over": over}, masks) for over, masks in (("none", EACH), ("time", ALL)))
    elif "layer" in op.attributes:
        yield from (({"layer": layer}, masks) for masks in (EACH, ALL) for layer in LAYERS)
    else:
        yield {}, ALL


def _case(scope: Scope, choices: Mapping[str, Any], rate: float, *, wide: bool) -> Case:
    """A case with a mask, states, and no parameter that a library may not have."""
    op = operation(scope.operation)
    attributes = {**op.defaults(), **choices, _masks(op.name).rate: rate}
    case = Case(op.name, scope.dtype, WIDE if wide else SIZES, attributes)
    absent = (name for name, item in case.items.items() if item.optional and item.kind == "float")
    return replace(case, absent=tuple(name for name in absent if not case.items[name].per_sequence))


def _masks(operation: str) -> Masks:
    masks = masks_of(operation)
    assert masks is not None  # the operation has the law
    return masks


@dataclass(frozen=True)
class _Drawn:
    """The library as it draws the masks of one case."""

    backend: Backend
    case: Case
    drawn: str

    # Laws.

    def without_masks(self) -> float:
        """In evaluation, and at rate 0, nothing is dropped."""
        inputs, right = self.case.given.inputs, _Right(self.case, self.call(self.case.given.inputs))
        evaluated = right
        if self.masks.mixes:
            attributes = {**self.attributes, self.masks.rate: RATES[-1]}
            evaluated = _Right(self.case, Call(self.case.operation, inputs, attributes))
        worst = evaluated.judge(self.law("off in evaluation"), self.came(inputs, RATES[-1], training=False))
        return max(worst, right.judge(self.law("rate 0 drops nothing"), self.came(inputs, 0.0)))

    def with_everything_dropped(self) -> float:
        """At rate 1, the result is that of a mask that keeps nothing."""
        inputs = self.case.given.inputs
        right = _Right(self.case, self.call(inputs, ~self.everything))
        return right.judge(self.law("rate 1 drops everything"), self.came(inputs, 1.0))

    def with_masks(self) -> float:
        """Draw masks, in calls that show them and in another."""
        rate = self.rate
        seed, other = (int(number) for number in stream(self.case.seed, f"masks at {rate}").integers(2**31, size=2))
        showing = _showing(self.case)
        first, *others = (self.came(showing, rate, number) for number in (seed, None, seed, other))
        asked = Asked(self.case, self.call(showing))
        seen, further, again, elsewhere = (_seen(self.case, showing, came["y"]) for came in (first, *others))
        if not np.array_equal(seen, again):
            raise asked.violation("one seed repeats: expected the same mask of the same seed, got another", "y")
        for mask, told in ((further, "the next call"), (elsewhere, "another seed")):
            if np.array_equal(seen, mask):
                raise asked.violation(f"two calls differ: expected another mask in {told}, got the same", "y")
        usual = self.came(self.case.given.inputs, rate, seed)
        if self.stacked and np.mean(usual["y"] == 0) > rate / 2:
            message = "none after the last layer: expected outputs other than 0, got dropped ones"
            raise asked.violation(message, "y")
        choices = self.must_be_shared(asked, seen)
        keep = choices[:, np.newaxis] if self.stacked else choices
        if self.stacked and self.drawn == ALL:
            keep = np.repeat(keep[:, :, np.newaxis], self.case.sizes["T"], axis=2)
        shown, same = (_Right(self.case, self.call(inputs, keep)) for inputs in (showing, self.case.given.inputs))
        worst = same.judge_first_layer("states are not touched", usual) if self.stacked else 0.0
        worst = max(worst, shown.judge(self.law("kept units are divided by 1 - p"), first))
        self.must_be_drawn(asked, choices, rate)
        return max(worst, same.judge("nothing else is touched", usual))

    def must_be_shared(self, asked: Asked, seen: Array) -> Array:
        """Return the choices that a mask consists of: one for all steps, if they share it."""
        if self.drawn == EACH or seen.ndim == 2:
            return seen
        if not (seen == seen[:, :1]).all():
            raise asked.violation("the same over time: expected one mask for all steps, got several", "y")
        return np.ascontiguousarray(seen[:, 0])

    @staticmethod
    def must_be_drawn(asked: Asked, choices: Array, rate: float) -> None:
        """As many are kept as the rate says, and none of them because another is."""
        axes = ("sequences", "steps", "units") if choices.ndim == 3 else ("sequences", "units")
        for axis, name in enumerate(axes):
            rows = np.moveaxis(choices, axis, 0).reshape(choices.shape[axis], -1)
            if found := are_the_same(rows, rate):
                told = f"expected masks of their own for {name}, but {found}"
                raise asked.violation(f"each for itself: {told}", "y")
        least, most = binomial_interval(choices.size, 1 - rate)
        kept = int(choices.sum())
        if not least <= kept <= most:
            told = f"expected {least} to {most} of {choices.size} units kept at rate {rate}, got {kept}"
            raise asked.violation(f"the share: {told}", "y")

    # Calls.

    @property
    def masks(self) -> Masks:
        """The mask and the rate of the operation."""
        return _masks(self.case.operation)

    @property
    def stacked(self) -> bool:
        """Whether the mask stands between layers."""
        return "A" in self.case.spec.sizes

    def law(self, of_dropout: str) -> str:
        """The name of a law of dropout, or of its like for states that are mixed."""
        return OF_ZONEOUT[of_dropout] if self.masks.mixes else of_dropout

    @property
    def rate(self) -> float:
        """The rate of the case."""
        return float(self.case.attributes[self.masks.rate])

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of a call with a mask."""
        return {**self.case.attributes, self.masks.rate: None} if self.masks.mixes else self.case.attributes

    @property
    def everything(self) -> Array:
        """The mask that keeps everything."""
        items = self.case.spec.inputs_for(self.attributes)
        return np.ones(self.case.shape_of(items[self.masks.mask].shape), np.bool_)

    def call(self, inputs: Mapping[str, Array], keep: Array | None = None) -> Call:
        """The case's call with these inputs and this mask, by default one that keeps everything."""
        mask = self.everything if keep is None else keep
        arrays = {name: array.copy() for name, array in inputs.items()} | {self.masks.mask: mask}
        return Call(self.case.operation, arrays, self.attributes)

    def came(
        self, inputs: Mapping[str, Array], rate: float, seed: int | None = 0, *, training: bool = True
    ) -> dict[str, Array]:
        """The library's outputs by name; Violation unless they have the right form."""
        call = self.call(inputs)
        drawing = Drawing(rate, training, seed, "time" if self.masks.at_each_step and self.drawn == ALL else "none")
        outputs = self.backend.drawn(call, drawing)
        shapes = {name: self.case.shape_of(output.shape) for name, output in self.case.results.items()}
        return Asked(self.case, call).named(shapes, outputs)


@dataclass(frozen=True)
class _Right:
    """A call whose mask is known, and its right results."""

    case: Case
    call: Call

    @cached_property
    def outputs(self) -> dict[str, Bounded]:
        """The right outputs by name; OutOfRangeError if the case's type cannot hold them."""
        return Asked(self.case, self.call).right().outputs

    def judge(self, law: str, came: Mapping[str, Array]) -> float:
        """Compare all outputs."""
        with prefixed_by(f"{law}: "):
            return Asked(self.case, self.call).compare(self.outputs, tuple(came.values()))

    def judge_first_layer(self, law: str, came: Mapping[str, Array]) -> float:
        """Compare the final states of a stack's first layer, which no dropout reaches."""
        asked, worst = Asked(self.case, self.call), 0.0
        with prefixed_by(f"{law}: "):
            for name, bounded in self.outputs.items():
                if name != "y":
                    bound = np.array(bounded.bound)
                    bound[:, 1:] = np.inf
                    worst = max(worst, asked.judge(name, Bounded(bounded.value, bound), came[name]))
        return worst


# Calls that show their masks.


def _showing(case: Case) -> NamedArrays:
    """Inputs of which the outputs are exactly 0 where a unit is dropped, and nowhere else."""
    inputs = {name: array.copy() for name, array in case.given.inputs.items()}
    if case.spec.unrolls:
        _show_the_first_state(inputs)
    elif "h_prev" in inputs:  # the new state is above 0, and the old one below
        inputs["h"], inputs["h_prev"] = (
            sign * _away_from_0(np.abs(inputs[name])) for sign, name in ((1, "h"), (-1, "h_prev"))
        )
    elif "A" in case.spec.sizes:
        _show_what_lies_below(inputs, case.spec.gates, case.spec.memory_gate)
    else:
        inputs["x"] = _away_from_0(inputs["x"])
    return inputs


def _away_from_0(array: Array) -> Array:
    return np.asarray(array + np.where(array < 0, -1, 1).astype(array.dtype))


def _show_the_first_state(inputs: NamedArrays) -> None:
    """The first step of a layer reads the state before it, unit by unit, and nothing else."""
    inputs["R"][...] = np.eye(inputs["R"].shape[-1])
    for name in inputs.keys() & {"W", "b", "c0"}:
        inputs[name][...] = 0
    inputs["h0"] = _away_from_0(inputs["h0"])


def _show_what_lies_below(inputs: NamedArrays, gates: Sequence[str], memory: str) -> None:
    """The layer above the first reads the outputs below it, unit by unit, and remembers nothing."""
    inward = inputs["W_above"]
    units, width = inward.shape[-2:]
    directions = width // units
    each = inward.reshape(len(inward), directions, -1, units, width)
    each[...] = np.eye(width).reshape(directions, 1, units, width)
    inward[...] = each.reshape(inward.shape)
    # The outputs below it keep a sign of their own, and so are never 0.
    signs = np.where(np.arange(units) % 2, -1, 1)
    for name in ("W", "R"):
        inputs[name] *= np.asarray(_SMALL, inputs[name].dtype)
    inputs["b"][...] = 2 * signs
    for name in inputs.keys() & {"h0", "c0"}:
        inputs[name][...] = np.abs(inputs[name]) * signs
    inputs["R"][1:] = 0
    inputs["b"][1:] = 0
    if memory:
        inputs["b"][1:, ..., gates.index(memory), :] = SHUT


def _seen(case: Case, inputs: NamedArrays, y: Array) -> Array:
    """The units that are kept, by the outputs of a call that shows them."""
    if "h_prev" in inputs:
        return np.asarray(np.abs(y - inputs["h"]) < np.abs(y - inputs["h_prev"]))
    return np.asarray((y[:, 0] if case.spec.unrolls else y) != 0)
