"""No process outlives the suite, however it ends, and none outlives the guest that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnspec.conformance.hosting.isolated import Isolated
from rnnspec.conformance.hosting.keeper import KEPT

pytestmark = pytest.mark.skipif(not KEPT, reason="guests have keepers on Linux alone")

GUEST = """
import os, subprocess, sys, tempfile, threading, time
from rnnspec.backends.numpy import NumpyBackend

def start(name):
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(1000)"
    subprocess.Popen([sys.executable, "-c", code, os.path.join(FOLDER, name)], start_new_session=name == "apart")
    while not (os.path.exists(os.path.join(FOLDER, name)) and open(os.path.join(FOLDER, name)).read()):
        time.sleep(0.01)

FOLDER = os.path.dirname(__file__)
tempfile.mkdtemp()
start("near")
start("apart")
threading.Thread(target=time.sleep, args=(1000,)).start()
open(os.path.join(FOLDER, "guest"), "w").write(str(os.getpid()))
if os.path.exists(os.path.join(FOLDER, "stay")):
    time.sleep(1000)

class Busy(NumpyBackend):
    name = "busy"
"""
SUITE = """
import time
from rnnspec.conformance.hosting.isolated import Isolated
Isolated("busy_guest:Busy")
time.sleep(999)
"""


def wait_for(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


def number_in(file: Path) -> int:
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def runs(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "busy_guest.py").write_text(GUEST)
    (tmp_path / "temporary").mkdir()
    return tmp_path


@pytest.mark.parametrize("moment", ["import", "idle"])
def test_a_killed_suite_leaves_nothing(moment: str, folder: Path) -> None:
    if moment == "import":
        (folder / "stay").write_text("")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder / "temporary")}
    with subprocess.Popen([sys.executable, "-c", SUITE], env=environment) as suite:
        assert wait_for(lambda: number_in(folder / "guest") > 0)
        if moment == "idle":
            time.sleep(0.5)
        suite.send_signal(signal.SIGKILL)
    numbers = [number_in(folder / name) for name in ("guest", "near", "apart")]
    assert all(numbers)
    assert wait_for(lambda: not any(map(runs, numbers)))
    assert wait_for(lambda: not list((folder / "temporary").iterdir()))


def test_a_closed_guest_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder / "temporary"))
    Isolated("busy_guest:Busy").close()
    assert not list((folder / "temporary").iterdir())
    numbers = [number_in(folder / name) for name in ("guest", "near", "apart")]
    assert all(numbers)
    assert wait_for(lambda: not any(map(runs, numbers)))


def test_a_guest_that_cannot_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no more")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for broken in ("multiprocessing.Pipe", "multiprocessing.context.SpawnProcess.start"):
        with monkeypatch.context() as patched:
            patched.setattr(broken, fails)
            with pytest.raises(OSError, match="no more"):
                Isolated("numpy")
        assert not list(tmp_path.iterdir())
