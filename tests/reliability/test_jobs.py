"""Several processes give the report of one, byte for byte."""

from __future__ import annotations

from pathlib import Path

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
