"""Finished work is kept: what was done is not done again, and not mixed with other work."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.cli import main
from rnnspec.conformance.hosting.jobs import Here, Processes
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.run import resuming
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.resuming import Interrupts, Kept, ResumeFile, code_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals are those of POSIX")


def as_it_is(result: object) -> object:
    return result


def rnnspec(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_what_is_kept_is_not_done_again(tmp_path: Path) -> None:
    worked: list[int] = []

    def work(item: int) -> int:
        worked.append(item)
        if item == 3 and worked.count(3) == 1:
            raise Interrupted
        return item**2

    for expected in ([0, 1, 4], [0, 1, 4, 9, 16]):
        with ResumeFile(tmp_path / "file", {"a": 1}, "work") as file:
            found = []
            with Interrupts() as interrupts:
                for result in Kept(file).each(Work(work, as_it_is, as_it_is), range(5), Here()):
                    found.append(result)
        assert found == expected
        assert interrupts.status == (130 if len(expected) == 3 else 0)
    assert worked == [0, 1, 2, 3, 3, 4]


def test_without_a_file_nothing_is_kept() -> None:
    with ResumeFile(None, {}, "work") as file:
        assert list(Kept(file).each(Work(abs, as_it_is, as_it_is), [-1, 2], Here())) == [1, 2]
        assert file.load() == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no JSON", "got no JSON"), ("[" * 10**5, "nested too deeply"), ("[]", "got something else"),
        ('{"of": []}', "got something else"), ('{"of": {"a": 2}}', "is of another work"),
        ('{"of": {"a": 1}, "results": []}', "got results of another form"),
        ('{"of": {"a": 1}, "results": {"[\\"\\", 0]": "x"}}', "got a result of another form"),
        ('{"of": {"a": 1' + "0" * 5000 + "}}", "got no JSON"),
    ],
)  # fmt: skip
def test_a_file_of_another_form(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with ResumeFile(tmp_path / "file", {"a": 1}, "work") as file, pytest.raises(FileError, match=told):
        list(Kept(file).each(Work(abs, str, int), [0], Here()))
    assert (tmp_path / "file").read_text() == text or "results" in text


@posix
def test_one_command_has_the_file_at_a_time(tmp_path: Path) -> None:
    with ResumeFile(tmp_path / "file", {}, "work"):
        with pytest.raises(FileError, match="another command is writing to it"), ResumeFile(tmp_path / "file", {}, ""):
            pass
        result = rnnspec("soak", "numpy", "--op", "dense", "--cases", 1, "--resume", tmp_path / "file")
        assert (result.exit_code, result.stdout) == (2, "")
    with ResumeFile(tmp_path / "file", {}, "work"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_digest_tells_whether_the_code_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of() == code_of()
    package = ModuleType("judge")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setattr(resuming, "judge", package)
    (tmp_path / "rounding.py").write_text("u = 1")
    before = code_of()
    (tmp_path / "rounding.py").write_text("u = 2")
    assert code_of() != before
    assert code_of(package) != code_of()


COMMANDS: dict[str, tuple[tuple[object, ...], Callable[[Any], Any]]] = {
    "validate": (
        ("validate", "numpy", "--op", "dense", "--op", "dropout", "--dtype", "float16", "-n", 0, "--largest", 1),
        lambda data: [(op["name"], op["verdict"]) for op in data["backends"][0]["operations"]],
    ),
    "sharpness": (
        ("sharpness", "--op", "dense", "--dtype", "float16", "--runs", 1),
        lambda data: [data["measured"], data["drift"]],
    ),
    "faults": (("faults", "--op", "dropout"), lambda data: [data["faults"], data["variants"]]),
    "edits": (("faults", "--edits", "--op", "dropout", "--sample", 2), lambda data: data["edits"]),
    "soak": (
        ("soak", "numpy", "--op", "dense", "--dtype", "float16", "--cases", 20),
        lambda data: [data["cases"], data["endings"]],
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_goes_on_gives_the_same(name: str, tmp_path: Path) -> None:
    arguments, told = COMMANDS[name]
    kept, results = tmp_path / "kept", []
    for number in range(2):
        file = tmp_path / f"{number}.json"
        result = rnnspec(*arguments, "--resume", kept, "--json", file)
        assert result.exit_code == 0, result.output
        results.append(told(json.loads(file.read_text())))
    assert results[0] == results[1]
    assert results[0]
    other = rnnspec(*arguments, "--resume", kept, *(("--seed", 1) if name in ("validate", "soak") else ()))
    assert other.exit_code == (2 if name in ("validate", "soak") else 0)
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps(content | {"of": content["of"] | {"judge": "another"}}))
    result = rnnspec(*arguments, "--resume", kept)
    assert result.exit_code == 2
    assert "judge: expected" in result.stderr


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_shows_and_keeps_what_was_found(
    number: signal.Signals, program: Callable[..., Any], tmp_path: Path
) -> None:
    """The adapter itself sends the signal, in the second operation."""
    (tmp_path / "sending_guest.py").write_text(
        f"""
import os
from rnnspec.backends.numpy import NumpyBackend

class Sending(NumpyBackend):
    name = "sending"
    def embedding(self, *args, **more):
        os.kill(os.getpid(), {int(number)})
        return super().embedding(*args, **more)
"""
    )
    arguments = (
        "validate", "sending_guest:Sending", "--no-isolate", "--op", "dense", "--op", "embedding", "--dtype", "float16",
        "-n", "0", "--largest", "1", "--json", tmp_path / "a.json", "--resume", tmp_path / "kept",
    )  # fmt: skip
    done = program(*map(str, arguments), path=(tmp_path,))
    assert done.returncode == 128 + number, done.stderr
    assert b"sending_guest:Sending: conforms" in done.stdout
    assert b"the same command goes on from there" in done.stdout
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["interrupted"] is True
    assert "dense" in [op["name"] for op in data["backends"][0]["operations"]]
    assert list(json.loads((tmp_path / "kept").read_text())["parts"]) == ["sending_guest:Sending/dense"]


def test_workers_end_when_no_one_waits_for_their_results() -> None:
    before = set(multiprocessing.active_children())  # another test's guests may still be there
    results = Processes(2).results(Work(time.sleep, as_it_is, as_it_is), [0, 1000, 1000])
    next(results)
    workers = set(multiprocessing.active_children()) - before
    assert workers
    results.close()
    for worker in workers:
        # Its exit code may be on its way to the pool's own thread, which waits for it too.
        assert wait([worker.sentinel], timeout=20)


def test_a_script_without_a_guard_does_no_harm(tmp_path: Path) -> None:
    """It is not run again in each process, nor do files of its folder take the place of Python's own."""
    for name in ("types", "random", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadow')")
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "print('once')\n"
        "from rnnspec.conformance.hosting.isolated import Isolated\n"
        "from rnnspec.conformance.hosting.jobs import Processes\n"
        "from rnnspec.conformance.hosting.work import Work\n"
        "print(Isolated('rnnspec.backends.numpy:NumpyBackend').name)\n"
        "with Processes(2) as two:\n"
        "    print(sorted(two.results(Work(abs, str, int), [-1, -2])))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, timeout=300, text=True, env=environment
    )
    assert (done.stdout.split("\n"), done.stderr) == (["once", "numpy", "[(0, 1), (1, 2)]", ""], "")


def test_a_validation_s_file_has_each_check_once(tmp_path: Path) -> None:
    asked = ("validate", "numpy", "--op", "dense", "--dtype", "float16", "-n", "0", "--largest", "1")
    kept = tmp_path / "kept"
    assert rnnspec(*asked, "--resume", kept).exit_code == 0
    data = json.loads(kept.read_text())
    results = data["parts"]["numpy/dense"]["results"]
    for wrong in (results[:-1], [*results, results[0]], [{**results[0], "id": "nope"}, *results[1:]]):
        data["parts"]["numpy/dense"]["results"] = wrong
        kept.write_text(json.dumps(data))
        done = rnnspec(*asked, "--resume", kept)
        assert done.exit_code == 2
        assert "expected one result of each of" in done.output
