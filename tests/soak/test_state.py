"""A soak keeps the numbers of the cases that are done, and its own identity."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnspec.conformance.run import resuming
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.resuming import ResumeFile
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.state import State, facts_of_soak, joined
from rnnspec.conformance.soak.statistics import CasePlace, Ending, SoakOutcome, Statistics

SOAK = Soak("numpy", (("rnn", "float32"), ("gru", "float32")))
OF = facts_of_soak(SOAK, {"numpy": "2.0"})


def file(folder: Path, of: dict[str, Any] = OF) -> ResumeFile:
    return ResumeFile(folder / "state", of, "soak")


def some_state() -> State:
    state = State()
    for part in (range(10), range(20, 30)):
        statistics = Statistics()
        for number in part:
            outcome = SoakOutcome(Ending.REJECTED, 2.0, "wrong") if number == 0 else SoakOutcome(Ending.JUDGED, 0.5)
            statistics.add(CasePlace("rnn", "float32", number), "tiny", {"values": outcome})
        state.add(part, statistics)
    state.seconds = 1.5
    return state


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    state = some_state()
    file(tmp_path).save(state.to_json())
    back = State.load(file(tmp_path), 30)
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
    assert State.load(file(tmp_path), 30).cases == 0


OTHERS: dict[str, dict[str, Any]] = {
    "seed": facts_of_soak(replace(SOAK, seed=1), {"numpy": "2.0"}),
    "backend": facts_of_soak(replace(SOAK, backend="torch"), {"numpy": "2.0"}),
    "device": facts_of_soak(replace(SOAK, device="cuda"), {"numpy": "2.0"}),
    "Python": {**OF, "Python": "3.10"},
    "NumPy": {**OF, "NumPy": "1.0"},
    "versions": facts_of_soak(SOAK, {"numpy": "2.1"}),
    "operations": facts_of_soak(replace(SOAK, targets=(("rnn", "float32"),)), {"numpy": "2.0"}),
    "dtypes": facts_of_soak(replace(SOAK, targets=(("rnn", "float16"), ("gru", "float16"))), {"numpy": "2.0"}),
    "rnnspec": {**OF, "rnnspec": "9"},
    "judge": {**OF, "judge": "another"},
    "format": {**OF, "format": 0},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_state_of_another_soak_is_refused(what: str, tmp_path: Path) -> None:
    file(tmp_path, OTHERS[what]).save(some_state().to_json())
    with pytest.raises(FileError, match="another soak") as error:
        State.load(file(tmp_path), 30)
    assert [line.partition(":")[0].strip() for line in str(error.value).splitlines()[1:-1]] == [what]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON", '{"of": 1, "done": [1], "statistics": {}}'])
def test_what_is_no_state_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(text)
    with pytest.raises(FileError, match="expected the file of an earlier soak"):
        State.load(file(tmp_path), 30)


def test_half_a_state_is_refused(tmp_path: Path) -> None:
    file(tmp_path).save(some_state().to_json())
    data = json.loads((tmp_path / "state").read_text())
    del data["statistics"]["by_regime"]
    (tmp_path / "state").write_text(json.dumps(data))
    with pytest.raises(FileError, match="expected the file of an earlier soak"):
        State.load(file(tmp_path), 30)


WRONG: dict[str, Any] = {
    "overlap": {"done": [[0, 10], [5, 15]]},
    "negative": {"done": [[-5, 15]]},
    "backward": {"done": [[20, 0]]},
    "no numbers": {"done": [["0", "20"]]},
    "true": {"done": [[False, True]]},
    "more than counted": {"done": [[0, 10], [20, 31]]},
    "seconds in words": {"seconds": "1.5 s"},
    "seconds below 0": {"seconds": -1},
    "endless seconds": {"seconds": float("inf")},
    "a list": {"statistics": []},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_state_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    file(tmp_path).save(some_state().to_json())
    data = json.loads((tmp_path / "state").read_text())
    (tmp_path / "state").write_text(json.dumps(data | WRONG[name]))
    with pytest.raises(FileError, match="expected the file of an earlier soak"):
        State.load(file(tmp_path), 100)


def test_cases_beyond_those_that_are_asked_are_refused(tmp_path: Path) -> None:
    file(tmp_path).save(some_state().to_json())
    with pytest.raises(FileError, match="has cases up to 30, and 29 are asked: expected --cases 30 or more"):
        State.load(file(tmp_path), 29)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder as lock", "link as lock"])
def test_a_state_is_a_file_and_so_is_its_lock(kind: str, tmp_path: Path) -> None:
    state, lock = tmp_path / "state", tmp_path / ".state.lock"
    if kind == "pipe":
        os.mkfifo(state)
    elif kind == "device":
        state.symlink_to("/dev/null")
    elif kind == "folder as lock":
        lock.mkdir()
    else:
        lock.symlink_to(tmp_path / "another")
    told = "cannot be locked" if "lock" in kind else "got something that is no file"
    with pytest.raises(FileError, match=told), file(tmp_path) as held:
        State.load(held, 30)
    assert not (tmp_path / "another").exists()


def test_a_disk_that_becomes_full_loses_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = False

    def write(path: Path, content: bytes) -> None:
        if full:
            raise FileError("no space")
        path.write_bytes(content)

    monkeypatch.setattr(resuming, "write_bytes", write)
    with file(tmp_path) as held:
        held.save({})
        full = True
        held.save({})
        full = False
        held.save({"seconds": 2})
    assert json.loads((tmp_path / "state").read_text())["seconds"] == 2

    def work() -> None:
        nonlocal full
        with file(tmp_path) as held:
            held.save({})
            full = True
            held.save({})
            held.save({})
            done.append("all")

    done: list[str] = []
    with pytest.raises(FileError, match="no space"):
        work()
    assert done == ["all"]
    assert capsys.readouterr().err.count("no space; the work goes on") == 2
    with pytest.raises(FileError, match="no space"):
        work()
    assert done == ["all"], "it is told at once that nothing can be kept"


def test_a_file_in_a_closed_folder_is_locked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text("{}")
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_dir())
    with file(tmp_path) as held:
        assert [one.name for one in tmp_path.iterdir()] == ["state"]
        with pytest.raises(FileError, match="another command is writing to it"), file(tmp_path):
            pass
        held.save({})
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
    with file(tmp_path):
        pass
