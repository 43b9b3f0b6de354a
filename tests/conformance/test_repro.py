"""A violation as files: an archive that NumPy reads, and a short script that needs no rnnspec."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.conformance.run.repro import write_repro

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}

# A library of its own, as the script sees it: nothing but NumPy.
LIBRARY = """\
W, R, b = inputs["W"], inputs["R"], inputs["b"]
h = np.tanh(inputs["x"] @ W[0].T + inputs["h_prev"] @ R[0].T + b[0]) + 1
outputs = [h]
"""
LIBRARY_GRADIENT = LIBRARY + "gradients = {name: np.zeros_like(array) for name, array in inputs.items()}\n"


class Scripted(NumpyBackend):
    """Wrong, and able to show how the library is called."""

    name = "wrong lib"

    @staticmethod
    def rnn_cell(**call: Any) -> Any:
        return (reference.rnn_cell(**call)[0] + 1,)

    @staticmethod
    def rnn_cell_vjp(**call: Any) -> Any:
        floats = {name: np.zeros_like(array) for name, array in call.items() if isinstance(array, np.ndarray)}
        return None, lambda *_: floats

    def versions(self) -> dict[str, str]:
        return {"wronglib": "1.2.3"}

    def script(self, call: Call) -> str | None:
        return LIBRARY_GRADIENT


def violate(backend: Backend, check: str, few: Profile, folder: Path, dtype: str = "float32") -> CheckResult:
    result = run_check(BY_ID[check], backend, "rnn_cell", dtype, few, repro_dir=folder)
    assert result.verdict is Verdict.VIOLATES
    return result


def run_alone(script: Path, elsewhere: Path) -> str:
    """What the script prints where rnnspec and ml_dtypes cannot be imported."""
    program = (
        "import runpy, sys\n"
        "for name in ('rnnspec', 'ml_dtypes', 'hypothesis'):\n"
        "    sys.modules[name] = None\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=elsewhere, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def ratio_in(printed: str) -> float:
    found = re.search(r"^error / bound, at most 1 if right: (\S+)$", printed, re.MULTILINE)
    assert found, printed
    return float(found[1])


@pytest.mark.parametrize(("check", "quantity"), [("values", "h"), ("gradients", "d")])
def test_the_script_repeats_the_violation_alone(check: str, quantity: str, few: Profile, tmp_path: Path) -> None:
    result = violate(Scripted(), check, few, tmp_path / "repros")
    script = Path(result.repro)
    assert script.parent == tmp_path / "repros"
    assert set(script.parent.iterdir()) == {script, script.with_suffix(".npz")}
    source = script.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 40
    assert "rnnspec" not in source
    assert "wronglib 1.2.3" in source
    title = ast.get_docstring(ast.parse(source))
    assert title is not None
    assert result.message.splitlines()[0] in title
    printed = run_alone(script, tmp_path)
    for word in ("expected", "got", "bound"):
        assert re.search(rf"^{word}$", printed, re.MULTILINE)
    assert result.worst_error_ratio is not None
    assert ratio_in(printed) == pytest.approx(result.worst_error_ratio, rel=1e-3)
    assert result.message.startswith(quantity)


def test_a_backend_without_a_script_shows_what_came(few: Profile, tmp_path: Path, numpy_with: Make) -> None:
    backend = numpy_with(rnn_cell=Scripted.rnn_cell)
    script = Path(violate(backend, "values", few, tmp_path).repro)
    source = script.read_text(encoding="utf-8")
    assert 'got = data["got"]' in source
    assert "recorded" in source
    with np.load(script.with_suffix(".npz"), allow_pickle=False) as data:
        assert {"expected", "bound", "got", "input.x", "input.W"} <= set(data.files)
        assert (abs(data["got"] - data["expected"]) > data["bound"]).any()


def test_everything_is_read_back_without_pickle_and_bfloat16_is_wide(few: Profile, tmp_path: Path) -> None:
    result = violate(Scripted(), "gradients", few, tmp_path, "bfloat16")
    with np.load(Path(result.repro).with_suffix(".npz"), allow_pickle=False) as data:
        for name in data.files:
            wide = np.float64 if name in ("expected", "bound") else np.float32
            assert data[name].dtype == wide, name
        x = data["input.x"]
        np.testing.assert_array_equal(x.astype(ml_dtypes.bfloat16).astype(np.float32), x)
        assert "cotangent.h" in data.files
    assert 'dtype = "bfloat16"' in Path(result.repro).read_text(encoding="utf-8")


def test_names_of_files_say_what_failed_and_are_safe(few: Profile, tmp_path: Path) -> None:
    assert Path(violate(Scripted(), "values", few, tmp_path).repro).name == "wrong-lib-rnn_cell-float32-values.py"


def test_a_message_cannot_break_out_of_the_docstring(tmp_path: Path, make_case: Make) -> None:
    case = make_case("rnn_cell")
    one = Bounded(np.zeros((3, 5)), np.ones((3, 5)))
    violation = Violation(
        'h: got """ and \\N and \\', str(case), case.call, quantity="h", expected=one, got=np.full((3, 5), 9.0)
    )
    script = write_repro(tmp_path, NumpyBackend(), "values", "float32", violation)
    assert isinstance(script, Path)
    ast.parse(script.read_text(encoding="utf-8"))


@pytest.mark.parametrize("missing", ["call", "expected", "got"])
def test_without_a_call_or_numbers_there_is_nothing_to_repeat(missing: str, tmp_path: Path, make_case: Make) -> None:
    case = make_case("rnn_cell")
    parts = {"expected": Bounded(np.zeros(1), np.zeros(1)), "got": np.zeros(1)}
    call = None if missing == "call" else case.call
    parts.pop(missing, None)
    violation = Violation("wrong", str(case), call, quantity="h", **parts)
    assert write_repro(tmp_path, NumpyBackend(), "values", "float32", violation) == ""
    assert list(tmp_path.iterdir()) == []


def test_no_folder_no_repro(few: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_check(BY_ID["values"], Scripted(), "rnn_cell", "float32", few).repro == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("check", "operation", "dtype"), [("values", "lstm", "float32"), ("gradients", "gru", "bfloat16")]
)
def test_torch_repeats_a_violation_alone(
    check: str, operation: str, dtype: str, few: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend
    from rnnspec.conformance.judge import tolerance

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Torch is right and its script calls torch: so here it is what is expected that is wrong.
    honest = tolerance._bounded

    def shifted(*arguments: Any) -> Bounded:
        right = honest(*arguments)
        return Bounded(right.value + 1, right.bound)

    monkeypatch.setattr(tolerance, "_bounded", shifted)
    try:
        result = run_check(BY_ID[check], TorchBackend(), operation, dtype, few, repro_dir=tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert result.verdict is Verdict.VIOLATES
    source = Path(result.repro).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 40
    assert "rnnspec" not in source
    assert f"torch {torch.__version__}" in source
    assert result.worst_error_ratio is not None
    printed = run_alone(Path(result.repro), tmp_path)
    assert ratio_in(printed) == pytest.approx(result.worst_error_ratio, rel=0.05)
