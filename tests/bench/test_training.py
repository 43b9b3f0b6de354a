"""Contests of training: the whole step, its parts and stages, timed on backends whose training conforms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pytest_benchmark")

from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.bench.contender import Contender
from rnnspec.conformance.bench.engine import Setting
from rnnspec.conformance.bench.memory import calls_of
from rnnspec.conformance.bench.outcome import Contest
from rnnspec.conformance.bench.timing import Effort
from rnnspec.conformance.bench.training import PARTS, TrainingEngine, cost_of_training, run_of, trainings
from rnnspec.conformance.cli import main
from rnnspec.spec.arrays import Array
from rnnspec.spec.models import model, models

QUICK = ("--rounds", "2", "--seconds", "0.01", "--no-memory", "--threads", "1")
SMALL = ("-B", "4", "-H", "3")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("bench", *arguments))


def small(name: str, *, stages: bool = False) -> list[Any]:
    return list(trainings(name, model(name).small, "small", stages=stages))


class Wrong(NumpyBackend):
    """An optimizer that goes too far."""

    def adam_step(self, **call: Array) -> tuple[Array, ...]:
        theta, *others = super().adam_step(**call)  # type: ignore[misc]  # methods are there by the operations' names
        return (theta + np.float32(0.1), *others)


class OwnRun(NumpyBackend):
    """A backend whose calls go another way."""

    def run(self, call: Any) -> tuple[Array, ...]:
        return super().run(call)


@pytest.mark.parametrize("name", models())
def test_every_part_of_every_model_runs_and_has_a_cost(name: str) -> None:
    whole, *stages = small(name, stages=True)
    assert [work.part for work in stages] == [stage.name for stage in model(name).stages]
    costs = {mode: cost_of_training(whole, mode, "float32") for mode in PARTS}
    parts = [costs[mode] for mode in PARTS if mode != "step"]
    assert costs["step"].flops == pytest.approx(sum(part.flops for part in parts))
    assert costs["forward"].flops > 0
    for mode in PARTS:
        run_of(NumpyBackend(), whole, mode, "float32")()
    for work in stages:
        for mode in work.modes:
            run_of(NumpyBackend(), work, mode, "float32")()


def test_a_step_trains_and_its_parts_do_not_compute_the_rest() -> None:
    seen: list[str] = []

    class Seen(NumpyBackend):
        def run_here(self, call: Any) -> tuple[Any, ...]:
            seen.append(call.operation)
            return super().run_here(call)

        def recorded_here(self, call: Any, wanted: Any) -> Any:
            seen.append(f"{call.operation} recorded")
            return super().recorded_here(call, wanted)

    (work,) = small("air-quality")
    by_part = {}
    for mode in PARTS:
        run = run_of(Seen(), work, mode, "float32")
        seen.clear()
        run()
        by_part[mode] = list(seen)
    forward = ["lstm recorded", "dense recorded", "mean_absolute_error recorded"]
    assert by_part == {
        "step": [*forward, *["adam_step"] * 5],
        "forward": forward,
        "backward": [],
        "update": ["adam_step"] * 5,
    }


def test_who_trains_wrongly_or_not_from_stage_to_stage_is_not_timed() -> None:
    contenders = [Contender(type(one).__name__, one) for one in (NumpyBackend(), Wrong(), OwnRun())]
    setting = Setting(contenders, 1, (0,), Effort(fewest=2, most=2, seconds=0.01), memory=None)
    contests = [Contest(work, mode, "float32") for work in small("air-quality") for mode in ("step", "backward")]
    report, written = TrainingEngine(contests, setting).run()
    for outcome in report.outcomes:
        assert list(outcome.results) == ["NumpyBackend"]
        assert outcome.refusals["Wrong"].startswith("does not conform: step 1, update of recurrent.W, error ratio ")
        assert "without a copy" in outcome.refusals["OwnRun"]
    assert [entry["extra_info"]["mode"] for entry in written["benchmarks"]] == ["step", "backward"]


def test_the_process_that_measures_memory_makes_the_same_step() -> None:
    (work,) = small("air-quality")
    plain = TrainingEngine([], Setting([], 1, (0,), Effort())).to_measure(Contest(work, "step", "float32"))
    calls_of(Contender("numpy", NumpyBackend()), json.loads(json.dumps(plain)))()
    with pytest.raises(Unsupported):
        calls_of(Contender("own", OwnRun()), plain)


def test_the_command_tells_steps_a_second_and_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    result = bench("numpy", "--alone", "--model", "air-quality", *SMALL, "--stages", "--json", str(file), *QUICK)
    assert result.exit_code == 0, result.output
    assert "air-quality B=4 H=3, steps of training a second: numpy " in result.output
    assert "air-quality B=4 H=3 recurrent backward float32" in result.output
    benchmarks = json.loads(file.read_text())["benchmarks"]
    assert len(benchmarks) == 4 + 2 * 3
    assert benchmarks[0]["extra_info"]["sizes"] == {"B": 4, "T": 1, "D": 8, "H": 3}
    assert benchmarks[0]["extra_info"]["calls_a_second"] == pytest.approx(1 / benchmarks[0]["stats"]["median"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "none"), "unknown model 'none'"),
        (("--model", "air-quality", "-Q", "3"), "unknown size 'Q'"),
        (("--model", "air-quality", "--op", "lstm"), "--op does not go with --model"),
        (("--model", "air-quality", "--mode", "gradient"), "unknown mode 'gradient' of a model"),
        (("--model", "air-quality", "--dtype", "float8"), "unknown dtype 'float8'"),
        (("--op", "lstm", "--stages"), "--stages goes with --model"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = bench("numpy", "--alone", *arguments, *QUICK)
    assert (result.exit_code, message in result.output, "Traceback" in result.output) == (2, True, False), result.output
