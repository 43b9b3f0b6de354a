"""`rnnspec report`, `validate --html` and `--badge`, and the table of several backends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.cli import main
from rnnspec.conformance.report.badge import badge_json, badge_svg
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.faults import moved_in
from rnnspec.conformance.report.report import read_report
from rnnspec.conformance.report.summary import BackendSummary, summarise
from rnnspec.conformance.report.tables import print_backends
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.plan import PlanError
from rnnspec.spec import operations

ASKED = ("--op", "dense", "--dtype", "float32", "--largest", "8", "-n", "0")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("jinja2")
    folder = tmp_path_factory.mktemp("written")
    files = [f"--{name}={folder / file}" for name, file in [("html", "a.html"), ("badge", "a.svg"), ("json", "a.json")]]
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", "validate", "numpy", *ASKED, *files],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_validate_writes_the_page_the_badge_and_the_json(written: Path) -> None:
    assert (written / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert "numpy conforms to the specification" in (written / "a.html").read_text()
    assert "conforms" in (written / "a.svg").read_text()
    assert set(json.loads((written / "a.json").read_text())) == {"backends", "conditions"}


def test_one_report_of_several_runs(written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    data["backends"][0]["name"] = "other"
    data["conditions"]["system"] = "Another 1.0"
    (tmp_path / "b.json").write_text(json.dumps(data))
    done = command("report", written / "a.json", tmp_path / "b.json", "--html", tmp_path / "both.html")
    assert done.exit_code == 0, done.output
    assert done.stdout.count(": conforms\n") == 2
    page = (tmp_path / "both.html").read_text()
    assert "Does numpy, other conform" in page
    assert "; Another 1.0" in page


def test_the_exit_status_is_that_of_the_runs(written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    data["backends"][0]["operations"][0]["checks"][0]["verdict"] = "violates"
    (tmp_path / "b.json").write_text(json.dumps(data))
    assert command("report", tmp_path / "b.json").exit_code == 1


def spoilt(data: Any, *path: str | int, value: Any) -> Any:
    """The data with one value changed."""
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


OPERATION = ("backends", 0, "operations", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("backends",), []),
        (("backends",), 3),
        (("backends", 0), "numpy"),
        (("conditions",), {"Python": 3}),
        ((*OPERATION, "name"), "lstmm"),
        ((*OPERATION, "dtype"), "float8"),
        ((*OPERATION, "checks"), {"id": "values"}),
        ((*OPERATION, "checks", 0, "verdict"), "fine"),
        ((*OPERATION, "checks", 0, "examples"), "many"),
        ((*OPERATION, "checks", 0, "level"), "MAY"),
        ((*OPERATION, "checks", 0, "more"), 1),
        ((*OPERATION, "faults"), [{"operation": "dense"}]),
        (("backends", 0, "versions"), {"numpy": 2}),
        (("backends", 0, "name"), ""),
    ],
)
def test_a_file_of_another_form_is_one_line_of_error(written: Path, tmp_path: Path, path: Any, value: Any) -> None:
    data = json.loads((written / "a.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps(spoilt(data, *path, value=value)))
    done = command("report", tmp_path / "b.json")
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "expected a file that 'rnnspec validate --json' wrote" in done.stderr


def test_a_file_of_another_version_is_told_as_one(written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    data["conditions"]["rnnspec"] = "0.0.1"
    (tmp_path / "same.json").write_text(json.dumps(data))
    assert command("report", tmp_path / "same.json").exit_code == 0
    del data["backends"][0]["operations"][0]["checks"][0]["seconds"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    told = command("report", tmp_path / "old.json").stderr
    assert "'seconds' is missing; rnnspec 0.0.1 wrote it, and this is " in told
    (tmp_path / "list.json").write_text("[]")
    assert "got no object with backends" in command("report", tmp_path / "list.json").stderr


def test_bad_files(written: Path, tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("no JSON")
    assert "got no JSON" in command("report", tmp_path / "text.json").stderr
    twice = command("report", written / "a.json", written / "a.json")
    assert (twice.exit_code, "a.json: expected each file once" in twice.stderr) == (2, True)
    suffix = command("report", written / "a.json", "--badge", tmp_path / "a.png")
    assert "expected a badge's file to end in .svg or .json, got '.png'" in suffix.stderr
    same = command("report", written / "a.json", "--html", written / "a.json")
    assert "name another file" in same.stderr
    assert read_report(written / "a.json").conforms


def test_two_runs_of_one_backend_are_told_apart_by_their_files(written: Path, tmp_path: Path) -> None:
    for name in ("old.json", "folder/a.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((written / "a.json").read_bytes())
    assert [one.name for one in read_report(written / "a.json", tmp_path / "old.json").backends] == [
        "numpy (a)",
        "numpy (old)",
    ]
    same = read_report(written / "a.json", tmp_path / "folder" / "a.json")
    assert same.backends[1].name == f"numpy ({tmp_path / 'folder' / 'a.json'})"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_badges(verdict: Verdict) -> None:
    data = json.loads(badge_json(verdict))
    assert (data["schemaVersion"], data["label"]) == (1, "rnnspec")
    assert set(data) == {"schemaVersion", "label", "message", "color"}
    image = ElementTree.fromstring(badge_svg(verdict))
    words = [one.text for one in image.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["rnnspec", data["message"]]
    assert ("red" in data["color"]) == verdict.bad


def summary(name: str, *results: tuple[str, str, Verdict, float | None]) -> Any:
    made = [
        CheckResult(name, op, dtype, "cpu", "values", "MUST", verdict, 5, 0, (), ratio, "", "", 0.0)
        for op, dtype, verdict, ratio in results
    ]
    return summarise(name, {"numpy": "2"}, made)


def printed(*summaries: Any) -> list[str]:
    text = io.StringIO()
    print_backends(open_console(text, width=80), summaries)
    return text.getvalue().splitlines()


def test_several_backends_are_one_table() -> None:
    right = summary(
        "right", ("lstm", "float64", Verdict.CONFORMS, 0.1), ("lstm", "float32", Verdict.CONFORMS, 0.3),
        ("gru", "float32", Verdict.CONFORMS, 0.2),
    )  # fmt: skip
    wrong = summary(
        "wrong", ("lstm", "float64", Verdict.VIOLATES, 9.0), ("lstm", "float32", Verdict.CONFORMS, 0.3),
        ("gru", "float32", Verdict.EXPECTED, None),
    )  # fmt: skip
    lines = printed(right, wrong)
    (lstm,) = [line for line in lines if line.startswith(" lstm")]
    (gru,) = [line for line in lines if line.startswith(" gru")]
    assert lstm.split() == ["lstm", "0.30", "violates", "in", "float64"]
    assert gru.split() == ["gru", "0.20", "known", "fault"]
    assert sum(line.startswith(" operation ") for line in lines) == 1


def test_long_names_of_backends_have_numbers() -> None:
    long = [summary(f"package.module:{'Adapter' * 4}{n}", ("lstm", "float32", Verdict.CONFORMS, 0.1)) for n in range(3)]
    lines = printed(*long)
    assert lines[0].startswith("[1] package.module:")
    assert [line.split() for line in lines if line.startswith(" operation")] == [["operation", "[1]", "[2]", "[3]"]]


def test_no_operations_name_is_cut() -> None:
    every = [(name, "float32", Verdict.EXPECTED, None) for name in operations()]
    shown = " ".join(printed(summary("one", *every), summary("two", *every)))
    for name in operations():
        assert f" {name} " in shown


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("worst_error_ratio", 7, "it conforms with an error ratio of 7: expected at most 1"),
        ("worst_error_ratio", -5, "worst_error_ratio: expected a number from 0 on, or null, got -5"),
        ("worst_error_ratio", float("nan"), "worst_error_ratio: expected a number that is finite"),
        ("examples", -1, "examples: expected a number from 0 on, got -1"),
    ],
)
def test_a_result_that_no_check_has(name: str, value: object, told: str, written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    data["backends"][0]["operations"][0]["checks"][0][name] = value
    (tmp_path / "b.json").write_text(json.dumps(data))
    done = command("report", tmp_path / "b.json")
    assert (done.exit_code, told in " ".join(done.output.split())) == (2, True), done.output


@pytest.mark.parametrize("name", [["numpy"], "two\nlines"])
def test_a_name_is_words_in_a_line(name: object, written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    data["backends"][0]["name"] = name
    (tmp_path / "b.json").write_text(json.dumps(data))
    done = command("report", tmp_path / "b.json")
    assert (done.exit_code, "name: expected words in one line" in " ".join(done.output.split())) == (2, True)


def test_a_file_that_marks_its_encoding_is_read(written: Path, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text((written / "a.json").read_text(), encoding="utf-8-sig")
    assert command("report", tmp_path / "b.json").exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_with_the_file(written: Path) -> None:
    done = command("report", written / "a.json", "--html", "/dev/full")
    assert (done.exit_code, "/dev/full: cannot be written: No space left on device" in done.output) == (2, True)


def test_a_finding_s_lines_go_on_further_in_and_keep_their_addresses() -> None:
    address = "https://example.org/" + "a" * 50
    assert list(moved_in(f"Some words {address}\n  in lstm B=1", 40)) == [
        "  Some words",
        f"    {address}",
        "    in lstm B=1",
    ]


def test_a_table_of_many_backends_cuts_no_word() -> None:
    def of(verdict: Verdict, number: int) -> BackendSummary:
        found = CheckResult(
            f"backend-{number}", "dense", "float32", "cpu", "values", "MUST", verdict, examples=9, refused=0,
            reasons=(), worst_error_ratio=0.1, message="", repro="", seconds=0.0,
        )  # fmt: skip
        return summarise(found.backend, {}, [found])

    kinds = (Verdict.VIOLATES, Verdict.CRASHED, Verdict.EXPECTED, Verdict.NOT_IMPLEMENTED)
    text = io.StringIO()
    console = open_console(text, width=80)
    print_backends(console, [of(kinds[number % 4], number) for number in range(13)])
    table = text.getvalue().partition("over all types")[2].partition("backend-0\n")[0]
    assert "…" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    assert [f"[{number}]" in table for number in range(1, 14)] == [True] * 13
    assert table.count("crashed") == 3
    assert table.count("implemented") == 3
    assert 1 < table.count(" dense ") < 13


def test_a_run_without_an_end_has_no_badge_that_conforms(written: Path, tmp_path: Path) -> None:
    data = json.loads((written / "a.json").read_text())
    (tmp_path / "part.json").write_text(json.dumps({**data, "interrupted": True}))
    done = command("report", tmp_path / "part.json", "--badge", tmp_path / "part.json.json")
    assert done.exit_code == 2
    assert "did not come to its end" in done.stdout
    assert json.loads((tmp_path / "part.json.json").read_text())["message"] == "incomplete"
    report = read_report(tmp_path / "part.json")
    assert "did not come to its end" in repr(report)
    assert "did not come to its end" in str(report)
    assert "did not come to its end" not in str(read_report(written / "a.json"))
    assert ">incomplete<" in badge_svg(Verdict.CONFORMS, complete=False)
    assert "violates" in badge_json(Verdict.VIOLATES, complete=False)


@pytest.mark.parametrize("path", [None, 3, ["a.json"]])
def test_what_is_no_path_is_told(written: Path, path: Any) -> None:
    with pytest.raises(PlanError, match="read_report: expected a path, got "):
        read_report(path)
    with pytest.raises(PlanError, match="write_json: expected a path, got "):
        read_report(written / "a.json").write_json(path)
