"""How far a run is: a bar on a terminal, a line for each contest elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from rnnspec.conformance.bench.engine import Engine
from rnnspec.conformance.report.progress import bar


@contextmanager
def telling(engine: Engine, console: Console) -> Iterator[None]:
    """Show on a console, while the engine runs, what it begins with and how many contests it has held.

    The console is to have a file of its own: others take the place of the standard ones while pytest runs.
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
