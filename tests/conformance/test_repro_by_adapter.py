"""Repros of adapters without a script: they call the adapter through rnnspec, and compute anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnspec.backends import open_backend
from rnnspec.conformance.cases import Extent
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.hosting.isolated import Isolated, Limits
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.conformance.run.repro.source import LINES, LINES_OF_A_CALL

BY_ID = {check.id: check for check in CHECKS}
PROFILE = Profile("planned", 30, 30, largest=0, planned=Extent(1), planned_other_types=Extent(1), draws=False)

MODULE = '''\
"""Adapters that are wrong while WRONG is so, and have no script of their library's."""
import itertools
import os
import sys
import time

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend
from rnnspec.backends.numpy import NumpyBackend

WRONG = True


class Off(NumpyBackend):
    """Outputs and gradients of the first kind that are off by one."""

    name = "off"

    def run(self, call):
        return tuple(y + y.dtype.type(WRONG) for y in super().run(call))

    def gradients(self, call, cotangents, wanted=None):
        found = super().gradients(call, cotangents, wanted)
        return {name: d + d.dtype.type(WRONG) for name, d in found.items()}

    def has_second_order(self, operation):
        return self.has_gradients(operation)

    def second_order(self, call, cotangents, directions):
        return {name: np.full_like(array, 77) for name, array in call.float_inputs.items()}


class Strided(NumpyBackend):
    """Wrong where an array lies backwards in memory."""

    name = "strided"

    def run(self, call):
        strides = [stride for x in call.inputs.values() for n, stride in zip(x.shape, x.strides) if n > 1]
        backwards = any(stride < 0 for stride in strides)
        return tuple(y + y.dtype.type(WRONG and backwards) for y in super().run(call))


class Mirrored(NumpyBackend):
    """Wrong where two inputs are one array."""

    name = "mirrored"

    def run(self, call):
        once = len({id(array) for array in call.inputs.values()})
        return tuple(y + y.dtype.type(WRONG and once < len(call.inputs)) for y in super().run(call))


class Agreeable(NumpyBackend):
    """Has a result for everything."""

    name = "agreeable"

    def run(self, call):
        try:
            return super().run(call)
        except Exception:
            if not WRONG:
                raise
            return (np.zeros(3, np.float32),)


class Missing(NumpyBackend):
    """Leaves out a gradient."""

    name = "missing"

    def gradients(self, call, cotangents, wanted=None):
        found = super().gradients(call, cotangents, wanted)
        return dict(list(found.items())[WRONG:])


class Remembering(NumpyBackend):
    """Gives an answer of before where the shapes are those of before."""

    name = "remembering"

    def __init__(self, device="cpu"):
        super().__init__(device)
        self.known = {}

    def run(self, call):
        key = tuple(array.shape for array in call.inputs.values())
        return self.known.setdefault(key, super().run(call))


class Crashing(NumpyBackend):
    name = "crashing"

    def run(self, call):
        if WRONG:
            raise OSError("out of paper")
        return super().run(call)


class Aborting(NumpyBackend):
    name = "aborting"

    def run(self, call):
        if WRONG:
            os.abort()
        return super().run(call)


class Hanging(NumpyBackend):
    name = "hanging"

    def gradients(self, call, cotangents, wanted=None):
        if WRONG:
            time.sleep(1000)
        return super().gradients(call, cotangents, wanted)


class AbortingOnBadInput(Agreeable):
    name = "aborting on bad input"

    def run(self, call):
        try:
            return NumpyBackend.run(self, call)
        except Exception:
            if WRONG:
                os.abort()
            raise


class Long(Off):
    """Writes more lines than a repro has room for."""

    name = "long"

    def script(self, call, wanted=(), directions=()):
        return "x = 1\\n" * 30


class Broken(Off):
    """Cannot write its script."""

    name = "broken"

    def script(self, call, wanted=(), directions=()):
        raise KeyError("no such layer")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a module of adapters, which can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "unscripted", raising=False)
    (tmp_path / "unscripted.py").write_text(MODULE)
    return tmp_path


def found(name: str, check: str, folder: Path, operation: str = "rnn", dtype: str = "float32") -> CheckResult:
    backend = open_backend(f"unscripted:{name}")
    result = run_check(BY_ID[check], backend, operation, dtype, PROFILE, repro_dir=folder / "repros")
    assert result.verdict.bad or result.verdict is Verdict.DEPARTS, result
    return result


@contextmanager
def mended(folder: Path) -> Iterator[None]:
    """In here, the adapters are right."""
    path = folder / "unscripted.py"
    path.write_text(MODULE.replace("WRONG = True", "WRONG = False"))
    yield
    path.write_text(MODULE)


def run_again(script: Path, folder: Path) -> tuple[int, str]:
    """Run a script where rnnspec and the module can be imported; its status and all that it wrote."""
    source = script.read_text()
    assert len(source.splitlines()) <= LINES
    assert max(map(len, source.splitlines())) <= 120
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the module changes within a second
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "check", "operation", "dtype"),
    [
        ("Off", "values", "lstm", "float32"),
        ("Off", "gradients", "gru", "bfloat16"),
        ("Off", "partial_gradients", "rnn", "float64"),
        ("Off", "padding", "rnn", "float32"),
        ("Strided", "layouts", "rnn", "float32"),
        ("Mirrored", "callers", "rnn", "float32"),
        ("Agreeable", "bad_input", "rnn_cell", "float32"),
        ("Missing", "gradients", "rnn", "float32"),
        ("Crashing", "values", "rnn_cell", "float32"),
    ],
)
def test_the_script_asks_the_adapter_anew(name: str, check: str, operation: str, dtype: str, folder: Path) -> None:
    result = found(name, check, folder, operation, dtype)
    script = Path(result.repro)
    source = script.read_text()
    assert f'open_backend("unscripted:{name}", "cpu")' in source
    assert f"Needs rnnspec and the adapter unscripted:{name}." in source
    assert "Run it where Python can import unscripted." in source
    assert "recorded" not in source
    status, output = run_again(script, folder)
    assert status == 1, output
    assert "expected" in output
    with mended(folder):
        status, output = run_again(script, folder)
        assert status == 0, output


def test_gradients_of_second_order_are_asked_for_too(folder: Path) -> None:
    result = found("Off", "second_order", folder)
    assert "backend.second_order(" in Path(result.repro).read_text()
    status, output = run_again(Path(result.repro), folder)
    assert status == 1, output
    assert "77" in output


@pytest.mark.parametrize(
    ("name", "check", "told"),
    [
        ("Aborting", "values", "the process ended by SIGABRT"),
        ("Hanging", "gradients", "no answer within 2 s"),
        ("AbortingOnBadInput", "bad_input", "the process ended by SIGABRT"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_lost_process_is_lost_again(name: str, check: str, told: str, folder: Path) -> None:
    backend = Isolated(f"unscripted:{name}", limits=Limits(seconds=2))
    try:
        result = run_check(BY_ID[check], backend, "rnn", "float32", PROFILE, repro_dir=folder / "repros")
    finally:
        backend.close()
    assert told in result.message
    assert result.message.splitlines()[-1].startswith("  in rnn float32 B=")
    assert "recorded" not in Path(result.repro).read_text()
    status, output = run_again(Path(result.repro), folder)
    assert status != 0, output
    with mended(folder):
        status, output = run_again(Path(result.repro), folder)
        assert status == 0, output


@pytest.mark.parametrize("isolated", [False, True])
def test_what_an_earlier_call_has_left_is_recorded(isolated: bool, folder: Path) -> None:
    name = "unscripted:Remembering"
    backend = Isolated(name) if isolated else open_backend(name)
    try:
        result = run_check(BY_ID["values"], backend, "rnn", "float32", PROFILE, repro_dir=folder / "repros")
    finally:
        if isinstance(backend, Isolated):
            backend.close()
    source = Path(result.repro).read_text()
    assert "It takes more than one call to see: what came is recorded" in source
    assert "open_backend" not in source
    assert run_again(Path(result.repro), folder)[0] == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Long", f"The library's own call has 30 lines, and a repro has room for {LINES_OF_A_CALL}: it is left out."),
        ("Broken", "The adapter's script of this call ended in KeyError: 'no such layer'."),
    ],
)
def test_a_script_that_is_left_out_is_told_in_a_line(name: str, words: str, folder: Path) -> None:
    source = Path(found(name, "values", folder).repro).read_text()
    assert words in source.splitlines()
    assert re.search(r'open_backend\("unscripted:', source)


def test_an_installed_adapter_is_named_as_it_was(folder: Path) -> None:
    backend = open_backend("numpy")
    assert backend.opened_as == "numpy"
