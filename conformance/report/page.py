"""The report as one page that needs no other file: no script but its own runs on it."""

from __future__ import annotations

import html
import importlib.util
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from rnnspec.backends.discovery import installs
from rnnspec.backends.words import visible
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.report.faults import number_text, numbers_text, quantity_text
from rnnspec.conformance.report.summary import BackendSummary, OperationSummary
from rnnspec.conformance.report.words import (
    INCOMPLETE,
    accuracy_text,
    asked,
    findings,
    missing,
    ratio_text,
    refusals,
    sentence,
    unjudged,
    versions_text,
)
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.files import FileError
from rnnspec.spec import operation, operations

if TYPE_CHECKING:
    from rnnspec.conformance.report.report import Report

_KINDS: Final = {
    Verdict.CONFORMS: "good",
    Verdict.DEPARTS: "good",
    Verdict.EXPECTED: "known",
    Verdict.REFUSED: "none",
    Verdict.NOT_IMPLEMENTED: "none",
}
"""How a verdict looks; all others are bad."""
_SIGNS: Final = {"good": "✓", "bad": "✗", "known": "!", "none": "–"}
_HEIGHT: Final = 640
"""Pixels of the page's frame in a notebook."""


def must_be_renderable() -> None:
    """Raise FileError unless jinja2 is installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise FileError(f"the page needs jinja2: expected it installed; use {installs('report')}")


def page(report: Report) -> str:
    """Return the page."""
    must_be_renderable()
    import jinja2  # so that only the page needs it

    folder = files("rnnspec.conformance.report") / "templates"
    sources = {name: (folder / name).read_text("utf-8") for name in ("page.html.jinja", "fault.html.jinja")}
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.DictLoader(sources),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["marked"] = _marked
    rendered: str = environment.get_template("page.html.jinja").render(
        report=report,
        incomplete=INCOMPLETE,
        backends=[_Backend.of(place, one) for place, one in enumerate(report.backends, 1)],
        rows=list(_rows(report.backends)),
        families=list(dict.fromkeys(op.family for op in operations().values() if _has(report, op.name))),
        dtypes=list(dict.fromkeys(part.dtype for one in report.backends for part in one.operations)),
        style=style,
        script=script,
        digest=b64encode(sha256(script.encode()).digest()).decode(),
    )
    return visible(rendered)


def _marked(text: str) -> str:
    """The text as HTML, with code where it has backticks in pairs."""
    from markupsafe import Markup, escape  # jinja2's own

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def framed(report: Report) -> str:
    """Return the page in a frame, which a notebook shows."""
    return (
        f'<iframe title="{html.escape("; ".join(report.sentences))}" sandbox="allow-scripts allow-downloads" '
        f'style="width:100%;height:{_HEIGHT}px;border:0" srcdoc="{html.escape(page(report))}"></iframe>'
    )


def _has(report: Report, name: str) -> bool:
    return any(one.of(name) for one in report.backends)


@dataclass(frozen=True)
class _Chip:
    """The verdict on an operation in a type."""

    dtype: str
    kind: str
    words: str

    @classmethod
    def of(cls, part: OperationSummary) -> _Chip:
        kind = _kind(part.verdict)
        ratio = part.worst_error_ratio
        words = ratio_text(ratio) if kind == "good" else str(part.verdict)
        if kind == "bad" and ratio is not None and ratio > 1:
            words += f" {ratio_text(ratio)}"
        return cls(part.dtype, kind, f"{_SIGNS[kind]} {words}")


@dataclass(frozen=True)
class _Row:
    """An operation on all backends."""

    name: str
    family: str
    title: str
    dtypes: str
    bad: bool
    cells: Sequence[Sequence[_Chip]]


def _rows(backends: Sequence[BackendSummary]) -> list[_Row]:
    rows = []
    for op in operations().values():
        parts = [one.of(op.name) for one in backends]
        together = [part for cell in parts for part in cell]
        if together and any(part.verdict is not Verdict.NOT_IMPLEMENTED for part in together):
            dtypes = " ".join(dict.fromkeys(part.dtype for part in together))
            bad = any(_kind(part.verdict) in ("bad", "known") for part in together)
            chips = [[_Chip.of(part) for part in cell] for cell in parts]
            rows.append(_Row(op.name, op.family, op.title, dtypes, bad, chips))
    return rows


def _kind(verdict: Verdict) -> str:
    return _KINDS.get(verdict, "bad")


@dataclass(frozen=True)
class _Backend:
    """A backend's own part of the page."""

    anchor: str
    name: str
    kind: str
    sentence: str
    versions: str
    accuracy: str
    faults: Sequence[_Fault]
    findings: Sequence[_Finding]
    profile: str
    seed: int | None
    asked: Sequence[str]
    missing: Sequence[str]
    not_asked: Sequence[str]
    """Why some of it was not judged."""

    @classmethod
    def of(cls, place: int, one: BackendSummary) -> _Backend:
        not_asked = [f"refused {line}" for line in refusals(one)]
        not_asked += [f"nothing judged {line}" for line in unjudged(one)]
        not_asked += [f"expected failure not seen in this run: {title}" for title in one.not_seen]
        return cls(
            f"backend-{place}", one.name, _kind(one.verdict), sentence(one), versions_text(one),
            accuracy_text(one),
            [_Fault.of(f"backend-{place}-fault-{number}", fault) for number, fault in enumerate(one.faults, 1)],
            [_Finding.of(part, *found) for part in one.operations for found in findings(one, part)],
            one.profile, one.seed, list(asked(one)), missing(one), not_asked,
        )  # fmt: skip


@dataclass(frozen=True)
class _Finding:
    """Something that checks found and that is in no fault."""

    operation: str
    family: str
    dtype: str
    kind: str
    heading: str
    message: str

    @classmethod
    def of(cls, part: OperationSummary, heading: str, alike: Sequence[CheckResult]) -> _Finding:
        family = operation(part.name).family
        return cls(part.name, family, part.dtype, _kind(alike[0].verdict), heading, alike[0].message)


@dataclass(frozen=True)
class _File:
    """A file to download, as an address that holds all of it."""

    name: str
    address: str
    about: str


@dataclass(frozen=True)
class _Fault:
    """A fault, ready to be shown."""

    anchor: str
    result: FaultResult
    family: str
    inputs: Mapping[str, str]
    trace: Sequence[tuple[str, str, str]]
    script: str
    files: Sequence[_File]

    @classmethod
    def of(cls, anchor: str, fault: FaultResult) -> _Fault:
        scripts = [content for name, content in fault.files.items() if name.endswith(".py")]
        return cls(
            anchor,
            fault,
            operation(fault.operation).family,
            {name: numbers_text(value) for name, value in (fault.inputs or {}).items()},
            [(quantity_text(one), number_text(one["value"]), str(one.get("equation", ""))) for one in fault.trace],
            _decoded(scripts[0]).decode("utf-8", "replace") if scripts else "",
            list(_files(anchor, fault)),
        )


def _files(anchor: str, fault: FaultResult) -> list[_File]:
    found = []
    if fault.case is not None:
        alone = {} if {"values", "gradients"} & set(fault.checks) else {"check": next(iter(fault.checks), "values")}
        text = json.dumps({"case": fault.case, **alone}, indent=2)
        name = f"{fault.operation}-{anchor}-case.json"  # another one for each fault, of all backends
        found.append(_file(name, "application/json", text.encode(), "the smallest case, for --case"))
    for name, content in fault.files.items():
        kind = ("text/x-python", "the repro") if name.endswith(".py") else ("application/zip", "its arrays")
        found.append(_file(name, kind[0], _decoded(content), kind[1]))
    return found


def _file(name: str, kind: str, content: bytes, about: str) -> _File:
    return _File(name, f"data:{kind};base64,{b64encode(content).decode()}", about)


def _decoded(content: str) -> bytes:
    try:
        return b64decode(content, validate=True)
    except ValueError as error:
        raise FileError(f"the files of a fault are not in base64: {error}") from error
