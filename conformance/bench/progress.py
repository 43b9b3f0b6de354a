"""Progress of a run: a bar on a terminal, elsewhere a line for each contest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from rnnspec.conformance.bench.engine import Engine
from rnnspec.conformance.report.progress import bar


@contextmanager
def telling(engine: Engine, console: Console) -> Iterator[None]:
    """Show the engine's current task and its number of finished contests on a console, while it runs.

    The console needs a file of its own, since pytest replaces the standard streams.
    """
    total = len(engine.contests)
    with bar(console) as progress:
        task = progress.add_task("starting", total=total)

        def told(what: str) -> None:
            progress.update(task, description=what, completed=len(engine.outcomes))
            if not console.is_terminal:
                console.print(f"{len(engine.outcomes)} of {total} done: {what}", soft_wrap=True, highlight=False)

        engine.told = told
        yield
