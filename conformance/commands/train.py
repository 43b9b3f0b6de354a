"""``rnnspec train``: a model trained on backends, each step held against the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from rnnspec.backends import Backend
from rnnspec.backends.discovery import BackendError
from rnnspec.backends.training import Program
from rnnspec.backends.words import name_of
from rnnspec.conformance.bench.page import must_be_drawable
from rnnspec.conformance.bench.table import duration
from rnnspec.conformance.commands.show import parse_settings
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.numbers import is_whole
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.run.files import write_bytes, write_json
from rnnspec.conformance.run.resuming import Interrupts
from rnnspec.conformance.training.drawing import Batches, drawn_examples
from rnnspec.conformance.training.judging import Judged, Training, TrainingOutcome, judge
from rnnspec.conformance.training.memory import keep_freed_memory
from rnnspec.conformance.training.programs import PROGRAMS, program
from rnnspec.spec import SpecError, check_attributes
from rnnspec.spec.models import Model, model, shapes


@dataclass(frozen=True)
class TrainRequest:
    """The request of the command line."""

    backends: tuple[str, ...]
    model: str
    steps: int
    small: bool
    sizes: tuple[str, ...]
    dtype: str
    device: str
    seed: int
    settings: tuple[str, ...] = ()
    """Attributes of the optimizer in place of the model's own, ``NAME=VALUE``."""


def train_backends(asked: TrainRequest, json_file: Path | None, html: Path | None) -> int:
    """Train a model on each backend, print what became of it, and return the exit status."""
    if html:
        must_be_drawable()
    found = with_optimizer(model(asked.model), asked.settings)
    sizes = {**(found.small if asked.small else {}), **sizes_of(asked.sizes)}
    shapes(found, sizes)  # refuses sizes that do not fit before any work
    backends: dict[str, Backend | Program] = {
        name: program(name) if name in PROGRAMS else Isolation.AUTO.open(name, asked.device, Limits())
        for name in dict.fromkeys(asked.backends)
    }
    for name, backend in backends.items():
        if isinstance(backend, Backend) and asked.dtype not in backend.dtypes():
            has = ", ".join(backend.dtypes())
            raise BackendError(f"backend {name_of(name)!r}: expected a type in {has}, got {asked.dtype!r}")
    batches = Batches(found, sizes, drawn_examples(found, sizes, asked.seed), asked.seed)
    keep_freed_memory()
    request = Training(found, sizes, asked.steps, batches, asked.dtype, asked.seed)
    console, interrupts = open_console(), Interrupts()
    with bar(console) as progress:
        task = progress.add_task(f"training {found.name}", total=asked.steps)
        judged = judge(
            request, backends, advanced=lambda step: progress.update(task, completed=step), ending=interrupts
        )
    if judged.due:
        _print(console, judged)
    if json_file:
        write_json(json_file, {**as_json(judged), **interrupts.to_json()})
    if html and judged.due:
        from rnnspec.conformance.training.page import page  # imported here, so that only the page needs matplotlib

        write_bytes(html, page(judged, [sentence(outcome, judged) for outcome in judged.outcomes]).encode())
    if interrupts.status:
        words = f"interrupted: this is the result of {len(judged.due)} of {asked.steps} steps"
        console.print(Text(words, "bold"), soft_wrap=True)
        return interrupts.status
    verdicts = {outcome.verdict for outcome in judged.outcomes}
    return 1 if verdicts & {"violates", "crashed"} else 2 if verdicts == {"refused"} else 0


def with_optimizer(found: Model, settings: tuple[str, ...]) -> Model:
    """Return a model with these attributes of its optimizer, ``NAME=VALUE``; raise CallError for wrong ones."""
    if not settings:
        return found
    step = found.optimizer
    given = parse_settings(step.operation, settings)
    attributes = check_attributes(step.operation, {**step.attributes, **given})
    return replace(found, optimizer=replace(step, attributes=attributes))


def sizes_of(texts: tuple[str, ...]) -> dict[str, int]:
    """Return the sizes that SYMBOL=NUMBER pairs give."""
    found: dict[str, int] = {}
    for text in texts:
        symbol, _, number = text.partition("=")
        if not is_whole(number):
            raise SpecError(f"--size: expected SYMBOL=NUMBER, such as B=8, got {text!r}")
        if symbol in found:
            raise SpecError(f"--size: {symbol}: expected one number, got another: {text!r}")
        found[symbol] = int(number)
    return found


def _print(console: Console, judged: Judged) -> None:
    request, first, last = judged.request, judged.due[0], judged.due[-1]
    sizes = ", ".join(f"{name} {size}" for name, size in request.model.at(request.sizes).items())
    console.print(Text(f"{request.model.name}: {request.model.title}; {request.dtype}, {sizes}"), soft_wrap=True)
    per_epoch = request.batches.per_epoch
    console.print(
        f"reference: loss {first.loss.value:.6g} at step 1, {last.loss.value:.6g} at step {last.step}; its bound "
        f"{_share(first.loss)} of it at first, {_share(last.loss)} at last; {per_epoch} batches an epoch; "
        f"{_pace([due.seconds for due in judged.due])} a step in all versions",
        soft_wrap=True,
    )
    if judged.silent_from:
        console.print(
            f"nothing can be told from step {judged.silent_from} on: there rounding alone changes everything",
            soft_wrap=True,
        )
    for outcome in judged.outcomes:
        console.print(Text(sentence(outcome, judged)), soft_wrap=True)


def sentence(outcome: TrainingOutcome, judged: Judged) -> str:
    """Return what became of a backend, in one sentence."""
    name = name_of(outcome.name)
    match outcome.verdict:
        case "conforms":
            steps = len(outcome.losses)
            told = f"conforms for {steps} step{'s' * (steps != 1)}, worst error ratio {ratio_text(outcome.worst)}"
            return f"{name}: {told}; {_pace(outcome.seconds)} a step"
        case "violates":
            ratio = ratio_text(outcome.ratio)
            return f"{name}: violates at step {outcome.step}: {outcome.quantity}, error ratio {ratio}"
    place = f" at step {outcome.step}" if outcome.step else ""
    return f"{name}: {outcome.verdict}{place}: {outcome.reason}"


def _pace(seconds: Sequence[float]) -> str:
    """The median time, without that of the first step, where there are others."""
    return duration(float(np.median(seconds[1:] or seconds)))


def _share(loss: Any) -> str:
    return f"{float(loss.bound / abs(loss.value)):.1e}" if loss.value else f"{float(loss.bound):.1e}"


def as_json(judged: Judged) -> Mapping[str, Any]:
    """Return the whole as plain data; numbers that are none are null."""
    request = judged.request
    return {
        "model": request.model.name,
        "sizes": request.model.at(request.sizes),
        "dtype": request.dtype,
        "seed": request.seed,
        "steps": request.steps,
        "silent_from": judged.silent_from or None,
        "reference": [
            {
                "step": due.step,
                "loss": _number(float(due.loss.value)),
                "loss_bound": _number(float(due.loss.bound)),
                "quantities": len(due.quantities),
                "quantities_told": due.told,
                "seconds": due.seconds,
            }
            for due in judged.due
        ],
        "backends": [
            {
                "name": outcome.name,
                "versions": dict(outcome.versions),
                "verdict": outcome.verdict,
                "reason": outcome.reason or None,
                "step": outcome.step or None,
                "quantity": outcome.quantity or None,
                "error_ratio": _number(outcome.ratio) if outcome.quantity else None,
                "worst_error_ratio": _number(outcome.worst),
                "losses": [_number(loss) for loss in outcome.losses],
                "gradient_norms": [_number(norm) for norm in outcome.norms],
                "seconds": outcome.seconds,
                "error_ratios": [_number(ratio) for ratio in outcome.ratios],
            }
            for outcome in judged.outcomes
        ],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
