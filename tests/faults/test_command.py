"""The command that scores the suite, and the page that its scores make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.cli import main
from rnnspec.conformance.commands import faults as command
from rnnspec.conformance.commands.faults import FaultsRequest
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import NEVER_ALONE, CheckScore, FaultScore, by_check, score_fault
from rnnspec.conformance.faults.seeds import seeds_from, seeds_text
from rnnspec.conformance.faults.variants import LOOPS
from rnnspec.conformance.hosting.jobs import Here, Processes, in_order
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.pages.faults import read, sections
from rnnspec.conformance.run import PROFILES, Profile
from rnnspec.conformance.run.plan import PlanError

PLANTED = {fault.name: fault for fault in faults()}
NO_FAULT = Fault("rnn-no-fault-at-all", "rnn_cell", "Nothing is wrong.", LOOPS["rnn"])
CAUGHT = PLANTED["rnn-bias-dropped"]


def score(monkeypatch: pytest.MonkeyPatch, file: Path | None, *planted: Fault, seeds: str = "0") -> int:
    monkeypatch.setattr(command, "faults", lambda operations: planted)
    return command.score_faults(FaultsRequest(("rnn_cell",), seeds=seeds), file)


def test_all_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "score.json"
    assert score(monkeypatch, file, CAUGHT) == 0
    written = json.loads(file.read_text())
    (fault,) = written["faults"]
    assert (fault["name"], fault["operation"], fault["caught"], fault["check"], fault["also"]) == (
        "rnn-bias-dropped", "rnn_cell", True, "values", None,
    )  # fmt: skip
    assert fault["cases"] >= 1
    assert all(variant["operation"] == "rnn_cell" and variant["rejected"] == 0 for variant in written["variants"])
    assert {check["id"]: check["first"] for check in written["checks"] if check["first"]} == {"values": 1}
    assert "1 of 1 planted faults caught at seed 0" in capsys.readouterr().out


def test_the_case_is_the_smallest_and_the_message_tells_it() -> None:
    found = score_fault(CAUGHT, PROFILES["quick"])
    assert found.case == "rnn_cell float32 B=1 D=1 H=1 generic seed=0"
    assert found.message.endswith(f"in {found.case}")


def test_what_is_missed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(monkeypatch, None, CAUGHT, NO_FAULT) == 1
    assert "missed: rnn-no-fault-at-all with seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "check", "also"),
    [("rnn-bias-dropped", "values", "gradients"), ("rnn-inputs-unchecked", "bad_input", "")],
)
def test_who_else_catches_a_fault(fault: str, check: str, also: str) -> None:
    found = score_fault(PLANTED[fault], PROFILES["quick"], shrink=False, exclusive=True)
    assert (found.check, found.also, found.alone) == (check, also, also == "")


def missed_with(monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
    """Let every fault be missed with these seeds: its right loops stand in for it."""

    def judged(fault: Fault, profile: Profile, *, seed: int, **options: Any) -> FaultScore:
        return score_fault(replace(NO_FAULT, name=fault.name) if seed in seeds else fault, profile, seed=seed)

    monkeypatch.setattr(command, "score_fault", judged)


def test_a_fault_that_one_seed_misses_is_missed_and_the_seed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "score.json"
    missed_with(monkeypatch, 2)
    assert score(monkeypatch, file, CAUGHT, seeds="0-2") == 1
    written = json.loads(file.read_text())
    assert written["seeds"] == [0, 1, 2]
    (fault,) = written["faults"]
    assert (fault["caught"], fault["missed_seeds"], fault["check"]) == (False, [2], "values")
    told = capsys.readouterr().out
    assert "0 of 1 planted faults caught at every one of the seeds 0-2" in told
    assert "missed: rnn-bias-dropped with seed 2" in told
    page = sections(*read(file))
    assert "0 of 1 caught at every one of the seeds 0-2." in page["summary"]
    assert "- rnn-bias-dropped: with seed 2" in page["summary"]


def test_a_fault_that_the_first_seed_misses_is_told_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "score.json"
    missed_with(monkeypatch, 0, 7)
    assert score(monkeypatch, file, CAUGHT, seeds="0,2,7") == 1
    (fault,) = json.loads(file.read_text())["faults"]
    assert (fault["caught"], fault["missed_seeds"], fault["check"]) == (False, [0, 7], "values")
    assert fault["message"] == "no check caught it"


def test_caught_with_every_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "score.json"
    assert score(monkeypatch, file, CAUGHT, seeds="3,5") == 0
    written = json.loads(file.read_text())
    assert (written["seeds"], written["faults"][0]["missed_seeds"]) == ([3, 5], [])
    one = tmp_path / "one.json"
    assert score(monkeypatch, one, CAUGHT, seeds="3") == 0
    for twice, once in zip(written["variants"], json.loads(one.read_text())["variants"], strict=True):
        assert twice["cases"] > once["cases"]
        assert twice["worst_error_ratio"] >= once["worst_error_ratio"]


def test_another_seed_draws_other_cases() -> None:
    hard = PLANTED["rnn-sums-in-the-order-of-arrival"]
    scores = [score_fault(hard, PROFILES["quick"], shrink=False, seed=seed) for seed in range(3)]
    assert len({score.case for score in scores}) > 1


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", (0,)), ("0-4", (0, 1, 2, 3, 4)), ("3", (3,)), ("0,2,7", (0, 2, 7)), ("7,0-2", (7, 0, 1, 2))],
)
def test_seeds_are_read_and_written(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_from(text) == seeds
    assert seeds_text(seeds) == text


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "4-0", "0,0", "0-2,1", "1.5", "0-", "0-100000", str(2**32)])
def test_malformed_seeds_give_one_line(text: str) -> None:
    done = CliRunner().invoke(main, ["faults", "--seeds", text])
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith("Error: --seeds: expected")


def test_faults_are_summed_up_by_check() -> None:
    scores = [
        FaultScore("a", "rnn", "", True, "values", 1, "", "", also=""),
        FaultScore("b", "rnn", "", True, "values", 3, "", "", also="gradients"),
        FaultScore("c", "rnn", "", False, "", 0, "", "no check caught it"),
    ]
    rows = {row.id: row for row in by_check(scores)}
    assert list(rows) == [check.id for check in CHECKS]
    assert rows.pop("values") == CheckScore("values", first=2, alone=1)
    assert {(row.first, row.alone) for row in rows.values()} == {(0, 0)}
    unasked = [FaultScore("a", "rnn", "", True, "values", 1, "", "")]
    assert CheckScore("values", first=1, alone=None) in by_check(unasked)


def test_reasons_are_given_for_checks_that_there_are() -> None:
    assert NEVER_ALONE.keys() <= {check.id for check in CHECKS}


def test_the_page_tells_every_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "score.json"
    score(monkeypatch, file, CAUGHT, NO_FAULT)
    text = sections(*read(file))
    assert "| planted faults | 2 |" in text["summary"]
    assert "| missed | 1 |" in text["summary"]
    assert "| `values` | MUST | 1 | – |" in text["checks"]
    assert "`rnn_cell` | 2 |" in text["operations"]
    (row,) = (line for line in text["faults"].splitlines() if "rnn-bias-dropped" in line)
    assert row.endswith("| `values` | 1 | float32 B=1 D=1 H=1 generic seed=0 |")
    (row,) = (line for line in text["faults"].splitlines() if "rnn-no-fault-at-all" in line)
    assert "| missed with seed 0 | 0 |" in row
    assert "1 of 2 caught at seed 0." in text["summary"]
    assert "- rnn-no-fault-at-all: with seed 0" in text["summary"]


def cells(table: str) -> list[list[str]]:
    """Rows of a table of the published page."""
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    section = text.partition(f"<!-- {table}: begin -->\n")[2].partition(f"<!-- {table}: end -->")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows]


def test_the_published_score() -> None:
    numbers = dict(cells("summary")[1:])
    assert int(numbers["planted faults"]) >= 150
    assert int(numbers["missed"]) == 0
    assert not [row[0] for row in cells("faults") if row[2].startswith("missed")]
    having, of = numbers["operations that have some"].split(" of ")  # of the version that was scored
    assert having == of
    assert float(numbers["cases to catch: median"]) < 10
    told = [row for row in cells("faults") if row[0] != "fault"]
    assert len(told) == int(numbers["planted faults"])
    assert all(int(cases) >= 1 and smallest for _, _, _, cases, smallest in told)


def test_every_check_alone_catches_something_or_it_is_said_why_not() -> None:
    rows = {row[0].strip("`"): row for row in cells("checks")[1:]}
    assert set(rows) == {check.id for check in CHECKS}
    for name, (_, _, _, alone, reason) in rows.items():
        assert int(alone) > 0 or reason == NEVER_ALONE[name]


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for content in ("[]", "{", '{"faults": [{"name": "a"}]}'):
        file.write_text(content)
        with pytest.raises(ValueError, match="rnnspec faults --json"):
            read(file)


def test_work_is_shared_between_processes_in_order() -> None:
    work = Work(str, str, str)
    with Processes(2) as two:
        found = list(in_order(two.results(work, range(7))))
    assert found == list(in_order(Here().results(work, range(7)))) == [str(number) for number in range(7)]


def test_unknown_profile() -> None:
    with pytest.raises(PlanError, match="quick, standard, thorough"):
        command.score_faults(FaultsRequest(profile="brisk"), None)


def test_bad_input() -> None:
    for options, message in ((["--op", "lsmt"], "lstm"), (["--jobs", "0"], "0 is not in the range x>=1")):
        done = CliRunner().invoke(main, ["faults", *options])
        assert done.exit_code == 2
        assert message in done.output
