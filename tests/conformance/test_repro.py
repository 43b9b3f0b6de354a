"""A failure as files: an archive that NumPy reads, and a short script that needs no rnnspec.

Every check is made to fail, and every script is run where rnnspec cannot be imported.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, Extent
from rnnspec.conformance.checks import CHECKS, Check
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.faults.drawn import KeptAsTheyAre
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.conformance.run.files import write_arrays
from rnnspec.conformance.run.repro import Ask, read_record, write_repro
from rnnspec.conformance.run.repro.record import arrays_of
from rnnspec.conformance.run.repro.source import LINES, LINES_OF_A_CALL
from rnnspec.spec import operations

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}
VERY_FEW = Profile("very few", examples=30, examples_other_types=30, largest=0)
PLANNED = Profile("planned", 30, 30, largest=0, planned=Extent(2), draws=False)


class Wrong(NumpyBackend):
    """Right but for what depends on the numbers that it is given, which breaks every law; and it can show itself."""

    name = "wrong lib"

    def run(self, call: Call) -> tuple[Any, ...]:
        return tuple(_spoilt(array, call, "outputs") for array in super().run(call))

    def gradients(self, call: Call, cotangents: Any, wanted: Collection[str] | None = None) -> dict[str, Any]:
        gradients = super().gradients(call, cotangents, wanted)
        return {name: _spoilt(gradient, call, "gradients") for name, gradient in gradients.items()}

    def has_second_order(self, operation: str) -> bool:
        return self.has_gradients(operation)

    def second_order(self, call: Call, cotangents: Any, directions: Any) -> dict[str, Any]:
        return {name: np.full_like(array, 77) for name, array in call.float_inputs.items()}

    def versions(self) -> dict[str, str]:
        return {"wronglib": "1.2.3"}

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        if wanted:
            return "gradients = {name: 1e6 + np.zeros(inputs[name].shape) for name in inputs}\n"
        shapes = [array.shape for array in NumpyBackend().run(call)]
        return f"outputs = [1e6 + np.zeros(shape) for shape in {shapes}]\n"


def _spoilt(array: Any, call: Call, what: str) -> Any:
    """Add what is as large as the result, and other for other inputs, operations and quantities."""
    salt = zlib.crc32(f"{what} of {call.operation}".encode()) / 2**30
    salt += sum(float(np.nansum(np.abs(a.astype(np.float64)))) for a in call.inputs.values() if a.dtype != np.bool_)
    if array.dtype == np.int64:
        return 1 - np.clip(array, 0, 1)
    added = 30 * (1.5 + np.sin(1000 * salt)) + np.arange(array.size).reshape(array.shape)
    return (array.astype(np.float64) + added).astype(array.dtype)


class Mended(Wrong):
    """The same, with a library in which it has been mended since."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        if wanted:
            return "gradients = dict.fromkeys(inputs, expected)\n"
        return "outputs = [expected] * 9\n"


class Agreeable(NumpyBackend):
    """Accepts whatever it is given."""

    name = "agreeable"

    def run(self, call: Call) -> tuple[Any, ...]:
        try:
            return super().run(call)
        except Exception:
            return (np.zeros(3, np.float32),)

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return "outputs = [np.zeros(3)]\n"


class Strict(Agreeable):
    """The same, with a library that does not any more."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return 'raise ValueError("no such call")\n'


class Narrow(NumpyBackend):
    """Gives float16, whatever it is given."""

    name = "narrow"

    def run(self, call: Call) -> tuple[Any, ...]:
        return tuple(array.astype(np.float16) for array in super().run(call))

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        shapes = [array.shape for array in NumpyBackend().run(call)]
        return f"outputs = [np.zeros(shape, np.float16) for shape in {shapes}]\n"


class Wide(Narrow):
    """The same, mended since."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return str(super().script(call)).replace("np.float16", "np.float32")


class Overwriting(NumpyBackend):
    """Leaves other inputs than it was given."""

    name = "overwriting"

    def run(self, call: Call) -> tuple[Any, ...]:
        outputs = super().run(call)
        call.inputs["W"][...] = 0
        return outputs


class Changing(NumpyBackend):
    """Gives another result each time."""

    name = "changing"

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def run(self, call: Call) -> tuple[Any, ...]:
        self.count += 1
        return tuple(array + self.count for array in super().run(call))


class Drifting(NumpyBackend):
    """A little too large throughout, by less than rounding may move any one element."""

    name = "drifting"

    def run(self, call: Call) -> tuple[Any, ...]:
        return tuple(
            (array * 1.0000004).astype(array.dtype) if array.dtype == np.float32 else array
            for array in super().run(call)
        )


OF_ITS_OWN: dict[str, type[Backend]] = {
    "bad_input": Agreeable,
    "forms": Narrow,
    "unmodified": Overwriting,
    "repeatability": Changing,
    "drift": Drifting,
    "drawn": KeptAsTheyAre,
}
"""Checks that numbers alone do not break."""
RECORDED = ("unmodified", "repeatability", "drift", "drawn")


@dataclass
class Printed:
    """The output and the exit status of a script."""

    status: int
    parts: dict[str, str]
    errors: str

    @property
    def ratio(self) -> float:
        return float(self.parts["error / bound, at most 1 if right"])


def run_alone(script: Path, elsewhere: Path) -> Printed:
    """Run the script where rnnspec and what it brings cannot be imported."""
    program = (
        "import runpy, sys\n"
        "for name in ('rnnspec', 'ml_dtypes', 'hypothesis'):\n"
        "    sys.modules[name] = None\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program], cwd=elsewhere, capture_output=True, text=True, timeout=120
    )
    parts: dict[str, str] = {}
    head = ""
    for line in done.stdout.splitlines():
        if line in ("expected", "bound", "got", "error / bound, at most 1 if right"):
            head = line
            parts[head] = ""
        else:
            parts[head] += line
    return Printed(done.returncode, parts, done.stderr)


def read(path: str) -> str:
    source = Path(path).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LINES == 40
    assert max(len(line) for line in source.splitlines()) <= 120
    # The message of a crash may name a path with that name in it; the code may not.
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("rnnspec" in ast.unparse(node) for node in imported)
    return source


def operation_for(check: Check) -> str:
    preferred = ("dropout",) if check.needs_drawing else ("lstm", "softmax", "crf_viterbi", *operations())
    return next(name for name in preferred if check.applies_to(operations()[name]))


def fail(check: Check, backend: Backend, folder: Path, dtype: str = "float32") -> CheckResult:
    profile = VERY_FEW if check.by_case else PLANNED
    result = run_check(check, backend, operation_for(check), dtype, profile, repro_dir=folder)
    assert result.verdict in (Verdict.VIOLATES, Verdict.DEPARTS), result
    assert Path(result.repro).parent == folder
    return result


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_leaves_a_script_that_shows_its_failure(check: Check, tmp_path: Path) -> None:
    backend = OF_ITS_OWN.get(check.id, Wrong)()
    result = fail(check, backend, tmp_path)
    source = read(result.repro)
    assert check.id in source
    assert result.message.splitlines()[0][:60] in source.replace("'''", '"""')
    assert set(tmp_path.iterdir()) == {Path(result.repro), Path(result.repro).with_suffix(".npz")}
    printed = run_alone(Path(result.repro), tmp_path)
    assert (printed.status, printed.errors) == (1, "")
    assert {"expected", "bound", "got"} <= set(printed.parts)
    assert all(printed.parts.values())
    assert ("recorded" in source) == (check.id in RECORDED)
    if "error / bound, at most 1 if right" in printed.parts:
        assert printed.ratio > 1


@pytest.mark.parametrize("check", [check for check in CHECKS if check.id not in RECORDED], ids=lambda check: check.id)
def test_once_the_library_is_right_the_script_says_so(check: Check, tmp_path: Path) -> None:
    mended = {"bad_input": Strict, "forms": Wide}.get(check.id, Mended)()
    result = fail(check, mended, tmp_path)
    printed = run_alone(Path(result.repro), tmp_path)
    assert (printed.status, printed.errors) == (0, "")


def test_the_error_ratio_is_the_checks_own(tmp_path: Path) -> None:
    result = fail(BY_ID["values"], NoScript(), tmp_path)
    printed = run_alone(Path(result.repro), tmp_path)
    assert printed.ratio == pytest.approx(result.worst_error_ratio, rel=1e-3)
    assert re.search(r"wronglib 1\.2\.3", read(result.repro))


class NoScript(Wrong):
    """Has no function of its library's to show."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return None


class LongScript(Wrong):
    """Would take too many lines."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return "x = 1\n" * (LINES_OF_A_CALL + 5)


class BrokenScript(Wrong):
    """Cannot write it down."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        raise KeyError("x")


@pytest.mark.parametrize("backend", [NoScript, LongScript, BrokenScript])
@pytest.mark.parametrize("check", ["values", "gradients", "split", "identities"])
def test_without_a_script_of_the_librarys_the_numbers_are_those_recorded(
    backend: type[Backend], check: str, tmp_path: Path
) -> None:
    result = fail(BY_ID[check], backend(), tmp_path)
    assert "recorded" in read(result.repro)
    printed = run_alone(Path(result.repro), tmp_path)
    assert printed.status == 1
    assert printed.ratio > 1
    with np.load(Path(result.repro).with_suffix(".npz"), allow_pickle=False) as data:
        assert {"expected", "bound", "got", "input.x", "input.W"} <= set(data.files)


def test_the_longest_call_that_is_let_in_fits(tmp_path: Path) -> None:
    class Long(Wrong):
        def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
            return "x = 1\n" * (LINES_OF_A_CALL - 1) + str(super().script(call, wanted, directions))

    for check in ("values", "gradients", "layouts"):
        result = fail(BY_ID[check], Long(), tmp_path)
        assert "recorded" not in read(result.repro)


def test_of_two_calls_the_one_at_fault_is_shown(tmp_path: Path, numpy_with: Make) -> None:
    """The layer is wrong, what it is held against is not: the script speaks of the layer."""

    def wrong(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        return y, h + 1, c

    result = run_check(BY_ID["identities"], numpy_with(lstm=wrong), "lstm", "float32", VERY_FEW, repro_dir=tmp_path)
    assert "seen in h_n of lstm" in read(result.repro)
    with np.load(Path(result.repro).with_suffix(".npz")) as data:
        np.testing.assert_allclose(data["got"], data["expected"] + 1, rtol=1e-5)


def test_padding_that_is_almost_zero_is_shown_with_a_bound_of_zero(tmp_path: Path) -> None:
    class Almost(Wrong):
        """Leaves a little where there should be nothing, less than any bound."""

        gradients = NumpyBackend.gradients

        def run(self, call: Call) -> tuple[Any, ...]:
            y, *states = NumpyBackend.run(self, call)
            return np.where(y == 0, np.float32(1e-44), y), *states

    result = fail(BY_ID["padding"], Almost(), tmp_path)
    assert "expected exactly 0" in read(result.repro)
    assert "recorded" not in read(result.repro)
    with np.load(Path(result.repro).with_suffix(".npz")) as data:
        assert (data["got"][data["bound"] == 0] != data["expected"][data["bound"] == 0]).any()


def test_everything_is_read_back_without_pickle_and_bfloat16_is_wide(tmp_path: Path) -> None:
    result = fail(BY_ID["gradients"], Wrong(), tmp_path, "bfloat16")
    with np.load(Path(result.repro).with_suffix(".npz"), allow_pickle=False) as data:
        for name in data.files:
            if name == "call" or (name.startswith("input.") and data[name].dtype in (np.int64, np.bool_)):
                continue
            wide = np.float64 if name in ("expected", "bound") else np.float32
            assert data[name].dtype == wide, name
        x = data["input.x"]
        np.testing.assert_array_equal(x.astype(ml_dtypes.bfloat16).astype(np.float32), x)
        assert "cotangent.y" in data.files
    assert '"bfloat16"' in read(result.repro)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_archive_says_which_call_its_arrays_are_of(check: Check, tmp_path: Path) -> None:
    result = fail(check, OF_ITS_OWN.get(check.id, Wrong)(), tmp_path)
    path = Path(result.repro).with_suffix(".npz")
    with np.load(path, allow_pickle=False) as data:
        written = json.loads(str(data["call"]))
        stored = {name: data[name] for name in data.files}
    assert {"operation", "dtype", "attributes", "check", "case"} <= set(written)
    assert (written["dtype"], written["check"]) == ("float32", check.id)
    record = read_record(path)
    if not check.by_case:
        assert record.call is None
        assert (record.case is None, record.example is None) == (not check.needs_drawing, not check.needs_drawing)
        return
    assert isinstance(record.case, Case)
    assert record.case.operation == operation_for(check)
    assert f" seed={record.case.seed}" in result.message
    assert record.call is not None
    assert record.operation == record.call.operation
    for name, array in record.call.inputs.items():
        np.testing.assert_array_equal(array, stored[f"input.{name}"])
    parts = record.example if isinstance(record.example, tuple) else (record.case,)
    assert parts[0] == record.case
    # An example with objects of its own beside the case, such as a habit, is described by its arrays alone.
    assert (record.example is None) == (check.id in ("callers", "identities", "partial_gradients"))


def test_an_array_comes_back_in_its_type_and_layout(tmp_path: Path) -> None:
    x = np.zeros((4, 6), ml_dtypes.bfloat16)[::2, ::-2]
    x[...] = np.arange(6).reshape(2, 3)
    h = np.ones((2, 3), ml_dtypes.bfloat16)
    h.flags.writeable = False
    given = Call("attention_scores", {"x": x, "h": h, "again": x}, {"a": (1, 2), "b": None})
    ask = Ask(
        given, Call("attention_scores", {name: array.copy() for name, array in given.inputs.items()}, given.attributes)
    )
    write_arrays(
        tmp_path / "a.npz",
        {
            name: array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array
            for name, array in arrays_of(ask, "attention_scores", "bfloat16", "layouts", None).items()
        },
    )
    call = read_record(tmp_path / "a.npz").call
    assert call is not None
    assert call.attributes == given.attributes
    assert call.inputs["again"] is call.inputs["x"]
    assert call.inputs["x"].strides == x.strides
    assert not call.inputs["h"].flags.writeable
    for name, array in given.inputs.items():
        assert call.inputs[name].tobytes() == array.tobytes()
        assert call.inputs[name].dtype == array.dtype


def test_names_of_files_say_what_failed_and_are_safe(tmp_path: Path) -> None:
    assert Path(fail(BY_ID["values"], Wrong(), tmp_path).repro).name == "wrong-lib-lstm-float32-values.py"


# Crashes and time-outs.


class Crashing(Wrong):
    """Ends each call in an exception of many lines."""

    name = "crashing"

    def run(self, call: Call) -> tuple[Any, ...]:
        raise OSError('out of """paper"""\nsecond line\n\nlast line')

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return 'raise OSError("out of paper")\n'


class Recovered(Crashing):
    """The same, mended since."""

    script = Mended.script


@pytest.mark.parametrize(("backend", "status"), [(Crashing, 1), (Recovered, 0)])
def test_a_crash_shows_what_should_have_come(backend: type[Backend], status: int, tmp_path: Path) -> None:
    result = run_check(BY_ID["values"], backend(), "lstm", "float32", VERY_FEW, repro_dir=tmp_path)
    assert result.verdict is Verdict.CRASHED
    assert "OSError" in read(result.repro)
    printed = run_alone(Path(result.repro), tmp_path)
    assert printed.status == status
    assert {"expected", "bound", "got"} <= set(printed.parts)
    assert ("OSError('out of paper')" in printed.parts["got"]) == bool(status)
    assert not printed.errors


def test_a_crash_without_a_script_is_told(tmp_path: Path) -> None:
    class Silent(Crashing):
        script = NoScript.script

    result = run_check(BY_ID["values"], Silent(), "lstm", "float32", VERY_FEW, repro_dir=tmp_path)
    read(result.repro)
    printed = run_alone(Path(result.repro), tmp_path)
    assert (printed.status, printed.errors) == (1, "")
    assert "OSError: out of" in printed.parts["got"]


class Hanging(Wrong):
    """Takes longer than anyone waits."""

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        return "import time\ntime.sleep(100)\noutputs = []\n"


@pytest.mark.parametrize(("backend", "status"), [(Hanging, 1), (Mended, 0)])
def test_a_time_out_is_waited_for_again(backend: type[Backend], status: int, tmp_path: Path, make_case: Make) -> None:
    call = make_case("lstm").call
    lost = GuestLostError(call, "no answer within 0.2 s", timed_out=True, seconds=0.2)
    script = write_repro(tmp_path, backend(), "values", "lstm", "float32", lost, [Ask(call, call)])
    assert "no answer within 0.2 s" in read(str(script))
    printed = run_alone(script, tmp_path)
    assert printed.status == status
    assert ("Timeout" in printed.errors) == bool(status)
    assert printed.parts["expected"]


def test_what_was_never_asked_is_told(tmp_path: Path, make_case: Make) -> None:
    lost = GuestLostError(make_case("lstm").call, "the process ended by SIGSEGV")
    script = write_repro(tmp_path, Wrong(), "values", "lstm", "float32", lost, [])
    read(str(script))
    assert "SIGSEGV" in run_alone(script, tmp_path).parts["got"]


# Events that must not happen.


@pytest.mark.parametrize("message", ['h: got """ and \\N and \\', "x" * 500, "one\ntwo\nthree\nfour\nfive", '"', "\\"])
def test_a_message_cannot_break_out_of_the_docstring(message: str, tmp_path: Path, make_case: Make) -> None:
    case = make_case("rnn_cell")
    one = Bounded(np.zeros((3, 5)), np.ones((3, 5)))
    violation = Asked(case, case.call).violation(message, "h", expected=one, got=np.full((3, 5), 9.0))
    script = write_repro(tmp_path, NumpyBackend(), "values", "rnn_cell", "float32", violation, [])
    read(str(script))
    assert run_alone(script, tmp_path).ratio == 9


def test_no_folder_no_repro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_check(BY_ID["values"], Wrong(), "rnn_cell", "float32", VERY_FEW).repro == ""
    assert list(tmp_path.iterdir()) == []


def test_what_conforms_or_is_refused_leaves_nothing(tmp_path: Path, numpy_with: Make) -> None:
    def refuse(**call: Any) -> Any:
        raise Unsupported("not today")

    for backend in (NumpyBackend(), numpy_with(rnn_cell=refuse)):
        assert run_check(BY_ID["values"], backend, "rnn_cell", "float32", VERY_FEW, repro_dir=tmp_path).repro == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("check", "operation", "dtype"),
    [("values", "lstm", "float32"), ("gradients", "gru", "bfloat16"), ("partial_gradients", "lstm", "float32")],
)
def test_torch_repeats_a_violation_alone(
    check: str, operation: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        result = run_check(BY_ID[check], TorchBackend(), operation, dtype, VERY_FEW, repro_dir=tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert result.verdict is Verdict.VIOLATES
    source = read(result.repro)
    assert f"torch {torch.__version__}" in source
    assert "recorded" not in source
    assert result.worst_error_ratio is not None
    printed = run_alone(Path(result.repro), tmp_path)
    assert printed.status == 1
    assert printed.ratio == pytest.approx(result.worst_error_ratio, rel=0.05)
