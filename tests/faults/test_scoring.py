"""The command that scores the suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnspec.conformance.commands import scoring
from rnnspec.conformance.faults.catalogue import FAULTS
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.variants import LOOPS
from rnnspec.conformance.run.plan import PlanError

NO_FAULT = Fault("rnn-no-fault-at-all", "rnn_cell", "Nothing is wrong.", LOOPS["rnn"])
CAUGHT = next(fault for fault in FAULTS if fault.name == "rnn-bias-dropped")


def score(monkeypatch: pytest.MonkeyPatch, file: Path | None, *planted: Fault) -> int:
    monkeypatch.setattr(scoring, "faults", lambda operations: planted)
    return scoring.score_faults(("rnn_cell",), "quick", file)


def test_all_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "score.json"
    assert score(monkeypatch, file, CAUGHT) == 0
    written = json.loads(file.read_text())
    (fault,) = written["faults"]
    assert (fault["name"], fault["operation"], fault["caught"], fault["check"]) == (
        "rnn-bias-dropped", "rnn_cell", True, "values",
    )  # fmt: skip
    assert fault["cases"] >= 1
    assert all(variant["operation"] == "rnn_cell" and variant["rejected"] == 0 for variant in written["variants"])
    assert "caught 1 of 1" in capsys.readouterr().out


def test_what_is_missed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(monkeypatch, None, CAUGHT, NO_FAULT) == 1
    assert "missed: rnn-no-fault-at-all" in capsys.readouterr().out


def test_unknown_profile() -> None:
    with pytest.raises(PlanError, match="quick, standard, thorough"):
        scoring.score_faults((), "brisk", None)
