"""Whole runs under a clock that moves as it is told: who wins, who may not take part, and what is written."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark")

from rnnspec.backends import Call
from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.bench import engine as engine_module
from rnnspec.conformance.bench.comparing import compare, read_run
from rnnspec.conformance.bench.contender import open_contenders
from rnnspec.conformance.bench.engine import Engine, Setting
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.memory import Memory
from rnnspec.conformance.bench.outcome import Contest
from rnnspec.conformance.bench.scan import scanned
from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.hosting.isolated import Isolation


@pytest.fixture
def contests(tiny: Callable[..., Any]) -> list[Contest]:
    return [Contest(tiny(), mode, "float32") for mode in ("forward", "gradient")]


def test_the_ratio_is_that_of_the_times(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any], clock: Any
) -> None:
    report, written = Engine(
        contests,
        setting(contender("a", 0.01), contender("b", 0.02), contender("c", 0.01)),
    ).run()
    for outcome in report.outcomes:
        assert outcome.baseline == "a"
        assert outcome.ratio("a") is None
        assert outcome.ratio("b") == pytest.approx((2.0, 2.0, 2.0), rel=1e-5)
        assert outcome.results["a"].timing.median == pytest.approx(0.01)
        assert 0 < outcome.results["b"].error_ratio < 1
    turns = [name for name in clock.order if name]
    assert "".join(turns).count("abc" * 20) == 2, "rounds take turns"
    facts = {entry["param"]: entry["extra_info"] for entry in written["benchmarks"]}
    assert facts["b"]["verdict"] == "slower"
    assert facts["c"]["verdict"] == "no difference shown"


def test_compiling_is_reported_apart(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    report, _ = Engine(contests[:1], setting(contender("a", 0.01), contender("b", 0.01, first=7.0))).run()
    timings = {name: result.timing for name, result in report.outcomes[0].results.items()}
    assert timings["b"].warm_up.extra == pytest.approx(7.0)
    assert timings["a"].warm_up.extra == pytest.approx(0.0, abs=1e-6)
    assert timings["b"].times == pytest.approx(timings["a"].times)


def test_a_fast_wrong_answer_is_not_fast(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any], wrong: Any, clock: Any
) -> None:
    report, written = Engine(
        contests,
        setting(contender("wrong", 0.001, lstm=wrong), contender("b", 0.02)),
    ).run()
    for outcome in report.outcomes:
        assert set(outcome.results) == {"b"}
        assert outcome.refusals["wrong"].startswith("does not conform: ")
        assert outcome.baseline == "b"
    assert clock.order.count("wrong") == 2 * 4, "it was warmed up, and no round was timed"
    refused = {item["benchmark"]: item["reason"] for item in written["rnnspec"]["refusals"]}
    assert set(refused) == {f"rnnspec::tiny-lstm {mode} float32[wrong]" for mode in ("forward", "gradient")}


def test_who_fails_once_timed_is_refused(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    def fails(_: Call) -> float:
        raise MemoryError("no more")

    report, _ = Engine(contests[:1], setting(contender("a", fails), contender("b", 0.02))).run()
    assert report.outcomes[0].refusals == {"a": "cannot be run: MemoryError: no more"}


def _fails_at(number: int, error: BaseException) -> Callable[[Call], float]:
    calls = iter(range(number))

    def seconds(_: Call) -> float:
        if next(calls, None) is None:
            raise error
        return 0.01

    return seconds


@pytest.mark.parametrize("error", [MemoryError("no more"), SystemExit("over")])
def test_who_fails_in_the_timed_rounds_is_refused_and_the_others_times_stand(
    error: BaseException, contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    fails = contender("a", _fails_at(7, error))
    report, written = Engine(contests, setting(fails, contender("b", 0.02), contender("c", 0.04))).run()
    first, second = report.outcomes
    assert first.refusals == {"a": f"failed while it was timed: {type(error).__name__}: {error}"}
    assert second.refusals == {"a": f"cannot be run: {type(error).__name__}: {error}"}
    for outcome in report.outcomes:
        assert outcome.baseline == "b"
        assert outcome.results["b"].timing.times == pytest.approx(0.02, rel=1e-5)
        assert outcome.ratio("c") == pytest.approx((2.0, 2.0, 2.0), rel=1e-5)
    assert {entry["param"] for entry in written["benchmarks"]} == {"b", "c"}


def test_who_fails_alone_leaves_no_conforming_backend(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    fails = contender("a", _fails_at(7, MemoryError("no more")))
    with pytest.raises(BenchError, match=r"no conforming backend: (?s:.*)a failed while it was timed: MemoryError"):
        Engine(contests[:1], setting(fails)).run()


GUEST = """
import os
from rnnspec.backends.numpy import NumpyBackend

class Good(NumpyBackend):
    name = "good"

class Late(NumpyBackend):
    name = "late"
    calls = 0

    def lstm(self, **arguments):
        Late.calls += 1
        if Late.calls > CALLS:
            os.abort()
        return super().lstm(**arguments)
"""


@pytest.mark.parametrize(("calls", "told"), [(1, ""), (9, "failed while it was timed: ")])
def test_a_backend_that_crashes_late_costs_a_line(
    calls: int, told: str, contests: list[Contest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is timed in its own process, which counts its own seconds."""
    (tmp_path / f"late_{calls}.py").write_text(GUEST.replace("CALLS", str(calls)))
    monkeypatch.syspath_prepend(tmp_path)
    contenders = open_contenders([f"late_{calls}:Late", f"late_{calls}:Good"], "cpu", isolation=Isolation.AUTO)
    effort = Effort(fewest=10, most=10, seconds=0.1)
    report, _ = Engine(contests[:1], Setting(contenders, 1, (0,), effort, None)).run()
    (outcome,) = report.outcomes
    assert outcome.refusals[f"late_{calls}:Late"].startswith(f"{told}crashed: the process ended by SIGABRT")
    (result,) = outcome.results.values()
    assert len(result.timing.times) == 10
    assert 0 < result.timing.median < 10
    for contender in contenders:
        contender.backend.close()  # type: ignore[attr-defined]  # they are isolated


@pytest.mark.parametrize("calls", [0, 40])
def test_an_interrupt_loses_no_result(
    calls: int, contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    engine = Engine(contests, setting(contender("a", _fails_at(calls, Interrupted(signal.SIGTERM)))))
    if not calls:
        with pytest.raises(Interrupted) as stopped:
            engine.run()
        assert stopped.value.status == 143
        return
    report, written = engine.run()
    assert engine.interrupted == 143
    assert [set(outcome.results) for outcome in report.outcomes] == [{"a"}]
    assert [entry["param"] for entry in written["benchmarks"]] == ["a"]
    assert written["rnnspec"]["interrupted"] is True


def test_no_conforming_backend(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any], wrong: Any
) -> None:
    with pytest.raises(
        BenchError, match=r"no conforming backend: (?s:.*)tiny-lstm forward float32: a does not conform"
    ):
        Engine(contests, setting(contender("a", lstm=wrong), contender("b", lstm=wrong))).run()


def test_a_scan_shows_a_quadratic_surprise(
    tiny: Callable[..., Any], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    def steps(call: Call) -> float:
        return float(call.inputs["x"].shape[1])

    contests = [Contest(work, "forward", "float32", "T") for work in scanned(tiny(), "T", (4, 8, 16, 32))]
    linear = contender("linear", lambda call: 0.01 * steps(call))
    quadratic = contender("quadratic", lambda call: 0.001 * steps(call) ** 2)
    report, written = Engine(contests, setting(linear, quadratic)).run()
    ((title, fitted),) = report.growths().items()
    assert title == "tiny-lstm forward float32, T"
    assert fitted["linear"].exponent.value == pytest.approx(1.0, abs=1e-3)
    assert fitted["quadratic"].exponent.value == pytest.approx(2.0, abs=1e-3)
    assert fitted["linear"].work == pytest.approx(1.0, abs=1e-3)
    assert (fitted["linear"].surprising, fitted["quadratic"].surprising) == (False, True)
    assert written["rnnspec"]["growth"][title]["quadratic"]["surprising"] is True


def test_efficiency_is_the_rooflines_share(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    report, written = Engine(contests[:1], setting(contender("a", 0.01), contender("b", 0.02))).run()
    (outcome,) = report.outcomes
    peak = report.peaks["float32"]["cpu"]
    assert peak is not None
    assert outcome.efficiency("a") == pytest.approx(peak.seconds(outcome.cost) / 0.01)
    assert outcome.efficiency("b") == pytest.approx(peak.seconds(outcome.cost) / 0.02)
    assert written["rnnspec"]["peaks"]["float32"]["cpu"] == {"flops": peak.flops, "bandwidth": peak.bandwidth}


def test_memory_is_measured_for_whoever_is_timed(
    contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any], wrong: Any
) -> None:
    asked = []

    def memory(name: str, device: str, work: Any) -> Memory:
        asked.append((name, device, len(work["cases"]), work["mode"]))
        return Memory(3000, 1000, None)

    given = setting(contender("a", 0.01), contender("w", 0.01, lstm=wrong), memory=memory)
    _, written = Engine(contests[:1], given).run()
    assert asked == [("a", "cpu", 1, "forward")]
    assert written["benchmarks"][0]["extra_info"]["memory"] == {"resident": 3000, "before": 1000, "device": None}


@pytest.fixture
def file(tmp_path: Path, contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]) -> Path:
    _, written = Engine(contests, setting(contender("a", 0.01), contender("b", 0.02))).run()
    path = tmp_path / "run.json"
    path.write_text(json.dumps(written, allow_nan=False))
    return path


def test_pytest_benchmark_reads_what_is_written(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pytest_benchmark.cli import main

    monkeypatch.chdir(tmp_path)  # it makes a folder for its own files
    monkeypatch.setattr(sys, "argv", ["pytest-benchmark", "compare", str(file), "--columns=median,rounds"])
    main()
    printed = capsys.readouterr().out
    assert "benchmark 'tiny-lstm forward float32': 2 tests" in printed
    assert "tiny-lstm gradient float32[b]" in printed


def test_the_file_says_what_it_was_measured_on(file: Path) -> None:
    data = json.loads(file.read_text())
    assert {"machine_info", "commit_info", "benchmarks", "datetime", "version", "rnnspec"} <= set(data)
    assert (data["machine_info"]["threads"], data["machine_info"]["cores"]) == (1, [0])
    assert "numpy" in data["rnnspec"]["versions"]["a"]
    first = data["benchmarks"][0]
    assert first["extra_info"]["sizes"] == {"B": 3, "T": 4, "D": 2, "H": 5}
    assert first["stats"]["rounds"] == len(first["stats"]["data"]) == 20
    assert first["stats"]["median"] == pytest.approx(0.01)
    assert first["options"]["disable_gc"] is True


def test_what_is_written_can_be_compared(file: Path) -> None:
    run = read_run(file)
    comparison = compare(run, run, 0.1)
    assert len(comparison.compared) == 4
    assert {one.verdict for one in comparison.compared} == {"no difference shown"}
    assert not comparison.bad


def test_without_pytest_benchmark(
    monkeypatch: pytest.MonkeyPatch, contests: list[Contest], contender: Callable[..., Any], setting: Callable[..., Any]
) -> None:
    monkeypatch.setattr(engine_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"pip install .*'pytest-benchmark>="):
        Engine(contests, setting(contender("a"))).run()
