"""`rnnspec validate` and the plugin, in processes of their own: exit status, JSON, what goes to pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rnnspec import conformance
from rnnspec.conformance.cases import Planner, Scope
from rnnspec.conformance.commands.validate_pytest import shared_out
from rnnspec.conformance.options import Options, add_to_pytest
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.runner import checks_for

FAKES = '''\
"""Backends, one for each verdict."""
import os

import numpy as np

from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec import reference

print("{noise on import")


class Wrong(NumpyBackend):
    """Violates values, and with them everything that looks at outputs."""
    name = "wrong"

    @staticmethod
    def rnn_cell(**call):
        return (reference.rnn_cell(**call)[0] + 1,)


class Noisy(NumpyBackend):
    """Right, and talks all the time."""
    name = "noisy"

    def run(self, call):
        print("{noise")
        os.write(1, b"{louder noise\\n")
        return super().run(call)


class Crashing(NumpyBackend):
    name = "crashing"

    @staticmethod
    def rnn_cell(**call):
        raise OSError("out of paper [/red] [bold]")


class Refusing(NumpyBackend):
    name = "refusing"

    @staticmethod
    def rnn_cell(**call):
        raise Unsupported("not on [weekdays]")

    rnn_cell_vjp = rnn_cell


class Partial(NumpyBackend):
    name = "partial"
    rnn_cell = None


class Unsteady(NumpyBackend):
    """Within every bound, and never twice the same."""
    name = "unsteady"
    calls = 0

    def rnn_cell(self, **call):
        type(self).calls += 1
        (h,) = reference.rnn_cell(**call)
        return (np.nextafter(h, h.dtype.type(2 if self.calls % 4 < 2 else -2)),)
'''
SUITE_FAULT = """\
from rnnspec.backends.numpy import NumpyBackend
import rnnspec.conformance.checks.right as right


def broken(*_, **__):
    raise ZeroDivisionError("a fault of the suite")


right.expect = broken
"""
CHECKS = [check.id for check in checks_for("rnn_cell", conformance.checks.CHECKS)]


@dataclass
class Run:
    """The output, status and files of a run of the command line."""

    status: int
    stdout: str
    stderr: str
    json: Any


@pytest.fixture(scope="module")
def rnnspec(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("validate")
    (folder / "fakes_run.py").write_text(FAKES)
    (folder / "fakes_suite.py").write_text(SUITE_FAULT)

    def run(*arguments: str, command: str = "validate", cwd: Path | None = None) -> Run:
        file = folder / "result.json"
        file.unlink(missing_ok=True)
        words = [command, *arguments, "--json", str(file)]
        program = f"from rnnspec.conformance.cli import main; main({words!r}, prog_name='rnnspec')"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "COLUMNS": "200",
            "PYTHONWARNINGS": "error",
        }
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=cwd or folder, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        data = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        return Run(done.returncode, done.stdout, done.stderr, data)

    return run


ONE = ("--op", "rnn_cell", "--dtype", "float32")


@pytest.fixture(scope="module")
def every_verdict(rnnspec: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    repros = tmp_path_factory.mktemp("repros") / "new"
    names = ["numpy", *(f"fakes_run:{name}" for name in ("Wrong", "Noisy", "Crashing", "Refusing", "Partial"))]
    return rnnspec(*names, *ONE, "--repro-dir", str(repros)), repros


def by_name(run: Run) -> dict[str, Any]:
    return {backend["name"]: backend for backend in run.json["backends"]}


def test_the_json_has_the_documented_structure(every_verdict: tuple[Run, Path]) -> None:
    run, _ = every_verdict
    assert set(run.json) == {"backends", "conditions"}
    assert {"rnnspec", "Python", "NumPy", "system", "date"} <= set(run.json["conditions"])
    assert len(run.json["backends"]) == 6
    for backend in run.json["backends"]:
        assert set(backend) == {
            "name", "verdict", "versions", "operations", "expected_failures_not_seen", "asked", "profile", "seed",
            "judged_nothing", "accuracy",
        }  # fmt: skip
        assert "numpy" in backend["versions"]
        (operation,) = backend["operations"]
        assert set(operation) == {"name", "dtype", "device", "verdict", "checks", "faults"}
        assert (operation["name"], operation["dtype"], operation["device"]) == ("rnn_cell", "float32", "cpu")
        assert [check["id"] for check in operation["checks"]] == CHECKS
        for check in operation["checks"]:
            assert {
                "id", "level", "verdict", "examples", "worst_error_ratio", "message", "repro",
            } <= set(check)  # fmt: skip
            assert check["level"] in ("MUST", "SHOULD")


def test_verdicts_and_exit_status(every_verdict: tuple[Run, Path]) -> None:
    run, _ = every_verdict
    assert run.status == 1
    verdicts = {name: backend["verdict"] for name, backend in by_name(run).items()}
    assert verdicts == {
        "numpy": "conforms",
        "fakes_run:Wrong": "violates",
        "fakes_run:Noisy": "conforms",
        "fakes_run:Crashing": "crashed",
        "fakes_run:Refusing": "refused",
        "fakes_run:Partial": "not implemented",
    }


def test_messages_and_ratios(every_verdict: tuple[Run, Path]) -> None:
    backends = by_name(every_verdict[0])
    checks = {name: {c["id"]: c for c in b["operations"][0]["checks"]} for name, b in backends.items()}
    right = checks["numpy"]["values"]
    deck = Planner(Scope("rnn_cell", "float32"), PROFILES["quick"].planned).deck()
    assert right["examples"] == len(deck.cases) + 1  # the first call of all comes before the deck
    assert right["coverage"]["met"] == right["coverage"]["total"] == deck.met_by(deck.cases)[1] > 0
    assert 0 < right["worst_error_ratio"] < 1
    assert right["message"] == right["repro"] == ""
    wrong = checks["fakes_run:Wrong"]["values"]
    assert wrong["worst_error_ratio"] > 1
    assert "expected" in wrong["message"]
    assert "B=1 D=1 H=1" in wrong["message"]
    assert checks["fakes_run:Wrong"]["gradients"]["verdict"] == "conforms"
    assert "OSError: out of paper [/red] [bold]" in checks["fakes_run:Crashing"]["values"]["message"]
    assert checks["fakes_run:Refusing"]["values"]["message"] == "not on [weekdays]"
    assert checks["fakes_run:Partial"]["values"]["examples"] == 0


def test_repros_are_written(every_verdict: tuple[Run, Path]) -> None:
    run, folder = every_verdict
    operation = by_name(run)["fakes_run:Wrong"]["operations"][0]
    written = [one["repro"] for one in (*operation["checks"], *operation["faults"]) if one["repro"]]
    assert len(written) >= 1
    assert {Path(repro) for repro in written} == set(folder.glob("wrong-*.py"))
    assert len(list(folder.glob("*.npz"))) == len(list(folder.glob("*.py")))


def test_what_is_printed(every_verdict: tuple[Run, Path]) -> None:
    run, _ = every_verdict
    for name, backend in by_name(run).items():
        assert f"{name}: {backend['verdict']}" in run.stdout
        in_a_line = f"{name} rnn_cell float32: {backend['verdict']}" in run.stdout  # progress
        assert in_a_line is (backend["verdict"] != "not implemented")
    assert "\nnot implemented: rnn_cell\n" in run.stdout
    assert "out of paper [/red] [bold]" in run.stdout
    assert "not on [weekdays]" in run.stdout
    assert "\x1b" not in run.stdout
    assert run.stderr == ""


KNOWN = """
[[failure]]
operation = "rnn_cell"
check = ["values", "edges", "functions", "special_values", "layouts", "callers", "attributes", "batch"]
reason = "It adds one."
link = "https://example.org/1"

[[failure]]
operation = "rnn_cell"
check = "gradients"
when = { B = 77 }
reason = "Mended long ago."
link = "https://example.org/2"
"""


def test_expected_failures(rnnspec: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(KNOWN)
    arguments = ("fakes_run:Wrong", *ONE, "--expected", str(tmp_path / "known.toml"))
    run = rnnspec(*arguments)
    assert run.status == 0, run.stdout
    (backend,) = run.json["backends"]
    assert backend["verdict"] == "violates as expected"
    checks = {check["id"]: check for check in backend["operations"][0]["checks"]}
    assert checks["values"]["verdict"] == "violates as expected"
    assert checks["values"]["expected"] == [
        "rnn_cell: values, edges, functions, special_values, layouts, callers, attributes, batch"
    ]
    assert "It adds one. https://example.org/1" in checks["values"]["message"]
    assert checks["gradients"]["verdict"] == "conforms"
    assert backend["expected_failures_not_seen"] == ["rnn_cell: gradients, B = 77"]
    assert "expected failure not seen in this run: rnn_cell: gradients, B = 77" in run.stdout
    assert rnnspec(*arguments, "--strict").status == 1
    other = rnnspec("fakes_run:Crashing", *ONE, "--expected", str(tmp_path / "known.toml"), "-k", "values or gradients")
    assert by_name(other)["fakes_run:Crashing"]["verdict"] == "violates as expected"  # a crash is as wrong as a number


def test_a_departure_from_a_should_is_told_and_conforms(rnnspec: Callable[..., Run]) -> None:
    arguments = ("fakes_run:Unsteady", *ONE, "--no-isolate")
    run = rnnspec(*arguments)
    assert run.status == 0, run.stdout
    (backend,) = run.json["backends"]
    assert backend["verdict"] == backend["operations"][0]["verdict"] == "conforms"
    (check,) = (c for c in backend["operations"][0]["checks"] if c["id"] == "repeatability")
    assert (check["level"], check["verdict"]) == ("SHOULD", "departs")
    assert "rnn_cell float32: repeatability (SHOULD) departs" in run.stdout
    assert check["message"].splitlines()[0] in run.stdout
    assert rnnspec(*arguments, "--strict").status == 1


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ("Refusing", "fakes_run:Refusing refused every call of rnn_cell: not on [weekdays]"),
        ("Partial", "fakes_run:Partial has not implemented rnn_cell: expected one operation that it has"),
    ],
)
def test_where_nothing_was_judged_nothing_conforms(backend: str, told: str, rnnspec: Callable[..., Run]) -> None:
    run = rnnspec(f"fakes_run:{backend}", *ONE, "-k", "values or attributes")
    assert run.status == 2
    assert f"Error: nothing was judged: {told}" in run.stderr
    assert run.json["backends"][0]["operations"]  # what there is to read is written all the same
    beside = rnnspec("numpy", f"fakes_run:{backend}", *ONE, "-k", "values")
    assert beside.status == 2


def test_options_go_to_pytest(rnnspec: Callable[..., Run], tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    only = "gradients and not partial and float64"
    run = rnnspec("numpy", "--op", "rnn_cell", "--op", "gru_cell", "-k", only, f"--junitxml={junit}")
    assert run.status == 0, run.stderr
    (numpy,) = run.json["backends"]
    assert [(op["name"], op["dtype"], [c["id"] for c in op["checks"]]) for op in numpy["operations"]] == [
        ("rnn_cell", "float64", ["gradients"]),
        ("gru_cell", "float64", ["gradients"]),
    ]
    assert "checks were left out" in run.stderr
    names = {case.get("name") for case in ET.parse(junit).iter("testcase")}
    assert names == {
        "test_conforms[numpy-gru_cell-float64-gradients]",
        "test_conforms[numpy-rnn_cell-float64-gradients]",
    }


def test_parallel_runs_give_the_same_verdicts(rnnspec: Callable[..., Run]) -> None:
    pytest.importorskip("xdist")
    arguments = ("fakes_run:Noisy", "fakes_run:Wrong", *ONE, "--seed", "3")
    alone, one, two = (rnnspec(*arguments, *options) for options in ((), ("-n", "1"), ("-n", "2")))

    def timeless(data: Any) -> Any:
        if isinstance(data, dict):
            return {key: timeless(value) for key, value in data.items() if key not in ("seconds", "date")}
        return [timeless(value) for value in data] if isinstance(data, list) else data

    assert alone.status == one.status == two.status == 1
    assert timeless(alone.json) == timeless(one.json) == timeless(two.json)


@pytest.mark.parametrize(
    ("given", "checks", "shared"),
    [
        ((), 500, True),
        ((), 499, False),
        (("-k", "lstm", "-n", "0"), 5000, False),
        (("-n4",), 5000, False),
        (("--numprocesses=2",), 5000, False),
        (("-p", "no:xdist"), 5000, False),
        (("--no-summary", "-k", "lstm"), 5000, True),
    ],
)
def test_many_checks_are_shared_by_processes_unless_the_user_says_how(
    given: tuple[str, ...], checks: int, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xdist")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    options = shared_out(Options(), given, checks)
    assert ("-n" in options) == shared
    assert "-n" not in shared_out(Options(device="cuda:0"), given, 5000)
    # Tests that share a deck go to one worker, where there are workers.
    assert ("--dist=loadgroup" in options) == ("no:xdist" not in given)
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert "-n" not in shared_out(Options(), given, checks)


def test_who_says_how_checks_are_shared_is_heard() -> None:
    assert shared_out(Options(), ("--dist=each", "-n2"), 5000) == ()


class Parser(ArgumentParser):
    """Reads options as pytest does."""

    addoption = ArgumentParser.add_argument

    def getoption(self, name: str) -> Any:
        return vars(self.given)[name.removeprefix("--").replace("-", "_")]


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(
            ("numpy", "torch"), ("lstm", "gru"), ("float16",), "cuda:0", "thorough", 7, 40, repro_dir=Path("/repro"),
            replay_dir=Path("/kept"), expected=Path("/known.toml"), isolate="never", time_limit=0.5, memory_limit=2.0,
        ),
    ],
)  # fmt: skip
def test_the_plugin_is_given_what_the_command_line_was_given(options: Options) -> None:
    parser = Parser()
    add_to_pytest(parser)
    parser.given = parser.parse_args(options.for_pytest())
    assert Options.of(parser) == options


def test_paths_lead_to_the_same_place_wherever_pytest_runs() -> None:
    assert f"--rnnspec-repro-dir={Path.cwd() / 'here'}" in Options(repro_dir=Path("here")).for_pytest()
    parser = Parser()
    add_to_pytest(parser)
    parser.given = parser.parse_args(["--rnnspec-repro-dir="])
    assert Options.of(parser).repro_dir is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--rnnspec-largest=-1", "expected a whole number from 1 to 1,099,511,627,776, got -1"),
        ("--rnnspec-seed=-3", "expected a whole number from 0 on, got -3"),
        ("--rnnspec-seed=x", "expected a whole number from 0 on, got x"),
        ("--rnnspec-time-limit=nan", "expected a number from 0.001 to 1e+07, got nan"),
    ],
)
def test_the_plugin_says_which_numbers_it_takes(given: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser()
    add_to_pytest(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([given])
    assert told in capsys.readouterr().err


def test_a_fault_of_the_suite_is_no_verdict(rnnspec: Callable[..., Run]) -> None:
    run = rnnspec("fakes_suite:NumpyBackend", *ONE, "--no-isolate")  # in a process of its own it breaks nothing
    assert run.status == 2
    assert run.json is not None
    assert run.json["suite_failed"] > 0  # the other checks are told
    assert "a fault of the suite" in run.stderr
    assert "violates" not in run.stdout + run.stderr


def test_what_pytest_refuses(rnnspec: Callable[..., Run]) -> None:
    run = rnnspec("numpy", *ONE, "--no-such-option")
    assert run.status == 2
    assert run.json is None
    assert "--no-such-option" in run.stderr


def test_nothing_left_to_run(rnnspec: Callable[..., Run]) -> None:
    run = rnnspec("numpy", *ONE, "-k", "no_such_check")
    assert run.status == 2
    assert run.json is None


def test_settings_of_the_folder_do_not_matter(rnnspec: Callable[..., Run], tmp_path: Path) -> None:
    """Neither pytest's settings nor tests that lie where the command is run."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('loaded')\n")
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    assert False\n")
    run = rnnspec("numpy", *ONE, "-k", "batch", cwd=tmp_path)
    assert run.status == 0, run.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"pytest.ini", "conftest.py", "test_mine.py"}


def test_the_plugin_by_hand(tmp_path: Path) -> None:
    """The suite runs under plain pytest too, with its usual report."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "rnnspec.conformance.plugin", "-rA",
            "--pyargs", "rnnspec.conformance.suite",
            "--import-mode=importlib", "-o", "consider_namespace_packages=true",
            "--rnnspec-backend", "numpy", "--rnnspec-op", "rnn_cell", "--rnnspec-dtype", "float32",
        ],
        cwd=tmp_path, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout
    assert f"{len(CHECKS)} passed" in done.stdout
