"""The results in words, the same in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rnnspec.conformance.report.summary import BackendSummary, OperationSummary
from rnnspec.conformance.run import CheckResult, Verdict

_TUPLES: Final = {
    (1, False): "choices",
    (1, True): "choices, and triples of those that change what code runs,",
    (2, False): "pairs of choices",
    (2, True): "pairs of choices, and triples of those that change what code runs,",
    (3, False): "triples of choices",
}
"""Tuples of choices, by their strength and whether the plan is deep."""
_SHOWN_SIZES: Final = 8

INCOMPLETE: Final = "The run did not come to its end: this is a part of the result."

Place = tuple[str, str]
"""An operation and a type."""


def ratio_text(ratio: float | None) -> str:
    """Format an error ratio; a dash if there is none."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.2g}"


def findings(summary: BackendSummary, part: OperationSummary) -> Iterator[tuple[str, list[CheckResult]]]:
    """Yield what checks of an operation found that is in none of its faults: a heading, and all that found the same."""
    told = {check for fault in summary.faults_of(part) for check in fault.checks}
    groups: dict[tuple[str, Verdict, str], list[CheckResult]] = {}
    for check in part.checks:
        known = check.verdict in (Verdict.EXPECTED, Verdict.DEPARTS)
        if known or (check.verdict.bad and check.id not in told):
            groups.setdefault((check.level, check.verdict, check.message), []).append(check)
    for (level, verdict, _), alike in groups.items():
        yield f"{part.name} {part.dtype}: {', '.join(check.id for check in alike)} ({level}) {verdict}", alike


def versions_text(summary: BackendSummary) -> str:
    """List the versions of what a backend runs on."""
    return ", ".join(f"{name} {version}" for name, version in summary.versions.items())


def accuracy_text(summary: BackendSummary) -> str:
    """Say which accuracy a backend declares, in units of roundoff u; empty where it declares none."""
    by_words: dict[str, list[str]] = {}
    for dtype, words in summary.accuracy.items():
        by_words.setdefault(words, []).append(dtype)
    told = "; ".join(f"{words} in {', '.join(dtypes)}" for words, dtypes in by_words.items())
    return f"judged by the accuracy that it declares: {told}" if told else ""


def sentence(summary: BackendSummary) -> str:
    """Give the verdict on a backend in a sentence."""
    verdict = summary.verdict
    if not verdict.judged:
        names = ", ".join(dict.fromkeys(operation.name for operation in summary.operations)) or "nothing"
        return f"{summary.name} was not judged: {verdict} of {names}."
    cases = sum(operation.examples for operation in summary.operations)
    judged = [operation for operation in summary.operations if operation.verdict.judged]
    every = {operation.name for operation in judged}
    bad = [operation for operation in judged if operation.verdict.bad]
    if not bad:
        known = [operation for operation in judged if operation.verdict is Verdict.EXPECTED]
        but = f", but for known faults of {_listed(known)}" if known else ""
        if summary.accuracy:
            but = f" to within the accuracy that it declares{but}"
        return (
            f"{summary.name} conforms to the specification{but}: {counted(len(every), 'operation')}, {cases:,} cases."
        )
    wrong = {operation.name for operation in bad}
    words = {
        Verdict.VIOLATES: "violates the specification",
        Verdict.TIMED_OUT: "exceeds the time limit",
        Verdict.CRASHED: "crashes",
    }[verdict]
    found = f" {counted(len(summary.faults), 'fault')} found;" if summary.faults else ""
    right = len(every - wrong)
    rest = f" {counted(right, 'other operation')} {'conforms' if right == 1 else 'conform'}." if right else ""
    return f"{summary.name} {words} in {_listed(bad)}:{found} {cases:,} cases judged.{rest}"


_NAMED: Final = 3
"""Operations, or reasons, that a sentence names."""


def _listed(operations: Sequence[OperationSummary]) -> str:
    names = list(dict.fromkeys(operation.name for operation in operations))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {counted(more, 'other')}" if more > 0 else "")


def counted(number: int, what: str) -> str:
    """So many of these things."""
    return f"{number} {what}{'s' * (number != 1)}"


def missing(summary: BackendSummary) -> list[str]:
    """Names of the operations that are implemented in no type."""
    has = {operation.name for operation in summary.operations if operation.verdict is not Verdict.NOT_IMPLEMENTED}
    return list(dict.fromkeys(operation.name for operation in summary.operations if operation.name not in has))


def asked(summary: BackendSummary) -> Iterator[str]:
    """For each type, the cases judged, the choices that they meet, and the largest sizes; and what was left out."""
    if not summary.profile:
        return
    for dtype in dict.fromkeys(operation.dtype for operation in summary.operations):
        found = summary.asked(dtype)
        made = max(found.judged + found.refused + found.out_of_range, 1)
        parts = [f"{found.judged:,} cases judged"]
        parts += [
            f"{met:,} of {total:,} {_TUPLES.get(kind, 'choices')} met" for kind, (met, total) in found.met.items()
        ]
        for number, what in ((found.refused, "refused"), (found.out_of_range, "beyond the type")):
            if number:  # of the few calls of checks that ended early, a share tells nothing
                parts.append(f"{number:,} {what}" if found.ended else f"{number / made:.1%} {what}")
        greatest = sorted(found.largest.items(), key=lambda item: -item[1])[:_SHOWN_SIZES]
        sizes = ", ".join(f"{symbol} {size:,}" for symbol, size in greatest)
        parts += [f"sizes up to {sizes}"] if sizes else []
        yield f"{dtype}: {', '.join(parts)}"
        for name, left_out in found.left_out.items():
            listed = "; ".join(f"{symbol} {', '.join(map(str, few))}" for symbol, few in left_out.items())
            yield f"  left out of {name}, too costly to judge: {listed}"
        for name, checks in found.ended.items():
            yield f"  not asked of {name}, after a call that lost its process: the rest of {', '.join(checks)}"


def unjudged(summary: BackendSummary) -> Iterator[str]:
    """Each reason why checks judged nothing, with the checks, operations and types that it concerns.

    Checks that refuse for many reasons have no list of them: `refusals` has each, which stands before.
    """
    by_reason: dict[str, dict[str, list[Place]]] = {}
    for check in summary.nothing_judged:
        reason = check.message if len(check.reasons) <= _NAMED else f"{len(check.reasons)} of the reasons above"
        of_check = by_reason.setdefault(reason, {}).setdefault(check.id, [])
        of_check.append((check.operation, check.dtype))
    for reason, by_check in by_reason.items():
        names: dict[str, list[str]] = {}
        for name, places in by_check.items():
            names.setdefault(_places(places, summary), []).append(name)
        listed = "; ".join(f"by {', '.join(checks)} of {where}" for where, checks in names.items())
        yield f"{listed}: {reason}"


def refusals(summary: BackendSummary) -> Iterator[str]:
    """Each reason of a refusal once, with the operations and types that it concerns."""
    refused: dict[str, list[Place]] = {}
    for operation in summary.operations:
        for check in operation.checks:
            for reason in check.reasons:
                refused.setdefault(reason, []).append((operation.name, operation.dtype))
    for reason, places in refused.items():
        yield f"by {_places(places, summary)}: {reason}"


def _places(places: Iterable[Place], summary: BackendSummary) -> str:
    """Operations with their types, those that have the same types together."""
    every = [operation.dtype for operation in summary.operations]
    types: dict[str, set[str]] = {}
    for name, dtype in places:
        types.setdefault(name, set()).add(dtype)
    together: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(types):
        together.setdefault(tuple(dtype for dtype in dict.fromkeys(every) if dtype in types[name]), []).append(name)
    return "; ".join(f"{', '.join(names)} in {', '.join(dtypes)}" for dtypes, names in together.items())
