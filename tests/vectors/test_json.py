"""The third storage: JSON, which every language reads; and a program in JavaScript that does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import read_stored, write_stored

ROOT = Path(__file__).parents[2]
PLAIN = ("--op", "dense", "--plain", "--format", "json", "--dtype", "float32", "--cases", "6")


def vectors(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["vectors", *map(str, arguments)])


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


def test_the_program_in_javascript_conforms(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here, which runs JavaScript")
    (program,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "vectors.md").read_text(), re.DOTALL)
    folder, results = tmp_path / "corpus", tmp_path / "results"
    assert vectors("export", folder, *PLAIN).exit_code == 0

    def judged(source: str) -> Any:
        shutil.rmtree(results, ignore_errors=True)
        done = subprocess.run([node, "-e", source, "-", folder, results], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return vectors("check", folder, results)

    # With -e, the arguments begin one place earlier than with a file; "-" takes that place.
    right = judged(program)
    assert right.exit_code == 0, right.output
    assert "judged 6 of the 6 cases: all" in right.output
    wrong = judged(program.replace("b ? b.data[unit] : 0", "0"))
    assert wrong.exit_code == 1, wrong.output
