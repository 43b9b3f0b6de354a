"""What a soak keeps: which cases are done, and of which soak."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.soak import state as module
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.state import State, fingerprint, identity, joined
from rnnspec.conformance.soak.statistics import CasePlace, Ending, SoakOutcome, Statistics

SOAK = Soak("numpy", (("rnn", "float32"), ("gru", "float32")))
OF = identity(SOAK, {"numpy": "2.0"})


def some_state() -> State:
    statistics = Statistics()
    statistics.add(CasePlace("rnn", "float32", 0), "tiny", {"values": SoakOutcome(Ending.REJECTED, 2.0, "wrong")})
    state = State()
    state.add(range(10), statistics)
    state.add(range(20, 30), Statistics())
    state.seconds = 1.5
    return state


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    state = some_state()
    state.save(tmp_path / "state", OF)
    back = State.load(tmp_path / "state", OF)
    assert (back.done, back.seconds, back.cases) == ([range(10), range(20, 30)], 1.5, 20)
    assert back.statistics.to_json() == state.statistics.to_json()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_what_is_pending_is_what_is_not_done() -> None:
    state = some_state()
    assert state.pending(50) == [range(10, 20), range(30, 50)]
    assert state.pending(25) == [range(10, 20)]
    assert state.pending(5) == []
    assert State().pending(3) == [range(3)]


def test_parts_that_meet_are_one_and_none_is_counted_twice() -> None:
    assert joined([range(5, 7), range(3), range(3, 5)]) == [range(7)]
    with pytest.raises(ValueError, match="do not overlap"):
        some_state().add(range(5, 12), Statistics())


def test_nothing_done_changes_nothing() -> None:
    state = some_state()
    state.add(range(40, 40), Statistics())
    assert state.done == [range(10), range(20, 30)]


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert State.load(tmp_path / "none", OF).cases == 0


OTHERS: dict[str, dict[str, Any]] = {
    "seed": identity(replace(SOAK, seed=1), {"numpy": "2.0"}),
    "backend": identity(replace(SOAK, backend="torch"), {"numpy": "2.0"}),
    "device": identity(replace(SOAK, device="cuda"), {"numpy": "2.0"}),
    "versions": identity(SOAK, {"numpy": "2.1"}),
    "operations": identity(replace(SOAK, targets=(("rnn", "float32"),)), {"numpy": "2.0"}),
    "dtypes": identity(replace(SOAK, targets=(("rnn", "float16"), ("gru", "float16"))), {"numpy": "2.0"}),
    "rnnspec": {**OF, "rnnspec": "9"},
    "judge": {**OF, "judge": "another"},
    "format": {**OF, "format": 0},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_state_of_another_soak_is_refused(what: str, tmp_path: Path) -> None:
    some_state().save(tmp_path / "state", OTHERS[what])
    with pytest.raises(FileError, match="another soak") as error:
        State.load(tmp_path / "state", OF)
    assert [line.partition(":")[0].strip() for line in str(error.value).splitlines()[1:-1]] == [what]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON", '{"of": 1, "done": [1], "statistics": {}}'])
def test_what_is_no_state_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(text)
    with pytest.raises(FileError, match="expected the file of an earlier soak"):
        State.load(tmp_path / "state", OF)


def test_half_a_state_is_refused(tmp_path: Path) -> None:
    some_state().save(tmp_path / "state", OF)
    data = json.loads((tmp_path / "state").read_text())
    del data["statistics"]["by_regime"]
    (tmp_path / "state").write_text(json.dumps(data))
    with pytest.raises(FileError, match="expected the file of an earlier soak"):
        State.load(tmp_path / "state", OF)


def test_the_fingerprint_tells_whether_the_judge_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint() == fingerprint() == OF["judge"]
    package = type("Package", (), {"__file__": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(module, "judge", package)
    (tmp_path / "rounding.py").write_text("u = 1")
    before = fingerprint()
    (tmp_path / "rounding.py").write_text("u = 2")
    assert fingerprint() != before
