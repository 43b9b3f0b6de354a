"""Several processes give the report of one, byte for byte; workers that cannot be had are one line."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main

COMMANDS = {
    "faults": ("faults", "--op", "embedding"),
    "sharpness": ("sharpness", "--op", "dense", "--dtype", "float16", "--part", "values", "--runs", "2"),
}
"""`validate` and `soak` have such tests among their own."""


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_give_the_report_of_one(name: str, tmp_path: Path) -> None:
    reports = []
    for jobs in ("1", "2"):
        file = tmp_path / f"{jobs}.json"
        done = CliRunner().invoke(main, [*COMMANDS[name], "--jobs", jobs, "--json", str(file)])
        assert done.exit_code == 0, done.output
        reports.append(file.read_bytes())
    assert reports[0] == reports[1]


def test_a_distributed_that_does_not_import_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask reads its configuration as it is imported, and fails there if a file of it is malformed."""
    lacking = ModuleType("distributed")
    lacking.__spec__ = ModuleSpec("distributed", None)
    monkeypatch.setitem(sys.modules, "distributed", lacking)
    done = CliRunner().invoke(main, ["soak", "numpy", "--op", "dense", "--scheduler", "tcp://127.0.0.1:9"])
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: Dask's distributed cannot be imported: cannot import name 'Client'")
    assert done.stderr.count("\n") == 1
