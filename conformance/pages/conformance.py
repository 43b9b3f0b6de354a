"""Operations by implementations, from files of ``rnnspec validate --json FILE``: verdicts, and what each refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rnnspec.conformance.pages.markdown import table, written_by
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.run import Verdict
from rnnspec.spec import operations

Backend = Mapping[str, Any]
Operation = Mapping[str, Any]

VERDICTS, CONVENTIONS = "verdicts", "conventions"
_OF_CHECKS: Final = ("id", "level", "verdict", "worst_error_ratio", "reasons")


def read(files: Iterable[Path]) -> list[Backend]:
    """Return the backends of some files, in alphabetical order; ValueError for what is no file of a validation."""
    found: dict[str, Backend] = {}
    for path in files:
        try:
            with written_by("rnnspec validate"):
                for backend in json.loads(path.read_text(encoding="utf-8"))["backends"]:
                    _merge(found, backend)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return [found[name] for name in sorted(found)]


def sections(backends: Sequence[Backend]) -> dict[str, str]:
    """Return the page's tables by name."""
    return {VERDICTS: _verdicts(backends), CONVENTIONS: _conventions(backends)}


def stored(backend: Backend) -> Backend:
    """Return what the page reads of a backend: a validation's file has messages too, with paths of its machine."""
    return {
        **{key: backend[key] for key in ("name", "versions", "verdict", "profile", "seed") if key in backend},
        "operations": [
            {
                **{key: one[key] for key in ("name", "dtype", "verdict") if key in one},
                "checks": [{key: check[key] for key in _OF_CHECKS} for check in one["checks"]],
            }
            for one in backend["operations"]
        ],
    }


def _merge(found: dict[str, Backend], backend: Backend) -> None:
    """Add a backend, and what it has; operations of one that is known already are added to its own."""
    before = found.get(backend["name"], {**backend, "operations": []})
    if before["versions"] != backend["versions"]:
        raise ValueError(f"{backend['name']}: expected one version of each library, got {backend['versions']} too")
    own = [one for one in backend["operations"] if one.get("verdict") != Verdict.NOT_IMPLEMENTED]
    found[backend["name"]] = {**before, "operations": [*before["operations"], *own]}


def _verdicts(backends: Sequence[Backend]) -> str:
    names = [name for name in operations() if any(_of(backend, name) for backend in backends)]
    rows = [[f"`{name}`", *(_grade(_of(backend, name)) for backend in backends)] for name in names]
    versions = [[f"`{b['name']}`", ", ".join(f"{name} {v}" for name, v in b["versions"].items())] for b in backends]
    return "\n\n".join(
        (
            table(["operation", *(f"`{backend['name']}`" for backend in backends)], rows),
            table(["backend", "versions"], versions, left=(1,)),
        )
    )


def _of(backend: Backend, name: str) -> list[Operation]:
    return [one for one in backend["operations"] if one["name"] == name]


def _grade(of_types: Sequence[Operation]) -> str:
    """The worst error ratio of what conforms, after the verdict where it does not."""
    checks = [check for one in of_types for check in one["checks"]]
    if not checks:
        return ""
    asked = [check for check in checks if check["verdict"] == "conforms" and check["worst_error_ratio"] is not None]
    ratio = ratio_text(max(check["worst_error_ratio"] for check in asked)) if asked else ""
    verdicts = {check["verdict"] for check in checks if check["level"] == "MUST"}
    bad = [word for word in ("crashed", "timed out", "violates", "violates as expected") if word in verdicts]
    if not bad and not asked:
        return "refused"
    return f"{bad[0]}, else {ratio}" if bad and ratio else bad[0] if bad else ratio


def _conventions(backends: Sequence[Backend]) -> str:
    """The refusals of each backend's operation, in its own words, without checks that have nothing else."""
    rows = []
    for backend in backends:
        for name in dict.fromkeys(one["name"] for one in backend["operations"]):
            reasons = dict.fromkeys(
                reason for one in _of(backend, name) for check in one["checks"] for reason in check["reasons"]
            )
            prefix = f"{backend['name']}'s {name}"
            own = [reason.removeprefix(prefix).lstrip(": ") for reason in reasons if reason.startswith(prefix)]
            rows.append([f"`{backend['name']}`", f"`{name}`", "; ".join(own).replace("|", "\\|")])
    return table(["backend", "operation", "takes"], rows, left=(1, 2))
