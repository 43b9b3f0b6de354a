"""Kinds of values that options have, beyond those of click."""

from __future__ import annotations

from typing import Any

import click

from rnnspec.conformance.numbers import MOST_COUNT, number_between


class Count(click.IntRange):
    """A whole number from the least one on, and not beyond what loops take. Help shows the least one alone."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number, or fail in one line."""
        number = int(super().convert(value, param, ctx))
        if number > MOST_COUNT:
            self.fail(f"expected at most {MOST_COUNT:,}, got a number of {len(str(number))} digits", param, ctx)
        return number


class Number(click.ParamType):  # type: ignore[type-arg]  # older versions of click have no argument
    """A number between two others; NaN is none."""

    name = "float"

    def __init__(self, least: float, most: float) -> None:
        self._read = number_between(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, or fail in one line."""
        try:
            return self._read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
