"""Backends in processes of their own: whatever one does there ends in a verdict, and the run goes on."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.spawn import get_executable, set_executable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import BackendError, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError, Isolated, Isolation, Limits
from rnnspec.conformance.options import isolation
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.conformance.run.expected import ExpectedFailure

GUESTS = '''\
"""Backends that do what no guest should."""
import ctypes
import faulthandler
import itertools
import os
import random
import signal
import sys
import threading
import time

import numpy as np

from rnnspec import reference
from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend

print("noise on import")


def guest(does):
    """A backend of which rnn_cell `does` that, and all else is right."""
    cell = staticmethod(lambda **call: does(**call) or reference.rnn_cell(**call))
    return type(does.__name__, (NumpyBackend,), {"name": does.__name__.lower(), "rnn_cell": cell})


@guest
def Right(**call):
    pass


class Compiling(NumpyBackend):
    name = "compiling"
    compiles = 20


@guest
def Segfaulting(**call):
    ctypes.string_at(0)


@guest
def Aborting(**call):
    os.abort()


@guest
def Killed(**call):
    os.kill(os.getpid(), signal.SIGKILL)


@guest
def Leaving(**call):
    os._exit(0)


@guest
def Exiting(**call):
    sys.exit("enough")


@guest
def Interrupting(**call):
    raise KeyboardInterrupt


@guest
def Hanging(**call):
    time.sleep(1000)


@guest
def HangingOnBadInput(**call):
    try:
        reference.rnn_cell(**call)
    except Exception:
        time.sleep(1000)


@guest
def CrashingOnBadInput(**call):
    try:
        reference.rnn_cell(**call)
    except Exception:
        os.abort()


@guest
def Allocating(**call):
    held = []
    while True:
        held.append(b"x" * (1 << 23))


@guest
def AskingForTooMuch(**call):
    bytearray(1 << 40)


@guest
def Talking(**call):
    print("noise")
    print("noise", file=sys.stderr)
    os.write(1, b"noise")
    os.write(2, b"noise")
    os.system("echo noise")


@guest
def NotANumber(**call):
    return (reference.rnn_cell(**call)[0] * np.nan,)


@guest
def NotAnArray(**call):
    return (Own(),)


class Own:
    """Of a type that only this module has."""

    def __reduce__(self):
        raise TypeError("not to be pickled")


class Unconverted(NumpyBackend):
    """Gives what is no array of NumPy's."""
    name = "unconverted"

    def to_numpy(self, array):
        return Own()


class OfObjects(NumpyBackend):
    name = "ofobjects"

    def to_numpy(self, array):
        return np.array([Own()], object)


COUNT = itertools.count()


@guest
def Changing(**call):
    if next(COUNT) % 7 == 6:
        return (reference.rnn_cell(**call)[0] + 1,)


class Unpicklable(Exception):
    def __init__(self):
        super().__init__(threading.Lock(), Own())

    def __str__(self):
        return "with a lock in it"


@guest
def RaisingUnpicklable(**call):
    raise Unpicklable


@guest
def RaisingNameless(**call):
    class Silent(BaseException):
        def __str__(self):
            raise RuntimeError
    raise Silent


@guest
def Refusing(**call):
    raise Unsupported("not on weekdays")


@guest
def Meddling(**call):
    os.environ["RNNSPEC_TEST"] = "meddled"
    os.chdir("/")
    random.seed(0)
    np.random.seed(0)
    np.seterr(all="raise")
    sys.setrecursionlimit(10_000)


class Overwriting(NumpyBackend):
    name = "overwriting"

    def to_native(self, array):
        return array

    @staticmethod
    def rnn_cell(x, **call):
        h = reference.rnn_cell(x=x, **call)
        x += 1
        return h


class OneBuffer(NumpyBackend):
    name = "one-buffer"
    buffer = None

    def to_numpy(self, array):
        if self.buffer is None:
            self.buffer = array
        else:
            self.buffer += 1
        return self.buffer


class Recording(Overwriting):
    """Tells how its inputs lie, by way of a refusal."""
    name = "recording"

    @staticmethod
    def rnn_cell(**call):
        raise Unsupported([(call[name].strides, call[name].flags.writeable) for name in ("x", "W", "R", "b")])


@guest
def HoldingTheLine(**call):
    """Until it is ended."""
    line = os.open("line", os.O_WRONLY)
    os.write(line, b"x")
    time.sleep(1000)


class NotOpening(NumpyBackend):
    name = "notopening"

    def __init__(self, device):
        os.abort()


class Nameless(NumpyBackend):
    name = "nameless"

    def versions(self):
        raise OSError("no versions")
'''

FEW = Profile("few", examples=12, examples_other_types=12, largest=0)
BY_ID = {check.id: check for check in CHECKS}
SHORT = Limits(seconds=1.0, gibibytes=0.5)
Open = Callable[..., Isolated]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("isolated")
    (path / "guests.py").write_text(GUESTS)
    return path


@pytest.fixture
def isolated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.syspath_prepend(str(folder))
    opened = []

    def make(name: str, limits: Limits = SHORT) -> Isolated:
        opened.append(Isolated(f"guests:{name}", limits=limits))
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()


def checked(backend: Isolated, check: str = "values", profile: Profile = FEW) -> CheckResult:
    return run_check(BY_ID[check], backend, "rnn_cell", "float32", profile)


@pytest.fixture
def call(make_case: Callable[..., Case]) -> Call:
    return make_case("rnn_cell").call


# Its answers.


def test_it_is_the_backend_that_it_stands_for(isolated: Open, call: Call) -> None:
    there, here = isolated("Right"), NumpyBackend()
    assert (there.name, there.device, there.dtypes()) == ("right", "cpu", here.dtypes())
    assert (there.versions(), there.operations()) == (here.versions(), here.operations())
    assert there.expected_failures() is None
    for name in here.operations():
        assert there.has_gradients(name) == here.has_gradients(name)
    cotangents = (np.ones((3, 5), np.float32),)
    np.testing.assert_array_equal(there.run(call), here.run(call), strict=True)
    gradients = here.gradients(call, cotangents)
    for name, gradient in there.gradients(call, cotangents).items():
        np.testing.assert_array_equal(gradient, gradients.pop(name), strict=True)
    assert gradients == {}
    assert there.refusal(call, gradient=True) is None
    assert there.script(call) == here.script(call)


def test_what_compiles_says_so_from_its_process(isolated: Open) -> None:
    assert isolated("Compiling").compiles == 20
    assert isolated("Right").compiles == 1


@pytest.mark.parametrize("check", ["values", "gradients", "bad_input"])
def test_right_is_right(check: str, isolated: Open) -> None:
    there, here = checked(isolated("Right"), check), run_check(BY_ID[check], NumpyBackend(), "rnn_cell", "float32", FEW)
    assert there.verdict is Verdict.CONFORMS
    assert there.examples == here.examples > 0


def test_a_refusal_is_no_crash(isolated: Open, call: Call) -> None:
    backend = isolated("Refusing")
    with pytest.raises(Unsupported, match="not on weekdays"):
        backend.run(call)
    assert checked(backend).verdict is Verdict.REFUSED


# Disturbances that it survives.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Aborting", "the process ended by SIGABRT"),
        ("Segfaulting", "the process ended by SIGSEGV"),
        ("Killed", "the process ended by SIGKILL"),
        ("Leaving", "the process ended itself, with status 0"),
        ("Exiting", "SystemExit: enough"),
        ("Interrupting", "KeyboardInterrupt: "),
        ("Allocating", "MemoryError"),
        ("AskingForTooMuch", "MemoryError"),
        ("RaisingUnpicklable", "Unpicklable: with a lock in it"),
        ("RaisingNameless", "Silent: (its message cannot be shown)"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of memory are those of POSIX")
def test_what_crashes(name: str, reason: str, isolated: Open) -> None:
    backend = isolated(name, Limits(seconds=60, gibibytes=0.5))
    result = checked(backend)
    assert result.verdict is Verdict.CRASHED
    assert result.message.startswith(reason)
    assert "in rnn_cell(x (1, 1), " in result.message
    if name not in ("Killed", "Leaving"):  # nothing is told where those ended
        assert "guests.py, line " in result.message
    assert checked(backend, "gradients").verdict is Verdict.CONFORMS  # the run goes on, in a new process


def test_a_hang_stops_the_check(isolated: Open) -> None:
    backend = isolated("Hanging")
    started = time.perf_counter()
    result = checked(backend)
    assert time.perf_counter() - started < 20  # twice the limit and two new processes, on a busy machine
    assert result.verdict is Verdict.TIMED_OUT
    assert result.verdict.bad
    assert result.message.startswith("no answer within 1 s\n  at ")
    assert "guests.py, line " in result.message
    assert checked(backend, "gradients").verdict is Verdict.CONFORMS


@pytest.mark.parametrize(("name", "most"), [("Hanging", 1), ("Leaving", 12)])
def test_a_loss_may_be_expected(name: str, most: int, isolated: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a hang that is expected the check stops; after a crash the search for others goes on."""
    backend, lost = isolated(name), []

    def run(call: Call) -> Any:
        try:
            return Isolated.run(backend, call)
        except GuestLostError:
            lost.append(call)
            raise

    monkeypatch.setattr(backend, "run", run)
    known = (ExpectedFailure(("rnn_cell",), ("values",), "It does that.", "https://example.org/1"),)
    result = run_check(BY_ID["values"], backend, "rnn_cell", "float32", FEW, expected=known)
    assert result.verdict is Verdict.EXPECTED
    assert result.message.startswith("It does that. https://example.org/1\n")
    assert len(lost) == 1 + most  # one when it was asked what it supports


@pytest.mark.parametrize(
    ("name", "verdict"), [("HangingOnBadInput", Verdict.TIMED_OUT), ("CrashingOnBadInput", Verdict.CRASHED)]
)
def test_to_be_lost_is_no_right_answer_to_bad_input(name: str, verdict: Verdict, isolated: Open) -> None:
    backend = isolated(name)
    assert checked(backend).verdict is Verdict.CONFORMS
    assert checked(backend, "bad_input").verdict is verdict


def test_a_lost_process_is_replaced(isolated: Open, make_case: Callable[..., Case]) -> None:
    backend = isolated("Leaving")
    call, other = make_case("rnn_cell").call, make_case("rnn").call
    for _ in range(2):
        with pytest.raises(GuestLostError):
            backend.run(call)
        assert len(backend.run(other)) == 2


def test_output_goes_nowhere(isolated: Open, capfd: pytest.CaptureFixture[str]) -> None:
    assert checked(isolated("Talking")).verdict is Verdict.CONFORMS
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_it_changes_stays_there(isolated: Open, call: Call) -> None:
    def state() -> list[Any]:
        shared = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002  # what may be meddled with
        return [Path.cwd(), dict(os.environ), random.getstate(), shared, np.geterr(), sys.getrecursionlimit()]

    before = state()
    isolated("Meddling").run(call)
    assert state() == before


def test_overwritten_inputs_are_seen(isolated: Open, call: Call) -> None:
    before = {name: array.copy() for name, array in call.inputs.items()}
    isolated("Overwriting").run(call)
    np.testing.assert_array_equal(call.inputs["x"], before.pop("x") + 1)
    for name, array in before.items():
        np.testing.assert_array_equal(call.inputs[name], array)


def test_results_of_calls_before_that_are_overwritten_are_seen(isolated: Open, call: Call) -> None:
    backend = isolated("OneBuffer")
    first = backend.run(call)[0]
    before = first.copy()
    second = backend.run(call)[0]
    np.testing.assert_array_equal(first, before + 1)
    np.testing.assert_array_equal(second, first)


def test_layouts_are_kept(isolated: Open, call: Call) -> None:
    inputs = dict(call.inputs)
    inputs["x"] = np.repeat(inputs["x"], 2, axis=0)[::-2]
    inputs["W"] = np.asfortranarray(inputs["W"])
    inputs["R"].flags.writeable = False
    inputs["b"] = np.broadcast_to(inputs["b"][:, :1], inputs["b"].shape)
    strided = replace(call, inputs=inputs)
    with pytest.raises(Unsupported) as refusal:
        isolated("Recording").run(strided)
    assert str(refusal.value) == str([(inputs[name].strides, inputs[name].flags.writeable) for name in "xWRb"])
    np.testing.assert_array_equal(isolated("Right").run(strided), NumpyBackend().run(strided))


RUN = """\
import signal

from rnnspec.conformance.cases import Case
from rnnspec.conformance.hosting.isolated import Isolated, Limits
from rnnspec.spec import operation

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
backend = Isolated("guests:HoldingTheLine", limits=Limits(seconds={seconds}))
backend.run(Case("rnn_cell", "float32", dict(B=1, D=1, H=1), operation("rnn_cell").defaults()).call)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 1000), (signal.SIGTERM, 2)])
def test_no_process_outlives_the_suite(number: signal.Signals, seconds: float, folder: Path, tmp_path: Path) -> None:
    """Though the backend hangs: at once if the suite can still do something, else after the time limit."""
    os.mkfifo(tmp_path / "line")
    line = os.open(tmp_path / "line", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(
        [sys.executable, "-c", RUN.format(seconds=seconds)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(folder), "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL,
    ) as suite:  # fmt: skip
        assert select.select([line], [], [], 60)[0]
        assert os.read(line, 1) == b"x"  # it hangs
        suite.send_signal(number)
    assert select.select([line], [], [], 60)[0]
    assert os.read(line, 1) == b""  # nobody is left who could write
    os.close(line)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NotANumber", "got nan"),
        ("Unconverted", "h: expected an array, got Own"),
        ("OfObjects", "h: expected shape"),
        ("Changing", "the same call gave h["),
    ],
)
def test_what_is_wrong_is_told_as_ever(name: str, message: str, isolated: Open) -> None:
    result = checked(isolated(name), profile=Profile("some", examples=40, examples_other_types=40, largest=0))
    assert result.verdict is Verdict.VIOLATES
    assert message in result.message


def test_an_exception_keeps_its_type_and_words(isolated: Open, call: Call) -> None:
    with pytest.raises(BackendCrashError, match=r"Unpicklable: with a lock in it\n  at .*guests.py, line "):
        isolated("RaisingUnpicklable").run(call)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("guests:NotOpening", "'guests:NotOpening' does not open: the process ended by SIGABRT"),
        ("guests:Nameless", "'guests:Nameless' does not open: OSError: no versions"),
        ("guests:Missing", "'guests:Missing' fails to import: AttributeError"),
        ("no_such_module:Backend", "fails to import: ModuleNotFoundError"),
    ],
)
def test_what_does_not_open(name: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(BackendError, match=message):
        Isolated(name)


@pytest.mark.skipif(sys.platform == "win32", reason="a process starts in another way there")
def test_an_interpreter_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    before = get_executable()
    set_executable(str(tmp_path / "python"))
    try:
        with pytest.raises(BackendError, match=r"no process could be started: .*python cannot be run by this user"):
            Isolated("rnnspec.backends.numpy:NumpyBackend")
    finally:
        set_executable(os.fsdecode(before))


def test_an_interruption_leaves_no_answer_to_an_earlier_call(
    isolated: Open, make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = isolated("Right")

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rnnspec.conformance.hosting.process.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backend.run(make_case("rnn_cell").call)
    assert len(backend.run(make_case("lstm").call)) == 3


def test_nothing_is_left_behind(isolated: Open, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    backend = isolated("Right")
    backend.run(call)
    assert len(list(tmp_path.iterdir())) == 1
    backend.close()
    assert list(tmp_path.iterdir()) == []


def test_who_is_isolated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    name, limits = "guests:Right", Limits()
    own = Isolation.AUTO.open(name, "cpu", limits)
    assert isinstance(own, Isolated)
    assert Isolation.AUTO.open(name, "cpu", limits) is own  # one process for all that ask
    own.close()
    assert not isinstance(Isolation.NEVER.open("rnnspec.backends.numpy:NumpyBackend", "cpu", limits), Isolated)
    assert not isinstance(Isolation.AUTO.open("numpy", "cpu", limits), Isolated)
    words = [isolation(None, None, asked) for asked in (None, True, False)]
    assert words == [Isolation.AUTO, Isolation.ALWAYS, Isolation.NEVER]


def test_an_idle_process_cleans_up_after_a_killed_suite(folder: Path, tmp_path: Path) -> None:
    program = "\n".join(
        [
            "from rnnspec.conformance.hosting.isolated import Isolated",
            "backend = Isolated('guests:Right')",
            "import os",
            "os._exit(3)",
        ]
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "TMPDIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, timeout=300).returncode == 3
    until = time.monotonic() + 20
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_the_command_line(folder: Path, tmp_path: Path) -> None:
    """By default what is named as module:Class is isolated; what it does there disturbs neither run nor report."""
    file = tmp_path / "result.json"
    words = [
        "validate", *(f"guests:{name}" for name in ("Aborting", "Hanging", "Talking")), "--op", "rnn_cell",
        "--dtype", "float32", "--time-limit", "1", "--memory-limit", "1", "-k", "values", "--json", str(file),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", f"from rnnspec.conformance.cli import main; main({words!r})"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    backends = json.loads(file.read_text(encoding="utf-8"))["backends"]
    assert {backend["name"]: backend["verdict"] for backend in backends} == {
        "guests:Aborting": "crashed",
        "guests:Hanging": "timed out",
        "guests:Talking": "conforms",
    }
    assert "noise" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "no answer within 1 s" in done.stdout
