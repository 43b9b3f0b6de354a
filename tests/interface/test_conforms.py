"""`rnnspec.conforms` in a test suite of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rnnspec
from rnnspec.conformance.run.plan import PlanError
from rnnspec.spec import UnknownOperationError

SUITE = """
import pytest
import rnnspec
from rnnspec.backends import Backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.named import lstm_forget_bias_of_one


class Narrow(NumpyBackend):
    name = "narrow"

    def dtypes(self):
        return ("float64",)


class Empty(Backend):
    name = "empty"


@pytest.fixture
def device():
    return "cpu"


@rnnspec.conforms("rnn_cell", dtypes=["float32"], largest=8)
def test_right(device):
    return NumpyBackend(device)


class TestMine:
    backend = NumpyBackend

    @rnnspec.conforms("dense", dtypes=["float32"], largest=8)
    def test_right(self, device):
        return self.backend(device)


@rnnspec.conforms("lstm_cell", dtypes=["float32"], largest=8)
def test_wrong():
    return lstm_forget_bias_of_one


@rnnspec.conforms("dense", dtypes=["float32"])
def test_other_types():
    return Narrow


@rnnspec.conforms("dense", dtypes=["float32"])
def test_nothing():
    Narrow()


@rnnspec.conforms("dense", dtypes=["float32"])
def test_a_number():
    return 3


@rnnspec.conforms("dense", dtypes=["float32"])
def test_not_implemented():
    return Empty()
"""


def test_each_operation_in_each_type_is_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-W", "error", "test_mine.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PASSED test_mine.py::TestMine::test_right[dense-float32]" in done.stdout
    assert "PASSED test_mine.py::test_right[rnn_cell-float32]" in done.stdout
    assert "FAILED test_mine.py::test_wrong[lstm_cell-float32]" in done.stdout
    assert "fault 1: lstm_cell in float32, only with coupled=false" in done.stdout
    assert "3 failed, 2 passed, 2 skipped" in done.stdout
    told = {line: done.stdout.count(f"{line}\n") for line in done.stdout.splitlines() if "expected a backend" in line}
    assert told == {
        "the function returned None: expected a backend, like 'return MyBackend'": 1,
        "expected a backend's name, a class, an adapter or a list of these, got 3": 1,
    }
    assert done.stdout.count("Traceback") == 0
    assert "narrow has no float32" in done.stdout
    assert "not implemented of dense" in done.stdout


def test_what_is_asked_is_checked_when_tests_are_collected() -> None:
    with pytest.raises(UnknownOperationError, match="lstmm"):
        rnnspec.conforms("lstmm")
    with pytest.raises(PlanError, match="unknown dtype 'float8'"):
        rnnspec.conforms("lstm", dtypes=["float8"])
    with pytest.raises(PlanError, match=r"expected names of operations, like @rnnspec.conforms\('lstm'\)"):
        rnnspec.conforms()
    with pytest.raises(
        PlanError, match=r"unknown option 'dtype': did you mean dtypes\? expected one of dtypes, device"
    ):
        rnnspec.conforms("lstm", dtype=["float32"])
    with pytest.raises(PlanError, match="expected a function that returns a backend, got <class 'dict'>"):
        rnnspec.conforms("lstm")(dict)

    async def later() -> str:
        return "numpy"

    with pytest.raises(PlanError, match="expected a plain function, got async def later"):
        rnnspec.conforms("lstm")(later)  # type: ignore[arg-type]  # what a caller without types may pass
