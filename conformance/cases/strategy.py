"""The Hypothesis strategy of cases, one for every operation, since a case is a few choices and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.draw import Scope, draw_case

_FAR: Final = 3**70
"""An integer that nobody writes.

Hypothesis favours integers that stand in the modules of this process, from 100 on. Where it finds some, the same seed
draws other cases than in another process.
"""


def _sampled(options: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return _sampled_of(options, tuple(map(type, options)))


@cache
def _sampled_of(options: tuple[Any, ...], types: tuple[type, ...]) -> st.SearchStrategy[Any]:
    """One strategy for equal options; the key has their types, since a cache takes 0.0 and False for the same."""
    return st.sampled_from(options)


@cache
def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


class _Drawn:
    """Choices that Hypothesis makes and shrinks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[Any]) -> Any:
        return self._draw(_sampled(tuple(options)))

    def integer(self, low: int, high: int) -> int:
        return self._draw(_integers(_FAR + low, _FAR + high)) - _FAR


@st.composite
def cases(draw: st.DrawFn, scope: Scope) -> Case:
    """Draw cases of an operation in a type; see `rnnspec.conformance.cases.draw.draw_case`."""
    return draw_case(_Drawn(draw), scope)


@st.composite
def simpler_cases(draw: st.DrawFn, case: Case) -> Case:
    """Draw cases like one, each choice kept or made as plain as possible, and no size larger.

    Each choice is mostly kept, so that the few choices that made the case fail are mostly kept too. Padded sequences
    keep two steps, so that one that is shorter than another has one.
    """

    def mostly(plain: Any, own: Any) -> Any:
        return own if plain == own else draw(_sampled((plain, own, own, own)))

    plain = case.spec.defaults()
    attributes = {
        name: tuple(mostly(*entries) for entries in zip(plain[name], value, strict=True))
        if isinstance(value, tuple)
        else mostly(plain[name], value)
        for name, value in case.attributes.items()
    }
    simple = replace(
        case.with_attributes(**attributes),
        steps=mostly("all", case.steps),
        absent=mostly((), case.absent),
        regime=mostly("generic", case.regime),
        seed=mostly(0, case.seed),
    )
    sizes = {symbol: draw(_sampled(_up_to(size))) for symbol, size in case.sizes.items()}
    least = {symbol: case.spec.at_least.get(symbol, 0) for symbol in sizes}
    if simple.steps != "all" and case.sizes["T"] > 1:
        least["T"] = max(
            2, least["T"]
        )  # of one step, padding leaves an empty sequence, which few documentations tell of
    return replace(simple, sizes={symbol: max(size, least[symbol]) for symbol, size in sizes.items()})


def _up_to(size: int) -> tuple[int, ...]:
    """Sizes up to one: first small ones and fractions of it, then the size itself as often as all of these."""
    small = {*range(1, 9), size // 4, size // 3, size // 2, size - 1}
    smaller = tuple(sorted(one for one in small if 0 < one < size))
    return (*smaller, *(size,) * max(len(smaller), 1))
