"""The report in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.bench.answer import answers
from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport
from rnnspec.conformance.bench.statistics import Estimate, Growth, differs, in_digits, in_words

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))


def duration(seconds: float) -> str:
    """Format seconds in a suitable unit."""
    unit, name = next((unit, name) for unit, name in _UNITS if seconds >= unit)
    return f"{in_digits(seconds / (unit or 1e-9), 3)} {name}"


def interval(estimate: Estimate) -> str:
    """Format an estimate and its interval."""
    value, low, high = (in_digits(one, 3) for one in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} – {high})"


COLUMNS = (("backend", 11), ("time", 8), ("× first (95 %)", 20), ("of peak", 7), ("memory", 8))
"""Headings and least widths, the same for all workloads, so that the columns align."""
WORTH_TELLING: Final = 0.1
"""Least seconds of warming up that a note reports."""


def print_report(console: Console, report: BenchReport) -> None:
    """Print the results, the refusals with their reasons, the growths, and the conditions."""
    labels = short_names(report.contenders)
    for sentence in answers(report):
        console.print(Text(sentence, "bold"), soft_wrap=True)
    for number, outcome in enumerate(outcome for outcome in report.outcomes if outcome.results):
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=not number, header_style="dim")
        for heading, width in COLUMNS:
            # On a narrow terminal, the verdict goes below its figures.
            table.add_column(heading, min_width=width, no_wrap=not heading.startswith("×"))
        for name in outcome.results:
            table.add_row(Text(labels[name]), *_row(outcome, name))
        console.print(Text(outcome.contest.name, "bold"))
        console.print(table)
    for label, words in notes(report):
        console.print(Text.assemble((f"{label} ", "yellow"), words), soft_wrap=True)
    for title, fitted in report.growths().items():
        for name, growth in fitted.items():
            console.print(growth_line(title, name, growth), soft_wrap=True)
    console.print(Text("\n".join(conditions(report)), "dim"), soft_wrap=True)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Shorten ``package.module:Class@device`` to ``Class@device``, unless two contenders would share that name."""
    short = {name: name.partition("@")[0].rpartition(":")[2] + "".join(name.partition("@")[1:]) for name in names}
    return {name: one if list(short.values()).count(one) == 1 else name for name, one in short.items()}


def _row(outcome: BenchOutcome, name: str) -> tuple[Text, ...]:
    result, ratio, efficiency = outcome.results[name], outcome.ratio(name), outcome.efficiency(name)
    style = "" if ratio is None or not differs(ratio) else "red" if ratio.value > 1 else "green"
    memory = result.memory
    on_device = f" + {mebibytes(memory.device)}" if memory and memory.device is not None else ""
    return (
        Text(duration(result.timing.median)),
        Text("1" if ratio is None else f"{interval(ratio)} {in_words(ratio)}", style),
        Text("–" if efficiency is None else f"{efficiency:.0%}"),
        Text(f"{mebibytes(memory.resident)}{on_device}" if memory else "–"),
    )


def notes(report: BenchReport) -> Iterator[tuple[str, str]]:
    """Notes on the results, each a label and its words: long warming up, unsteady times, and refusals."""
    for outcome in report.outcomes:
        for name, result in outcome.results.items():
            warm_up = result.timing.warm_up
            if warm_up.extra >= WORTH_TELLING:
                took = f"{duration(warm_up.extra)} of compiling and other first calls"
                yield "warm-up", f"{outcome.contest.name}: {name} {took}"
            if not warm_up.steady:
                yield "not steady", f"{outcome.contest.name}: {name} still became faster"
        for name, why in outcome.refusals.items():
            yield "not timed", f"{outcome.contest.name}: {name} {why}"


def mebibytes(number: int) -> str:
    """Format bytes in MiB."""
    return f"{number / 2**20:.0f} MiB"


def growth_line(title: str, name: str, growth: Growth) -> Text:
    """Describe the growth of one contender's time."""
    said = f"{title}: {name} ~ {title.rpartition(', ')[2]}^{interval(growth.exponent)}, its work ~ ^{growth.work:.3g}"
    return Text(said + (": faster than its work" if growth.surprising else ""), "red" if growth.surprising else "")


def conditions(report: BenchReport) -> list[str]:
    """List the conditions in lines: threads, cores, versions, peaks, and batches judged in part."""
    peaks = [
        f"{place} in {dtype}: {peak.flops / 1e9:.4g} GFLOP/s, {peak.bandwidth / 1e9:.3g} GB/s"
        for dtype, places in report.peaks.items()
        for place, peak in places.items()
        if peak
    ]
    judged: dict[str, set[tuple[int, int]]] = {}
    for outcome in report.outcomes:
        partly = {pair for pair in outcome.judged if pair[0] < pair[1]}
        judged.setdefault(outcome.contest.workload.judged_in_part, set()).update(partly)
    lines = [
        f"{report.threads} thread{'s' * (report.threads > 1)} for each, on cores {', '.join(map(str, report.cores))}",
        *(f"{name}: {_listed(versions)}" for name, versions in report.versions.items()),
        *(f"peak of the {line}" for line in peaks),
    ]
    for words, pairs in judged.items():
        if pairs:
            lines.append(f"{words}: {', '.join(f'{some} of {whole}' for some, whole in sorted(pairs))}")
    return lines


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
