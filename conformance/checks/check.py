"""The interface of a check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from hypothesis import strategies as st

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Deck, Scope, cases, simpler_cases
from rnnspec.conformance.cases.case import Steps
from rnnspec.conformance.cases.support import PROBE_SIZES
from rnnspec.spec import Operation, operation, operations
from rnnspec.spec.arrays import Array


class Check(ABC):
    """One question to a backend about one operation in one type."""

    id: ClassVar[str]
    level: ClassVar[Literal["MUST", "SHOULD"]] = "MUST"
    about: ClassVar[str]
    """The question: a statement that holds for every right implementation."""
    why: ClassVar[str]
    """The reason for the check, a clause that continues `about` after the word "as"."""
    law: ClassVar[str] = ""
    """The law that an operation must list for this check to apply to it; empty: it applies to all."""
    calls: ClassVar[int] = 1
    """About how many times the calls of other checks an example makes: it gets so many times fewer examples."""
    by_case: ClassVar[bool] = True
    """Whether any case makes an example; else the deck as a whole is the one example, or the check has its own."""
    needs_gradients: ClassVar[bool] = False
    """Whether there is nothing to ask of a backend without gradients."""
    needs_second_order: ClassVar[bool] = False
    """Whether there is nothing to ask of a backend without gradients of gradients."""

    needs_drawing: ClassVar[bool] = False
    """Whether it asks nothing but calls of which the library draws the masks: there is then no deck."""

    @classmethod
    def sentence(cls) -> str:
        """The question and the reason for it."""
        return f"{cls.about}, as {cls.why}"

    def applies_to(self, op: Operation) -> bool:
        """Whether there is anything to ask of this operation."""
        return not self.law or self.law in op.laws

    def concerns(self, backend: Backend, op: Operation) -> bool:
        """Whether it is asked of a backend; one that draws no masks is asked nothing of them."""
        return self.applies_to(op) and (not self.needs_drawing or backend.draws(op.name))

    def operations(self) -> list[str]:
        """Names of the operations that it asks something of."""
        return [name for name, op in operations().items() if self.applies_to(op)]

    whole_deck: ClassVar[bool] = False
    """Whether every planned case is asked: the check needs no call that others do not make too."""

    def of(self, case: Case, scope: Scope) -> Any | None:
        """The argument of `examine`, made of a case; None if there is nothing to ask of it.

        Every choice beyond the case follows from the case's seed.
        """
        return case

    def planned(self, deck: Deck, count: int) -> Iterator[Any]:
        """The examples from a deck: so many, spread over its covering array, or one for every case."""
        if self.whole_deck:
            yield from self._made(deck.cases, deck.scope)
        else:
            yield from islice(self._made(deck.spread(), deck.scope), count)

    def _made(self, cases: Iterable[Case], scope: Scope) -> Iterator[Any]:
        return (example for case in cases if (example := self.of(case, scope)) is not None)

    def simpler(self, example: Any) -> st.SearchStrategy[Any]:
        """Strategy for examples like one that failed, at most as large, and simpler in some choices."""
        case, *more = parts_of(example)
        return simpler_cases(case).map(lambda other: self.like(example, other) if more else other)

    def like(self, example: tuple[Any, ...], case: Case) -> Any:
        """Return the example with another case."""
        return (case, *example[1:])

    def examples(self, scope: Scope) -> st.SearchStrategy[Any]:
        """Strategy for examples beyond the deck."""
        return cases(scope).map(lambda case: self.of(case, scope)).filter(lambda example: example is not None)

    def forced(self, scope: Scope) -> Sequence[Any]:
        """The examples that are always asked, before the deck; in float32, or else in the backend's first type."""
        return ()

    def without_deck(self, scope: Scope, seed: int) -> Sequence[Any]:
        """The examples of a check that has no deck, for a run's seed."""
        return ()

    @abstractmethod
    def examine(self, backend: Backend, example: Any) -> float:
        """Ask once; return the worst error ratio, or raise Violation.

        Unsupported passes through, and OutOfRangeError says that the example was not one to judge.
        """

    def examined_by(self, examine: Callable[[Backend, Any], float]) -> Check:
        """Return a check of the same examples that calls a function in the place of `examine`.

        It is a copy of this check, and `examine` is set on the copy itself: Python looks there before it looks at the
        class.
        """
        other = copy(self)
        other.examine = examine  # type: ignore[assignment, method-assign]  # of this instance alone
        return other


def parts_of(example: Any) -> tuple[Any, ...]:
    """The parts of an example: its case first, or the object that holds its cases."""
    return example if isinstance(example, tuple) else (example,)


def cases_of(example: Any) -> list[Case]:
    """The cases of an example."""
    return [part for part in parts_of(example) if isinstance(part, Case)]


def usual_case(scope: Scope) -> Case:
    """A small case: all attributes at their defaults, or as the backend has them, and lengths where it takes them."""
    op = operation(scope.operation)
    support = scope.supported
    steps: Steps = "lengths" if op.has_steps and "lengths" in support.steps else "all"
    return Case(scope.operation, scope.dtype, PROBE_SIZES, support.defaults(), steps=steps, absent=support.absent)


def with_all_outputs(case: Case) -> Case:
    """The case of a layer with the outputs of all steps, 0 at steps taken out; of another operation, itself."""
    return case.with_attributes(output="sequence") if case.attributes.get("output", "sequence") != "sequence" else case


@runtime_checkable
class RemembersCalls(Protocol):
    """A backend of which each planned call is made once."""

    def kept(self, case: Case) -> Mapping[str, Array]:
        """The results of a planned case's call, by name, unchanged since the call."""


def differentiates(backend: Backend, case: Case) -> bool:
    """Whether a backend is asked for the gradients of a case."""
    return case.differentiated and backend.has_gradients(case.operation)
