"""``rnnspec bisect``: the first release of a library that violates, or conforms."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rnnspec.backends import BackendError, open_backend
from rnnspec.conformance.bisecting.environments import InstallError, made, run_quietly
from rnnspec.conformance.bisecting.releases import releases
from rnnspec.conformance.bisecting.search import Turn, turn
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.files import must_be_writable_folder, write_json
from rnnspec.conformance.run.plan import Item, PlanError
from rnnspec.spec import FLOAT_TYPES, operation
from rnnspec.spec.errors import one_of

_VIOLATES: Final = {Verdict.DEPARTS, Verdict.EXPECTED, Verdict.VIOLATES, Verdict.TIMED_OUT, Verdict.CRASHED}
"""Verdicts of a check that does not hold; a known fault is one here."""


@dataclass(frozen=True)
class BisectRequest:
    """The check, and the releases that are held against it."""

    backend: str
    operation: str
    check: str
    versions: str
    library: str = ""
    dtype: str = "float32"
    others: tuple[str, ...] = ()
    profile: str = "quick"
    seed: int = 0
    keep: Path | None = None


@dataclass(frozen=True)
class Judged:
    """A release and its verdict; empty where it cannot be judged, for a reason."""

    version: str
    verdict: str
    worst_error_ratio: float | None = None
    reason: str = ""

    @property
    def violates(self) -> bool | None:
        """Whether the check does not hold; None if it was not judged."""
        if not self.verdict or not Verdict(self.verdict).judged:
            return None
        return Verdict(self.verdict) in _VIOLATES

    def line(self) -> str:
        """The verdict in words."""
        ratio = "" if self.worst_error_ratio is None else f", worst error ratio {ratio_text(self.worst_error_ratio)}"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.verdict or 'cannot be judged'}{ratio}{reason}"


@dataclass
class _Search:
    """The releases that have been judged, in the order in which they were."""

    request: BisectRequest
    library: str
    all: list[str]
    folder: Path
    judged: dict[str, Judged] = field(default_factory=dict)

    def violates(self, place: int) -> bool | None:
        """Judge a release and tell its verdict."""
        version = self.all[place]
        found = self.judged[version] = self._judge(version)
        open_console(sys.stdout).print(f"  {version:<12} {found.line()}", soft_wrap=True)
        return found.violates

    def _judge(self, version: str) -> Judged:
        asked = self.request
        try:
            python = made(self.folder / f"{self.library}-{version}", self.library, version, asked.others)
        except InstallError as error:
            return Judged(version, "", reason=str(error))
        result = self.folder / f"{self.library}-{version}.json"
        result.unlink(missing_ok=True)
        item = Item(asked.backend, asked.operation, asked.dtype, asked.check)
        chosen = [
            "--op",
            asked.operation,
            "--dtype",
            asked.dtype,
            "--profile",
            asked.profile,
            "--seed",
            str(asked.seed),
        ]
        how = ["--no-replay", "--json", str(result), "-n", "0", "-k", f"{asked.operation}-{asked.dtype}-{asked.check}"]
        done = run_quietly([str(python), "-m", "rnnspec", "validate", asked.backend, *chosen, *how])
        if not result.exists():
            return Judged(version, "", reason=done.why.removeprefix("Error: "))
        return _read(version, json.loads(result.read_text(encoding="utf-8")), item)


def bisect(request: BisectRequest, json_file: Path | None) -> int:
    """Search, print and write the result; return the exit status: 1 if the newest release that was judged violates."""
    _must_be_known(request)
    library = request.library or _library_of(request.backend)
    versions = releases(library, request.versions)
    if request.keep is not None:
        must_be_writable_folder(request.keep)
    console = open_console(sys.stdout)
    console.print(
        f"{request.backend}: {request.check} of {request.operation} in {request.dtype}, by release of {library}"
    )
    folder: AbstractContextManager[Any] = nullcontext(request.keep)
    with folder if request.keep else TemporaryDirectory(prefix="rnnspec-bisect-") as place:
        search = _Search(request, library, versions, Path(place))
        found = turn(len(versions), search.violates)
    console.print(_summary(search, found), soft_wrap=True)
    if json_file is not None:
        write_json(json_file, _plain(search, found))
    told = [search.judged[one] for one in versions if one in search.judged]
    newest = next((one.violates for one in reversed(told) if one.violates is not None), None)
    if newest is None:
        raise PlanError(f"none of these releases of {library} can be judged: {told[0].reason}")
    return int(newest)


def _must_be_known(request: BisectRequest) -> None:
    operation(request.operation)
    for text, known, word in (
        (request.check, [check.id for check in CHECKS], "check"),
        (request.dtype, list(FLOAT_TYPES), "dtype"),
    ):
        if text not in known:
            raise PlanError(f"unknown {word} {text!r}: {one_of(text, known)}")


def _library_of(name: str) -> str:
    """The first library whose version the backend's report has."""
    try:
        return open_backend(name).libraries[0]
    except BackendError as error:
        raise BackendError(f"{error}; or name the library whose releases are meant by --library") from error


def _read(version: str, data: Mapping[str, Any], item: Item) -> Judged:
    checks = [
        check for one in data["backends"][0]["operations"] for check in one["checks"] if check["id"] == item.check
    ]
    if not checks:
        return Judged(version, "", reason=f"{item.operation} has no check {item.check}")
    (check,) = checks
    verdict = Verdict(check["verdict"])
    reason = next(iter(check["reasons"]), "") if not verdict.judged else ""
    if verdict in (Verdict.CRASHED, Verdict.TIMED_OUT):
        reason = check["message"].partition("\n")[0]
    return Judged(version, verdict.value, check["worst_error_ratio"], reason)


def _summary(search: _Search, found: Turn | None) -> str:
    count = f"{len(search.judged)} of {len(search.all)} releases were asked"
    if found is None:
        told = {one.violates for one in search.judged.values()} - {None}
        if not told:
            return count
        return f"the first and the last that can be judged {'violate' if True in told else 'conform'} alike; {count}"
    before, first = search.all[found.before], search.all[found.first]
    now = "violates" if search.judged[first].violates else "conforms"
    unsure = f"; {', '.join(search.all[one] for one in found.between)} cannot be judged" if found.between else ""
    was = search.judged[before].verdict
    return f"first release that {now}: {search.library} {first} ({before}: {was}){unsure}; {count}"


def _plain(search: _Search, found: Turn | None) -> dict[str, Any]:
    asked = search.request
    return {
        "backend": asked.backend,
        "library": search.library,
        **{name: getattr(asked, name) for name in ("operation", "check", "dtype", "profile", "seed")},
        "versions": search.all,
        "judged": [asdict(search.judged[one]) for one in search.all if one in search.judged],
        "before": None if found is None else search.all[found.before],
        "first": None if found is None else search.all[found.first],
        "first_violates": None if found is None else search.judged[search.all[found.first]].violates,
    }
