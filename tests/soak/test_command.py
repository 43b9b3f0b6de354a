"""`rnnspec soak` reports rejections, crashes and hangs: counted, named, and with the command that repeats each."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from rnnspec.conformance.cli import main
from rnnspec.conformance.soak.progress import SoakProgress
from rnnspec.conformance.soak.statistics import RECORDED
from rnnspec.conformance.soak.table import MOST_TOLD

Run = Callable[..., Any]


def counted(report: dict[str, Any], ending: str) -> int:
    return sum(counts.get(ending, 0) for counts in report["endings"].values())


def test_the_reference_is_rejected_nowhere(soak: Run) -> None:
    result, report = soak("numpy", "--cases", "120", operation="crf_viterbi")
    assert result.exit_code == 0
    assert counted(report, "judged") + counted(report, "out of range") == 240
    assert report["failures"] == []
    (dtype,) = report["by_dtype"]
    assert sum(dtype["histogram"].values()) == counted(report, "judged")
    assert 0 < dtype["values"]["largest"] <= 1
    assert dtype["values"]["ids"] > dtype["values"]["ids_not_judged"]
    assert {row["regime"] for row in report["by_regime"]} > {"generic", "tiny", "forbidding"}
    assert "0 rejected" in result.stdout


def test_a_wrong_backend_is_rejected_and_each_rejection_can_be_repeated(soak: Run, backends: Path) -> None:
    result, report = soak("oddities:Wrong", "--no-isolate", "--cases", "300")
    assert result.exit_code == 1
    rejected = report["endings"]["values"]["rejected"]
    assert rejected > 200
    assert report["endings"]["gradients"].get("rejected", 0) == 0  # only the values are wrong
    assert len(report["failures"]) == RECORDED < rejected
    assert result.stdout.count("values rejected: ") == MOST_TOLD
    assert f"and {rejected - MOST_TOLD} more" in result.stdout
    assert f"{rejected} rejected" in result.stdout
    assert report["by_dtype"][0]["values"]["largest"] > 1
    for failure in report["failures"][:3]:
        assert failure["message"] in result.stdout
        assert "in rnn_cell float32 B=" in failure["message"]
        again = CliRunner().invoke(main, shlex.split(failure["repeat"])[1:])
        assert again.exit_code == 1
        assert failure["message"] in again.stdout
        assert "1 cases" in again.stdout


def test_what_a_backend_raises_is_counted_as_a_crash_and_the_soak_goes_on(soak: Run, backends: Path) -> None:
    result, report = soak("oddities:Raising", "--no-isolate", "--cases", "8")
    assert result.exit_code == 1
    assert report["endings"] == {"values": {"crashed": 8}, "gradients": {}}
    assert "values crashed: MemoryError: no room" in result.stdout
    assert "8 crashed" in result.stdout


@pytest.mark.parametrize(
    ("backend", "ending", "words"),
    [("Crashing", "crashed", "SIGSEGV"), ("Hanging", "timed out", "no answer within 1 s")],
)
def test_the_end_of_an_isolated_backend_is_counted_and_the_soak_goes_on(
    backend: str, ending: str, words: str, soak: Run, backends: Path
) -> None:
    result, report = soak(f"oddities:{backend}", "--cases", "60", "--time-limit", "1")
    assert result.exit_code == 1
    lost = counted(report, ending)
    assert 0 < lost < 30
    assert report["cases"] == 60
    assert counted(report, "judged") > 60
    assert len(report["failures"]) == lost
    for failure in report["failures"]:
        assert words in failure["message"]
        assert "rnn_cell float32 B=3 D=3" in failure["message"]
        assert f"repeat: {failure['repeat']}" in result.stdout
    assert f"{lost} {ending}" in result.stdout


def test_what_is_refused_is_no_failure(soak: Run, backends: Path) -> None:
    result, report = soak("oddities:Refusing", "--no-isolate", "--cases", "100")
    assert result.exit_code == 0
    refused = counted(report, "refused")
    assert 0 < refused < 60
    assert f"{refused} refused by the backend" in result.stdout


def test_an_expected_failure_is_counted_as_such_and_no_other_is(soak: Run, backends: Path) -> None:
    result, report = soak("oddities:KnownWrong", "--no-isolate", "--cases", "100")
    assert result.exit_code == 1
    assert 0 < counted(report, "expected") < 60
    assert counted(report, "rejected") > 20
    assert f"{counted(report, 'expected')} wrong as expected" in result.stdout
    assert not [failure for failure in report["failures"] if " D=2 " in failure["message"]]


def test_one_case_alone(soak: Run) -> None:
    result, report = soak("numpy", "--case", "7", "--seed", "3")
    assert result.exit_code == 0
    assert report["cases"] == 1
    assert report["by_operation"][0]["values"]["largest_in"] == "rnn_cell float32 7"


ERRORS: dict[str, tuple[tuple[str, ...], str]] = {
    "no cases": (("--cases", "0"), "expected at least 1 case, got 0"),
    "no jobs": (("--jobs", "0"), "0 is not in the range x>=1"),
    "a case to keep": (("--case", "3", "--resume", "kept"), "expected --case or --resume, got both"),
    "a device": (("--device", "tpu"), "expected a device in cpu, got 'tpu'"),
    "a folder": (("--resume", "."), "is a directory"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_is_one_clear_line(what: str, soak: Run) -> None:
    arguments, words = ERRORS[what]
    result, _ = soak("numpy", *arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_a_backend_without_the_operation_is_an_error(
    soak: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.py").write_text(
        "from rnnspec.backends import Backend\n\n\nclass Empty(Backend):\n    name = 'empty'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result, _ = soak("empty:Empty", "--no-isolate")
    assert result.exit_code == 2
    assert "has none of the operations" in result.output


def test_the_state_of_another_seed_is_refused_and_left_alone(soak: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    soak("numpy", "--cases", "20", "--resume", str(kept))
    before = kept.read_bytes()
    result, _ = soak("numpy", "--cases", "20", "--resume", str(kept), "--seed", "1")
    assert result.exit_code == 2
    assert "seed: expected 1, got 0" in result.output
    assert kept.read_bytes() == before


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal() -> None:
    now = 0.0
    file = io.StringIO()
    with SoakProgress(Console(file=file, width=20), "numpy", 10_000, 2_000, lambda: now) as progress:
        progress.advance(0, 0)
        now = 20.0
        progress.advance(1_000, 1)
        assert file.getvalue() == ""
        now = 40.0
        progress.advance(3_000, 1)
        now = 41.0
        progress.advance(10, 0)
    assert file.getvalue() == "numpy: 6,000 of 10,000 cases, 100 a second, 2 rejected, 0:40 left\n"


def test_progress_is_a_bar_on_a_terminal() -> None:
    file = io.StringIO()
    with SoakProgress(Console(file=file, width=100, force_terminal=True), "numpy", 300, 100) as progress:
        progress.advance(150, 4)
    for words in ("numpy", "250/300", "4 rejected"):
        assert words in file.getvalue()
