"""A file in which finished work is kept, so that the same command can go on from there.

One command has the file at a time. It is of the command that wrote it: of the same code, and asked for the same.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final, Self, TypeVar

import click
from rich.console import Console
from rich.text import Text

from rnnspec import reference, spec
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import readable
from rnnspec.conformance import cases, judge
from rnnspec.conformance.hosting.facts import digest_of, installed
from rnnspec.conformance.hosting.jobs import Results, Workers, in_order
from rnnspec.conformance.hosting.work import FormError, Work
from rnnspec.conformance.run.files import FileError, must_be_writable, write_bytes
from rnnspec.conformance.run.reading import read_json

try:
    import fcntl
except ImportError:  # Windows has no locks of this kind
    fcntl = None  # type: ignore[assignment]  # asked for before each use

Result = TypeVar("Result")

EVERY_SECONDS: Final = 1.0
"""Seconds between two writings of the file; at its end, all is written."""


class ResumeFile:
    """A file of finished work; without a path, nothing is kept.

    Parameters
    ----------
    path
        The file, or None.
    of
        Plain data that must be equal for the work of two runs to be put together.
    what
        What is done, in a word or two: ``soak``.
    """

    def __init__(self, path: Path | None, of: Mapping[str, Any], what: str) -> None:
        self.path, self.of, self.what = path, json.loads(json.dumps(of)), what
        self._lock: int | None = None
        self._saved = -math.inf
        self._failure: FileError | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            must_be_writable(self.path)
            self._lock = _locked(self.path, self._lock_file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock_file.unlink(missing_ok=True)  # while it is held: whoever waits for it makes another
            os.close(self._lock)
            self._lock = None
        if self._failure is not None and kind is None:  # the report is made
            raise self._failure

    @property
    def _lock_file(self) -> Path:
        assert self.path is not None  # or nothing is locked
        return self.path.with_name(f".{self.path.name}.lock")

    def load(self) -> dict[str, Any]:
        """Return what is kept; nothing if there is no file. Raise FileError if the file is of other work."""
        if self.path is None or not self.path.exists():
            return {}
        if not self.path.is_file():  # a pipe would be waited for without end
            raise self.error("got something that is no file")
        data = read_json(self.path, f"expected the file of an earlier {self.what}")
        if not isinstance(data, dict) or not isinstance(found := data.pop("of", None), dict):
            raise self.error("got something else")
        different = [
            f"{key}: expected {_short(self.of.get(key))}, got {_short(found.get(key))}"
            for key in {**self.of, **found}
            if self.of.get(key) != found.get(key)
        ]
        if different:
            told = "\n  ".join(different)
            raise FileError(
                f"{self.path} is of another {self.what}, whose results cannot be added to this one's:\n  {told}\n"
                "go on with the same command as before, or name a new file"
            )
        return data

    def save(self, content: Mapping[str, Any]) -> None:
        """Write what is to be kept, whole or not at all.

        Where the first writing succeeds and a later one does not, as on a disk that is full, the work goes on: at its
        end the error is raised, unless another writing has succeeded since.
        """
        if self.path is not None:
            try:
                write_bytes(self.path, json.dumps({"of": self.of, **content}).encode())
                self._failure = None
            except FileError as error:
                if math.isinf(self._saved):
                    raise
                if self._failure is None:
                    click.echo(f"{error}; the work goes on, and is tried to be kept again", err=True)
                self._failure = error
        self._saved = time.monotonic()

    def save_now_and_then(self, content: Callable[[], Mapping[str, Any]]) -> None:
        """Write what is to be kept, unless that was done within the last `EVERY_SECONDS`."""
        if time.monotonic() - self._saved >= EVERY_SECONDS:
            self.save(content())

    def error(self, got: str) -> FileError:
        """The error of a file whose content is wrong."""
        return FileError(
            f"{self.path}: expected the file of an earlier {self.what}, {got}; name another file, or a new one"
        )


class Interrupts:
    """A block that an interrupt ends, with nothing lost: what was found until then is shown and written after it."""

    def __init__(self) -> None:
        self.status = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, KeyboardInterrupt):
            return False
        self.status = (error if isinstance(error, Interrupted) else Interrupted()).status
        return True

    def to_json(self) -> dict[str, Any]:
        """The words of a result about it, as plain data; nothing if there was no interrupt."""
        return {"interrupted": True} if self.status else {}

    def told(self, console: Console, kept: Path | None) -> int:
        """Print where what was found is kept, and return the exit status."""
        if kept is None:
            words = "interrupted: this is a part of the result; with --resume FILE it would be kept"
        else:
            words = f"interrupted: this is a part of the result, kept in {kept}: the same command goes on from there"
        console.print(Text(words, "bold"), soft_wrap=True)
        return self.status


class Kept:
    """Results that are kept one by one in a resume file, by the name of the work that gave them."""

    def __init__(self, file: ResumeFile) -> None:
        self._file = file
        found = file.load().get("results", {})
        if not isinstance(found, dict):
            raise file.error("got results of another form")
        self._results: dict[str, Any] = found
        file.save(self._content())

    def each(
        self, work: Work[Result], items: Sequence[Any], workers: Workers, kind: str = ""
    ) -> Generator[Result, None, None]:
        """Yield ``work(item)`` for each item in order, and keep it; what is kept already is not done again."""
        names = [json.dumps([kind, item]) for item in items]
        done = {
            place: self._read(name, work, items[place]) for place, name in enumerate(names) if name in self._results
        }
        due = [place for place in range(len(items)) if place not in done]
        fresh = in_order(self._kept(work, workers.results(work, [items[place] for place in due]), due, names))
        try:
            for place in range(len(items)):
                yield done[place] if place in done else next(fresh)
        finally:
            fresh.close()
            self._file.save(self._content())

    def _kept(
        self, work: Work[Result], results: Results[Result], due: Sequence[int], names: Sequence[str]
    ) -> Results[Result]:
        """Pass the results on in the order in which they come, each kept at once."""
        try:
            for number, result in results:
                self._results[names[due[number]]] = work.write(result)
                self._file.save_now_and_then(self._content)
                yield number, result
        finally:
            results.close()

    def _content(self) -> dict[str, Any]:
        return {"results": self._results}

    def _read(self, name: str, work: Work[Result], item: Any) -> Result:
        try:
            return work.revived(self._results[name], item)
        except FormError as error:
            raise self._file.error(f"got a result of another form for {name}: {readable(str(error))}") from error


def code_of(*packages: ModuleType) -> str:
    """Return a digest of the code that draws the cases and works out what is right, and of more packages."""
    return digest_of(spec, reference, cases, judge, *packages)


def facts_of_run(what: str, packages: Sequence[ModuleType], **asked: Any) -> dict[str, Any]:
    """Return the facts that must be equal if the results of two runs are put together."""
    return {"work": what, **installed(), "judge": code_of(*packages), **asked}


def _locked(path: Path, lock: Path) -> int | None:
    """Return a descriptor that holds the lock of a file; raise FileError if another process has it."""
    if not fcntl:
        return None
    if path.is_file() and not os.access(path.parent, os.W_OK):
        lock = path  # in a folder that is closed the file is written in place, and can be locked itself
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise FileError(f"{path}: cannot be locked by {lock.name} beside it: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            told = f"{path}: another command is writing to it: wait for its end, or name another file"
            raise FileError(told) from error
        if lock.exists() and lock.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)  # whoever held it has removed it meanwhile


def _short(value: Any) -> str:
    text = json.dumps(value) if value is not None else "none"
    return text if len(text) <= 200 else f"{text[:200]}…"
