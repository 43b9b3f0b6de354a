"""Failures of earlier runs come first in the next, and only where that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Planner, Scope
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.run import PROFILES, CheckResult, Profile, Verdict, replay, run_check
from rnnspec.conformance.run.replay import failures_of, usual_folder

VALUES = next(check for check in CHECKS if check.id == "values")
MANY = Profile("many", examples=200, examples_other_types=200, largest=0)
ONE = Profile("one", examples=1, examples_other_types=1, largest=0)


class RarelyWrong(NumpyBackend):
    """Wrong for one size of the input and one of the state; and counts what it is asked."""

    name = "rarely wrong"
    failing = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, ...]] = []

    def run(self, call: Call) -> tuple[Any, ...]:
        outputs = super().run(call)
        sizes = call.inputs["W"].shape[1:]
        self.asked.append(tuple(call.inputs["W"].tobytes()))
        return tuple(output + 1 for output in outputs) if self.failing and sizes == (3, 2) else outputs


def run(backend: Backend, profile: Profile, folder: Path | None, **options: Any) -> CheckResult:
    return run_check(VALUES, backend, "rnn_cell", "float32", profile, replay_dir=folder, **options)


def test_what_failed_comes_first_in_the_next_run(tmp_path: Path) -> None:
    first = RarelyWrong()
    assert run(first, MANY, tmp_path).verdict is Verdict.VIOLATES
    assert len(first.asked) > 10  # it is rare
    assert run(RarelyWrong(), ONE, None, seed_number=5).verdict is Verdict.CONFORMS
    again = RarelyWrong()
    result = run(again, ONE, tmp_path, seed_number=5)
    assert result.verdict is Verdict.VIOLATES
    assert result.examples == 0  # nothing passed before it
    assert "B=1 D=2 H=3" in result.message


def test_what_passes_now_is_dropped(tmp_path: Path) -> None:
    run(RarelyWrong(), MANY, tmp_path)
    mended = RarelyWrong()
    mended.failing = False
    assert run(mended, MANY, tmp_path).verdict is Verdict.CONFORMS
    assert run(RarelyWrong(), ONE, tmp_path, seed_number=5).verdict is Verdict.CONFORMS


@pytest.mark.parametrize("other", [{"operation": "lstm_cell"}, {"dtype": "float64"}])
def test_each_check_of_an_operation_in_a_type_has_its_own(tmp_path: Path, other: dict[str, str]) -> None:
    run(RarelyWrong(), MANY, tmp_path)
    asked = {"operation": "rnn_cell", "dtype": "float32", **other}
    backend, fresh = RarelyWrong(), RarelyWrong()
    backend.failing = fresh.failing = False
    run_check(VALUES, backend, asked["operation"], asked["dtype"], MANY, replay_dir=tmp_path)
    run_check(VALUES, fresh, asked["operation"], asked["dtype"], MANY)
    assert backend.asked == fresh.asked


def test_with_nothing_to_replay_equal_seeds_draw_equal_cases(tmp_path: Path) -> None:
    asked = []
    for folder in (None, tmp_path / "a", tmp_path / "a", tmp_path / "b"):
        backend = RarelyWrong()
        backend.failing = False
        run(backend, MANY, folder, seed_number=7)
        asked.append(backend.asked)
    assert all(each == asked[0] for each in asked)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs permissions as POSIX has them")
def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    assert run(RarelyWrong(), MANY, nowhere).verdict is Verdict.VIOLATES
    assert nowhere.read_text() == ""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert run(RarelyWrong(), MANY, closed).verdict is Verdict.VIOLATES


class Hanging(RarelyWrong):
    """Never answers where the other is wrong, as the suite sees it."""

    name = "hanging"

    def run(self, call: Call) -> tuple[Any, ...]:
        outputs = NumpyBackend.run(self, call)
        self.asked.append(call.inputs["W"].shape)
        if call.inputs["W"].shape[1:] == (3, 2):
            raise GuestLostError(call, "no answer within 60 s", timed_out=True)
        return outputs


def test_a_process_that_was_lost_comes_first_too_and_is_lost_once_a_run(tmp_path: Path) -> None:
    first = Hanging()
    assert run(first, MANY, tmp_path).verdict is Verdict.TIMED_OUT
    assert sum(shape[1:] == (3, 2) for shape in first.asked) == 1
    again = Hanging()
    result = run(again, ONE, tmp_path, seed_number=5)
    assert (result.verdict, result.examples) == (Verdict.TIMED_OUT, 0)
    assert sum(shape[1:] == (3, 2) for shape in again.asked) == 1


def test_names_become_safe_folders(tmp_path: Path) -> None:
    kept = str(failures_of(tmp_path, "../a b:C", "lstm", "float32", "values"))
    assert "-a-b-C/lstm-float32-values" in kept
    assert ".." not in kept
    folder = usual_folder()
    assert folder is None or folder.name == "failures"


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("no home")

    for answer in (homeless, lambda *_, **__: Path("~/.cache/rnnspec")):
        monkeypatch.setattr(replay, "user_cache_path", answer)
        assert usual_folder() is None


FAKE = """\
from rnnspec.backends.numpy import NumpyBackend


class Rare(NumpyBackend):
    name = "rare"

    def run(self, call):
        outputs = super().run(call)
        wrong = all(8 < size < 15 for size in call.inputs["W"].shape[1:])  # nothing that is planned
        return tuple(output + 1 for output in outputs) if wrong else outputs
"""


@pytest.fixture
def validate(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    (tmp_path / "fake_rare.py").write_text(FAKE)

    def command(*words: str, replay: str = "1") -> dict[str, Any]:
        file = tmp_path / "result.json"
        here = tmp_path / "here"
        here.mkdir(exist_ok=True)
        few = ("--op", "rnn_cell", "--dtype", "float32", "--profile", "standard", "-k", "values")
        given = ["validate", "fake_rare:Rare", "--no-isolate", *few, *words]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HOME": str(tmp_path),
            "RNNSPEC_REPLAY": replay,
        }
        subprocess.run(
            [sys.executable, "-m", "rnnspec", *given, "--json", str(file)],
            cwd=here, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert list(here.iterdir()) == []
        (operation,) = json.loads(file.read_text())["backends"][0]["operations"]
        return {check["id"]: check for check in operation["checks"]}

    return command


@pytest.mark.skipif(sys.platform != "linux", reason="the cache's place is that of XDG")
@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two"])
def test_the_command_keeps_failures_in_the_users_cache(
    validate: Callable[..., dict[str, Any]], tmp_path: Path, processes: tuple[str, ...]
) -> None:
    deck = Planner(Scope("rnn_cell", "float32"), PROFILES["standard"].planned).deck()
    planned = len(deck.cases) + 1  # the first call of all
    for seed in range(20):
        first = validate(*processes, "--seed", str(seed))
        if first["values"]["verdict"] == "violates" and first["values"]["examples"] > planned:
            break
    else:
        pytest.fail("no seed finds it late")
    assert (tmp_path / "cache" / "rnnspec" / "failures" / "rare").is_dir()
    second = validate(*processes, "--seed", str(seed))
    # Planned cases are asked in any case, and no drawn case passed before it.
    assert (second["values"]["verdict"], second["values"]["examples"]) == ("violates", planned)
    for without in (
        validate(*processes, "--seed", str(seed), "--no-replay"),
        validate("--seed", str(seed), replay="0"),
    ):
        assert without["values"]["examples"] == first["values"]["examples"]


def test_of_what_is_planned_nothing_is_kept_as_the_same_seed_plans_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        result = run(RarelyWrong(), PROFILES["quick"], tmp_path)
        assert result.verdict is Verdict.VIOLATES
        assert result.examples > 0
        assert "D=2 H=3" in result.message
