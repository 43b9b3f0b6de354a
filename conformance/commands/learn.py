"""``rnnspec learn``: a model trained on data until it has learned, and measured on data that it has not seen."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from rnnspec.backends.discovery import open_backend
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.conformance.training.learning import learn
from rnnspec.conformance.training.lessons import LESSONS
from rnnspec.spec.models import model


def learn_model(
    backend: str, name: str, files: tuple[Path, ...], epochs: int | None, seed: int, json_file: Path | None
) -> None:
    """Train a model on a backend, and print what it has learned."""
    model(name)
    if name not in LESSONS:
        raise DataError(f"{name}: there is no data for this model: expected one of {', '.join(LESSONS)}")
    asked = LESSONS[name](files, seed)
    if epochs is not None:
        asked = type(asked)(asked.sizes, asked.train, epochs, asked.source, asked.measure)
    console = open_console()
    opened = open_backend(backend)
    with bar(console) as progress:
        task = progress.add_task(f"learning {name}", total=asked.epochs)

        def advanced(epoch: int, loss: float) -> None:
            progress.update(task, completed=epoch, description=f"learning {name}, loss {loss:.4f}")

        result = learn(name, opened, asked, seed, advanced)
    console.print(Text(f"{name} on {backend}: {asked.source}"), soft_wrap=True)
    console.print(
        f"{asked.epochs} epochs of {len(next(iter(asked.train.values())))} examples, {result.steps} steps, "
        f"{result.seconds:.0f} s; mean loss {result.losses[0]:.4f} in the first epoch and {result.losses[-1]:.4f} in "
        "the last",
        soft_wrap=True,
    )
    for about, value in result.measures.items():
        console.print(Text(f"{about}: {value:.4f}"), soft_wrap=True)
    if json_file:
        finite = {about: value if math.isfinite(value) else None for about, value in result.measures.items()}
        losses = [loss if math.isfinite(loss) else None for loss in result.losses]
        write_json(json_file, {**asdict(result), "measures": finite, "losses": losses})
