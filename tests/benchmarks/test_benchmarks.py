"""The report is written, whole, from the smallest measurements; what the figures are is no matter here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from rnnspec.conformance.benchmarks import against_products, calls, checking
from rnnspec.conformance.benchmarks.measuring import Effort, Row
from rnnspec.conformance.benchmarks.report import write_performance
from rnnspec.conformance.cases import Scope

TINY = Effort(repetitions=1, long_repetitions=1, rounds=1, cases=24, examples=1, profiles=(), validations=1)


@pytest.fixture(autouse=True)
def small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small, and of all operations three."""
    scopes = [Scope(name, dtype) for name in ("rnn", "lstm", "gru") for dtype in ("float32", "bfloat16")]
    monkeypatch.setattr(checking, "_scopes", lambda backend: scopes)
    for sizes in (calls.SIZES, against_products.SIZES):
        for symbol, size in {"B": 2, "T": 3, "D": 5, "H": 5, "S": 5, "K": 4, "E": 5}.items():
            monkeypatch.setitem(sizes, symbol, size)


def test_report_is_written(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report, figures = tmp_path / "performance.md", tmp_path / "performance.json"
    write_performance(report, figures, TINY, Console(quiet=True))
    text = report.read_text()
    sections = json.loads(figures.read_text())["sections"]
    assert len(sections) == 8
    for section in sections:
        assert f"## {section['title']}\n" in text
        if section["left_out"]:
            assert "pytorch-crf is not installed" in section["left_out"] or "Without a matrix" in section["left_out"]
            assert section["left_out"] in text
        else:
            assert section["rows"]
        assert all(row["value"] > 0 and row["name"] in text for row in section["rows"])


def test_without_torch_its_rows_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rnnspec.conformance.benchmarks.against_torch", None)
    write_performance(tmp_path / "performance.md", None, TINY, Console(quiet=True))
    text = (tmp_path / "performance.md").read_text()
    assert "## Checked cases" in text
    assert "Left out. All rows about torch" in text


@pytest.mark.parametrize(
    ("target", "at_least", "met"), [(None, False, None), (3.0, False, True), (1.0, False, False), (3.0, True, False)]
)
def test_target(target: float | None, at_least: bool, met: bool | None) -> None:
    assert Row("rows", 2.0, "×", target=target, at_least=at_least).met is met
