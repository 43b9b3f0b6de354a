"""Hold contests: pytest-benchmark times them and writes the results."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from rnnspec.backends.discovery import installs
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.refusals import declared_refusal
from rnnspec.conformance.bench.conformity import NotConformingError, Standard, must_conform, standard_of
from rnnspec.conformance.bench.contender import Contender, reason, violates
from rnnspec.conformance.bench.cost import Cost, Peak, cost_of
from rnnspec.conformance.bench.errors import BenchError, NoneConformsError
from rnnspec.conformance.bench.machine import best_of, peak_of
from rnnspec.conformance.bench.memory import Memory, peak_memory
from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport, Contest, Result
from rnnspec.conformance.bench.timing import (
    CLOCK,
    Clock,
    Effort,
    Run,
    Timing,
    WarmUp,
    by_pytest_benchmark,
    interleaved,
    warm_up,
)
from rnnspec.conformance.bench.workload import Mode
from rnnspec.conformance.cases import Case
from rnnspec.conformance.hosting.deadline import DeadlineError
from rnnspec.conformance.hosting.guard import GuestLostError
from rnnspec.conformance.hosting.process import environment

FORMAT: Final = 1
"""Format number of the ``rnnspec`` entry that is added to pytest-benchmark's JSON."""


@dataclass(frozen=True)
class Setting:
    """Conditions of the contests. Tests replace the clock and the function that measures memory."""

    contenders: Sequence[Contender]
    threads: int
    cores: Sequence[int]
    effort: Effort
    memory: Callable[[str, str, Mapping[str, Any]], Memory | None] | None = peak_memory
    clock: Clock = CLOCK


@dataclass(frozen=True)
class WarmContender:
    """A contender that conforms on a workload, and the warmed-up call to time."""

    contender: Contender
    error_ratio: float
    run: Run
    warm_up: WarmUp


class Engine:
    """The contests of a run, held one by one; pytest calls the engine through `rnnspec.conformance.bench.suite`.

    The engine calls `told` with the name of each contest or measurement as it begins.
    """

    def __init__(self, contests: Sequence[Contest], setting: Setting) -> None:
        self.contests = contests
        self.outcomes: list[BenchOutcome] = []
        self.problems: list[str] = []
        self.interrupted = 0
        """The exit status of an interrupt that ended the contests before the last; 0: none did."""
        self.told: Callable[[str], None] = lambda what: None
        self.setting = setting
        self._peaks: dict[str, dict[str, Peak | None]] = {}
        self._standards: dict[tuple[str, bool], Standard] = {}

    def run(self) -> tuple[BenchReport, dict[str, Any]]:
        """Hold all contests; return the report, and the same results in pytest-benchmark's format.

        After an interrupt, these are the results until then.

        Raises
        ------
        BenchError
            If pytest-benchmark is not installed, or no contender conforms on any workload: `NoneConformsError`, if one
            of them violates.
        Interrupted
            If an interrupt came before the first result.
        """
        if importlib.util.find_spec("pytest_benchmark") is None:
            raise BenchError(f"timing needs pytest-benchmark: expected it installed; use {installs('bench')}")
        suite, output = files("rnnspec.conformance.bench.suite"), io.StringIO()
        with TemporaryDirectory(prefix="rnnspec-") as folder, redirect_stdout(output), redirect_stderr(output):
            file = Path(folder, "benchmarks.json")
            options = [
                "-c", str(suite / "pytest.ini"), "--rootdir", str(Path.cwd()), "-p", "no:cacheprovider",
                f"--benchmark-json={file}", f"--benchmark-storage={folder}",
                "--benchmark-disable-gc", "--benchmark-enable",
            ]  # fmt: skip
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Not saving anything")  # a run without times raises below
                plugins = [self, importlib.import_module("pytest_benchmark.plugin")]
                with environment(PYTEST_ADDOPTS=None, PYTEST_PLUGINS=None, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"):
                    status = pytest.main([*options, str(suite / "test_benchmarks.py")], plugins=plugins)
            written = json.loads(file.read_text("utf-8")) if file.exists() and file.stat().st_size else None
        has_results = written is not None and any(outcome.results for outcome in self.outcomes)
        if self.interrupted and not has_results:
            raise Interrupted(self.interrupted - 128)
        if self.problems or status not in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED):
            lines = [f"pytest could not run the benchmarks (exit status {int(status)})", *self.problems]
            raise BenchError("\n".join([*lines, "" if self.problems else output.getvalue()]))
        if written is None or not has_results:
            reasons = [f"{o.contest.name}: {name} {why}" for o in self.outcomes for name, why in o.refusals.items()]
            kind = NoneConformsError if any(outcome.violating for outcome in self.outcomes) else BenchError
            raise kind(
                "no conforming backend: expected one that is right on some workload, got\n  " + "\n  ".join(reasons)
            )
        return self._report(), written

    def hold(self, contest: Contest, request: pytest.FixtureRequest) -> None:
        """Hold one contest: admit the contenders that conform, then time them in turn."""
        self.told(contest.name)
        admitted, refusals, judged = self.admit_all(contest)
        timings: Mapping[str, Timing] = {}
        if admitted:
            request.applymarker(pytest.mark.benchmark(group=contest.name, timer=self.setting.clock, disable_gc=True))
            benchmark = request.getfixturevalue("benchmark")
            runs = {name: one.run for name, one in admitted.items()}
            warm_ups = {name: one.warm_up for name, one in admitted.items()}
            timings, failed = interleaved(by_pytest_benchmark(benchmark), runs, warm_ups, self.setting.effort)
            refusals |= {
                name: NotConformingError(f"failed while it was timed: {reason(error)}", violates=violates(error))
                for name, error in failed.items()
            }
            if contest.dtype not in self._peaks:
                self._measure_machine(contest.dtype)
        results = {name: self._result(admitted[name], timing, contest) for name, timing in timings.items()}
        peaks = self._peaks.get(contest.dtype, {})
        reasons = {name: str(refusal) for name, refusal in refusals.items()}
        violating = frozenset(name for name, refusal in refusals.items() if refusal.violates)
        self.outcomes.append(BenchOutcome(contest, self.cost(contest), judged, peaks, results, reasons, violating))
        if len(self.outcomes) == len(self.contests):
            # A disturbance at the beginning may be over now, so the peaks are measured again.
            for dtype in self._peaks:
                self._measure_machine(dtype)
            self.outcomes = [replace(o, peaks=self._peaks.get(o.contest.dtype, {})) for o in self.outcomes]

    def admit_all(
        self, contest: Contest
    ) -> tuple[dict[str, WarmContender], dict[str, NotConformingError], tuple[tuple[int, int], ...]]:
        """Return admitted contenders, refusals by contender, and judged sequences of each call."""
        cases = contest.workload.cases(contest.mode, contest.dtype)
        contenders = self.setting.contenders
        missing = {one.name: why for one in contenders if (why := one.missing(cases, contest.mode))}
        refusals = {name: NotConformingError(why) for name, why in missing.items()}
        able = [one for one in contenders if one.name not in refusals]
        admitted: dict[str, WarmContender] = {}
        if not able:
            return admitted, refusals, ()
        try:
            standards = tuple(self._standard(case, contest.mode == "gradient") for case in cases)
        except NotConformingError as impossible:
            return admitted, refusals | {one.name: impossible for one in able}, ()
        except MemoryError:
            short = NotConformingError("cannot be run: not enough memory")
            return admitted, refusals | {one.name: short for one in able}, ()
        for one in able:
            try:
                admitted[one.name] = self._admit(one, cases, contest.mode, standards)
            except NotConformingError as refusal:
                refusals[one.name] = refusal
        return admitted, refusals, tuple(standard.judged for standard in standards)

    def _admit(
        self, contender: Contender, cases: Sequence[Case], mode: Mode, standards: Sequence[Standard]
    ) -> WarmContender:
        """Warm a contender up, and admit it if it conforms."""
        # The warm-up comes first: it measures compiling, which the check would do before it.
        run, warmed = self._warm_up(contender, cases, mode)
        return WarmContender(contender, must_conform(contender, standards), run, warmed)

    def _warm_up(self, contender: Contender, cases: Sequence[Case], mode: Mode) -> tuple[Run, WarmUp]:
        return self.warmed_up(contender, lambda: contender.prepare(cases, mode))

    def warmed_up(self, contender: Contender, prepare: Callable[[], Run]) -> tuple[Run, WarmUp]:
        """Prepare calls and make them until they are steady; raise NotConformingError if that fails."""
        longest = self.setting.effort.warm_up / len(self.setting.contenders)
        try:
            run = prepare()
            return run, warm_up(run, longest, self.setting.clock)
        except Interrupted:
            raise
        except BaseException as error:  # a backend may fail in any way at all
            refused = declared_refusal(error, contender.backend.refuses_with)
            if refused is not None:
                raise NotConformingError(f"refused: {refused}") from error
            before = "" if isinstance(error, GuestLostError | DeadlineError) else "cannot be run: "
            raise NotConformingError(before + reason(error), violates=violates(error)) from error

    def _result(self, admitted: WarmContender, timing: Timing, contest: Contest) -> Result:
        contender, measure = admitted.contender, self.setting.memory
        device = contender.backend.device
        memory = measure(contender.name, device, self.to_measure(contest)) if measure else None
        return Result(timing, admitted.error_ratio, device, contender.place, memory)

    def cost(self, contest: Contest) -> Cost:
        """Return the least work of a contest."""
        return cost_of(contest.workload.cases(contest.mode, contest.dtype), contest.mode)

    def to_measure(self, contest: Contest) -> Mapping[str, Any]:
        """Return a contest's calls as plain data, for the process that measures their memory."""
        cases = contest.workload.cases(contest.mode, contest.dtype)
        return {"cases": [case.to_json() for case in cases], "mode": contest.mode}

    def _standard(self, case: Case, gradient: bool) -> Standard:
        """A case's expected results, computed once for all contenders and for successive modes."""
        key = (str(case), gradient)
        if key not in self._standards:
            self._standards = {k: v for k, v in self._standards.items() if k[1] == gradient}  # keep few: they are large
            self._standards[key] = standard_of(case, gradient=gradient)
        return self._standards[key]

    def _measure_machine(self, dtype: str) -> None:
        """Measure the peaks in a type, and keep the best of all measurements."""
        self.told(f"the machine's peaks in {dtype}")
        known, contenders = self._peaks.get(dtype, {}), self.setting.contenders
        places = dict.fromkeys(contender.place for contender in contenders)
        measured = {place: peak_of(place, dtype, contenders, self.setting.clock) for place in places}
        self._peaks[dtype] = {place: best_of(known.get(place), peak) for place, peak in measured.items()}

    def _report(self) -> BenchReport:
        versions = {contender.name: contender.backend.versions() for contender in self.setting.contenders}
        return BenchReport(tuple(self.outcomes), self.setting.threads, tuple(self.setting.cores), versions, self._peaks)

    # Hooks and fixtures of pytest and pytest-benchmark.

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each contest."""
        metafunc.parametrize("contest", self.contests, ids=[contest.name for contest in self.contests])

    @pytest.fixture
    def engine(self) -> Engine:
        """Return this engine."""
        return self

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the report of a failed test."""
        if report.failed:
            self.problems.append(report.longreprtext)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record the interrupt."""
        error = excinfo.value
        self.interrupted = (error if isinstance(error, Interrupted) else Interrupted()).status

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record the report of a failed collection."""
        if report.failed:
            self.problems.append(report.longreprtext)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Add the threads and cores, on which the times depend."""
        report = self._report()
        machine_info["threads"], machine_info["cores"] = report.threads, list(report.cores)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Replace each contest's benchmark by one for each contender, and add the ``rnnspec`` entry."""
        from pytest_benchmark.stats import Stats

        together = {entry["group"]: entry for entry in output_json["benchmarks"]}
        output_json["benchmarks"] = [
            _entry(together[outcome.contest.name], outcome, name, Stats())
            for outcome in self.outcomes
            for name in outcome.results
        ]
        report = self._report()
        output_json["rnnspec"] = {
            "format": FORMAT,
            **({"interrupted": True} if self.interrupted else {}),
            "versions": {name: dict(versions) for name, versions in report.versions.items()},
            "peaks": {
                dtype: {place: asdict(peak) if peak else None for place, peak in places.items()}
                for dtype, places in report.peaks.items()
            },
            "refusals": [
                {"benchmark": _full_name(outcome, name), "reason": why, "violates": name in outcome.violating}
                for outcome in self.outcomes
                for name, why in outcome.refusals.items()
            ],
            "growth": {
                title: {name: asdict(growth) | {"surprising": growth.surprising} for name, growth in fitted.items()}
                for title, fitted in report.growths().items()
            },
        }


def _full_name(outcome: BenchOutcome, contender: str) -> str:
    return f"rnnspec::{outcome.contest.name}[{contender}]"


def _entry(together: Mapping[str, Any], outcome: BenchOutcome, name: str, stats: Any) -> dict[str, Any]:
    """One contender's benchmark, in pytest-benchmark's form."""
    times = outcome.results[name].timing.times
    for seconds in times:
        stats.update(float(seconds))
    full = _full_name(outcome, name)
    contest = outcome.contest
    return {
        **together,
        "name": full.removeprefix("rnnspec::"),
        "fullname": full,
        "param": name,
        "params": {"contender": name, "workload": contest.workload.name, "mode": contest.mode, "dtype": contest.dtype},
        "extra_info": outcome.facts(name),
        "stats": {
            **stats.as_dict(),
            "data": [float(seconds) for seconds in times],
            "iterations": outcome.results[name].timing.calls,
        },
    }
