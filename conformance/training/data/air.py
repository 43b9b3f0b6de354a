"""Hourly measurements of the air: the table of Beijing's pollution, and its way to a forecaster's examples."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rnnspec.conformance.training.data.errors import DataError
from rnnspec.spec.arrays import Array, NamedArrays

COLUMNS: Final = ("pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
"""Columns of the table that are measurements, the pollution first; cbwd is the wind's direction, a word."""

WIND: Final = "cbwd"
YEAR: Final = 365 * 24
"""Hours of the first year, which are trained with."""


@dataclass(frozen=True)
class Scale:
    """The least and the greatest of each column, which become 0 and 1."""

    least: Array
    greatest: Array

    @classmethod
    def of(cls, table: Array) -> Scale:
        """Return the scale of a table ``(hours, columns)``."""
        return cls(table.min(axis=0), table.max(axis=0))

    def scaled(self, table: Array) -> Array:
        """Return the table with each column in 0 .. 1; a column of one number becomes 0."""
        return np.asarray((table - self.least) / self._width)

    def unscaled(self, numbers: Array, column: int) -> Array:
        """Return numbers of a column in its own unit."""
        return np.asarray(numbers * self._width[column] + self.least[column])

    @property
    def _width(self) -> Array:
        return np.where(self.greatest > self.least, self.greatest - self.least, 1.0)


def read_air(file: Path) -> Array:
    """Read the table of measurements, ``(hours, 8)``.

    As in the original program, the first 24 hours, which have no pollution, are left out, a missing pollution is 0, and
    each direction of the wind is a whole number, in the order of the alphabet.

    Raises
    ------
    DataError
        If a column is missing, or a row is cut off or has something other than a number.
    """
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected a table of text in UTF-8: {error}") from error
    head = rows[0] if rows else []
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise DataError(f"{file}: expected a head with {', '.join(COLUMNS)}, got none called {missing[0]}")
    places = [head.index(name) for name in COLUMNS]
    words: list[list[str]] = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            raise DataError(f"{file}: line {number}: expected {len(head)} entries, got {len(row)}: is it cut off?")
        words.append([row[place] for place in places])
    if len(words) <= 24:
        raise DataError(f"{file}: expected more than 24 hours, the first of which are left out, got {len(words)}")
    winds = {name: code for code, name in enumerate(sorted({row[COLUMNS.index(WIND)] for row in words}))}
    table = np.zeros((len(words), len(COLUMNS)))
    for number, row in enumerate(words, start=2):
        for column, (name, word) in enumerate(zip(COLUMNS, row, strict=True)):
            table[number - 2, column] = winds[word] if name == WIND else _number(word, name, f"{file}: line {number}")
    return table[24:]


def series_to_supervised(table: Array, n_in: int = 1, n_out: int = 1) -> tuple[Array, Array]:
    """Cut a table into examples.

    Parameters
    ----------
    table
        ``(hours, columns)``.
    n_in, n_out
        Hours that an example has, and hours after them that are to be forecast.

    Returns
    -------
    tuple
        The hours before, ``(examples, n_in, columns)``, and those after, ``(examples, n_out, columns)``.
    """
    if n_in < 1 or n_out < 1:
        raise DataError(f"series: expected at least one hour before and after, got {n_in} and {n_out}")
    count = len(table) - n_in - n_out + 1
    if count < 1:
        raise DataError(f"series: expected at least {n_in + n_out} hours, got {len(table)}")
    before = np.stack([table[k : k + n_in] for k in range(count)])
    after = np.stack([table[k + n_in : k + n_in + n_out] for k in range(count)])
    return before, after


def air_examples(table: Array, n_in: int = 1, hours: int = YEAR) -> tuple[NamedArrays, NamedArrays, Scale]:
    """Return examples to train with, those of the first hours, examples to test with, and the scale of the table."""
    scale = Scale.of(table)
    before, after = series_to_supervised(scale.scaled(table), n_in)
    if len(before) <= hours:
        raise DataError(f"series: expected more than the {hours} hours that are trained with, got {len(before)}")
    examples = {"x": before, "target": after[:, :, :1]}
    train = {name: array[:hours] for name, array in examples.items()}
    return train, {name: array[hours:] for name, array in examples.items()}, scale


def _number(word: str, name: str, place: str) -> float:
    if word in ("NA", "") and name == COLUMNS[0]:
        return 0.0
    try:
        number = float(word)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"{place}: {name}: expected a number, got {word!r}")
    return number
