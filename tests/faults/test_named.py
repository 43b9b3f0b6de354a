"""Planted faults as backends that ``rnnspec validate`` takes, among them the one that the README shows."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from rnnspec.backends import BackendError, open_backend
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.diagnosis import diagnose
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.report.faults import print_fault
from rnnspec.conformance.run import PROFILES, run_check
from rnnspec.conformance.run.runner import Failed

README = Path(__file__).parents[2] / "README.md"
MODULE = "rnnspec.conformance.faults.named"


def test_the_readme_shows_what_the_suite_says() -> None:
    text = README.read_text(encoding="utf-8")
    (shown,) = re.findall(
        rf"\$ rnnspec validate ({MODULE}:\w+) --op (\w+) --dtype (\w+) --largest (\d+)\n…\n(.*?)\n…", text, re.DOTALL
    )
    name, operation, dtype, largest, block = shown
    backend, failed = open_backend(name), list[Failed]()
    run_check(Values(), backend, operation, dtype, PROFILES["quick"].up_to(int(largest)), failed=failed)
    (fault,) = diagnose(backend, operation, failed)
    console = Console(file=io.StringIO(), width=1000)
    print_fault(console, 1, fault)
    assert isinstance(console.file, io.StringIO)
    *printed, found_by = console.file.getvalue().splitlines()
    assert found_by == "  found by values"
    *lines, found_by_all = block.splitlines()
    assert lines == printed
    assert found_by_all.startswith("  found by values, ")


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [fault.name.replace("-", "_") for fault in faults()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_an_unknown_fault_is_told() -> None:
    with pytest.raises(BackendError, match="no planted fault is named nothing"):
        open_backend(f"{MODULE}:nothing")
