"""Checks ``padding`` and ``padding_nan``: the content of the padding changes nothing."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.checks.whereabouts import whereabouts
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Input

_LARGE: Final = 1000.0
"""How large the numbers in the padding are, where the type holds the fourth power of that: of squares, the squares."""

_ANY_IDS: Final = 3
"""Ids to choose from where nothing says how many there are."""


class _Padding(Check):
    """Something else in every step that is taken out."""

    law: ClassVar[str] = "padding"
    calls = 2

    @abstractmethod
    def fill(self, case: Case, name: str, item: Input, found: Array) -> Array:
        """The new content of an input's padding, in place of the numbers `found` there."""

    def of(self, case: Case, scope: Scope) -> Case | None:
        """Cases that have lengths or a mask."""
        padded = case.with_padding()
        return padded if {"lengths", "mask"} & set(padded.call.inputs) else None

    def examine(self, backend: Backend, example: Case) -> float:
        """Fill the padding, and run and differentiate again."""
        asked = Asked(example, self.filled(example))
        outputs = backend.run(asked.call)
        expected = expected_of(example, gradients=example.spec.differentiable)
        worst = asked.compare(expected.outputs, outputs)
        for name, array in zip(expected.outputs, outputs, strict=True):
            _must_be_zero(asked, name, example.results[name].shape, expected.outputs[name], array)
        if not backend.has_gradients(example.operation):
            return worst
        back = replace(asked, cotangents=example.cotangents)
        gradients = backend.gradients(asked.call, example.cotangents)
        worst = max(worst, back.compare(expected.gradients, gradients))
        for name, gradient in gradients.items():
            _must_be_zero(back, back.quantity(name), example.items[name].shape, expected.gradients[name], gradient)
        return worst

    def filled(self, case: Case) -> Call:
        """The case's call with something else at every step that is taken out."""
        inputs = {}
        for name, array in case.call.inputs.items():
            item = case.items[name]
            inputs[name] = array
            if "T" in item.shape and item.kind in ("float", "ids"):
                inputs[name] = np.array(array)
                steps = at_steps(inputs[name], item.shape)
                steps[~case.valid] = self.fill(case, name, item, steps[~case.valid])
        return Call(case.operation, inputs, case.call.attributes)


class Padding(_Padding):
    """Other numbers in every step that is taken out."""

    id = "padding"
    about = (
        "steps taken out by lengths or mask change no output and no gradient, whatever numbers stand there, and are 0"
        " themselves in both"
    )
    why = "a batch may be filled up with any numbers"

    def fill(self, case: Case, name: str, item: Input, found: Array) -> Array:
        """Large numbers of the other sign, other probabilities, or other ids that there are."""
        rng = stream(case.seed, f"padding of {name}")
        if item.kind == "ids":
            below = case.lengths_of[item.below] if item.below else _ANY_IDS
            return np.asarray((found + rng.integers(1, max(below, 2), found.shape)) % below)
        if item.domain == "probability":
            return np.asarray(1 - found)
        large = min(_LARGE, format_of(case.dtype).largest ** 0.25)
        return np.asarray(np.copysign(rng.uniform(large, 2 * large, found.shape), -found), found.dtype)


class PaddingNan(_Padding):
    """No number in any step that is taken out."""

    id = "padding_nan"
    about = "NaN at steps taken out, or an id that there is not, changes no output and no gradient"
    why = "memory that nobody has filled may hold anything, and 0 times NaN is NaN"

    def fill(self, case: Case, name: str, item: Input, found: Array) -> Array:
        """NaN, or an id that there is not."""
        return np.full_like(found, np.nan if item.kind == "float" else -1)


def at_steps(array: Array, shape: tuple[str, ...]) -> Array:
    """The array with the steps on its second axis, after the sequences."""
    return np.moveaxis(array, shape.index("T"), 1)


def _must_be_zero(asked: Asked, quantity: str, shape: tuple[str, ...], expected: Bounded, got: Array) -> None:
    """Raise Violation where anything else than 0 stands at a step that is taken out, however little."""
    if "T" not in shape:
        return
    wrong, valid = got != 0, asked.case.valid
    at_steps(wrong, shape)[valid] = False
    if wrong.any():
        due = Bounded(expected.value.copy(), expected.bound.copy())
        for exact in (due.value, due.bound):
            at_steps(exact, shape)[~valid] = 0
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f"{quantity}{list(place)}{whereabouts(asked.call, quantity, place)}"
        message = f"{where}: expected exactly 0, got {float(got[place]):.9g}"
        raise asked.violation(message, quantity, expected=due, got=got)
