"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pytest
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.report.console import NARROWEST, PlainConsole
from rnnspec.conformance.report.summary import OperationSummary
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.plan import Item, lost_result, part_of
from rnnspec.conformance.run.result import FAULTS, RESULT, UNPLANNED

LOST: Final = "rnnspec lost"
"""Name of the property of a report of a lost process, which was judged."""


def bar(console: Console) -> Progress:
    """Return a progress bar that shows on a terminal during the work, and nothing elsewhere."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Bar(*columns, console=console, transient=True, disable=not console.is_terminal)


class Bar(Progress):
    """A progress bar in one line of the terminal, which a longer one would leave behind as it goes on.

    It prints nothing where it does not show; some versions of rich end it with an empty line.
    """

    _columns = NARROWEST

    def start(self) -> None:
        """Show the bar, no wider than the terminal."""
        if isinstance(self.console, PlainConsole):
            self._columns = self.console.columns
        super().start()

    def get_renderable(self) -> RenderableType:
        """Return what is shown."""
        return Constrain(super().get_renderable(), self._columns)

    def stop(self) -> None:
        """Take the bar away."""
        if not self.disable:
            super().stop()


class Collector:
    """A pytest plugin that collects the results and shows the run's progress.

    It runs in the process that starts pytest, and so receives the results of parallel workers too. `on_part` receives
    each operation of a backend, as `part_of` names it, once all its checks are done.
    """

    def __init__(
        self,
        console: Console,
        items: Sequence[Item],
        on_part: Callable[[str], None] = lambda part: None,
        device: str = "cpu",
    ) -> None:
        self.results: list[CheckResult] = []
        self.faults: list[FaultResult] = []
        self._console = console
        self._due: dict[tuple[str, str, str], int] = {}
        for item in items:
            key = (item.backend, item.operation, item.dtype)
            self._due[key] = self._due.get(key, 0) + 1
        self._progress = bar(console)
        self._task = self._progress.add_task("starting", total=len(items))
        self.problems: list[str] = []
        self.interrupted = 0
        """The exit status of an interrupt; 0 if there was none."""

        self._parts: dict[str, int] = {}
        for item in items:
            self._parts[item.part] = self._parts.get(item.part, 0) + 1
        self._on_part = on_part
        self._device = device
        self._by_id = {item.id: item for item in items}
        self._called: dict[Any, CheckResult] = {}
        """The results of checks that are not over, by their workers."""

        self._config: pytest.Config | None = None
        self.unplanned: dict[str, None] = {}

    def __enter__(self) -> Collector:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the result in a test's report."""
        properties: dict[str, Any] = dict(report.user_properties)
        worker = getattr(report, "node", None)
        if report.when == "call" and RESULT in properties and worker is not None:
            self._called[worker] = CheckResult.from_json(properties[RESULT])
        if report.when == "teardown" and RESULT in properties:
            self._called.pop(worker, None)
            found = map(FaultResult.from_json, properties.get(FAULTS, ()))
            self.receive([CheckResult.from_json(properties[RESULT])], found)
        elif UNPLANNED in properties:
            self.unplanned[properties[UNPLANNED]] = None
        elif report.failed and not {RESULT, LOST} & properties.keys():
            self.problems.append(report.longreprtext.strip())

    def pytest_configure(self, config: pytest.Config) -> None:
        """Have the plugins in parallel workers too, which begin with this environment."""
        os.environ["PYTEST_PLUGINS"] = "rnnspec.conformance.plugin,xdist.plugin"
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take the result of a check after which a worker was lost, as in the search for the faults behind it."""
        if error and node in self._called and self._config:
            from rnnspec.conformance.run.together import BETWEEN

            self._config.stash.setdefault(BETWEEN, set()).add(node)
            self.receive([self._called.pop(node)], ())

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Judge a check whose worker was lost in it: a backend in the suite's own processes can do that to it."""
        item = self._by_id.get(crashitem.partition("[")[2].removesuffix("]"))
        if item is not None:
            report.user_properties.append((LOST, True))
            self.receive([lost_result(item, self._device)], ())

    def release_streams(self) -> None:
        """Give standard output back, which pytest has while a check runs; the check will not end."""
        self._progress.stop()
        capture = self._config and self._config.pluginmanager.getplugin("capturemanager")
        if capture:
            capture.suspend_global_capture(in_=True)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record what ended the run before its end."""
        error = excinfo.value
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = (error if isinstance(error, Interrupted) else Interrupted()).status

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record the report of a failed collection."""
        if report.failed:
            self.problems.append(report.longreprtext.strip())

    def receive(self, results: Iterable[CheckResult], faults: Iterable[FaultResult]) -> None:
        """Collect results of checks, and the faults that they found."""
        self.faults += faults
        for result in results:
            self._add(result)
            part = part_of(result.backend, result.operation)
            self._parts[part] -= 1
            if self._parts[part] == 0:
                self._on_part(part)

    def _add(self, result: CheckResult) -> None:
        self.results.append(result)
        self._progress.update(
            self._task, advance=1, description=f"{result.backend} {result.operation} {result.dtype} {result.id}"
        )
        key = (result.backend, result.operation, result.dtype)
        self._due[key] -= 1
        if self._due[key] == 0 and not self._console.is_terminal:
            checks = tuple(r for r in self.results if (r.backend, r.operation, r.dtype) == key)
            group = OperationSummary(result.operation, result.dtype, result.device, checks)
            if group.verdict is Verdict.NOT_IMPLEMENTED:  # the report lists them together
                return
            self._console.print(
                f"{' '.join(key)}: {group.verdict}, {group.examples} cases, "
                f"worst error ratio {ratio_text(group.worst_error_ratio)}",
                soft_wrap=True,
            )
