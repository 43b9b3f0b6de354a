"""The samples of docs/adapters.md are written to files as they stand, and conform."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnspec.conformance.checks.drawn import Drawn
from rnnspec.conformance.run import PROFILES, Verdict, run_check

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
SAMPLE = re.compile(r"^```(?:python|c)\n(?:#|//) file: (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMPILED = re.search(r"^cc (.*?) && rnnspec", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("samples")
    for name, text in SAMPLE.findall(PAGE.read_text()):
        (written / name).write_text(text)
    return written


@pytest.mark.parametrize(
    ("backend", "needs", "operation"),
    [
        ("in_torch:RunningGruBackend", "torch", "gru"),
        ("in_jax:TanhRnnBackend", "jax", "rnn"),
        ("in_c:PlainRnnBackend", "cc", "rnn"),
    ],
)
def test_a_sample_conforms(folder: Path, tmp_path: Path, backend: str, needs: str, operation: str) -> None:
    if needs == "cc":
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler")
        assert COMPILED is not None
        subprocess.run([compiler, *COMPILED[1].split()], cwd=folder, check=True)
    else:
        pytest.importorskip(needs)
    report = tmp_path / "report.json"
    asked = ("--op", operation, "--dtype", "float32", "-n", "0", "-k", "values or edges or bad_input")
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", "validate", backend, *asked, "--json", str(report)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(report.read_text())["backends"]
    assert found["verdict"] == "conforms"
    verdicts = {check["id"]: check["verdict"] for check in found["operations"][0]["checks"]}
    assert verdicts["values"] == verdicts["edges"] == verdicts["bad_input"] == "conforms"


def test_the_sample_of_drawn_dropout_conforms(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(folder))
    backend = importlib.import_module("in_dropout").DropoutBackend()
    result = run_check(Drawn(), backend, "dropout", "float32", PROFILES["quick"])
    assert (result.verdict, result.examples) == (Verdict.CONFORMS, 4)
