from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.cli import main

BACKENDS = '''\
"""Backends to be named as package.module:Class: right but for one thing."""
import ctypes
import os
import pathlib
import time

from rnnspec import reference
from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend


def but(does):
    """A backend whose rnn_cell `does` that with the right outputs, given the inputs."""

    def rnn_cell(self, **call):
        return does(call, reference.rnn_cell(**call))

    return type(does.__name__, (NumpyBackend,), {"name": does.__name__.lower(), "rnn_cell": rnn_cell})


@but
def Wrong(call, outputs):
    return tuple(output * 1.001 for output in outputs)


@but
def Raising(call, outputs):
    raise MemoryError("no room")


@but
def Refusing(call, outputs):
    if call["x"].shape[1] == 3:
        raise Unsupported("three features")
    return outputs


@but
def Crashing(call, outputs):
    return ctypes.string_at(0) if call["x"].shape == (3, 3) else outputs


@but
def Hanging(call, outputs):
    if call["x"].shape == (3, 3):
        pathlib.Path(__file__).with_name(f"hanging-{os.getpid()}").touch()
        time.sleep(600)
    return outputs


@but
def Slow(call, outputs):
    time.sleep(0.02)
    return outputs


class KnownWrong(Wrong):
    @classmethod
    def expected_failures(cls):
        return pathlib.Path(__file__).with_name("known.toml")
'''
KNOWN = """\
[[failure]]
operation = "rnn_cell"
check = "values"
when = { D = 2 }
reason = "Two features are too many."
link = "https://example.org"
"""


@pytest.fixture
def backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module `oddities`, whose backends each do one odd thing; it is on the path."""
    folder = tmp_path / "backends"
    folder.mkdir()
    (folder / "oddities.py").write_text(BACKENDS)
    (folder / "known.toml").write_text(KNOWN)
    monkeypatch.syspath_prepend(folder)
    return folder


Soaked = tuple[Result, dict[str, Any]]


@pytest.fixture
def soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Soaked]:
    """Soak one small operation in one type; what was printed, and what was written as JSON."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(backend: str, *arguments: str, operation: str = "rnn_cell") -> Soaked:
        file = tmp_path / "report.json"
        file.unlink(missing_ok=True)
        words = ["soak", backend, "--op", operation, "--dtype", "float32", "--json", str(file), *arguments]
        result = CliRunner().invoke(main, words)
        return result, json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    return run
