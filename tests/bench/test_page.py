"""The page: everything is in it, and nothing is fetched from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from rnnspec.conformance.bench import page as page_module
from rnnspec.conformance.bench.answer import answers
from rnnspec.conformance.bench.cost import Cost, Peak
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.memory import Memory
from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport, Contest, Result
from rnnspec.conformance.bench.page import must_be_drawable, page, surprises
from rnnspec.conformance.bench.plots import _ticks
from rnnspec.conformance.bench.table import notes, short_names
from rnnspec.conformance.bench.timing import Timing, WarmUp

WRITTEN = {
    "machine_info": {
        "cpu": {"brand_raw": "Abacus & Sons"},
        "system": "Linux",
        "release": "6",
        "machine": "x86_64",
        "python_version": "3.11",
    },
    "datetime": "2026-01-31T12:00:00",
}


def outcome(work: Any, scanned: str, seconds: dict[str, float], **refusals: str) -> BenchOutcome:
    rng = np.random.default_rng(0)
    results = {
        name: Result(
            Timing(rng.lognormal(np.log(median), 0.05, 20), 1, WarmUp(4, median, 0.5, True)),
            0.1, "cpu", "cpu", Memory(2**27, 2**26, None),
        )
        for name, median in seconds.items()
    }  # fmt: skip
    size = work.sizes["T"]
    contest = Contest(work, "forward", "float32", scanned)
    peaks: dict[str, Peak | None] = {"cpu": Peak(1e10, 1e10)}
    return BenchOutcome(contest, Cost(1e6 * size, 1e4), ((2, 9),), peaks, results, refusals)


@pytest.fixture
def report(tiny: Callable[..., Any]) -> BenchReport:
    outcomes = [outcome(tiny(), "", {"a": 0.01, "<b>": 0.02}, c="does not conform: y < x")]
    outcomes += [outcome(tiny().with_sizes(T=t), "T", {"a": 0.01 * t, "<b>": 0.01 * t**2}) for t in (4, 8, 16)]
    versions = {name: {"numpy": "2"} for name in ("a", "<b>", "c")}
    return BenchReport(outcomes, 2, (0, 1), versions, {"float32": {"cpu": Peak(1e10, 1e10)}})


def test_the_page_has_every_plot_and_figure(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    for heading in ("Time", "Ratio", "Efficiency", "Growth: tiny-lstm forward float32, T", "Figures", "Machine"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<svg") == text.count("</svg>") == 4
    for part in ("slower", "128 MiB", "Abacus &amp; Sons", "2 threads for each", "2 of 9", "2026-01-31"):
        assert part in text


def test_names_are_escaped(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "does not conform: y &lt; x" in text


def test_nothing_is_fetched(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", text)
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_same_run_gives_the_same_page(report: BenchReport) -> None:
    assert page(report, WRITTEN) == page(report, WRITTEN)


def test_names_are_shortened_where_they_stay_apart() -> None:
    given = ("torch@cuda:0", "a.b:Mine", "c:Other@cpu", "a:Same", "b:Same")
    short = ["torch@cuda:0", "Mine", "Other@cpu", "a:Same", "b:Same"]
    assert list(short_names(given).values()) == short


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_without_its_libraries(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = page_module.importlib.util.find_spec
    monkeypatch.setattr(page_module.importlib.util, "find_spec", lambda name: None if name == library else found(name))
    with pytest.raises(BenchError, match=rf"the page needs {library}: .*pip install .*'jinja2>="):
        must_be_drawable()


def test_the_answer_comes_first(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    first, second = answers(report)
    assert re.fullmatch(r"forward: a is [12][\d.]* × faster than <b> \(.* to .*\)", first)
    assert second == "c was not timed: does not conform: y < x"
    assert text.index("× faster than &lt;b&gt;") < text.index("<h2>")


def test_the_page_has_the_terminals_warnings(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    for label, words in notes(report):
        assert f"{label}: {words}".replace("<", "&lt;").replace(">", "&gt;") in text
    assert {label for label, _ in notes(report)} == {"warm-up", "not timed"}
    for line in surprises(report):
        assert line.replace("<", "&lt;").replace(">", "&gt;") in text
    assert surprises(report)


def test_several_workloads_have_a_mean(tiny: Callable[..., Any]) -> None:
    outcomes = [outcome(tiny(), "", {"a": 0.01, "b": ratio * 0.01}) for ratio in (2, 8)]
    (answer,) = answers(BenchReport(outcomes, 2, (0, 1), {"a": {}, "b": {}}))
    assert re.fullmatch(
        r"forward: a is [34](\.\d)? × faster than b \(.*\), in the geometric mean of 2 measurements", answer
    )
    equal = [outcome(tiny(), "", {"a": 0.01, "b": 0.01})]
    (answer,) = answers(BenchReport(equal, 2, (0, 1), {"a": {}, "b": {}}))
    assert answer.startswith("forward: no difference shown between b and a (")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.6, 1.9, [0.5, 1, 2]),
        (1.1, 3.0, [1, 2, 4]),
        (0.0004, 0.9, [0.0001, 0.001, 0.01, 0.1, 1]),
    ],
)
def test_ticks_of_ratios_are_powers_with_1_among_them(low: float, high: float, ticks: list[float]) -> None:
    assert _ticks(low, high, 2, 1) == pytest.approx(ticks)


def test_ticks_are_told_as_multiples(report: BenchReport) -> None:
    text = page(report, WRITTEN)
    assert "1×" in text
    assert "2×" in text
    assert "100 %" in text


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_in_a_browser(in_browser: Callable[..., Any], report: BenchReport, width: int) -> None:
    shown = in_browser(page(report, WRITTEN), width=width)
    assert shown["wide"] <= 0
    assert shown["cut"] == []
    assert shown["overlapping"] == []


def test_a_window_system_that_there_is_not_is_of_no_matter() -> None:
    code = "from rnnspec.conformance.report.drawing import figures\nwith figures(): pass"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "MPLBACKEND": "nosuch"})


def test_an_interval_near_one_is_two_numbers_in_the_answer(tiny: Callable[..., Any]) -> None:
    near = BenchReport([outcome(tiny(), "", {"a": 0.01, "b": 0.0107})], 2, (0, 1), {"a": {}, "b": {}})
    (answer,) = answers(near)
    low, high = re.findall(r"\((.*) to ([\d.]*)", answer)[0]
    assert float(low) < 1.15
    assert low != high
    assert len(low) == len("1.02")


def test_a_backend_alone_is_not_compared(tiny: Callable[..., Any]) -> None:
    alone = BenchReport([outcome(tiny(), "", {"a": 0.01})], 2, (0, 1), {"a": {"numpy": "2"}})
    assert "<h1>How fast is a?</h1>" in page(alone, WRITTEN)
