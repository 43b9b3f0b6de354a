"""Progress of a run: a bar on a terminal, elsewhere a line for each contest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from rnnspec.conformance.bench.engine import Engine
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar


@contextmanager
def own_errors() -> Iterator[Console]:
    """Yield a console on standard error as it is now: pytest replaces the streams and the descriptors below them."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):  # an object in its place, as in a notebook
        yield open_console(sys.stderr)
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        yield open_console(file)


@contextmanager
def telling(engine: Engine, console: Console) -> Iterator[None]:
    """Show the engine's current task and its number of finished contests on a console, while it runs."""
    total = len(engine.contests)
    with bar(console) as progress:
        task = progress.add_task("starting", total=total)

        def told(what: str) -> None:
            progress.update(task, description=what, completed=len(engine.outcomes))
            if not console.is_terminal:
                console.print(f"{len(engine.outcomes)} of {total} done: {what}", soft_wrap=True, highlight=False)

        engine.told = told
        yield
