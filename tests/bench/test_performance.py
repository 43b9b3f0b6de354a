"""The project's own report is written, whole, from small measurements; what the figures are is no matter here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("pytest_benchmark")

from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.performance import checking, contests, products, validating
from rnnspec.conformance.performance.contests import SERIES, Series, hold, workloads
from rnnspec.conformance.performance.report import measure, write_performance
from rnnspec.conformance.performance.rows import QUICK, Row, Section
from rnnspec.spec import operation

BRIEF = Effort(fewest=2, most=2, seconds=0.01, warm_up=0.01)
TINY = replace(QUICK, contests=BRIEF, functions=BRIEF, cases=24, examples=1, scale="small")
QUIET = Console(quiet=True)
SMALL = {"B": 2, "T": 3, "D": 5, "H": 5, "K": 4, "N": 1}


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small workloads, and of all operations three."""
    scopes = [Scope(name, dtype) for name in ("rnn", "lstm", "gru") for dtype in ("float32", "bfloat16")]
    small = {
        name: workload.with_sizes(**{symbol: SMALL[symbol] for symbol in workload.sizes})
        for name, workload in workloads().items()
    }
    monkeypatch.setattr(checking, "_scopes", lambda backend: scopes)
    monkeypatch.setattr(products, "operations", lambda: ("softmax", "lstm", "state_jacobian"))
    monkeypatch.setattr(contests, "workloads", lambda: small)


def test_the_report_is_written(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report, figures = tmp_path / "performance.md", tmp_path / "performance.json"
    write_performance(report, figures, measure(TINY, QUIET))
    text, data = report.read_text(), json.loads(figures.read_text())
    assert [section["title"] for section in data["sections"]] == [
        "Checked cases", "Cost of a tolerance", "The reference against its matrix products",
        *(series.title for series in SERIES),
    ]  # fmt: skip
    for section in data["sections"]:
        assert f"## {section['title']}\n" in text
        assert section["rows"] or section["left_out"]
        assert section["left_out"] in text
        assert all(row["value"] > 0 and row["name"] in text for row in section["rows"])
    assert {"CPU", "cores", "threads", "Python", "numpy", "torch", "hypothesis"} <= set(data["machine"])
    layers = next(section for section in data["sections"] if section["title"] == "Recurrent layers")
    names = [row["name"] for row in layers["rows"]]
    for mode in ("forward", "gradient"):
        assert {f"lstm, {mode}: torch", f"lstm, {mode}: numpy"} <= set(names)
    assert "lstm, forward: the products alone" in names


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series.title)
def test_targets_are_of_rows_that_there_are(series: Series) -> None:
    for name in series.workloads:
        assert name in workloads()
    for name, mode, _ in (*series.targets, *series.limits):
        assert name in series.workloads
        assert mode in series.modes
        assert mode in workloads()[name].modes


def _series(*contenders: str, **given: Any) -> Series:
    return Series("Any", "", contenders, ("rnn",), modes=("forward",), **given)


def test_who_does_not_open_is_left_out_with_the_reason() -> None:
    section = hold(_series("numpy", "no.such.module:Backend", "tests_other:Same"), TINY, QUIET)
    assert "no.such.module" in section.left_out
    assert section.rows == ()


def test_without_the_first_there_are_no_multiples() -> None:
    """They would be multiples of another."""
    series = _series("rnnspec.conformance.faults.drift:NoBackend", "numpy", limits={("rnn", "forward", "numpy"): 1e9})
    section = hold(series, TINY, QUIET)
    assert "NoBackend" in section.left_out
    assert [(row.name, row.unit, row.met) for row in section.rows] == [("rnn, forward: numpy", "ms", True)]


def test_who_is_wrong_is_left_out_with_the_reason() -> None:
    series = replace(_series("numpy", "rnnspec.conformance.faults.drift:ForgetBiasATenthMore"), workloads=("lstm",))
    section = hold(series, TINY, QUIET)
    assert "does not conform" in section.left_out
    assert section.rows == ()


def _flops(some: Sequence[tuple[Any, Any]]) -> int:
    return sum(2 * np.matmul(a, b).size * a.shape[-1] for a, b in some)


def test_the_products_are_those_that_the_reference_makes() -> None:
    sizes = {"B": 2, "T": 3, "D": 4, "H": 5}
    case = Case("lstm", "float32", sizes, operation("lstm").defaults(), absent=("h0", "c0"))
    forward = products.products_of(case, gradient=False)
    both = products.products_of(case, gradient=True)
    of_x, of_h = (2 * 2 * 3 * 4 * 5 * n for n in (4, 5))
    assert _flops(forward) == of_x + of_h
    assert _flops(both) == 3 * (of_x + of_h), "each product has a backward product for either of its factors"
    assert all(isinstance(a, np.ndarray) and type(a) is np.ndarray for a, _ in both)


@pytest.mark.parametrize("status", [0, 1, 2])
def test_validations_are_run_and_told(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], env: dict[str, str], **_: Any) -> Any:
        assert "OMP_NUM_THREADS" not in env
        asked.append(command[3:])
        return validating.subprocess.CompletedProcess(command, status)

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(validating.subprocess, "run", run)
    section = validating.validations(("quick",))
    assert asked[0] == ["validate", "torch", "--profile", "quick"]
    if status == 2:
        assert section.rows == ()
        assert "it cannot run (exit status 2)" in section.left_out
    else:
        assert section.rows[0].detail == "one run" + "; it found violations" * status


@pytest.mark.parametrize(
    ("target", "at_least", "met"), [(None, False, None), (3.0, False, True), (1.0, False, False), (3.0, True, False)]
)
def test_target(target: float | None, at_least: bool, met: bool | None) -> None:
    assert Row("rows", 2.0, "×", target=target, at_least=at_least).met is met


def test_a_missed_target_is_shown(tmp_path: Path) -> None:
    missed = Row("slow", 2.0, "×", (1.9, 2.1), target=1.0)
    write_performance(tmp_path / "performance.md", None, [Section("Any", "", (missed,))])
    assert "| slow | 2 × | 1.9 – 2.1 | ≤ 1 × | **no** |  |" in (tmp_path / "performance.md").read_text()
