"""A fault in the terminal and in `validate --json`: what it depends on, what the code computes, and where it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.diagnosis import FaultResult, diagnose
from rnnspec.conformance.edits.single import single_edits
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.report.faults import LINES, print_fault
from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.runner import Failed
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

Failures = Callable[..., list[Failed]]
Outputs = dict[str, Array]
FIELDS = {
    "backend", "operation", "dtypes", "device", "cause", "suspects", "checks", "message", "call", "case", "inputs",
    "trace", "repro", "files",
}  # fmt: skip
EDITED = "a = W_h @ x - R_h @ h_prev + b_h + b_R_h"


def printed(fault: FaultResult, number: int = 1, width: int = 200) -> list[str]:
    """The lines of a fault, in a terminal of this width."""
    console = Console(file=StringIO(), width=width)
    print_fault(console, number, fault)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture(scope="module")
def edited() -> Backend:
    """An implementation in which the recurrent product has the other sign."""
    return backend_of(next(e.operation for e in single_edits(operation("rnn_cell")) if e.text == EDITED))()


@pytest.fixture(scope="module")
def of_an_edit(edited: Backend, failures: Failures, tmp_path_factory: pytest.TempPathFactory) -> FaultResult:
    """The one fault of that implementation, with its repro."""
    failed = failures(edited, "rnn_cell", ("values", "batch"), ("float64", "float32"))
    (fault,) = diagnose(edited, "rnn_cell", failed, repro_dir=tmp_path_factory.mktemp("repros"))
    return fault


def test_what_is_printed_of_a_fault(of_an_edit: FaultResult) -> None:
    lines = printed(of_an_edit, 3)
    assert len(lines) <= LINES
    assert lines[0].startswith("fault 3: rnn_cell in float64, float32, in every call; gone when h_prev = 0")
    text = "\n".join(lines)
    assert f"  behaves as if {of_an_edit.suspects[0]} ({len(of_an_edit.suspects) - 1} others would give" in text
    assert f"  in {of_an_edit.call}" in text
    assert "  x = [0], h_prev = [" in text
    assert "h[0, 0]: expected " in text
    assert ", got " in text
    assert "  found by values, batch" in text
    assert f"  repro: {of_an_edit.repro}" in text
    (equations,) = (line for line in lines if line.startswith("  equations: "))
    assert "a = " in equations
    assert "h = " in equations


def test_the_code_is_told_by_its_equation_too(of_an_edit: FaultResult) -> None:
    assert f"`{EDITED}`, where the specification has `a = W_h @ x + R_h @ h_prev + b_h + b_R_h`" in of_an_edit.suspects


def test_a_fault_survives_json(of_an_edit: FaultResult) -> None:
    data = json.loads(json.dumps(of_an_edit.to_json()))
    assert set(data) == FIELDS
    told = (Path(__file__).parents[2] / "docs/diagnosis.md").read_text()
    table = told.partition("| field | content |\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()]
    assert {name for row in rows for name in re.findall("`([a-z]+)`", row)} == FIELDS, "each is documented"
    again = FaultResult.from_json(data)
    assert json.dumps(again.to_json()) == json.dumps(of_an_edit.to_json())
    assert (again.cause, again.suspects, again.checks) == (of_an_edit.cause, of_an_edit.suspects, of_an_edit.checks)
    assert printed(again) == printed(of_an_edit)


def test_the_trace_has_the_equations_of_the_smallest_case(of_an_edit: FaultResult) -> None:
    names = [one["name"] for one in of_an_edit.trace]
    assert {"a", "h"} <= set(names)
    assert set(of_an_edit.trace[0]) == {"name", "index", "value", "equation"}
    values = {one["name"]: one["value"] for one in of_an_edit.trace}
    assert of_an_edit.inputs is not None
    ((h_prev,),), (((r,),),) = of_an_edit.inputs["h_prev"], of_an_edit.inputs["R"]
    assert values["a"] == [pytest.approx(r * h_prev)]


@pytest.mark.parametrize(
    "changed",
    [
        {"suspects": tuple(f"the {i}th of many things that give the same numbers" * 9 for i in range(30))},
        {"message": "\n".join("a line of what is wrong " * 40 for _ in range(30))},
        {"inputs": {f"input_{i}": [[0.123456789] * 9] * 9 for i in range(40)}},
        {"suspects": (), "repro": "", "trace": (), "inputs": None, "call": "", "case": None},
    ],
)
@pytest.mark.parametrize("width", [50, 80, 200])
def test_whatever_there_is_to_tell_few_lines_do(changed: dict[str, Any], width: int, of_an_edit: FaultResult) -> None:
    repro = "repros/a.py" if changed.get("repro", "a") else ""
    lines = printed(replace(of_an_edit, **{"repro": repro} | changed), width=width)
    assert 3 <= len(lines) <= LINES
    assert max(map(len, lines)) <= width
    assert "found by values, batch" in "\n".join(lines)
    assert ("  repro: repros/a.py" in lines) == bool(repro)


def test_all_of_a_short_fault_is_told_in_a_narrow_terminal(of_an_edit: FaultResult) -> None:
    text = " ".join(" ".join(printed(replace(of_an_edit, repro="a.py"), width=80)).split())
    assert of_an_edit.suspects[0] in text
    assert of_an_edit.call in text
    assert of_an_edit.cause in text
    assert "…" not in text


def test_a_second_suspect_is_told_if_it_reads_otherwise(of_an_edit: FaultResult) -> None:
    alike = replace(of_an_edit, suspects=("R is transposed (axes 0 and 1)", "R is transposed (axes 0 and 2)"))
    assert "or as if" not in "\n".join(printed(alike))
    unlike = replace(of_an_edit, suspects=("R is transposed", "R is transposed too", "h is given at another step"))
    assert "  or as if h is given at another step" in printed(unlike)


def test_what_looks_like_markup_is_printed_as_it_is(of_an_edit: FaultResult) -> None:
    lines = printed(replace(of_an_edit, message="OSError: out of paper [/red] [bold]", suspects=("[red]`x[0]`",)))
    assert "  OSError: out of paper [/red] [bold]" in lines
    assert "  behaves as if [red]`x[0]`" in lines


def test_numbers_that_are_not_finite_are_plain_data(failures: Failures) -> None:
    class Nan(NumpyBackend):
        """Gives no numbers."""

        name = "nan"

        def run(self, call: Call) -> tuple[Array, ...]:
            return tuple(array * array.dtype.type("nan") for array in super().run(call))

    (fault,) = diagnose(Nan(), "rnn_cell", failures(Nan(), "rnn_cell", ("values",)))
    assert json.loads(json.dumps(fault.to_json(), allow_nan=False))["message"] == fault.message
    assert "got nan" in fault.message


def test_a_summary_has_the_faults_of_each_operation_and_type(of_an_edit: FaultResult) -> None:
    def result(dtype: str) -> CheckResult:
        return CheckResult(
            backend="changed", operation="rnn_cell", dtype=dtype, device="cpu", id="values", level="MUST",
            verdict=Verdict.VIOLATES, examples=1, refused=0, reasons=(), worst_error_ratio=None, message="", repro="",
            seconds=0.0,
        )  # fmt: skip

    results = [result(dtype) for dtype in ("float64", "float32", "float16")]
    data = summarise("changed", {}, results, faults=[of_an_edit, replace(of_an_edit, backend="other")]).to_json()
    faults = {one["dtype"]: one["faults"] for one in data["operations"]}
    assert [len(faults[dtype]) for dtype in ("float64", "float32", "float16")] == [1, 1, 0]
    assert faults["float64"][0] == of_an_edit.to_json()


FAKES = '''\
"""Backends of which one is wrong under one attribute."""
from rnnspec.backends.numpy import NumpyBackend
from rnnspec import reference


class Wrong(NumpyBackend):
    """Has the recurrent product with the other sign where the activation is relu."""
    name = "wrong"

    @staticmethod
    def rnn_cell(*, activation="tanh", R, **call):
        return reference.rnn_cell(**call, R=-R if activation == "relu" else R, activation=activation)
'''


def test_the_command_line(tmp_path: Path) -> None:
    """A fault is printed once, and stands in the JSON; a right operation has empty lists."""
    (tmp_path / "fakes_with_faults.py").write_text(FAKES)
    file = tmp_path / "result.json"
    words = [
        "validate", "numpy", "fakes_with_faults:Wrong", "--op", "rnn_cell", "--dtype", "float32", "--no-isolate",
        "-k", "values or batch", "--json", str(file), "--repro-dir", str(tmp_path / "repros"),
    ]  # fmt: skip
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", f"from rnnspec.conformance.cli import main; main({words!r}, prog_name='rnnspec')"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    right, wrong = json.loads(file.read_text())["backends"]
    assert [one["faults"] for one in right["operations"]] == [[]]
    (one,) = wrong["operations"]
    (fault,) = one["faults"]
    assert set(fault) == FIELDS
    assert fault["backend"] == wrong["name"] == "fakes_with_faults:Wrong"
    assert (fault["operation"], fault["dtypes"], fault["device"]) == ("rnn_cell", ["float32"], "cpu")
    assert fault["cause"].startswith("only with activation=relu")
    assert "values" in fault["checks"]
    assert (fault["case"]["operation"], fault["case"]["attributes"]) == (
        "rnn_cell",
        {"activation": "relu", "clip": None},
    )
    assert {"a", "h"} <= {quantity["name"] for quantity in fault["trace"]}
    assert Path(fault["repro"]).is_relative_to(tmp_path / "repros")
    assert Path(fault["repro"]).exists()
    again = subprocess.run(
        [sys.executable, fault["repro"]], env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert again.returncode != 0, "the fault shows in what the repro computes"
    assert "Error" not in again.stderr.replace("AssertionError", ""), again.stderr
    assert "fault 1: rnn_cell in float32, only with activation=relu" in done.stdout
    assert "fault 2" not in done.stdout
    assert f"found by {', '.join(fault['checks'])}" in done.stdout
