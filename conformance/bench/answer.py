"""The answer of a run in a sentence for each mode: which backend is faster, by how much, and how surely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport
from rnnspec.conformance.bench.statistics import Estimate, differs, in_digits, mean_ratio
from rnnspec.conformance.bench.workload import Mode

_WORDS: Final[Mapping[Mode, str]] = {
    "step": "a step of training",
    "forward": "forward",
    "backward": "backward",
    "update": "the optimizer",
    "gradient": "training (forward and backward)",
    "decode": "decoding",
}


def answers(report: BenchReport) -> list[str]:
    """Return the sentences; a scan, which asks for growth and not for a winner, has none."""
    compared = [outcome for outcome in report.outcomes if outcome.contest.whole]
    found = [*_paces(compared), *_compared(report, compared)]
    timed = {name for outcome in report.outcomes for name in outcome.results}
    for name in report.contenders:
        if name not in timed:
            reasons = dict.fromkeys(outcome.refusals[name] for outcome in report.outcomes if name in outcome.refusals)
            found.append(f"{name} was not timed: {next(iter(reasons), 'nothing was asked of it')}")
    return found


def _paces(outcomes: list[BenchOutcome]) -> Iterator[str]:
    """Yield how many steps of training each backend makes in a second."""
    for outcome in outcomes:
        if outcome.contest.mode == "step" and outcome.results:
            each = (f"{name} {in_digits(1 / result.timing.median, 3)}" for name, result in outcome.results.items())
            yield f"{outcome.contest.workload.name}, steps of training a second: {', '.join(each)}"


def _compared(report: BenchReport, outcomes: list[BenchOutcome]) -> Iterator[str]:
    for mode, words in _WORDS.items():
        of_mode = [outcome for outcome in outcomes if outcome.contest.mode == mode]
        timed = [name for name in report.contenders if any(name in outcome.results for outcome in of_mode)]
        for name in timed[1:]:
            both = [outcome for outcome in of_mode if {name, timed[0]} <= set(outcome.results)]
            pairs = [(o.results[name].timing.times, o.results[timed[0]].timing.times) for o in both]
            if pairs:
                mean = f", in the geometric mean of {len(pairs)} measurements" if len(pairs) > 1 else ""
                yield f"{words}: {_verdict(name, timed[0], mean_ratio(pairs))}{mean}"


def _verdict(name: str, to: str, ratio: Estimate) -> str:
    if not differs(ratio):
        return f"no difference shown between {name} and {to} ({_times(ratio.low)} to {_times(ratio.high)} × its time)"
    if ratio.value > 1:
        return f"{to} is {_times(ratio.value)} × faster than {name} ({_times(ratio.low)} to {_times(ratio.high)})"
    value, low, high = (_times(1 / one) for one in (ratio.value, ratio.high, ratio.low))
    return f"{name} is {value} × faster than {to} ({low} to {high})"


def _times(number: float) -> str:
    """In two digits; in three near 1, where two would make an interval one number."""
    return in_digits(number, 3 if 0.9 < number < 1.15 else 2)
