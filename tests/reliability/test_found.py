"""Backends of other packages: whatever happens while they are found and opened ends in a line about them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnspec.backends import BackendError
from rnnspec.backends.discovery import is_own, names, offered
from rnnspec.backends.interrupts import Interrupted, interruptible
from rnnspec.conformance.hosting.available import available
from rnnspec.conformance.hosting.isolated import Isolated, Isolation, Limits, open_here

FINE = """
from rnnspec.backends.numpy import NumpyBackend

class X(NumpyBackend):
    name = "x"
"""
SECONDS = 15.0
"""Time enough for a process on a busy machine, and for one that hangs."""
ENDS = {
    "exits": ("import sys\nsys.exit(0)", "SystemExit: 0"),
    "leaves": ("import os\nos._exit(0)", "the process ended itself, with status 0"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "misspelt": ("class X(:", "SyntaxError"),
    "hangs": ("import time\ntime.sleep(1000)", f"no answer within {SECONDS:g} s"),
    "colours": ("raise RuntimeError('\\x1b[31m[/red]' + 'long ' * 10**6)", r"RuntimeError: \x1b[31m[/red]long long"),
    "no_versions": (FINE + "    def versions(self):\n        raise SystemExit(0)", "does not open: SystemExit: 0"),
    "endless": (
        FINE + "    def dtypes(self):\n        while True:\n            yield 'float32'",
        "dtypes: expected at most 1000, got more",
    ),
    "one_type": (FINE + "    def dtypes(self):\n        return 'float32'", "expected a tuple of some of 'float16', "),
    "no_library": (FINE + "    libraries = ('no-such-package',)", "package no-such-package is not installed"),
    "one_library": (
        FINE + "    libraries = 'numpy'",
        "libraries: expected a tuple of names, like ('numpy',), got a text",
    ),
    "odd": (FINE + "    def operations(self):\n        return (1,)", "expected names of operations"),
}
Install = Callable[..., Path]


def test_an_interrupt_does_not_wait_for_those_that_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, is_done, interrupts = threading.Event(), threading.Event(), [signal.SIGTERM]

    def waits(*_: object) -> list[object]:
        if interrupts:
            os.kill(os.getpid(), interrupts.pop())
        goes_on.wait(60)
        is_done.set()
        return []

    monkeypatch.setattr("rnnspec.conformance.hosting.available._tried", waits)
    try:
        with pytest.raises(Interrupted), interruptible():
            available()
        assert not is_done.is_set()
    finally:
        goes_on.set()


def test_the_list_is_made_whatever_one_does(package: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = package("guests", "\n".join(f"{name} = {name}:X" for name in ENDS), **{n: ENDS[n][0] for n in ENDS})
    monkeypatch.syspath_prepend(folder)
    listed = {one.name: one for one in available(SECONDS)}
    assert listed["numpy"].available
    for name, (_, reason) in ENDS.items():
        assert not listed[name].available
        assert reason in listed[name].reason
        assert len(listed[name].reason) < 3000


@pytest.mark.parametrize("name", ["exits", "leaves", "no_versions"])
def test_one_that_is_opened_here_ends_nothing_but_itself(
    name: str, package: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(package("guests", "", **{name: ENDS[name][0]}))
    with pytest.raises(BackendError, match=ENDS[name][1]):
        Isolation.NEVER.open(f"{name}:X", "cpu", Limits())


def test_the_program_says_why_it_cannot_run(
    package: Install, program: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    folder = package("guests", "bad = exits:X", exits=ENDS["exits"][0])
    done = program("validate", "bad", "--op", "dense", "-n", "0", path=(folder,))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.splitlines() == [b"Error: backend 'bad' fails to import: SystemExit: 0"]


def test_two_packages_with_one_name_are_both_told(package: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        monkeypatch.syspath_prepend(package(f"package-{name}", f"mine = {name}:X", **{name: FINE}))
    with pytest.raises(BackendError, match=r"'mine' is offered by package-\w+ 1.0 and package-\w+ 1.0: expected one"):
        open_here("mine")


def test_no_package_takes_a_name_of_the_projects_own(package: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package("thief", "numpy = stolen:X", stolen=FINE))
    assert open_here("numpy").name == "numpy"
    assert offered().notes() == [
        "package thief 1.0 also offers a backend 'numpy', which is rnnspec's own: it is left out"
    ]


def test_entry_points_that_cannot_be_read_cost_their_package_alone(
    package: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(package("sloppy", "this is none"))
    assert "numpy" in names()
    assert any("sloppy 1.0 is left out" in note for note in offered().notes())


def test_the_program_goes_on_beside_them(
    package: Install, program: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    folders = package("sloppy", "this is none"), package("thief", "numpy = stolen:X", stolen=FINE)
    arguments = ("validate", "numpy", "--op", "dense", "--dtype", "float16", "-n", "0", "-k", "values")
    done = program(*arguments, path=folders)
    assert done.returncode == 0, done.stderr
    assert b"package sloppy 1.0 is left out" in done.stderr
    assert b"package thief 1.0 also offers a backend 'numpy'" in done.stderr
    assert b"numpy: conforms" in done.stdout


def test_what_the_project_has_not_itself_is_isolated(package: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package("guests", "mine = fine:X", fine=FINE))
    assert [name for name in ("numpy", "torch", "mine", "fine:X") if is_own(name)] == ["numpy", "torch"]
    backend = Isolation.AUTO.open("mine", "cpu", Limits())
    assert isinstance(backend, Isolated)
    backend.close()
