"""Hourly temperatures of a year, as the package vega_datasets has them."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from rnnspec.backends.discovery import installs
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.spec.arrays import Array

TEMPERATURES: Final = "Seattle's hourly temperatures of 2010, of vega_datasets (MIT; after NOAA)"


def read_temperatures(file: Path | None = None) -> Array:
    """Read the table of temperatures, ``(hours, 1)``; without a file, that of the package, which is not imported.

    Raises
    ------
    DataError
        If the package is not installed, or a row is cut off or has something other than a number.
    """
    if file is None:
        found = find_spec("vega_datasets")
        if found is None or not found.submodule_search_locations:
            raise DataError(f"air-quality: expected vega_datasets, or --file: {installs('data')}")
        file = Path(found.submodule_search_locations[0], "_data", "seattle-temps.csv")
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    if not rows or rows[0] != ["date", "temp"]:
        raise DataError(f"{file}: expected a head with date, temp, got {', '.join(rows[0]) if rows else 'nothing'}")
    table = np.zeros((len(rows) - 1, 1))
    for number, row in enumerate(rows[1:], start=2):
        try:
            table[number - 2, 0] = float(row[1])
        except (ValueError, IndexError):
            table[number - 2, 0] = np.nan
        if not np.isfinite(table[number - 2, 0]):
            raise DataError(f"{file}: line {number}: expected a date and a number, got {', '.join(row) or 'nothing'}")
    return table
