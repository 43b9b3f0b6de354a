"""The example in the docs is a project of its own: it installs, is found by its entry point, and conforms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "docs" / "example-adapter"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def rnnspec(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rnnspec", *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["onestep", "onestep.adapter:OnestepBackend"])
def test_it_conforms_under_its_entry_point_and_its_path(installed: Path, tmp_path: Path, name: str) -> None:
    report = tmp_path / "report.json"
    run = rnnspec(installed, "validate", name, "--op", "gru", "--op", "lstm", "--json", str(report))
    assert run.returncode == 0, run.stdout + run.stderr
    [backend] = json.loads(report.read_text())["backends"]
    assert backend["verdict"] == "conforms"
    assert backend["versions"]["onestep"] == "1.0"
    verdicts = {
        check["id"]: check["verdict"]
        for operation in backend["operations"]
        if (operation["name"], operation["dtype"]) == ("gru", "float32")
        for check in operation["checks"]
    }
    assert verdicts["values"] == "conforms"
    assert verdicts["bad_input"] == "conforms"
    assert verdicts["gradients"] == "refused"
