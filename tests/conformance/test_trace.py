"""``rnnspec trace``: every operation can be traced, and bad input is one line of error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.cli import main
from rnnspec.conformance.run import Profile, run_check
from rnnspec.spec import operations, system

CELL = Case("rnn_cell", "float32", {"B": 1, "D": 2, "H": 1}, operations()["rnn_cell"].defaults(), seed=3)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["trace", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("name", operations())
def test_every_operation_has_a_trace(name: str) -> None:
    op = operations()[name]
    status, output = run(name, *(["--gradient"] if system(op, op.defaults()).gradient and op.differentiable else []))
    assert status == 0, output
    quantities = output.partition("\n\n")[2].splitlines()
    assert quantities
    assert all(line.count(" = ") >= 2 for line in quantities)


def test_the_lstm_reads_as_its_equations() -> None:
    status, output = run("lstm", "--size", "T=2", "--step", "1")
    assert status == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert any(line.startswith("c[1] = ") and line.endswith("c[t] = f[t] * c_prev[t] + i[t] * g[t]") for line in lines)
    assert not any(line.startswith("c[0] = ") for line in lines)


def test_json_and_the_arrays_of_a_repro(tmp_path: Path) -> None:
    arrays, file = tmp_path / "case.npz", tmp_path / "trace.json"
    given = {"x": [[1.0]], "h_prev": [[0.5]], "W": [[[2.0]]], "R": [[[1.0]]], "b": [[-0.5]]}
    np.savez(arrays, expected=0.0, **{f"input.{name}": np.array(array) for name, array in given.items()})
    status, output = run("rnn_cell", "--arrays", str(arrays), "--json", str(file))
    assert status == 0, output
    written = json.loads(file.read_text())
    assert written["inputs"] == given
    found = {one["name"]: one["value"] for one in written["quantities"]}
    assert found["h"] == [pytest.approx(np.tanh(2.0))]


def test_the_outputs_of_parts_have_cotangents_in_a_file(tmp_path: Path) -> None:
    case = Case("stacked", "float64", {"B": 1, "T": 2, "D": 1, "H": 1, "A": 1}, operations()["stacked"].defaults())
    arrays = {f"input.{name}": array for name, array in case.given.inputs.items()}
    outputs = [name for name, item in case.results.items() if item.kind == "float"]
    arrays |= {f"cotangent.{name}": array for name, array in zip(outputs, case.given_cotangents, strict=True)}
    np.savez(tmp_path / "case.npz", **arrays)
    status, output = run("stacked", "--arrays", str(tmp_path / "case.npz"), "--gradient")
    assert status == 0, output
    assert "dx[1]" in output


def test_a_case_of_a_page_is_traced(tmp_path: Path) -> None:
    path, file = tmp_path / "rnn_cell-case.json", tmp_path / "trace.json"
    path.write_text(json.dumps({"case": CELL.to_json(), "check": "batch"}))
    status, output = run(str(path), "--gradient", "--json", str(file))
    assert status == 0, output
    written = json.loads(file.read_text())
    assert written["operation"] == "rnn_cell"
    assert written["inputs"] == {name: array.tolist() for name, array in CELL.given.inputs.items()}
    assert {"h", "dx"} <= {one["name"] for one in written["quantities"]}


class Shifted(NumpyBackend):
    """Outputs that are off by one."""

    name = "shifted"

    def run(self, call: Call) -> tuple[Any, ...]:
        if call.attributes.get("direction") != "reverse":
            return super().run(call)
        return tuple(array + 1 for array in super().run(call))


@pytest.mark.parametrize("as_argument", [True, False])
def test_a_repro_says_what_it_is_of(as_argument: bool, tmp_path: Path) -> None:
    profile = Profile("few", examples=200, examples_other_types=200, largest=0)
    values = next(check for check in CHECKS if check.id == "values")
    result = run_check(values, Shifted(), "lstm", "float32", profile, repro_dir=tmp_path)
    repro, file = Path(result.repro).with_suffix(".npz"), tmp_path / "trace.json"
    given = [str(repro)] if as_argument else ["--arrays", str(repro)]
    status, output = run(*given, "--json", str(file))
    assert status == 0, output
    written = json.loads(file.read_text())
    assert (written["operation"], written["attributes"]["direction"]) == ("lstm", "reverse")
    found = {(one["name"], *one["index"]): one["value"] for one in written["quantities"]}
    with np.load(repro) as data:
        due = {"y": data["expected"][0]} if data["expected"].ndim == 3 else {}
        assert due, "the first output is y"
        np.testing.assert_allclose([found["y", t] for t in range(len(due["y"]))], due["y"], rtol=1e-6)
    status, output = run(str(repro), "--set", "direction=forward", "--json", str(file))
    assert status == 0, output
    assert json.loads(file.read_text())["attributes"]["direction"] == "forward"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected an OPERATION, a repro's .npz or a case's .json, got neither"),
        (["other.npz"], "other.npz: expected a repro's file, which has a 'call'; got y"),
        (["missing.npz"], "missing.npz: cannot be read"),
        (["other.npz", "--arrays", "other.npz"], "expected one file of arrays, got other.npz and other.npz"),
        (["broken.npz"], "broken.npz: 'call' is none of a repro: "),
        (["a.pt"], "expected an OPERATION, a repro's .npz or a case's .json, got 'a.pt'"),
        (["missing.json"], "missing.json: "),
        (["list.json"], "list.json: expected an object with a 'case'"),
        (["case.json", "--size", "T=2"], "expected a file or --size, got both"),
        (["case.json", "--arrays", "other.npz"], "expected one file of arrays, got case.json and other.npz"),
        (["case.json", "--json", "case.json"], "case.json"),
        (["lsmt"], "unknown operation 'lsmt'"),
        (["lstm", "--size", "Q=1"], "--size: expected SYMBOL=NUMBER with one of B, D, H, S, T, got 'Q=1'"),
        (["lstm", "--size", "T=2", "--size", "T=3"], "--size: T: expected one number, got another: 'T=3'"),
        (["lstm", "--size", "T=1000000000"], "sizes: expected at most 1,000,000 numbers in inputs and outputs, got 3,"),
        (["lstm", "--sequence", "3"], "expected a sequence from 0 to 0, got 3"),
        (["lstm", "--step", "5"], "--step 5: expected a step of the sequence"),
        (["lstm", "--set", "clip=x"], "clip: expected a positive number or None, got 'x'"),
        (["state_jacobian", "--gradient"], "no equations for its gradient"),
        (["lstm", "--arrays", "other.npz"], "expected inputs of lstm by name, got y"),
        (["lstm", "--arrays", "other.npz", "--size", "T=2"], "expected a file or --size, got both"),
    ],
)
def test_bad_input(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("other.npz", y=np.zeros(2))
    np.savez("broken.npz", call=np.array("{}"))
    Path("list.json").write_text("[]")
    Path("case.json").write_text(json.dumps({"case": CELL.to_json()}))
    status, output = run(*arguments)
    assert status == 2
    assert message in " ".join(output.split())
