"""``rnnspec learn``: a model trained on data until it has learned, and measured on data that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from rich.text import Text

from rnnspec.backends import Backend, BackendError, Unsupported
from rnnspec.backends.discovery import is_own
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.bench.page import must_be_drawable
from rnnspec.conformance.hosting.guard import BackendCrashError, GuestLostError
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.files import write_bytes, write_json
from rnnspec.conformance.run.resuming import Interrupts
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.conformance.training.learning import Learned, Lesson, learn
from rnnspec.conformance.training.lessons import LESSONS
from rnnspec.conformance.training.memory import keep_freed_memory
from rnnspec.spec.models import model


def learn_model(
    backend: str,
    name: str,
    files: tuple[Path, ...],
    epochs: int | None,
    seed: int,
    json_file: Path | None,
    html: Path | None,
) -> int:
    """Train a model on a backend, print what it has learned, and return the exit status."""
    if html:
        must_be_drawable()
    model(name)
    if name not in LESSONS:
        raise DataError(f"{name}: there is no data for this model: expected one of {', '.join(LESSONS)}")
    for file in files:
        if not file.is_file():  # a device has no end
            raise DataError(f"{file}: expected a file, and this is none")
    asked = LESSONS[name](files, seed)
    if epochs is not None:
        asked = replace(asked, epochs=epochs)
    console, interrupts = open_console(), Interrupts()
    opened = Isolation.AUTO.open(backend, "cpu", Limits())
    keep_freed_memory()
    with bar(console) as progress:
        task = progress.add_task(f"learning {name}", total=asked.epochs)

        def advanced(epoch: int, loss: float) -> None:
            progress.update(task, completed=epoch, description=f"learning {name}, loss {loss:.4f}")

        result = _learned(name, opened, asked, seed, advanced, interrupts)
    console.print(Text(f"{name} on {backend}: {asked.source}"), soft_wrap=True)
    done = f"{len(result.losses)} epochs of {len(next(iter(asked.train.values())))} examples"
    means = ""
    if result.losses:
        means = f"; mean loss {result.losses[0]:.4f} in the first epoch and {result.losses[-1]:.4f} in the last"
    told = f"{done}, {result.steps} steps, {result.seconds:.0f} s{means}"
    console.print(told, soft_wrap=True)
    for about, value in result.measures.items():
        console.print(Text(f"{about}: {value:.4f}"), soft_wrap=True)
    for about, text in result.texts.items():
        console.print(Text(f"{about}:\n{text}"), soft_wrap=True)
    if html:
        from rnnspec.conformance.training.page import learned_page  # only the page needs matplotlib

        write_bytes(html, learned_page(result).encode())
    if json_file:
        finite = {about: value if math.isfinite(value) else None for about, value in result.measures.items()}
        plain = {key: value for key, value in asdict(replace(result, pictures=())).items() if key != "pictures"}
        losses = [loss if math.isfinite(loss) else None for loss in result.losses]
        write_json(json_file, {**plain, "measures": finite, "losses": losses, **interrupts.to_json()})
    if interrupts.status:
        words = f"interrupted: this is the result of {len(result.losses)} of {asked.epochs} epochs"
        console.print(Text(words, "bold"), soft_wrap=True)
    return interrupts.status


def _learned(
    name: str, backend: Backend, asked: Lesson, seed: int, advanced: Callable[[int, float], None], ending: Interrupts
) -> Learned:
    """What a backend has learned; BackendError if it cannot do a call, or gives what fits nowhere."""
    try:
        return learn(name, backend, asked, seed, advanced, ending)
    except Interrupted:
        raise
    except BaseException as error:
        if is_own(backend.opened_as) and not isinstance(error, Unsupported):
            raise
        lost = isinstance(error, BackendCrashError | GuestLostError)
        what = "refused a call" if isinstance(error, Unsupported) else "failed" if lost else kind_of(error)
        raise BackendError(
            f"backend {name_of(backend.name)!r} cannot learn {name}: {what}: {words_of(error)}"
        ) from error
