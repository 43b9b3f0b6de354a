"""The program around the commands: its streams, its exit status, and the folder that it runs in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner

from rnnspec.backends.interrupts import Interrupted, asking_to_end, interruptible
from rnnspec.conformance import plugin
from rnnspec.conformance.cli import main
from rnnspec.conformance.commands.validate_pytest import must_have_run
from rnnspec.conformance.hosting.jobs import most_processes
from rnnspec.conformance.program import Program

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
WRONG = """
from rnnspec.backends.numpy import NumpyBackend

class Wrong(NumpyBackend):
    name = "wrong"
    def dense(self, *args, **more):
        return tuple(2 * output for output in super().dense(*args, **more))
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="the devices and signals are those of POSIX")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_character_is_printed_in_any_encoding(encoding: str, program: Run) -> None:
    done = program("show", "lstm", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"c[t] = f[t] * c_prev[t] + i[t] * g[t]" in done.stdout


@posix
def test_a_full_output_is_told_and_stops_nothing(program: Run, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = program("list", "--checks", "--json", str(tmp_path / "list.json"), capture_output=False, stdout=full,
                       stderr=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == b"Error: standard output cannot be written: No space left on device\n"
    assert (tmp_path / "list.json").exists()


@posix
@pytest.mark.parametrize("closed", [1, 2])
def test_a_verdict_with_a_closed_stream(closed: int, program: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong_guest.py").write_text(WRONG)
    done = program(
        "validate", "wrong_guest:Wrong", "--op", "dense", "--dtype", "float32", "-n", "0", "-k", "values",
        path=(tmp_path,), preexec_fn=lambda: os.close(closed),
    )  # fmt: skip
    assert done.returncode == 1
    assert (b"Wrong: violates" in done.stdout) == (closed == 2)
    assert b"Error" not in done.stderr


@posix
def test_who_reads_no_further_is_told_nothing(program: Run) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = program("list", "--checks", capture_output=False, stdout=writes, stderr=subprocess.PIPE)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, b"")


@posix
def test_a_folder_that_is_gone_is_one_line(program: Run, tmp_path: Path) -> None:
    def go() -> None:
        (tmp_path / "gone").mkdir()
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()

    done = program("list", preexec_fn=go)
    assert done.returncode == 2
    assert b"the current folder is not there any more" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_without_docstrings(program: Run) -> None:
    for arguments in ((), ("validate",), ("bench",), ("vectors", "check")):
        with_them, without = (program(*arguments, "--help", flags=flags) for flags in ((), ("-OO",)))
        assert without.stdout == with_them.stdout
        assert without.returncode == 0


def program_of(does: Callable[[], object]) -> Program:
    group = Program("test")
    group.add_command(click.Command("do", callback=does))
    return group


def failing(error: BaseException) -> Callable[[], object]:
    def does() -> object:
        raise error

    return does


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (RuntimeError("a bug"), 2, "this is a fault of rnnspec itself"),
        (MemoryError(), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Interrupted(signal.SIGINT), 130, "interrupted"),
        (Interrupted(signal.SIGTERM), 143, "interrupted"),
        (click.ClickException("bell \x07"), 2, r"bell \x07"),
    ],
)
def test_the_exit_status(error: BaseException, status: int, told: str) -> None:
    result = CliRunner().invoke(program_of(failing(error)), ["do"])
    assert result.exit_code == status
    assert told in result.stderr


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command(number: str) -> None:
    _ends_a_command(signal.Signals[number])


@posix
def test_the_end_of_a_terminal_that_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in asking_to_end()
    finally:
        signal.signal(signal.SIGHUP, before)


def _ends_a_command(number: signal.Signals) -> None:
    of_the_run = signal.getsignal(number)
    if of_the_run is signal.SIG_IGN:  # as of a run in the background, which its terminal does not end
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    result = CliRunner().invoke(program_of(lambda: _interrupted_by(number)), ["do"])
    after = signal.signal(number, of_the_run)
    assert result.exit_code == 128 + number
    assert after is before


EARLY = """
import os, signal, sys

class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == "rnnspec.conformance.cli":
            os.kill(os.getpid(), int(sys.argv[1]))

sys.meta_path.insert(0, Signalling())
from rnnspec.__main__ import main
main()
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_is_imported(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", EARLY, str(int(number))], capture_output=True, timeout=60,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # the run itself may ignore it
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + number, b"interrupted\n")


def test_the_script_is_the_program() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"rnnspec": "rnnspec.__main__:main"}


def test_an_unknown_option_is_one_line() -> None:
    result = CliRunner().invoke(main, ["list", "--nothing\x1b[2J"])
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def _interrupted_by(number: signal.Signals) -> None:
    with interruptible():
        os.kill(os.getpid(), number)


@posix
def test_too_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 64))
    result = CliRunner().invoke(main, ["list"])
    assert result.exit_code == 2
    assert result.stderr == "Error: only 16 files may be open here: expected 64 or more, as by ulimit -n 1024\n"


@posix
def test_a_folder_that_goes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes() -> object:
        gone.rmdir()
        return Path.cwd()

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    result = CliRunner().invoke(program_of(goes), ["do"])
    assert result.exit_code == 2
    assert "the current folder was removed meanwhile" in result.stderr
    assert "Traceback" not in result.stderr


def test_processes_are_not_fewer_than_none() -> None:
    for given in (["-n", "-3"], ["-n-3"], ["--numprocesses=-3"]):
        result = CliRunner().invoke(main, ["validate", "numpy", "--op", "dense", *given])
        assert result.exit_code == 2
        assert result.stderr == "Error: -n: expected 0 or more processes, got -3\n"


def test_processes_are_no_more_than_a_machine_bears() -> None:
    for given in (["validate", "numpy", "-n", "1000000"], ["soak", "numpy", "--jobs", "1000000"]):
        result = CliRunner().invoke(main, [*given, "--op", "dense", "--dtype", "float32"])
        assert result.exit_code == 2
        assert f"expected at most {most_processes()} processes on this machine" in result.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["train", "numpy", "--model", "air-quality", "--steps", "1" + 30 * "0"], "expected at most 1,099,511,627,776"),
        (["validate", "numpy", "--largest", "1" + 30 * "0"], "got a number of 31 digits"),
        (["trace", "dense", "--size", "B=" + 5000 * "9"], "expected SYMBOL=NUMBER"),
        (["trace", "dense", "--size", "B=²"], "expected SYMBOL=NUMBER"),
        (["train", "numpy", "--model", "air-quality", "--size", "B=" + 5000 * "9"], "expected SYMBOL=NUMBER"),
        (["faults", "--op", "dense", "--seeds", 5000 * "9"], "expected seeds such as"),
        (["faults", "--diagnose", "--seeds", 5000 * "9"], "takes one seed"),
        (["validate", "numpy", "--op", "dense", "-n", 5000 * "9"], "processes on this machine"),
    ],
)
def test_a_number_of_no_use_is_one_line(given: list[str], told: str) -> None:
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 2
    assert told in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_the_suite_s_own_want_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(plugin, "_result", lack)
    result = CliRunner().invoke(
        main, ["validate", "numpy", "--op", "dense", "--dtype", "float32", "-n0", "-k", "drift"]
    )
    assert result.exit_code == 2
    assert "float32-drift: the suite itself has not enough memory" in result.stderr
    assert result.stderr.count("\n") <= 2


GUEST = """
import atexit, os, sys
from rnnspec.conformance import program
program.host_a_guest()
atexit.register(os._exit, 0)
print("said", end="")
program.leave(3)
"""


def test_what_a_guest_does_at_the_end_changes_no_status() -> None:
    done = subprocess.run([sys.executable, "-c", GUEST], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, b"said")


def test_a_suite_that_ends_early_is_no_verdict() -> None:
    collector = SimpleNamespace(results=[object()], problems=[], interrupted=0, unplanned=[])
    must_have_run(3, "what\nhappened", (), cast(Any, collector))
    (told,) = collector.problems
    assert told.startswith("pytest ended before the last check (exit status 3)")
    assert "happened" in told
    for status in (0, 1, 5):
        must_have_run(status, "", (), cast(Any, SimpleNamespace(**{**vars(collector), "problems": None})))
