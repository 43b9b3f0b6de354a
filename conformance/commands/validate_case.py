"""``rnnspec validate --case``: one case again, from a file."""

from __future__ import annotations

import os
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from rnnspec.conformance.commands.validate import installed
from rnnspec.conformance.judge.declared import declared_by
from rnnspec.conformance.options import Options
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import BackendSummary, summarise
from rnnspec.conformance.report.tables import STYLES
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.report.writing import Written
from rnnspec.conformance.run import PROFILES, CheckResult, Verdict, run_check
from rnnspec.conformance.run.again import Question, questions_in
from rnnspec.conformance.run.expected import expected_failures
from rnnspec.conformance.run.plan import PlanError, plan


def validate_case(options: Options, for_pytest: tuple[str, ...], written: Written) -> int:
    """Ask the case again, print and write the verdict; return the exit status, as `validate_backends` does."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    assert options.case is not None
    written.must_be_possible()
    if for_pytest:
        raise PlanError(f"--case asks a single case: expected no options of pytest, got {' '.join(for_pytest)!r}")
    if options.operations or options.dtypes:
        raise PlanError("--case says the operation and the type: expected neither --op nor --dtype")
    questions = questions_in(options.case)
    console = open_console()
    summaries = []
    for name in dict.fromkeys(options.backends or installed()):
        summary = _asked(name, questions, options)
        for question, check in zip(questions, summary.operations[0].checks, strict=True):
            _print(console, name, question, check)
        summaries.append(summary)
    written.write(Report(tuple(summaries), conditions()))
    if Verdict.worst(summary.verdict for summary in summaries).bad:
        return 1
    for summary in summaries:
        if not summary.verdict.judged:
            raise PlanError(f"nothing was judged: {summary.verdict}")
    return int(options.strict and any(summary.departures for summary in summaries))


def _asked(name: str, questions: list[Question], options: Options) -> BackendSummary:
    """The answer of one backend."""
    backend = options.open(name)
    known = expected_failures(backend, options.expected)
    results = []
    for question in questions:
        plan(name, backend, [question.operation], [question.dtype])  # which tells what the backend has not
        result = run_check(
            question.check, backend, question.operation, question.dtype, PROFILES[options.profile],
            repro_dir=options.repro_dir, expected=known, only=question.example,
        )  # fmt: skip
        results.append(replace(result, backend=name))
    return summarise(name, backend.versions(), results, accuracy=declared_by(backend))


def _print(console: Console, name: str, question: Question, check: CheckResult) -> None:
    console.print(Text(f"{name}: {question.about}"), soft_wrap=True)
    ratio = "" if check.worst_error_ratio is None else f" (error ratio {ratio_text(check.worst_error_ratio)})"
    words = f": {check.message}" if check.message else ratio
    told = Text.assemble("  ", (check.verdict, STYLES[check.verdict]), words.replace("\n", "\n  "))
    console.print(told, soft_wrap=True)
    if check.no_repro:
        console.print(Text(f"  no repro could be written: {check.no_repro}"), soft_wrap=True)
    if check.repro:
        console.print(Text(f"  repro: {check.repro}"), soft_wrap=True)
