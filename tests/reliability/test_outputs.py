"""Output files of a command: tried before the work, never one of its inputs; links and devices are kept."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.cli import main
from rnnspec.conformance.run.files import FileError, must_be_writable, must_differ, write_json

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, devices and permissions are those of POSIX")
RUN = {"benchmarks": [{"fullname": "x", "stats": {"data": [1.0, 1.1, 1.0]}}]}


def rnnspec(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@posix
def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for value in (1, 2):
        must_be_writable(tmp_path / "link")
        write_json(tmp_path / "link", value)
        assert (tmp_path / "link").is_symlink()
        assert json.loads((tmp_path / "target").read_text()) == value


@posix
def test_permissions_and_other_names_stay(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("old")
    file.chmod(0o600)
    write_json(file, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other.hardlink_to(file)
    write_json(file, 2)
    assert json.loads(other.read_text()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


@posix
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()), daemon=True)
    must_be_writable(tmp_path / "pipe")
    reader.start()
    write_json(tmp_path / "pipe", [1])
    reader.join(10)
    assert json.loads(got[0]) == [1]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@posix
def test_a_device_is_written_to() -> None:
    write_json(Path(os.devnull), 1)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="no permission is missing to root")
def test_a_writable_file_in_a_closed_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    tmp_path.chmod(0o555)
    try:
        must_be_writable(tmp_path / "file")
        write_json(tmp_path / "file", 1)
        assert json.loads((tmp_path / "file").read_text()) == 1
        with pytest.raises(FileError, match="other: cannot be written: Permission denied"):
            must_be_writable(tmp_path / "other")
    finally:
        tmp_path.chmod(0o755)


def test_an_attempt_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    must_be_writable(tmp_path / "file")
    must_be_writable(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"
    with pytest.raises(FileError, match="cannot be written"):
        must_be_writable(tmp_path / "file" / "below")
    with pytest.raises(FileError, match="cannot be written"):
        must_be_writable(tmp_path)


def test_no_file_is_two_things(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("")
    must_differ([file, other], [tmp_path / "third"])
    with pytest.raises(FileError, match="this command reads"):
        must_differ([other], [other])
    with pytest.raises(FileError, match="this command reads"):
        must_differ([file], [tmp_path])
    with pytest.raises(FileError, match="is named for two things"):
        must_differ([file, tmp_path / "." / "file"], [])
    must_differ([Path(os.devnull), Path(os.devnull)], [Path(os.devnull)])


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    run, state = tmp_path / "run.json", tmp_path / "state.json"
    run.write_text(json.dumps(RUN))
    for arguments in (
        ("bench", "compare", run, run, "--json", run),
        ("soak", "numpy", "--op", "dense", "--cases", 1, "--resume", state, "--json", state),
        ("convert", run, run, "--to", "keras"),
    ):
        result = rnnspec(*arguments)
        assert result.exit_code == 2
        assert "name another file" in result.stderr
        assert json.loads(run.read_text()) == RUN
        assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("bench", "numpy", "--html", "old.json"), "expected the name of a page, like old.html, got that of JSON"),
        (("validate", "numpy", "--html", "a.svg"), "expected the name of a page, like a.html, got that of an image"),
        (("list", "--json", "a.HTML"), "expected the name of JSON, like a.json, got that of a page"),
        (("vectors", "export", "v", "--json", "a.npz"), "expected the name of JSON, like a.json, got that of arrays"),
    ],
)
def test_no_page_takes_the_place_of_results(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text("{}")
    result = rnnspec(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {arguments[-1]}: {told}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert Path("old.json").read_text() == "{}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",), ("show", "lstm"), ("trace", "dense"), ("validate", "numpy"), ("faults",), ("faults", "--edits"),
        ("sharpness",), ("soak", "numpy"), ("bench", "numpy"), ("vectors", "export", "folder"),
        ("vectors", "check", "folder", "results"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_written_is_told_before_the_work(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = rnnspec(*arguments, "--json", tmp_path / "file" / "below.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "below.json: cannot be written: Not a directory; name another file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_option_of_pytest_that_lacks_its_file_takes_none_of_the_suites() -> None:
    suite = files("rnnspec.conformance.suite") / "test_conformance.py"
    before = suite.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", "validate", "numpy", "--op", "dense", "-n", "0", "-k", "no", "--junitxml"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    now = suite.read_text()
    if now != before:
        Path(str(suite)).write_text(before)
    assert (done.returncode, done.stdout, now == before) == (2, "", True)
    assert "argument --junitxml/--junit-xml: expected one argument; plugins" in done.stderr


@pytest.mark.parametrize("option", ["--repro-dir", "--resume"])
def test_so_are_other_files_of_validate(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = rnnspec("validate", "numpy", option, tmp_path / "file" / "below")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be written" in result.stderr
