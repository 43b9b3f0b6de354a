"""The report on one or more backends: as text, JSON, a page and a badge."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rnnspec.conformance.kinds import file
from rnnspec.conformance.report.badge import badge_json, badge_svg
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.summary import BackendSummary
from rnnspec.conformance.report.tables import print_backends
from rnnspec.conformance.report.words import INCOMPLETE, sentence
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.files import FileError, write_bytes, write_json
from rnnspec.conformance.run.reading import read_json, shown

WIDTH: Final = 100
"""Columns of a report as text."""


@dataclass(frozen=True)
class Report:
    """The verdicts on backends, and the conditions under which they were reached.

    ``str(report)`` is the text that the terminal shows, and a notebook shows the page.
    """

    backends: tuple[BackendSummary, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    """Whether the run came to its end."""

    @property
    def verdict(self) -> Verdict:
        """Verdict on all backends: the worst of theirs."""
        return Verdict.worst(backend.verdict for backend in self.backends)

    @property
    def conforms(self) -> bool:
        """Whether every backend was judged and conforms, but for its expected failures."""
        return self.complete and all(one.verdict.judged and not one.verdict.bad for one in self.backends)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict on each backend in a sentence."""
        return tuple(map(sentence, self.backends))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, in the documented form of ``validate --json``."""
        whole = {} if self.complete else {"complete": False}
        backends = [backend.to_json() for backend in self.backends]
        return {"backends": backends, "conditions": dict(self.conditions), **whole}

    @classmethod
    def from_json(cls, data: Any) -> Report:
        """Make it from plain data; raise TypeError, KeyError or ValueError for data of another form."""
        backends = tuple(BackendSummary.from_json(one) for one in data["backends"])
        known = data.get("conditions", {})
        if not backends or not all(isinstance(word, str) for item in known.items() for word in item):
            raise ValueError("expected backends, and conditions in words")
        unfinished = data.get("complete") is False or "interrupted" in data or "suite_failed" in data
        return cls(backends, known, not unfinished)

    def write_json(self, path: str | Path) -> None:
        """Write it as JSON, of which `read_report` makes it again."""
        write_json(file("write_json", path), self.to_json())

    def write_html(self, path: str | Path) -> None:
        """Write it as one page that needs no other file. FileError tells if jinja2 is not installed."""
        write_bytes(file("write_html", path), self.html().encode())

    def write_badge(self, path: str | Path) -> None:
        """Write a badge: an image if the name ends in ``.svg``, data for a shields endpoint if in ``.json``."""
        path = file("write_badge", path)
        write_bytes(path, badge_format(path)(self.verdict, self.complete).encode())

    def html(self) -> str:
        """Return the page."""
        from rnnspec.conformance.report.page import page  # only the page needs jinja2

        return page(self)

    def print_on(self, console: Console) -> None:
        """Print it as text."""
        print_backends(console, self.backends)
        if not self.complete:
            console.print(Text(INCOMPLETE, "bold red"), soft_wrap=True)

    def __str__(self) -> str:
        text = io.StringIO()
        self.print_on(open_console(text, width=WIDTH, color_system=None))
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<rnnspec.Report: {' '.join([*self.sentences, *[INCOMPLETE] * (not self.complete)])}>"

    def _repr_html_(self) -> str | None:
        """The page in a frame of its own, since its styles are of no concern to the notebook; None without jinja2."""
        if importlib.util.find_spec("jinja2") is None:
            return None
        from rnnspec.conformance.report.page import framed

        return framed(self)


def badge_format(path: Path) -> Callable[[Verdict, bool], str]:
    """Return the function that makes the kind of badge which the file's name asks for; raise FileError for another."""
    if path.suffix not in _BADGES:
        raise FileError(f"{path}: expected a badge's file to end in .svg or .json, got {path.suffix!r}")
    return _BADGES[path.suffix]


_BADGES: Final[Mapping[str, Callable[[Verdict, bool], str]]] = {".svg": badge_svg, ".json": badge_json}


def read_report(*paths: str | Path) -> Report:
    """Read the files that ``rnnspec validate --json`` wrote, as one report.

    A backend in several files, as of two versions or machines, has the file's name behind its own: ``torch (old)``.

    Raises
    ------
    FileError
        If a file is none of these, or is named twice, or none is named.
    PlanError
        If a path is none.
    """
    files = [file("read_report", path) for path in paths]
    if not files:
        raise FileError("expected files that 'rnnspec validate --json' wrote, got none")
    again = next((path for path in files if files.count(path) > 1), None)
    if again is not None:
        raise FileError(f"{again}: expected each file once")
    reports = [_read(path) for path in files]
    names = [backend.name for report in reports for backend in report.backends]
    alike = len({path.stem for path in files}) < len(files)
    backends = [
        replace(backend, name=f"{backend.name} ({path if alike else path.stem})") if names.count(backend.name) > 1
        else backend
        for path, report in zip(files, reports, strict=True)
        for backend in report.backends
    ]  # fmt: skip
    every = [report.conditions for report in reports]
    return Report(tuple(backends), _together(every), all(report.complete for report in reports))


def _read(path: Path) -> Report:
    wanted = "expected a file that 'rnnspec validate --json' wrote"
    data = read_json(path, wanted)
    if not isinstance(data, dict):
        raise FileError(f"{path}: {wanted}; got no object with backends")
    try:
        return Report.from_json(data)
    except KeyError as error:
        raise FileError(f"{path}: {wanted}; {error} is missing{_of_another_version(data)}") from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        lacking = re.search(r"missing \d+ required .*arguments?: (.*)", str(error))
        words = f"{lacking[1]} is missing" if lacking else shown(str(error))[1:-1]
        raise FileError(f"{path}: {wanted}: {words}{_of_another_version(data)}") from error


def _of_another_version(data: Mapping[str, Any]) -> str:
    """Say so where another version of rnnspec wrote a file."""
    known = data.get("conditions")
    wrote, here = known.get("rnnspec") if isinstance(known, dict) else None, conditions()["rnnspec"]
    return "" if wrote in (None, here) else f"; rnnspec {shown(wrote)[1:-1]} wrote it, and this is {here}"


def _together(every: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The conditions of several runs; what differs is listed."""
    names = dict.fromkeys(name for one in every for name in one)
    return {name: "; ".join(dict.fromkeys(one[name] for one in every if name in one)) for name in names}
