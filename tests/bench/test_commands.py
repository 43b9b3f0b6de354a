"""`rnnspec bench` as it is called: what is printed and written, exit statuses, and errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pytest_benchmark")

from rnnspec.conformance.cli import main

FAKES = '''\
"""Backends to be named as package.module:Class."""
from pathlib import Path

from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.edits.changing import changed
from rnnspec.spec import operation
from rnnspec.spec.operation import Block

class Same(NumpyBackend):
    name = "same"

FORGETFUL = Block("f = gate(arg(a_f + 1))", "here", {"coupled": False})

class Wrong(backend_of(changed(operation("lstm"), [FORGETFUL]))):
    name = "wrong"

class Known(Wrong):
    name = "known"

    @classmethod
    def expected_failures(cls):
        return Path(__file__).with_name("known.toml")

class Refuses(NumpyBackend):
    name = "refuses"
    refuses_with = {ValueError: "no such"}

    def lstm(self, **arguments):
        raise ValueError("no such state")

class Aborts(NumpyBackend):
    name = "aborts"

    def lstm(self, **arguments):
        import os
        os.abort()

class Hangs(NumpyBackend):
    name = "hangs"

    def lstm(self, **arguments):
        while True:
            pass
'''
KNOWN = """\
[[failure]]
operation = "lstm"
check = "values"
reason = "It forgets."
link = "https://example.org/1"
"""
SMALL = ("--op", "lstm", "--scale", "small", "--rounds", "3", "--seconds", "0.01", "--no-memory", "--no-isolate")


@pytest.fixture(autouse=True)
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fakes_timed.py").write_text(FAKES)
    (tmp_path / "known.toml").write_text(KNOWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("bench", *arguments))


def test_two_backends_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    result = bench("numpy", "fakes_timed:Same", *SMALL, "-T", "5", "--mode", "forward", "--json", str(file))
    assert result.exit_code == 0, result.output
    for part in ("lstm-small T=5 forward float32", "numpy", "fakes_timed:Same", "GFLOP/s", "thread", "%"):
        assert part in result.stdout
    data = json.loads(file.read_text())
    assert [entry["param"] for entry in data["benchmarks"]] == ["numpy", "fakes_timed:Same"]
    assert data["benchmarks"][0]["extra_info"]["sizes"] == {"B": 4, "T": 5, "D": 16, "H": 32}
    again = bench("compare", str(file), str(file))
    assert again.exit_code == 0, again.output
    assert "no difference shown" in again.stdout
    assert "0 of 2 surely slower by more than 10%" in again.stdout


def test_who_is_wrong_is_not_timed() -> None:
    result = bench("fakes_timed:Wrong", "numpy", *SMALL)
    assert result.exit_code == 1, result.output
    assert "not timed lstm-small forward float32: fakes_timed:Wrong does not conform" in result.stdout


def test_a_refusal_and_a_known_fault_are_no_violations() -> None:
    result = bench("fakes_timed:Refuses", "fakes_timed:Known", "numpy", *SMALL, "--mode", "forward")
    assert result.exit_code == 0, result.output
    assert "not timed lstm-small forward float32: fakes_timed:Refuses refused: no such state" in result.stdout
    assert "fakes_timed:Known does not conform, as is known: It forgets. https://example.org/1" in result.stdout


def test_none_but_wrong_ones_is_a_violation() -> None:
    result = bench("fakes_timed:Wrong", "--alone", *SMALL, "--mode", "forward")
    assert result.exit_code == 1, result.output
    assert "Error: no conforming backend" in result.stderr


def test_who_ends_the_process_or_hangs_is_not_timed() -> None:
    options = [option for option in SMALL if option != "--no-isolate"]
    fakes = ("fakes_timed:Aborts", "fakes_timed:Hangs", "fakes_timed:Same")
    result = bench("numpy", *fakes, *options, "--mode", "forward", "--time-limit", "2")
    assert result.exit_code == 1, result.output
    assert "fakes_timed:Aborts crashed: the process ended by SIGABRT" in result.stdout
    assert "fakes_timed:Hangs timed out: no answer within 2 s" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("Same ")]
    assert "%" in row


def test_who_hangs_in_this_process_is_not_timed() -> None:
    result = bench("numpy", "fakes_timed:Hangs", *SMALL, "--mode", "forward", "--time-limit", "0.3")
    assert result.exit_code == 1, result.output
    assert "fakes_timed:Hangs timed out: no answer within the time limit" in result.stdout


def test_a_scan_takes_a_single_backend() -> None:
    result = bench("numpy", *SMALL, "--mode", "forward", "--scan", "T=2,4,8")
    assert result.exit_code == 0, result.output
    assert "lstm-small forward float32, T: numpy ~ T^" in result.stdout
    assert "its work ~ ^1" in result.stdout


def test_one_alone() -> None:
    result = bench("numpy", "--alone", *SMALL, "--mode", "gradient", "--dtype", "float64")
    assert result.exit_code == 0, result.output
    assert "lstm-small gradient float64" in result.stdout


def test_a_file_of_ones_own_is_what_is_run(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[workloads.mine]\nsizes = {B = 2, T = 2, D = 2, H = 2}\nstages = [{operation = 'gru'}]\n")
    quick = ("--rounds", "2", "--seconds", "0.01", "--no-memory", "--no-isolate")
    result = bench("numpy", "fakes_timed:Same", "--workloads", str(own), *quick)
    assert result.exit_code == 0, result.output
    assert "mine forward float32" in result.stdout
    assert "speech" not in result.stdout


def test_slower_is_exit_status_1(tmp_path: Path) -> None:
    for name, seconds in (("old", 1.0), ("new", 1.5)):
        stats = {"data": [seconds * (1 + 0.001 * k) for k in range(20)]}
        (tmp_path / name).write_text(json.dumps({"benchmarks": [{"fullname": "lstm[mine]", "stats": stats}]}))
    old, new, file = (str(tmp_path / name) for name in ("old", "new", "out.json"))
    result = bench("compare", old, new, "--json", file)
    assert result.exit_code == 1
    assert "lstm[mine]" in result.stdout
    assert "regression" in result.stdout
    data = json.loads(Path(file).read_text())
    assert (data["bad"], data["compared"][0]["verdict"]) == (True, "regression")
    assert bench("compare", old, new, "--threshold", "0.6").exit_code == 0
    assert bench("compare", new, old).exit_code == 0


ERRORS = {
    "workload": (("numpy", "torch", "-w", "speach"), ("unknown workload 'speach'", "speech", "--workloads FILE")),
    "operation": (("numpy", "torch", "--op", "lstn"), ("unknown operation 'lstn'",)),
    "scale": (("numpy", "torch", "--op", "lstm", "--scale", "huge"), ("unknown scale 'huge'", "small, medium, large")),
    "size below 1": (("numpy", "torch", "--op", "lstm", "-T", "0"), ("size T", "at least 1", "got 0")),
    "negative size": (("numpy", "torch", "--op", "lstm", "-B", "-3"), ("size B", "at least 1", "got -3")),
    "size it has not": (("numpy", "torch", "--op", "lstm", "-K", "3"), ("unknown size 'K'", "B, T, D, H")),
    "mode": (("numpy", "torch", "--mode", "fast"), ("unknown mode 'fast'", "forward, gradient, decode")),
    "no such mode": (("numpy", "torch", "--op", "lstm", "--mode", "decode"), ("nothing to time", "decode")),
    "dtype": (("numpy", "torch", "--dtype", "float8"), ("unknown dtype 'float8'", "float16")),
    "single": (("numpy",), ("expected two backends to compare", "got only numpy", "--alone")),
    "backend": (("numpy", "no-such"), ("unknown backend 'no-such'",)),
    "device": (("numpy@tpu", "numpy"), ("expected a device in cpu, got 'tpu'",)),
    "nobody conforms": (("fakes_timed:Refuses", "fakes_timed:Refuses@cpu", *SMALL), ("no conforming backend",)),
    "threads": (("numpy", "torch", "--threads", "100000"), ("threads: expected 1 to", "got 100000")),
    "scan": (("numpy", "--op", "lstm", "--scan", "Q"), ("--scan Q", "expected one of its sizes B, T, D, H")),
    "no scan": (("numpy", "--op", "lstm", "--scan", ""), ("--scan ", "expected one of its sizes B, T, D, H")),
    "memory": (
        ("numpy", "--alone", "--op", "dense", "-B", "2000000000", "-D", "2000000000"),
        ("dense-medium B=2000000000 D=2000000000 forward float32: expected arrays that fit this machine's",),
    ),
    "no file to compare": (("compare", "no-such.json", "no-such.json"), ("no-such.json",)),
    "foreign file": (("compare", __file__, __file__), ("test_commands.py", "got no JSON")),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_clear(name: str) -> None:
    arguments, parts = ERRORS[name]
    result = bench(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    progress, _, error = result.stderr.partition("Error: ")
    assert "Traceback" not in result.stderr
    if name == "nobody conforms":  # which is known at the end only
        assert progress.startswith("0 of 2 done: lstm-small forward float32\n")
    else:
        assert progress == ""
        assert len(error.splitlines()) == 1
    for part in parts:
        assert part in result.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [(("-h",), ("[BACKEND]...", "--scan", "-T SIZE", "compare")), (("compare", "-h"), ("OLD NEW", "--threshold"))],
)
def test_help(arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    result = bench(*arguments)
    assert result.exit_code == 0
    for part in parts:
        assert part in result.stdout


def test_the_progress_is_shown_while_the_command_runs() -> None:
    """Pytest replaces the streams and what lies below them, and the lines come all the same."""
    words = ["bench", "numpy", "--alone", "--op", "dense", "--scale", "small", "-B", "2,3", "--mode", "forward"]
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", *words, "--seconds", "0.05", "--no-memory"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "0 of 2 done: dense-small B=2 forward float32"
    assert "1 of 2 done: dense-small B=3 forward float32" in lines
    assert "done" not in done.stdout
