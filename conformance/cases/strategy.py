"""The Hypothesis strategy: one for every operation, as a case is a handful of choices and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.draw import Scope, draw_case


def _sampled(options: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return _sampled_of(options, tuple(map(type, options)))


@cache
def _sampled_of(options: tuple[Any, ...], types: tuple[type, ...]) -> st.SearchStrategy[Any]:
    """One strategy for the same options; their types belong to the key, since to a cache 0.0 and False are the same."""
    return st.sampled_from(options)


@cache
def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


class _Drawn:
    """Choices that Hypothesis makes, and shrinks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[Any]) -> Any:
        return self._draw(_sampled(tuple(options)))

    def integer(self, low: int, high: int) -> int:
        return self._draw(_integers(low, high))


@st.composite
def cases(draw: st.DrawFn, scope: Scope) -> Case:
    """Cases of an operation in a type; see `rnnspec.conformance.cases.draw.draw_case`."""
    return draw_case(_Drawn(draw), scope)
