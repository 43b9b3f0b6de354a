"""The action for continuous integration, and the metadata of a release."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def validated(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    given = {"RNNSPEC_FOLDER": str(folder / "report"), "RNNSPEC_LARGEST": "8"}
    given |= {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    return subprocess.run(
        [sys.executable, str(ROOT / "action" / "validate.py")], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, **given, **variables},
    )  # fmt: skip


def test_the_action_writes_all_its_files(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    done = validated(tmp_path, RNNSPEC_BACKENDS="numpy", RNNSPEC_OPERATIONS="dense", RNNSPEC_DTYPES="float32")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "report").iterdir() if path.is_file()} == {
        "report.html", "report.json", "badge.svg", "badge.json",
    }  # fmt: skip
    assert (tmp_path / "output").read_text() == "conforms=true\n"
    assert "numpy conforms to the specification" in (tmp_path / "summary").read_text()


@pytest.mark.parametrize("backends", ["", "--help", "numpy --no-such"])
def test_backends_that_are_none(tmp_path: Path, backends: str) -> None:
    done = validated(tmp_path, RNNSPEC_BACKENDS=backends)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "output").exists()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = validated(tmp_path, RNNSPEC_BACKENDS="numpy", RNNSPEC_FOLDER=str(tmp_path / "file"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "folder: expected one that can be written to" in done.stderr


@pytest.mark.parametrize(
    ("backends", "told"), [("numpy", "unknown operation 'no_such'"), ("", "backends: expected names")]
)
def test_a_run_that_cannot_begin_tells_nothing_of_an_earlier_one(tmp_path: Path, backends: str, told: str) -> None:
    (tmp_path / "rnnspec").mkdir()
    (tmp_path / "rnnspec" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "report").mkdir()
    for name in ("report.json", "report.html", "badge.svg", "badge.json"):
        (tmp_path / "report" / name).write_text('{"backends": []}')
    done = validated(tmp_path, RNNSPEC_BACKENDS=backends, RNNSPEC_OPERATIONS="no_such")
    assert done.returncode == 2
    assert told in done.stderr
    assert not [path for path in (tmp_path / "report").iterdir() if path.is_file()]
    assert not (tmp_path / "summary").exists()


def test_a_violation_fails_the_job(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    wrong = "rnnspec.conformance.faults.named:lstm_forget_bias_of_one"
    done = validated(tmp_path, RNNSPEC_BACKENDS=wrong, RNNSPEC_OPERATIONS="lstm_cell", RNNSPEC_DTYPES="float32")
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "output").read_text() == "conforms=false\n"
    assert list((tmp_path / "report" / "repros").glob("*.py"))


def test_no_input_of_the_action_is_read_as_a_command() -> None:
    text = (ROOT / "action.yml").read_text()
    commands = re.findall(r"^ +run: (.*)$", text, re.MULTILINE)
    assert len(commands) == 2
    assert not any("${{" in command for command in commands)
    read = set(re.findall(r"RNNSPEC_\w+", (ROOT / "action" / "validate.py").read_text()))
    assert read == set(re.findall(r"^ +(RNNSPEC_\w+): ", text, re.MULTILINE))


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"][
        "fallback-version"
    ].removesuffix(".dev0")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"OWNER/rnnspec@v{version}" in (ROOT / "docs" / "ci.md").read_text()
