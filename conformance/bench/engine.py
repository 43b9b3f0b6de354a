"""Hold contests: pytest-benchmark times them and writes the results."""

from __future__ import annotations

import importlib.util
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from rnnspec.conformance.bench.conformity import NotConformingError, Standard, must_conform, standard_of
from rnnspec.conformance.bench.contender import Contender, reason
from rnnspec.conformance.bench.cost import Peak, cost_of
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.machine import peak_of
from rnnspec.conformance.bench.memory import Memory, peak_memory
from rnnspec.conformance.bench.outcome import Contest, Outcome, Report, Result
from rnnspec.conformance.bench.timing import Clock, Effort, Run, interleaved
from rnnspec.conformance.cases import Case

FORMAT: Final = 1
"""Of what is under ``rnnspec`` in the JSON, beside what pytest-benchmark writes."""


@dataclass(frozen=True)
class Setting:
    """How contests are held; the clock and what measures memory may be others in tests."""

    contenders: Sequence[Contender]
    threads: int
    cores: Sequence[int]
    effort: Effort = Effort()
    memory: Callable[[str, str, Sequence[Case], str], Memory | None] | None = peak_memory
    clock: Clock = time.perf_counter


class Engine:
    """Holds the contests of a run, one by one; pytest calls it through `rnnspec.conformance.bench.suite`.

    `told` is called with the name of each contest as it begins.
    """

    def __init__(self, contests: Sequence[Contest], setting: Setting, told: Callable[[str], None]) -> None:
        self.contests = contests
        self.outcomes: list[Outcome] = []
        self.problems: list[str] = []
        self._setting = setting
        self._told = told
        self._peaks: dict[str, dict[str, Peak | None]] = {}
        self._standards: dict[tuple[str, bool], Standard] = {}

    def run(self) -> tuple[Report, dict[str, Any]]:
        """Hold all contests; return the report, and the same in pytest-benchmark's format.

        Raises
        ------
        BenchError
            If pytest-benchmark is not installed, or no contender conforms on any workload.
        """
        if importlib.util.find_spec("pytest_benchmark") is None:
            raise BenchError(
                "timing needs pytest-benchmark: expected it installed; use pip install 'rnnspec[bench]'"
            )  # fmt: skip
        suite, output = files("rnnspec.conformance.bench.suite"), io.StringIO()
        with TemporaryDirectory(prefix="rnnspec-") as folder, redirect_stdout(output), redirect_stderr(output):
            file = Path(folder, "benchmarks.json")
            options = [
                "-c", str(suite / "pytest.ini"), "--rootdir", str(Path.cwd()), "-p", "no:cacheprovider",
                "-p", "no:xdist", f"--benchmark-json={file}", f"--benchmark-storage={folder}",
                "--benchmark-disable-gc", "--benchmark-enable",
            ]  # fmt: skip
            status = pytest.main([*options, str(suite / "test_benchmarks.py")], plugins=[self])
            written = json.loads(file.read_text("utf-8")) if file.exists() and file.stat().st_size else None
        if self.problems or status != pytest.ExitCode.OK:
            lines = [f"pytest could not run the benchmarks (exit status {int(status)})", *self.problems]
            raise BenchError("\n".join([*lines, "" if self.problems else output.getvalue()]))
        if written is None:
            reasons = [f"{o.contest.name}: {name} {why}" for o in self.outcomes for name, why in o.refusals.items()]
            raise BenchError(
                "no conforming backend: expected one that is right on some workload, got\n  " + "\n  ".join(reasons)
            )
        return self._report(), written

    def hold(self, contest: Contest, request: pytest.FixtureRequest) -> None:
        """Hold one contest: see who conforms, then time those in turn."""
        self._told(contest.name)
        mode, gradient = contest.mode, contest.mode == "gradient"
        cases = contest.workload.cases(mode, contest.dtype)
        standards, refusals = (), {}
        runs: dict[str, Run] = {}
        errors: dict[str, float] = {}
        try:
            standards = tuple(self._standard(case, gradient) for case in cases)
        except NotConformingError as impossible:
            refusals = {contender.name: str(impossible) for contender in self._setting.contenders}
        for contender in self._setting.contenders if standards else ():
            try:
                errors[contender.name], runs[contender.name] = self._admit(contender, cases, contest, standards)
            except NotConformingError as refusal:
                refusals[contender.name] = str(refusal)
        timings = {}
        if runs:
            request.applymarker(pytest.mark.benchmark(group=contest.name, timer=self._setting.clock, disable_gc=True))
            benchmark = request.getfixturevalue("benchmark")
            timings = interleaved(benchmark, runs, self._setting.effort, self._setting.clock)
        members = {contender.name: contender for contender in self._setting.contenders}
        results = {
            name: Result(
                timing,
                errors[name],
                members[name].backend.device,
                members[name].place,
                self._memory(members[name], cases, mode),
            )
            for name, timing in timings.items()
        }
        peaks = self._peaks_of(contest.dtype) if results else {}
        judged = tuple(standard.judged for standard in standards)
        self.outcomes.append(Outcome(contest, cost_of(cases, mode), judged, peaks, results, refusals))

    def _standard(self, case: Case, gradient: bool) -> Standard:
        """What is right is computed once for all contenders, and for modes that follow each other."""
        key = (str(case), gradient)
        if key not in self._standards:
            self._standards = {k: v for k, v in self._standards.items() if k[1] == gradient}  # keep few: they are large
            self._standards[key] = standard_of(case, gradient=gradient)
        return self._standards[key]

    def _admit(
        self, contender: Contender, cases: Sequence[Case], contest: Contest, standards: Sequence[Standard]
    ) -> tuple[float, Run]:
        """Error ratio of a contender that conforms, and what to time."""
        missing = contender.missing(cases, contest.mode)
        if missing:
            raise NotConformingError(missing)
        ratio = must_conform(contender, standards)
        try:
            return ratio, contender.prepare(cases, contest.mode)
        except Exception as error:  # a backend may fail in any way at all
            raise NotConformingError(f"cannot be timed: {reason(error)}") from error

    def _memory(self, contender: Contender, cases: Sequence[Case], mode: str) -> Memory | None:
        measure = self._setting.memory
        return measure(contender.name, contender.backend.device, cases, mode) if measure else None

    def _peaks_of(self, dtype: str) -> Mapping[str, Peak | None]:
        if dtype not in self._peaks:
            self._told(f"the machine's peaks in {dtype}")
            contenders = self._setting.contenders
            places = dict.fromkeys(contender.place for contender in contenders)
            self._peaks[dtype] = {p: peak_of(p, dtype, contenders, self._setting.clock) for p in places}
        return self._peaks[dtype]

    def _report(self) -> Report:
        versions = {contender.name: contender.backend.versions() for contender in self._setting.contenders}
        return Report(tuple(self.outcomes), self._setting.threads, tuple(self._setting.cores), versions, self._peaks)

    # What pytest and pytest-benchmark call.

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each contest."""
        metafunc.parametrize("contest", self.contests, ids=[contest.name for contest in self.contests])

    @pytest.fixture
    def engine(self) -> Engine:
        """This one."""
        return self

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what went wrong."""
        if report.failed:
            self.problems.append(report.longreprtext)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why collecting failed."""
        if report.failed:
            self.problems.append(report.longreprtext)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Say what else the times depend on."""
        report = self._report()
        machine_info["threads"], machine_info["cores"] = report.threads, list(report.cores)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Put a benchmark for each contender in the place of one for all, and add what is not a time."""
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
            "versions": {name: dict(versions) for name, versions in report.versions.items()},
            "peaks": {
                dtype: {place: asdict(peak) if peak else None for place, peak in places.items()}
                for dtype, places in report.peaks.items()
            },
            "refusals": [
                {"benchmark": _full_name(outcome, name), "reason": why}
                for outcome in self.outcomes
                for name, why in outcome.refusals.items()
            ],
            "growth": {
                title: {name: asdict(growth) | {"surprising": growth.surprising} for name, growth in fitted.items()}
                for title, fitted in report.growths().items()
            },
        }


def _full_name(outcome: Outcome, contender: str) -> str:
    return f"rnnspec::{outcome.contest.name}[{contender}]"


def _entry(together: Mapping[str, Any], outcome: Outcome, name: str, stats: Any) -> dict[str, Any]:
    """One contender's benchmark, as pytest-benchmark writes them."""
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
