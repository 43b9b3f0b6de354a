"""The tables and the plot of docs/tolerances.md are made from what soaks wrote."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.conformance.pages.__main__ import main
from rnnspec.conformance.pages.markdown import filled_in
from rnnspec.conformance.pages.tolerances import sections, tables, variants, whole
from rnnspec.conformance.soak.table import LEAST_PERCENT, not_judged

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = sorted((DOCS / "tolerances").glob("*.json"))
PLACES = "numpy", "together", "variants"
PAGE = "before\n" + "".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in PLACES) + "after\n"
SCORES = [
    {"name": "rnn-other-order", "operation": "rnn", "rejected": 0, "cases": 40, "worst_error_ratio": 0.25},
    {"name": "rnn-other-order", "operation": "rnn_cell", "rejected": 0, "cases": 40, "worst_error_ratio": 0.125},
    {"name": "gru-plain", "operation": "gru", "rejected": 1, "cases": 20, "worst_error_ratio": None},
]


@pytest.fixture
def report(soak: Callable[..., Any]) -> dict[str, Any]:
    _, found = soak("numpy", "--cases", "60", "--dtype", "bfloat16", operation="crf_viterbi")
    return dict(found)


def read_published() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in PUBLISHED]


def test_the_page_shows_what_was_measured() -> None:
    page = (DOCS / "tolerances.md").read_text(encoding="utf-8")
    reports = read_published()
    assert reports
    assert filled_in(page, sections(reports)) == page, (
        "python -m rnnspec.conformance.pages tolerances docs/tolerances.md docs/tolerances/*.json"
    )


def test_no_right_implementation_was_rejected() -> None:
    for report in read_published():
        assert report["failures"] == []
        for row in report["by_operation"]:
            for quantity in ("values", "gradients"):
                assert row[quantity].get("largest", 0) <= 1


def test_the_tables_have_every_operation_type_and_regime(report: dict[str, Any]) -> None:
    text = tables(report)
    assert text.startswith("`rnnspec soak numpy --cases 60 --seed 0`.")
    for row in report["by_dtype"]:
        quantiles = row["values"]["quantiles"]
        assert f"| {row['dtype']} | {row['cases']} | {quantiles['0.5']:.2f} / " in text
    for row in report["by_regime"]:
        assert f"| `{row['regime']}` | " in text
    assert "| `crf_viterbi` | " in text
    assert text.count("| --- | ---: ") == 3


def test_a_summary_of_all_names_the_largest_and_where_it_came_up(report: dict[str, Any]) -> None:
    place = "crf_viterbi float32 7"
    other = json.loads(json.dumps(report))
    other["backend"] = "other"
    other["by_operation"][0]["gradients"] |= {"largest": 7.25, "largest_in": place}
    other["endings"]["values"]["rejected"] = 3
    text = whole([report, other])
    assert f"Together: {2 * report['cases']} cases" in text
    assert "3 of them rejected" in text
    assert f"7.25 (`other`, case `{place}`)" in text


def test_variants_are_told_by_how_they_are_written() -> None:
    lines = variants(SCORES).splitlines()
    assert lines[0] == "100 cases, 1 rejected; the largest error ratio is inf."
    assert lines[2:] == [
        "| written | rnn | gru |",
        "| --- | ---: | ---: |",
        "| other order | 0.25 | – |",
        "| plain | – | inf |",
    ]


@pytest.mark.parametrize(
    ("elements", "open_", "text"), [(0, 0, "–"), (10, 0, "0"), (1000, 25, "2.5 %"), (10**9, 1, f"< {LEAST_PERCENT} %")]
)
def test_a_share_that_is_not_nothing_is_not_told_as_nothing(elements: int, open_: int, text: str) -> None:
    row = {"values": {"numbers": elements, "numbers_not_judged": open_}, "gradients": {}}
    assert not_judged(row) == text


def test_the_command_fills_in_what_it_is_given(report: dict[str, Any], tmp_path: Path) -> None:
    page, file, faults = tmp_path / "page.md", tmp_path / "numpy.json", tmp_path / "faults.json"
    page.write_text(PAGE)
    file.write_text(json.dumps(report))
    faults.write_text(json.dumps({"faults": [], "variants": SCORES}))
    done = CliRunner().invoke(main, ["tolerances", str(page), str(file), "--variants", str(faults)])
    assert done.exit_code == 0, done.output
    found = {"numpy": tables(report), "together": whole([report]), "variants": variants(SCORES)}
    assert page.read_text(encoding="utf-8") == filled_in(PAGE, found)


def test_a_page_without_a_place_is_an_error_and_left_alone(report: dict[str, Any], tmp_path: Path) -> None:
    page, file = tmp_path / "page.md", tmp_path / "numpy.json"
    page.write_text("no place\n")
    file.write_text(json.dumps(report))
    done = CliRunner().invoke(main, ["tolerances", str(page), str(file)])
    assert done.exit_code == 1
    assert "expected a line" in done.output
    assert page.read_text() == "no place\n"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="drawing needs matplotlib (extra plots)")
def test_the_plot_is_the_same_each_time(report: dict[str, Any], tmp_path: Path) -> None:
    from rnnspec.conformance.pages.tolerance_plot import draw

    for name in ("first.svg", "second.svg"):
        draw([report, report], tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert "bfloat16" in (tmp_path / "first.svg").read_text()


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is not None, reason="matplotlib is installed")
def test_without_matplotlib_the_command_says_what_is_missing(report: dict[str, Any], tmp_path: Path) -> None:
    page, file = tmp_path / "page.md", tmp_path / "numpy.json"
    page.write_text(PAGE)
    file.write_text(json.dumps(report))
    done = CliRunner().invoke(main, ["tolerances", str(page), str(file), "--plot", str(tmp_path / "plot.svg")])
    assert done.exit_code == 1
    assert "pip install 'matplotlib>=" in done.output
    assert page.read_text() == PAGE
