"""Habits of callers: ways to use a library that one call with arrays of its own does not show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.equal import evened, free_sizes
from rnnspec.conformance.checks.asked import Asked, blamed_on, prefixed_by
from rnnspec.conformance.checks.right import OutOfRangeError, expected_from
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import RANGED

_ALIKE_UP_TO: Final = 24
"""The largest size that the others are made equal to; the work grows with all of them."""


class Habit(ABC):
    """One habit; equal ones ask the same of equal cases."""

    @abstractmethod
    def examine(self, backend: Backend, case: Case) -> float:
        """Call as people do; return the worst error ratio or raise Violation."""


# One array as two inputs.


@dataclass(frozen=True)
class OneArray(Habit):
    """The very same array as several inputs: each of these groups of inputs is one."""

    groups: tuple[tuple[str, ...], ...]

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate; each input's gradient is its own, as if the arrays were several."""
        groups = self.groups_in(case)
        if not groups:
            raise OutOfRangeError(str(case))
        inputs = dict(case.call.inputs)
        for group in groups:
            least = [name for name in group if case.items[name].domain in RANGED]
            inputs |= dict.fromkeys(group, inputs[(*least, *group)[0]])
        call = replace(case.call, inputs=inputs)
        told = ", ".join(f"{', '.join(group[:-1])} and {group[-1]} one array" for group in groups)
        with blamed_on(f"with {told}: ", backend, case):
            return Asked(case, call, case.cotangents).compare_all(backend)

    def groups_in(self, case: Case) -> list[tuple[str, ...]]:
        """The groups whose inputs can be one array in the case, without those that it has not."""
        found = []
        for group in self.groups:
            there = tuple(name for name in group if name in case.call.inputs)
            if len(there) > 1 and len({_form(case, name) for name in there}) == 1:
                found.append(there)
        return found


def alike(case: Case) -> list[Case]:
    """The case with equal sizes, where that leaves them small: more inputs then have one shape."""
    size = max((2, *(case.lengths_of[symbol] for symbol in free_sizes(case)), *case.spec.at_least.values()))
    return evened(case, size) if size <= _ALIKE_UP_TO else [case]


def groups_of(case: Case) -> tuple[tuple[str, ...], ...]:
    """The inputs that may be one array, as large groups as there are."""
    groups: dict[Any, list[str]] = {}
    for name in case.call.inputs:
        groups.setdefault(_form(case, name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def pairs_of(case: Case) -> list[tuple[str, ...]]:
    """Every two inputs that may be one array."""
    return [pair for group in groups_of(case) for pair in combinations(group, 2)]


def _form(case: Case, name: str) -> tuple[Any, ...]:
    """The properties that two inputs must share to be one array."""
    item = case.items[name]
    # A mean is bounded by a mean of squares, which it cannot be itself.
    return item.kind, item.domain == "mean", case.lengths_of.get(item.below), case.call.inputs[name].shape


# Constant cotangents.


@dataclass(frozen=True)
class ConstantCotangents(Habit):
    """Cotangents of one number that is seen everywhere, as the gradient of a sum is: ``y.sum().backward()``."""

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate."""
        cotangents = tuple(np.broadcast_to(np.ones((), dy.dtype), dy.shape) for dy in case.cotangents)
        with blamed_on("with cotangents of ones, one number seen everywhere: ", backend, case):
            return Asked(case, case.call, cotangents).compare_all(backend)


# Another thread.


@dataclass(frozen=True)
class AnotherThread(Habit):
    """A call from a thread that is not the one in which the library was opened."""

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate there; the backend's exceptions come back as they were."""
        expected = expected_from(backend, case)
        asked = Asked(case, case.call, case.cotangents)
        with blamed_on("called from another thread: ", backend, case), ThreadPoolExecutor(1) as pool:
            return pool.submit(asked.compare_all, backend, expected).result()


# Other numbers.


@dataclass(frozen=True)
class OtherNumbers(Habit):
    """Two calls that differ in their numbers alone: the second does not begin with the first one's remains."""

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate both."""
        worst, _ = _judged(backend, replace(case, seed=case.seed ^ 1))
        with prefixed_by("after a call with other numbers: "):
            return max(worst, _judged(backend, case)[0])


@dataclass(frozen=True)
class RefilledArrays(Habit):
    """A call of arrays that an earlier call had, filled with other numbers since, as optimizers and loaders do it."""

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate both."""
        other = replace(case, seed=case.seed ^ 1)
        worst, _ = _judged(backend, other)
        arrays = other.call.inputs
        for name, array in case.given.inputs.items():
            arrays[name][...] = array
        with prefixed_by("with arrays of a call before, filled with other numbers: "):
            return max(worst, Asked(case, replace(other.call, inputs=arrays), case.cotangents).compare_all(backend))


@dataclass(frozen=True)
class ForwardInBetween(Habit):
    """A call that is differentiated after another of the same parameters was run, as two inputs of one module are."""

    def examine(self, backend: Backend, case: Case) -> float:
        """Run the call, run the other, and differentiate the first."""
        if not backend.has_gradients(case.operation):
            raise OutOfRangeError(str(case))
        expected = expected_from(backend, case)
        others = replace(case, seed=case.seed ^ 1).call.inputs
        kept = {name: array for name, array in case.call.inputs.items() if not case.items[name].per_sequence}
        backend.run(case.call)
        backend.run(replace(case.call, inputs={**others, **kept}))
        asked = Asked(case, case.call, case.cotangents)
        with blamed_on("differentiated after another call of its parameters was run: ", backend, case):
            return asked.compare(expected.gradients, asked.of(backend))


def without_states(case: Case) -> Case:
    """The case without the inputs of each sequence that may be left out: a layer then begins anew."""
    items = case.items.items()
    absent = tuple(name for name, item in items if item.optional and item.kind == "float" and item.per_sequence)
    return replace(case, absent=absent) if absent else case


# Other sizes.


@dataclass(frozen=True)
class OtherSize(Habit):
    """A call, another with one of its sizes larger and all arrays that this leaves as they are, and the first again."""

    symbol: str

    def examine(self, backend: Backend, case: Case) -> float:
        """Run and differentiate all three; the first one's results stay as they are."""
        if self.symbol not in free_sizes(case):
            raise OutOfRangeError(str(case))
        size = case.lengths_of[self.symbol]
        # Another seed: else the numbers of a batch stand again at the beginning of one that is longer.
        larger = replace(case, sizes={**case.sizes, self.symbol: size + 1}, seed=case.seed ^ 1)
        given, others = case.call.inputs, larger.call.inputs
        fits = {name for name, array in others.items() if name in given and given[name].shape == array.shape}
        call = replace(larger.call, inputs={name: (given if name in fits else others)[name] for name in others})
        with blamed_on(f"with {self.symbol} = {size}, before {size + 1}: ", backend, case):
            worst, first = _judged(backend, case)
        kept = {name: array.copy() for name, array in first.items()}
        with prefixed_by(f"with {self.symbol} = {size + 1}, after {size}: "):
            worst = max(worst, Asked(larger, call, larger.cotangents).compare_all(backend))
            for name, array in kept.items():
                if array.tobytes() != first[name].tobytes():
                    message = f"{name}: expected the first call's result to stay as it was, got other numbers in it"
                    raise Asked(case, case.call).violation(message)
        with prefixed_by(f"with {self.symbol} = {size} again, after {size + 1}: "):
            return max(worst, _judged(backend, case)[0])


def _judged(backend: Backend, case: Case) -> tuple[float, dict[str, Array]]:
    """The worst error ratio of the case's call, and its results by name."""
    expected = expected_from(backend, case)
    asked = Asked(case, case.call)
    outputs = backend.run(case.call)
    worst = asked.compare(expected.outputs, outputs)
    results = dict(zip(expected.outputs, outputs, strict=True))
    if backend.has_gradients(case.operation):
        asked = replace(asked, cotangents=case.cotangents)
        gradients = backend.gradients(case.call, case.cotangents)
        worst = max(worst, asked.compare(expected.gradients, gradients))
        results |= {asked.quantity(name): gradient for name, gradient in gradients.items()}
    return worst, results


# All of them.


def usual_habits(case: Case) -> Iterator[tuple[Case, Habit]]:
    """Every habit with a case: of sizes, those that loops and buffers are made for."""
    for even in alike(case):
        groups = groups_of(even)
        if groups:
            yield even, OneArray(groups)
    if case.spec.differentiable:
        yield case, ConstantCotangents()
        yield case, ForwardInBetween()
    yield case, AnotherThread()
    yield without_states(case), OtherNumbers()
    yield case, RefilledArrays()
    sizes = free_sizes(case)
    for symbol in [symbol for symbol in ("B", "T", "H") if symbol in sizes] or sizes[:1]:
        yield case, OtherSize(symbol)


def drawn_habit(case: Case, rng: np.random.Generator) -> tuple[Case, Habit]:
    """One of the habits with a case, or with one that is made of it."""

    def one_of(options: Sequence[Any]) -> Any:
        return options[int(rng.integers(len(options)))]

    even, sizes = alike(case)[0], free_sizes(case)
    pairs = pairs_of(even)
    habits: list[tuple[Case, Habit]] = [(case, AnotherThread()), (case, OtherSize(one_of(sizes)))]
    if case.spec.differentiable:
        habits.append((case, ConstantCotangents()))
    if pairs:
        habits.append((even, OneArray((one_of(pairs),))))
    found: tuple[Case, Habit] = one_of(habits)
    return found
