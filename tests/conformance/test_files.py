"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from rnnspec.conformance.run.files import FileError, must_be_writable, write_arrays, write_bytes, write_json


def test_json_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "result.json"
    write_json(path, {"name": "α", "values": [1, 2.5, None, True]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "α", "values": [1, 2.5, None, True]}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for value in (1, 2):
        write_json(path, value)
    assert json.loads(path.read_text()) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_are_read_back_without_pickle(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    arrays = {"input.x": np.arange(6.0).reshape(2, 3), "empty": np.zeros((0, 2), np.float32), "mask": np.ones(2, bool)}
    write_arrays(path, arrays)
    with np.load(path, allow_pickle=False) as read:
        assert set(read.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array, strict=True)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names of open files here")
def test_an_open_file_is_written_to(tmp_path: Path) -> None:
    """A pipe has no other name, and a file has what was written to it before."""
    read, write = os.pipe()
    with os.fdopen(read) as reader:
        must_be_writable(Path(f"/dev/fd/{write}"))
        write_json(Path(f"/dev/fd/{write}"), [1])
        os.close(write)
        assert json.load(reader) == [1]
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"before\n")
        write_bytes(Path(f"/proc/self/fd/{file.fileno()}"), b"after\n")
    assert (tmp_path / "file").read_bytes() == b"before\nafter\n"
    with (tmp_path / "file").open("rb") as file:
        for write_or_try in (must_be_writable, lambda path: write_json(path, 1)):
            with pytest.raises(FileError, match="cannot be written: Bad file descriptor"):
                write_or_try(Path(f"/dev/fd/{file.fileno()}"))
    assert (tmp_path / "file").read_bytes() == b"before\nafter\n"
    with pytest.raises(FileError, match="/dev/fd/99999: cannot be written: Bad file descriptor"):
        must_be_writable(Path("/dev/fd/99999"))


@pytest.mark.parametrize("data", [{"bad": float("nan")}, {"bad": float("inf")}, {"bad": object()}])
def test_what_is_no_json_leaves_nothing(tmp_path: Path, data: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "result.json", data)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_array_leaves_nothing(tmp_path: Path) -> None:
    arrays = {"good": np.zeros(1000), "bad": np.array([object()])}
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path / "arrays.npz", arrays)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interruption_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "result.bin"
    write_bytes(path, b"older")

    def fail(self: Path, target: Path) -> Path:
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else FileError):
        write_bytes(path, b"newer")
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_others_may_read_what_the_user_lets_them_read(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_bytes(tmp_path / "written", b"")
    assert (tmp_path / "written").stat().st_mode == plain.stat().st_mode


def test_bfloat16_needs_widening_first(tmp_path: Path) -> None:
    """Why repros widen: NumPy alone reads bfloat16 back as raw bytes."""
    path = tmp_path / "arrays.npz"
    write_arrays(path, {"x": np.ones(2, ml_dtypes.bfloat16)})
    with np.load(path, allow_pickle=False) as read:
        assert read["x"].dtype.kind == "V"


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / ".rnnspec-0123"))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileError) as told:
        write_bytes(tmp_path / "report.json", b"{}")
    assert str(told.value) == f"{tmp_path / 'report.json'}: cannot be written: {os.strerror(errno.ENOSPC)}"
    assert not list(tmp_path.iterdir())


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with pytest.raises(FileError, match=os.strerror(errno.ELOOP)):
        must_be_writable(tmp_path / "link")
