"""``rnnspec vectors``: write a corpus of cases for implementations without Python, and judge what they make of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.commands.show import parse_settings
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.report.tables import STYLES, print_backends
from rnnspec.conformance.report.words import counted
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.files import FileError, write_json
from rnnspec.conformance.run.plan import PlanError, must_be_known
from rnnspec.conformance.run.storage import Storage
from rnnspec.conformance.vectors.corpus import Wanted, corpus, new_folder, write_vector
from rnnspec.conformance.vectors.judging import Findings, judge_results
from rnnspec.conformance.vectors.manifest import SCHEMA, Manifest, Vector
from rnnspec.spec import FLOAT_TYPES, Operation, check_attributes, operation, operations
from rnnspec.spec.errors import one_of

SHOWN = 3
"""Cases without results that a line names; ``--json`` has all."""


def export_vectors(
    folder: Path,
    only: Sequence[str],
    dtypes: Sequence[str],
    count: int,
    storage: Storage | Literal["onnx"],
    json_file: Path | None,
    settings: Sequence[str] = (),
    padding: bool = True,
    plain: bool = False,
) -> None:
    """Write `count` cases of each operation in each type, all or nothing; of those with the settings of attributes."""
    must_be_known(only, dtypes)
    targets = [
        (name, dtype)
        for name in operations()
        if not only or name in only
        for dtype in FLOAT_TYPES[::-1]
        if not dtypes or dtype in dtypes
    ]
    kinds = _wanted(list(dict.fromkeys(name for name, _ in targets)), settings, padding, plain)
    if storage == "onnx":
        from rnnspec.conformance.commands.vectors_onnx import export_onnx

        exported = export_onnx(folder, targets, bool(only), count, kinds)
        if json_file:
            write_json(json_file, exported)
        return
    console = open_console(sys.stdout)
    versions = {"rnnspec": version("rnnspec"), "numpy": np.__version__}
    vectors: list[Vector] = []
    with new_folder(folder) as written, bar(console) as progress:
        task = progress.add_task("exporting", total=len(targets) * count)
        for name, dtype in targets:
            progress.update(task, description=f"{name} {dtype}")
            for number, (case, expected) in enumerate(corpus(name, dtype, count, kinds)):
                vectors.append(write_vector(written, storage, number, case, expected))
                progress.advance(task)
        Manifest(versions, storage, tuple(vectors)).write(written)
    _print_corpus(console, folder, vectors)
    if json_file:
        corpora = [{"operation": name, "dtype": dtype, "cases": count} for name, dtype in targets]
        write_json(
            json_file,
            {"folder": str(folder), "schema": SCHEMA, "versions": versions, "storage": storage, "corpora": corpora},
        )


def _wanted(names: Sequence[str], settings: Sequence[str], padding: bool, plain: bool) -> Wanted:
    """The user's request; raise an error that names a wrong setting before anything is written."""
    given = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        known = list(dict.fromkeys(key for name in names for key in operation(name).attributes))
        if not equals:
            raise PlanError(f"--set: expected NAME=VALUE, got {setting!r}")
        if key not in known:
            raise PlanError(f"--set {setting}: unknown attribute {key!r}: {one_of(key, known)}")
        if key in given:
            raise PlanError(f"--set {setting}: expected one value of {key}, got another")
        given[key] = text
    return Wanted({name: _set(operation(name), given) for name in names}, padding, plain)


def _set(op: Operation, given: Mapping[str, str]) -> dict[str, Any]:
    """The values of those attributes that an operation has."""
    parsed = parse_settings(op, [f"{key}={text}" for key, text in given.items() if key in op.attributes])
    complete = check_attributes(op, parsed)
    return {key: complete[key] for key in parsed}


def check_vectors(folder: Path, results: Path, json_file: Path | None, partial: bool = False) -> int:
    """Judge a folder of results, print and write the verdict; return the exit status.

    A missing result of a part that is begun (the values or the gradients of an operation in a type) counts as a wrong
    one, unless the results are `partial` on purpose.
    """
    if not results.is_dir():
        raise FileError(f"{results}: there is no such folder: expected the results")
    if results.resolve() == folder.resolve():
        raise FileError(f"{results}: expected results in a folder of their own, got that of the vectors")
    manifest = Manifest.read(folder)
    console = open_console(sys.stdout)
    findings: list[Findings] = []
    with bar(console) as progress:
        task = progress.add_task("judging", total=len(manifest.vectors))
        for findings in judge_results(folder, manifest, results):
            progress.update(task, advance=1, description=f"{findings[-1].operation} {findings[-1].dtype}")
    if not any(found.judged for found in findings):
        example = f", such as {manifest.vectors[0].file}" if manifest.vectors else ""
        raise FileError(f"{results}: there are no results: expected files that are named as in {folder}{example}")
    versions = {f"vectors of {name}": number for name, number in manifest.versions.items()}
    summary = summarise(str(results), versions, [found.result(str(results), folder) for found in findings])
    print_backends(console, [summary])
    _print_missing(console, findings)
    _print_judged(console, manifest, findings)
    lacking = sum(len(found.missing) for found in findings if found.judged)
    if lacking:
        are = f"{counted(lacking, 'result')} {'is' if lacking == 1 else 'are'} missing"
        due = "left out on purpose" if partial else "all that is begun is due; --partial if left out on purpose"
        console.print(Text(f"{results}: {are}: {due}"), soft_wrap=True)
    if json_file:
        complete = {"complete": not lacking, "missing": _missing(findings)}
        write_json(json_file, {"backends": [summary.to_json()], **complete})
    return int(summary.verdict.bad or (lacking > 0 and not partial))


def _print_corpus(console: Console, folder: Path, vectors: Sequence[Vector]) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("operation")
    for heading in ("types", "cases"):
        table.add_column(heading, justify="right")
    for name, group in groupby(vectors, key=lambda vector: vector.case.operation):
        cases = list(group)
        table.add_row(name, str(len({vector.case.dtype for vector in cases})), str(len(cases)))
    console.print(table)
    console.print(Text(f"{len(vectors)} cases in {folder}"), soft_wrap=True)


def _missing(findings: Sequence[Findings]) -> Mapping[str, Any]:
    """The cases of which there are no outputs, and those of which there are no gradients."""
    return {
        question: [case for found in findings if found.question == question for case in found.missing]
        for question in ("values", "gradients")
    }


def _print_judged(console: Console, manifest: Manifest, findings: Sequence[Findings]) -> None:
    """Say how many of the corpus's cases were judged: a verdict on few of them is worth little."""
    judged = sum(found.judged for found in findings if found.question == "values")
    every = len(manifest.vectors)
    share = f"judged {judged} of the {every} cases"
    words = f"{share}: all" if judged == every else f"{share}, {judged / every:.0%}: the verdict is on these alone"
    console.print(Text(words, "" if judged == every else "yellow"), soft_wrap=True)


def _print_missing(console: Console, findings: Sequence[Findings]) -> None:
    """Say what is missing of the operations of which there is anything; the table shows the others."""
    begun = {(found.operation, found.dtype) for found in findings if found.judged}
    for found in findings:
        if found.missing and (found.operation, found.dtype) in begun:
            some = ", ".join([*found.missing[:SHOWN], *(["…"] if len(found.missing) > SHOWN else [])])
            cases = found.judged + len(found.missing)
            what = f"{found.question} of {found.operation} {found.dtype}"
            label = (
                ("missing", "yellow") if found.judged else (Verdict.NOT_IMPLEMENTED, STYLES[Verdict.NOT_IMPLEMENTED])
            )
            console.print(
                Text.assemble(label, f": {what}, {len(found.missing)} of {cases} cases ({some})"), soft_wrap=True
            )
