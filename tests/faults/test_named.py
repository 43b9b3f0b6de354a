"""Planted faults as backends that ``rnnspec validate`` takes, among them the one that the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnspec.backends import BackendError, open_backend
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.faults.catalogue import FAULTS
from rnnspec.conformance.run import PROFILES, Verdict, run_check

README = Path(__file__).parents[2] / "README.md"
MODULE = "rnnspec.conformance.faults.named"


def test_the_readme_shows_what_the_suite_says() -> None:
    text = README.read_text(encoding="utf-8")
    (shown,) = re.findall(rf"\$ rnnspec validate ({MODULE}:\w+) --op (\w+) --dtype (\w+)\n…\n(.*?)\n…", text, re.DOTALL)
    backend, operation, dtype, verdict = shown
    result = run_check(Values(), open_backend(backend), operation, dtype, PROFILES["quick"])
    assert result.verdict is Verdict.VIOLATES
    message = "\n".join(f"  {line}" for line in result.message.splitlines())
    assert f"{operation} {dtype}: values (MUST) violates\n{message}" == verdict


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [fault.name.replace("-", "_") for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_an_unknown_fault_is_told() -> None:
    with pytest.raises(BackendError, match="no planted fault is named nothing"):
        open_backend(f"{MODULE}:nothing")
