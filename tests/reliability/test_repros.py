"""A repro that cannot be written costs the repro, and not the verdict."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.run import CheckResult, Profile, Verdict, repro, run_check

FEW = Profile("few", examples=4, examples_other_types=4, largest=0)
VALUES = next(check for check in CHECKS if check.id == "values")


class Wrong(NumpyBackend):
    name = "wrong"
    told: Any = None

    def dense(self, *args: Any, **more: Any) -> tuple[Any, ...]:
        return tuple(2 * output for output in super().dense(*args, **more))

    def script(self, call: Call, *args: Any, **more: Any) -> Any:
        if isinstance(self.told, BaseException):
            raise self.told
        return self.told


def checked(folder: Path, **attributes: Any) -> CheckResult:
    backend = type("Other", (Wrong,), attributes)()
    result = run_check(VALUES, backend, "dense", "float32", FEW, repro_dir=folder)
    assert result.verdict is Verdict.VIOLATES
    return result


@pytest.mark.parametrize("told", [b"x\0y", 5, "x = '\udc80'\n", SystemExit(0), KeyboardInterrupt(), "x = 1\n" * 10**5])
def test_an_odd_script(told: Any, tmp_path: Path) -> None:
    result = checked(tmp_path, told=told)
    assert result.no_repro == ""
    source = Path(result.repro).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 40
    compile(source, result.repro, "exec")


@pytest.mark.parametrize(
    "name", ["s\udc80", "n" * 5000, "../../../out", "ESC\n\x1b[31m<b>[/red]\u202e/ä", "nul\0", "CON", ""]
)
def test_an_odd_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "repros"
    result = checked(folder, name=name)
    assert result.no_repro == ""
    assert Path(result.repro).parent == folder
    assert Path(result.repro).name.isascii()
    assert len(list(folder.iterdir())) == 2
    assert not set(Path(result.repro).read_text(encoding="utf-8")) & set("\x1b\u202e\0")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(repro, "write_arrays", full)
    result = checked(tmp_path)
    assert (result.repro, result.no_repro) == ("", "OSError: No space left on device")


@pytest.mark.skipif(sys.platform == "win32", reason="a file is no folder elsewhere either, but is told otherwise")
def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = checked(tmp_path / "file").no_repro
    assert "cannot be written: " in told
    assert ".rnnspec-" not in told
