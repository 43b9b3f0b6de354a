"""The third storage: JSON, which every language reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import read_stored, write_stored


@pytest.mark.parametrize(
    "array",
    [
        np.array([1 / 3, -0.0, np.inf, -np.inf, np.nan, 5e-324]),
        np.array([[0.1, 3.4e38], [1e-45, -2.0]], np.float32),
        np.array([65504, 6e-8, 0.1], np.float16),
        np.array([0.1, 3e38, -1e-40], ml_dtypes.bfloat16),
        np.array([2**62, -1]),
        np.array([[True], [False]]),
        np.zeros((0, 3), np.float32),
        np.array(2.5),
    ],
    ids=str,
)
def test_arrays_come_back_as_they_were(array: Any, tmp_path: Path) -> None:
    write_stored(tmp_path / "a.json", {"one": array, "other": np.arange(3)})
    found = read_stored(tmp_path / "a.json")
    assert set(found) == {"one", "other"}
    assert (found["one"].dtype, found["one"].shape) == (array.dtype, array.shape)
    assert found["one"].tobytes() == array.tobytes() or np.isnan(array.astype(np.float64)).any()
    np.testing.assert_array_equal(found["one"].astype(np.float64), array.astype(np.float64))
    json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "expected an object with an array for each name"),
        ("no", "expected a .json of plain arrays"),
        ({"y": [1]}, "y: expected dtype, shape and data"),
        ({"y": {"dtype": "float8", "shape": [1], "data": [1]}}, "the dtype one of float16, "),
        ({"y": {"dtype": "float32", "shape": [2], "data": [1]}}, "y: data: expected a list of 2 numbers"),
        ({"y": {"dtype": "float32", "shape": [-1], "data": []}}, "y: shape: expected a list of whole numbers"),
        ({"y": {"dtype": "float32", "shape": [1], "data": ["1"]}}, "y: data: expected numbers, 'inf'"),
        ({"y": {"dtype": "int64", "shape": [1], "data": [1.5]}}, "y: data: expected whole numbers"),
        ({"y": {"dtype": "bool", "shape": [1], "data": [1]}}, "y: data: expected true or false"),
        ({"y": {"dtype": "int64", "shape": [1], "data": [10**30]}}, "expected a .json of plain arrays"),
    ],
)
def test_a_file_of_another_form_is_one_line_of_error(content: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(FileError, match=re.escape(told)) as caught:
        read_stored(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
