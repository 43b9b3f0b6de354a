"""``rnnspec validate --case FILE``: the very call that failed, asked again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.backends import open_backend
from rnnspec.conformance.cases import Case, Extent
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.cli import main
from rnnspec.conformance.run import CheckResult, Profile, run_check
from rnnspec.conformance.run.files import write_json

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}
PROFILE = Profile("planned", 30, 30, largest=0, planned=Extent(1), planned_other_types=Extent(1), draws=False)

MODULE = '''\
import os

import numpy as np

from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend


class Wrong(NumpyBackend):
    """Wrong outputs and gradients for whatever is not finite, reversed, strided, repeated, or asked for in part."""

    name = "wrong"

    def run(self, call):
        off = call.attributes.get("direction") == "reverse" or call.operation == "lstm" or _odd(call)
        return tuple(np.nan_to_num(y) + y.dtype.type(off) for y in super().run(call))

    def gradients(self, call, cotangents, wanted=None):
        found = super().gradients(call, cotangents, wanted)
        off = wanted is not None or call.attributes.get("direction") == "reverse"
        return {name: d + d.dtype.type(off) for name, d in found.items()}

    def has_second_order(self, operation):
        return self.has_gradients(operation)

    def second_order(self, call, cotangents, directions):
        return {name: np.full_like(array, 77) for name, array in call.float_inputs.items()}


def _odd(call):
    laid = [(n, stride) for x in call.inputs.values() for n, stride in zip(x.shape, x.strides) if n > 1]
    return any(stride < 0 for _, stride in laid) or len({id(x) for x in call.inputs.values()}) < len(call.inputs)


class Refusing(NumpyBackend):
    name = "refusing"

    def run(self, call):
        raise Unsupported("not today")

    def gradients(self, call, cotangents, wanted=None):
        raise Unsupported("not today")


class Few(NumpyBackend):
    name = "few"

    def dtypes(self):
        return ("float64",)


class Crashing(NumpyBackend):
    name = "crashing"

    def run(self, call):
        os.abort()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a module of adapters, which can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "again_module", raising=False)
    (tmp_path / "again_module.py").write_text(MODULE)
    return tmp_path


def run(*arguments: object, backend: str = "again_module:Wrong") -> tuple[int, list[str]]:
    done = CliRunner().invoke(main, ["validate", backend, "--no-isolate", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output.splitlines()


def failed(check: str, folder: Path, operation: str = "rnn", dtype: str = "float32") -> tuple[CheckResult, Path]:
    backend = open_backend("again_module:Wrong")
    result = run_check(BY_ID[check], backend, operation, dtype, PROFILE, repro_dir=folder / "repros")
    assert result.verdict.bad, result
    return result, Path(result.repro).with_suffix(".npz")


@pytest.mark.parametrize(
    ("check", "dtype"),
    [
        ("values", "bfloat16"),
        ("gradients", "float32"),
        ("special_values", "float32"),
        ("attributes", "float32"),
        ("split", "float64"),
        ("layouts", "float32"),
        ("second_order", "float32"),
        ("reverse", "float32"),
    ],
)
def test_the_check_that_failed_is_asked_of_the_very_same(check: str, dtype: str, folder: Path) -> None:
    result, repro = failed(check, folder, dtype=dtype)
    status, lines = run("--case", repro)
    assert status == 1
    assert lines[0].startswith(f"again_module:Wrong: {check} of rnn {dtype} B=")
    assert "\n".join(lines[1:]).replace("\n  ", "\n") == f"  violates: {result.message}"
    status, lines = run("--case", repro, backend="numpy")
    assert (status, len(lines)) == (0, 2)
    assert lines[1].startswith("  conforms (error ratio 0.")


@pytest.mark.parametrize(
    ("check", "of"), [("callers", "values"), ("partial_gradients", "gradients"), ("identities", "values")]
)
def test_what_is_more_than_a_case_is_asked_by_the_archives_numbers(check: str, of: str, folder: Path) -> None:
    operation = "lstm" if check == "identities" else "rnn"
    _, repro = failed(check, folder, operation)
    status, lines = run("--case", repro)
    assert status == 1
    assert f": {of} of the archive's numbers, which {check} made in {operation} float32 B=" in lines[0]
    assert lines[1].startswith("  violates: ")
    assert lines[2].endswith(": the archive's numbers")
    status, lines = run("--case", repro, backend="numpy")
    assert (status, len(lines)) == (0, 2)


def test_a_case_in_json_is_asked_by_its_check_or_by_values_and_gradients(folder: Path, make_case: Make) -> None:
    case = make_case("lstm", attributes={"direction": "reverse"})
    write_json(folder / "one.json", {"case": case.to_json(), "check": "gradients", "cause": "unknown"})
    write_json(folder / "both.json", {"case": case.to_json()})
    status, lines = run("--case", folder / "one.json")
    assert status == 1
    assert [line for line in lines if line.startswith("again")] == [f"again_module:Wrong: gradients of {case}"]
    status, lines = run("--case", folder / "both.json", "--json", folder / "out.json")
    assert status == 1
    asked = [line for line in lines if line.startswith("again")]
    assert asked == [f"again_module:Wrong: {check} of {case}" for check in ("values", "gradients")]
    (backend,) = json.loads((folder / "out.json").read_text())["backends"]
    assert (backend["name"], backend["verdict"]) == ("again_module:Wrong", "violates")
    (operation,) = backend["operations"]
    assert [(check["id"], check["verdict"]) for check in operation["checks"]] == [
        ("values", "violates"),
        ("gradients", "violates"),
    ]
    assert run("--case", folder / "both.json", backend="numpy")[0] == 0


def test_a_crash_and_a_lost_process_end_in_a_verdict(folder: Path, make_case: Make) -> None:
    write_json(folder / "case.json", {"case": make_case("rnn").to_json(), "check": "values"})
    done = CliRunner().invoke(main, ["validate", "again_module:Crashing", "--case", str(folder / "case.json")])
    assert done.exit_code == 1
    assert "  crashed: the process ended by SIGABRT" in done.output


def test_a_repro_of_it_can_be_written_again(folder: Path) -> None:
    _, repro = failed("values", folder)
    status, lines = run("--case", repro, "--repro-dir", folder / "other")
    assert status == 1
    written = folder / "other" / repro.name
    assert lines[-1] == f"  repro: {written.with_suffix('.py')}"
    assert run("--case", written)[0] == 1


def test_expected_failures_stay_expected(folder: Path) -> None:
    _, repro = failed("values", folder)
    (folder / "known.toml").write_text(
        '[[failure]]\noperation = "rnn"\ncheck = "values"\nreason = "Known."\nlink = "https://example.org"\n'
    )
    status, lines = run("--case", repro, "--expected", folder / "known.toml")
    assert status == 0
    assert lines[1].startswith("  violates as expected: Known. https://example.org")


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("again_module:Refusing", "nothing was judged: refused"),
        ("again_module:Few", "backend again_module:Few has no float32 on cpu: expected one of float64"),
        ("no_such_backend", "unknown backend 'no_such_backend'"),
    ],
)
def test_who_cannot_be_asked(backend: str, words: str, folder: Path, make_case: Make) -> None:
    write_json(folder / "case.json", {"case": make_case("rnn").to_json()})
    status, lines = run("--case", folder / "case.json", backend=backend)
    assert status == 2
    assert lines[-1].startswith(f"Error: {words}")


def case_with(**changed: Any) -> dict[str, Any]:
    case = Case("softmax", "float32", {"N": 2}, {})
    return {"case": {**case.to_json(), **changed}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "", "expected a repro's .npz or a .json with a case"),
        ("a.npz", "no archive", "expected a .npz of plain arrays"),
        ("a.json", "{", "expected JSON, got no JSON: "),
        ("a.json", "[]", "expected an object with a 'case'"),
        ("a.json", {"backends": []}, "expected an object with a 'case'"),
        ("a.json", {"case": {}}, "'case' is none: KeyError: 'operation'"),
        ("a.json", case_with(operation="sofmax"), "'case' is no possible call: UnknownOperationError: "),
        ("a.json", case_with(dtype="int8"), "'case' is no possible call: ValueError: dtype: expected one of"),
        ("a.json", case_with(sizes={"N": -1}), "'case' is no possible call: ValueError: sizes: "),
        ("a.json", case_with(regime="wild"), "'case' is no possible call: KeyError: 'wild'"),
        ("a.json", case_with(attributes={"a": 1}), "'case' is no possible call: CallError: "),
        ("a.json", {**case_with(), "check": "colour"}, "check: expected one of values, "),
        ("a.json", {**case_with(), "check": "drift"}, "check drift asks nothing of softmax"),
    ],
)
def test_bad_files_are_one_clear_error(name: str, content: Any, words: str, folder: Path) -> None:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    status, lines = run("--case", path, backend="numpy")
    assert status == 2
    assert lines[-1].startswith(f"Error: {path}: {words}"), lines
    assert len(lines) == 1


def test_archives_that_hold_no_case(folder: Path) -> None:
    np.savez(folder / "other.npz", x=np.zeros(2))
    status, lines = run("--case", folder / "other.npz", backend="numpy")
    assert status == 2
    assert lines[-1].endswith("other.npz: expected a repro's file, which has a 'call'; got x")
    data = {"operation": "lstm", "dtype": "float32", "attributes": {}, "check": "drift", "case": None, "more": None}
    np.savez(folder / "drift.npz", call=np.array(json.dumps(data)))
    status, lines = run("--case", folder / "drift.npz", backend="numpy")
    assert status == 2
    assert "check drift asks a whole deck; run it again by --op lstm --dtype float32 -k drift" in lines[-1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--op", "rnn"], "--case says the operation and the type: expected neither --op nor --dtype"),
        (["-k", "values"], "--case asks a single case: expected no options of pytest, got '-k values'"),
    ],
)
def test_options_that_do_not_go_with_it(more: list[str], words: str, folder: Path, make_case: Make) -> None:
    write_json(folder / "case.json", {"case": make_case("rnn").to_json()})
    status, lines = run("--case", folder / "case.json", *more, backend="numpy")
    assert (status, lines[-1]) == (2, f"Error: {words}")
