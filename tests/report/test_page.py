"""The page of a report, as a browser shows it: nothing cut off, nothing overlapping, and no script from names."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import rnnspec
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.diagnosis import FaultResult
from rnnspec.conformance.faults.named import lstm_forget_bias_of_one
from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.run import CheckResult, Verdict

pytest.importorskip("jinja2")

HOSTILE = "</script></style><script>parent.hacked = 1</script><img src=x onerror='parent.hacked = 1'>\"'{{ 1 }}\x1b[31m"
Browser = Callable[..., Any]


def check(backend: str, operation: str = "lstm", dtype: str = "float32", **more: Any) -> CheckResult:
    known: dict[str, Any] = {
        "device": "cpu", "id": "values", "level": "MUST", "verdict": Verdict.CONFORMS, "examples": 10, "refused": 0,
        "reasons": (), "worst_error_ratio": 0.25, "message": "", "repro": "", "seconds": 0.0,
    }  # fmt: skip
    return CheckResult(backend, operation, dtype, **{**known, **more})


def hostile_report() -> rnnspec.Report:
    """Everything that others choose is what no page should obey."""
    bad = check(HOSTILE, verdict=Verdict.CRASHED, message=HOSTILE, worst_error_ratio=None, reasons=(HOSTILE,))
    fault = FaultResult(
        HOSTILE, "lstm", ("float32",), "cpu", HOSTILE, (HOSTILE,) * 6, ("values",), HOSTILE, HOSTILE, {"x": HOSTILE},
        {HOSTILE: [HOSTILE]}, ({"name": HOSTILE, "index": [0], "value": HOSTILE, "equation": HOSTILE},), "",
        {f"{HOSTILE}.py": b64encode(HOSTILE.encode()).decode()},
    )  # fmt: skip
    others = [check(HOSTILE, "gru", verdict=Verdict.VIOLATES, message=HOSTILE)]
    summary = summarise(HOSTILE, {HOSTILE: HOSTILE}, [bad, *others], (), HOSTILE, 0, [fault])
    return rnnspec.Report((summary,), {HOSTILE: HOSTILE})


@pytest.fixture(scope="module")
def report() -> rnnspec.Report:
    """A right backend, a wrong one with a fault, and one with few operations and a long name."""
    asked: dict[str, Any] = {"operations": ["lstm_cell", "rnn_cell"], "dtypes": ["float32", "float64"], "largest": 8}
    found = rnnspec.validate([NumpyBackend, lstm_forget_bias_of_one], **asked)
    long = "a_package_with_a_long_name.and_a_module_below:AndAnAdapterOfManyLetters"
    known = check(long, "rnn_cell", verdict=Verdict.EXPECTED, message="Known.\nhttps://example.org/" + "a" * 200)
    return replace(found, backends=(*found.backends, summarise(long, {}, [known, check(long, "lstm_cell")])))


@pytest.fixture(scope="module")
def page(report: rnnspec.Report) -> str:
    return report.html()


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_cut_off_and_nothing_overlaps(in_browser: Browser, page: str, width: int, dark: bool) -> None:
    found = in_browser(page, width=width, dark=dark)
    assert found["shown"] > 60
    assert found["wide"] <= 0
    assert found["cut"] == []
    assert found["overlapping"] == []


@pytest.mark.parametrize(("backends", "width", "columns"), [(8, 1200, True), (8, 900, False), (12, 1200, False)])
def test_columns_stand_side_by_side_where_there_is_room_for_their_words(
    in_browser: Browser, backends: int, width: int, columns: bool
) -> None:
    kinds = ({"verdict": Verdict.VIOLATES, "worst_error_ratio": 1.3e37}, {"verdict": Verdict.NOT_IMPLEMENTED})
    many = tuple(
        summarise(f"backend-{place}", {}, [check(f"backend-{place}", "recurrent_power_spectrum", **kinds[place % 2])])
        for place in range(backends)
    )
    page = rnnspec.Report(many, {}).html()
    found = in_browser(page, width=width)
    assert (found["wide"] <= 0, found["cut"], found["overlapping"]) == (True, [], [])
    script = "return page.querySelector('.matrix thead').offsetParent !== null;"
    assert in_browser(page, script, width=width) is columns


def test_backticks_are_code_whatever_stands_between_them(in_browser: Browser) -> None:
    page = hostile_report()
    (fault,) = page.backends[0].faults
    marked = replace(fault, cause=f"only with `{HOSTILE}`", suspects=("`h = n` where", "one ` alone"))
    text = replace(page, backends=(replace(page.backends[0], faults=(marked,)),)).html()
    script = """
      const codes = [...page.querySelectorAll(".fault dd:nth-of-type(-n+2) code")].map((one) => one.textContent);
      return [window.hacked === undefined, codes.length, codes[1], page.body.textContent.includes("one ` alone")];
    """
    assert in_browser(text, script) == [True, 2, "h = n", True]


def test_the_link_of_a_known_fault_can_be_followed(in_browser: Browser, page: str) -> None:
    script = "return [...page.querySelectorAll('article pre a')].map((one) => one.href.slice(0, 22));"
    assert in_browser(page, script) == ["https://example.org/aa"]
    assert in_browser(hostile_report().html(), script) == []


def test_a_page_that_is_too_wide_would_be_noticed(in_browser: Browser, page: str) -> None:
    wide = page.replace("<footer>", '<p style="width:900px">wide</p><p style="margin-top:-2em">over it</p><footer>')
    found = in_browser(wide, width=400)
    assert found["wide"] > 0
    assert found["overlapping"]


@pytest.mark.parametrize("dark", [False, True])
def test_words_have_enough_contrast(in_browser: Browser, page: str, dark: bool) -> None:
    """4.5 to 1, as WCAG's level AA has it."""
    script = """
      const parsed = (colour) => colour.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
      const behind = (one) => {
        for (; one; one = one.parentElement) {
          const colour = parsed(frame.contentWindow.getComputedStyle(one).backgroundColor);
          if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
      };
      return [...page.body.querySelectorAll("p, a, code, .chip, .soft, h1, h3, dt, dd, li, summary")].map((one) => {
        const [a, b] = [light(parsed(frame.contentWindow.getComputedStyle(one).color)), light(behind(one))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      });
    """
    ratios = in_browser(page, script, dark=dark)
    assert len(ratios) > 50
    assert min(ratios) >= 4.5


FILTERED = """
  const set = (id, value) => {
    const control = page.getElementById(id);
    if (control.type === "checkbox") control.checked = value; else control.value = value;
    control.dispatchEvent(new frame.contentWindow.Event("input"));
  };
  const rows = () => [...page.querySelectorAll("tr[data-operation]")].filter((row) => row.offsetParent)
    .map((row) => row.dataset.operation);
  const blocks = () => [...page.querySelectorAll("article")].filter((one) => one.offsetParent).length;
  const came = { all: rows(), blocks: blocks(), hidden: page.getElementById("controls").hidden };
  set("failures", true); came.failures = rows(); set("failures", false);
  set("text", "rnn_"); came.text = rows(); came.counted = page.getElementById("counted").textContent;
  came.blocks_of_text = blocks(); set("text", "");
  set("family", "lstm"); came.family = rows(); set("family", "");
  set("dtype", "float64");
  came.chips = [...page.querySelectorAll(".chip")].filter((one) => one.offsetParent).map((one) => one.dataset.dtype);
  return came;
"""


def test_the_filters(in_browser: Browser, page: str) -> None:
    came = in_browser(page, FILTERED)
    assert came["hidden"] is False
    assert came["all"] == ["rnn_cell", "lstm_cell"]
    assert came["failures"] == ["rnn_cell", "lstm_cell"]  # one of them by what is expected
    assert came["text"] == ["rnn_cell"]
    assert came["counted"] == "1 operation"
    assert came["blocks"] == 2
    assert came["blocks_of_text"] == 1
    assert came["family"] == ["lstm"] or came["family"] == ["lstm_cell"]
    assert set(came["chips"]) == {"float64"}


@pytest.mark.parametrize("width", [1200, 400])
def test_no_script_of_others_runs(in_browser: Browser, width: int) -> None:
    page = hostile_report().html()
    script = "return [window.hacked === undefined, page.querySelectorAll('img').length, page.scripts.length];"
    assert in_browser(page, script, width=width) == [True, 0, 1]
    assert in_browser(page, width=width)["wide"] <= 0


def test_a_script_of_others_would_be_noticed(in_browser: Browser) -> None:
    unguarded = "<script>parent.hacked = 1</script>"
    assert in_browser(unguarded, "return window.hacked === undefined") is False
    guarded = re.sub(r"<footer>", unguarded + "<footer>", hostile_report().html())
    assert in_browser(guarded, "return window.hacked === undefined") is True  # the page's policy stops it too


def test_everything_that_others_choose_is_text() -> None:
    page = hostile_report().html()
    assert page.count("<script") == 1
    assert "<img" not in page
    assert "\x1b" not in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {address[:5].partition("b")[0] for address in addresses} == {"#", "data:"}


def test_the_page_tells_all(report: rnnspec.Report, page: str) -> None:
    for sentence in report.sentences:
        assert sentence.replace("&", "&amp;") in page
    (fault,) = report.backends[1].faults
    assert fault.cause in page
    assert page.count("download=") == 3
    assert 'download="lstm_cell-backend-2-fault-1-case.json"' in page
    assert "no second-order gradients" in page
    assert f"<dt>rnnspec</dt><dd>{rnnspec.__version__}</dd>" in page


def test_an_unfinished_run_says_so(report: rnnspec.Report) -> None:
    assert "did not come to its end" in replace(report, complete=False).html()
    assert not replace(report, complete=False).conforms
