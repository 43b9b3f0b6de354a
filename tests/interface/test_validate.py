"""`rnnspec.validate`: of a name, a class, an adapter; its report in words, as JSON and in a notebook."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnspec
from rnnspec.backends import BackendError, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.named import lstm_forget_bias_of_one
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.plan import PlanError
from rnnspec.spec import UnknownOperationError

FEW: dict[str, Any] = {"operations": ["dense"], "dtypes": ["float32"], "largest": 8}


class Doubling(NumpyBackend):
    """Gives twice the right numbers."""

    name = "doubling"
    factor = 2

    def dense(self, x: Any, W: Any, b: Any = None, **attributes: Any) -> Any:
        (y,) = super().dense(x, W, *([] if b is None else [b]), **attributes)
        return (y * self.factor,)


class Refusing(NumpyBackend):
    """Refuses all."""

    name = "refusing"

    @staticmethod
    def dense(**call: Any) -> Any:
        raise Unsupported("not on Sundays")

    dense_vjp = dense


class Unlicensed(NumpyBackend):
    """Does not open, and says so without its name."""

    name = "unlicensed"

    def __init__(self, device: str = "cpu") -> None:
        raise ValueError(f"no licence for {device}")


class Forgetful(NumpyBackend):
    """Forgets to return anything."""

    name = "forgetful"

    def run(self, call: Any) -> Any:
        super().run(call)


@pytest.fixture(scope="module")
def wrong() -> rnnspec.Report:
    return rnnspec.validate(lstm_forget_bias_of_one, operations=["lstm_cell"], dtypes=["float32"], largest=8)


def test_a_class_and_an_adapter_are_judged_here() -> None:
    right = rnnspec.validate([NumpyBackend, NumpyBackend()], **FEW)
    assert right.conforms
    assert [one.name for one in right.backends] == ["numpy", "numpy (2)"]
    assert right.verdict is Verdict.CONFORMS
    assert right.sentences[0].startswith("numpy conforms to the specification: 1 operation, ")


def test_a_whole_number_may_be_one_of_numpy() -> None:
    assert rnnspec.validate(NumpyBackend, **FEW, seed=np.int64(3)).backends[0].seed == 3


def test_an_adapter_that_returns_nothing_is_told_what_to_return() -> None:
    (fault,) = rnnspec.validate(Forgetful, **FEW).backends[0].faults
    assert "expected dense to return a tuple, (y,), got an object of type NoneType" in fault.message


def test_a_name_is_judged_in_a_process_of_its_own_and_leaves_the_environment() -> None:
    before = dict(os.environ)
    assert rnnspec.validate("numpy", **FEW).conforms
    assert dict(os.environ) == before


def test_numbers_overflow_whatever_the_caller_makes_of_it() -> None:
    asked: dict[str, Any] = {"operations": ["clip_by_global_norm"], "dtypes": ["float64"], "largest": 8}
    with np.errstate(all="raise"):
        assert rnnspec.validate(NumpyBackend, **asked).conforms


def test_an_adapter_that_changes_is_asked_anew() -> None:
    adapter = Doubling()
    assert not rnnspec.validate(adapter, **FEW).conforms
    adapter.factor = 1
    assert rnnspec.validate(adapter, **FEW).conforms


def test_what_is_refused_neither_conforms_nor_violates() -> None:
    report = rnnspec.validate(Refusing, **FEW)
    assert not report.conforms
    assert report.verdict is Verdict.REFUSED
    assert report.sentences == ("refusing was not judged: refused of dense.",)


def test_a_fault_has_its_cause_and_the_contents_of_its_repro(wrong: rnnspec.Report) -> None:
    assert not wrong.conforms
    (backend,) = wrong.backends
    (fault,) = backend.faults
    assert "coupled=false" in fault.cause
    assert "b_R_f + 1" in fault.suspects[0]
    assert {Path(name).suffix for name in fault.files} == {".py", ".npz"}
    assert fault.repro == ""  # the folder is gone
    assert not any(check.repro for operation in backend.operations for check in operation.checks)


def test_a_folder_of_repros_is_kept(tmp_path: Path) -> None:
    report = rnnspec.validate(Doubling, **FEW, repro_dir=tmp_path)
    (fault,) = report.backends[0].faults
    assert Path(fault.repro).parent == tmp_path
    assert Path(fault.repro).is_file()


def test_the_report_is_told_as_in_the_terminal(wrong: rnnspec.Report) -> None:
    assert "fault 1: lstm_cell in float32" in str(wrong)
    assert str(wrong).endswith(": violates\n")
    assert repr(wrong) == f"<rnnspec.Report: {wrong.sentences[0]}>"


def test_a_notebook_shows_the_page_in_a_frame(wrong: rnnspec.Report) -> None:
    pytest.importorskip("jinja2")
    shown = wrong._repr_html_()
    assert shown is not None
    assert shown.startswith("<iframe ")
    assert "allow-same-origin" not in shown
    assert "<script>" not in shown  # but as the text of an attribute


def test_without_jinja2_a_notebook_shows_the_text(wrong: rnnspec.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert wrong._repr_html_() is None
    with pytest.raises(FileError, match=r"the page needs jinja2: .* pip install 'jinja2>="):
        wrong.html()


def test_the_json_makes_the_report_again(wrong: rnnspec.Report, tmp_path: Path) -> None:
    wrong.write_json(tmp_path / "a.json")
    again = rnnspec.read_report(tmp_path / "a.json")
    written = json.loads((tmp_path / "a.json").read_text())
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(wrong.to_json())) == written
    assert str(again) == str(wrong)
    with pytest.raises(FileError, match="expected files that 'rnnspec validate --json' wrote, got none"):
        rnnspec.read_report()


@pytest.mark.parametrize(
    ("backend", "options", "error", "words"),
    [
        (NumpyBackend, {"operations": ["lstmm"]}, UnknownOperationError, "lstmm"),
        (NumpyBackend, {"operations": "lstm"}, PlanError, r"expected a list of names, like \['lstm'\]"),
        (NumpyBackend, {"dtypes": ["float8"]}, PlanError, "unknown dtype 'float8'"),
        (NumpyBackend, {"profile": "slow"}, PlanError, "unknown profile 'slow'"),
        (NumpyBackend, {"device": "cuda"}, BackendError, "expected a device in cpu"),
        ("nothing", {}, BackendError, "unknown backend 'nothing'"),
        (dict, {}, BackendError, r"backend 'dict': expected a subclass of rnnspec.backends.Backend"),
        ([], {}, PlanError, "expected a backend, got none"),
        (NumpyBackend, {"seed": True}, PlanError, "seed: expected a whole number from 0 on, got True"),
        (NumpyBackend, {"largest": np.ones(2, int)}, PlanError, "largest: expected a whole number from 1 on, got "),
        (Unlicensed, {}, BackendError, "backend 'Unlicensed': no licence for cpu"),
    ],
)
def test_bad_input_gets_one_clear_line(backend: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        rnnspec.validate(backend, **options)
    assert "\n" not in str(caught.value)
