"""The report has each reason of a refusal once, with the operations and types that it concerns."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.report.tables import print_backends
from rnnspec.conformance.run import CheckResult, Verdict


def result(operation: str, dtype: str, check: str, *reasons: str) -> CheckResult:
    verdict = Verdict.REFUSED if reasons and check != "values" else Verdict.CONFORMS
    return CheckResult(
        "mine", operation, dtype, "cpu", check, "MUST", verdict, 3, len(reasons), reasons, 0.5,
        "; ".join(reasons) if verdict is Verdict.REFUSED else "", "", 0.1,
    )  # fmt: skip


def printed(*results: CheckResult) -> list[str]:
    console = Console(file=io.StringIO(), width=60)
    print_backends(console, [summarise("mine", {}, results, profile="quick", seed=0)])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_reason_is_one_line_with_its_operations_and_types() -> None:
    long = "no padding, neither by lengths nor by a mask of any kind whatsoever"
    lines = printed(
        result("lstm", "float32", "values", long, "only forward"),
        result("lstm", "float64", "values", long),
        result("gru", "float32", "values", long),
        result("gru", "float64", "values", long),
        result("rnn", "float64", "values", "only forward"),
        result("rnn", "float64", "batch", "only forward"),
    )
    assert [line for line in lines if line.startswith("refused")] == [
        "refused by lstm in float32; rnn in float64: only forward",
        f"refused by gru, lstm in float64, float32: {long}",
    ]


def test_checks_that_lost_the_process_are_told_and_no_share_of_their_few_calls() -> None:
    lost = [replace(result("lstm", "float32", name, "no clip"), ended=True) for name in ("values", "batch")]
    assert "  float32: 6 cases judged, 2 refused" in (lines := printed(*lost))
    assert "  not asked of lstm, after a call that lost its process: the rest of values, batch" in [
        line.removeprefix("  ") for line in lines
    ]
    assert "  float32: 6 cases judged, 25.0% refused" in printed(*(replace(one, ended=False) for one in lost))


def test_checks_that_judge_nothing_are_grouped_by_the_reason() -> None:
    nothing = "backend mine has no gradients"
    lines = printed(
        result("lstm", "float32", "values"),
        result("lstm", "float32", "gradients", nothing),
        result("lstm", "float32", "second_order", nothing),
        result("lstm", "float32", "ties", "no ties"),
        result("gru", "float32", "values"),
        result("gru", "float32", "gradients", nothing),
        result("gru", "float32", "padding", *"abcd"),
    )
    assert [line for line in lines if line.startswith("nothing judged")] == [
        f"nothing judged by gradients of gru, lstm in float32; by second_order of lstm in float32: {nothing}",
        "nothing judged by ties of lstm in float32: no ties",
        "nothing judged by padding of gru in float32: 4 of the reasons above",
    ]
