"""``rnnspec learn``: a model trained on data until it has learned, and measured on data that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from rnnspec.backends import Backend, BackendError, Unsupported
from rnnspec.backends.discovery import is_own
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.hosting.guard import BackendCrashError, GuestLostError
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.conformance.training.learning import Learned, Lesson, learn
from rnnspec.conformance.training.lessons import LESSONS
from rnnspec.spec.models import model


def learn_model(
    backend: str, name: str, files: tuple[Path, ...], epochs: int | None, seed: int, json_file: Path | None
) -> int:
    """Train a model on a backend, print what it has learned, and return the exit status."""
    model(name)
    if name not in LESSONS:
        raise DataError(f"{name}: there is no data for this model: expected one of {', '.join(LESSONS)}")
    for file in files:
        if not file.is_file():  # a device has no end
            raise DataError(f"{file}: expected a file, and this is none")
    asked = LESSONS[name](files, seed)
    if epochs is not None:
        asked = type(asked)(asked.sizes, asked.train, epochs, asked.source, asked.measure)
    console = open_console()
    opened = Isolation.AUTO.open(backend, "cpu", Limits())
    with bar(console) as progress:
        task = progress.add_task(f"learning {name}", total=asked.epochs)

        def advanced(epoch: int, loss: float) -> None:
            progress.update(task, completed=epoch, description=f"learning {name}, loss {loss:.4f}")

        result = _learned(name, opened, asked, seed, advanced)
    console.print(Text(f"{name} on {backend}: {asked.source}"), soft_wrap=True)
    console.print(
        f"{len(result.losses)} epochs of {len(next(iter(asked.train.values())))} examples, {result.steps} steps, "
        f"{result.seconds:.0f} s; mean loss {result.losses[0]:.4f} in the first epoch and {result.losses[-1]:.4f} in "
        "the last",
        soft_wrap=True,
    )
    for about, value in result.measures.items():
        console.print(Text(f"{about}: {value:.4f}"), soft_wrap=True)
    if json_file:
        finite = {about: value if math.isfinite(value) else None for about, value in result.measures.items()}
        losses = [loss if math.isfinite(loss) else None for loss in result.losses]
        data = {key: value for key, value in asdict(result).items() if key != "interrupted"}
        ended = {"interrupted": True} if result.interrupted else {}
        write_json(json_file, {**data, "measures": finite, "losses": losses, **ended})
    if result.interrupted:
        console.print(f"interrupted after {len(result.losses)} of {asked.epochs} epochs: nothing was measured")
    return result.interrupted


def _learned(name: str, backend: Backend, asked: Lesson, seed: int, advanced: Callable[[int, float], None]) -> Learned:
    """What a backend has learned; BackendError if it cannot do a call, or gives what fits nowhere."""
    try:
        return learn(name, backend, asked, seed, advanced)
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
