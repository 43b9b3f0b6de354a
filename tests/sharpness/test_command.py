"""The smallest error that is seen: found by bisection, the same each time, and beside fixed tolerances."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.cli import main
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.run import PROFILES, run_check
from rnnspec.conformance.sharpness.drifting import GOALS, DriftSharpness, calls_of, is_seen, measure_drift
from rnnspec.conformance.sharpness.measuring import (
    SeedRun,
    Sharpness,
    _lowest,
    _quantity,
    _Trial,
    applies,
    cases_of,
    measure,
    smallest_seen,
)
from rnnspec.conformance.sharpness.tolerances import ASSERT_CLOSE, COMPUTED, ONNX, TOLERANCES
from rnnspec.spec import operation

CASE = Case("rnn_cell", "float32", {"B": 3, "D": 2, "H": 4}, {"activation": "tanh"}, seed=5)


@pytest.mark.parametrize("first", range(-23, 2))
def test_bisection_finds_the_lowest_that_is_seen(first: int) -> None:
    assert smallest_seen(lambda exponent: exponent >= first, -23, 1) == first


@pytest.mark.parametrize("operation", ["lstm", "crf_log_likelihood", "cross_entropy"])
def test_what_is_seen_is_seen_too_where_it_is_larger(operation: str) -> None:
    """Bisection rests on it, so it is held against every exponent; in rare cases rounding lets one slip through."""
    asked = slipped = 0
    for seed in range(2):
        trials = [_Trial(case, "values") for case in cases_of(operation, "bfloat16", "values", seed)]
        place = _quantity(trials, np.random.default_rng(seed))
        assert place is not None
        for trial in trials:
            for tolerance in TOLERANCES:
                seen = [trial.sees(tolerance.name, place, exponent) for exponent in range(-23, 1)]
                asked += len(seen)
                slipped += sum(seen[place] > seen[place + 1] for place in range(len(seen) - 1))
    assert asked > 400
    assert slipped <= asked / 200


def test_the_suite_sees_what_its_check_sees() -> None:
    """The error that is found is caught by the check itself, on the cases it draws, and a quarter of it is not."""
    from rnnspec.conformance.sharpness.planting import RelativeError, WatchedReference

    measured = measure("rnn_cell", "bfloat16", "values", runs=1)
    (run,) = measured.runs
    exponent = run.seen[COMPUTED.name]
    assert exponent is not None
    trials = [_Trial(case, "values") for case in cases_of("rnn_cell", "bfloat16", "values", 0)]
    place = _quantity(trials, np.random.default_rng(0))
    assert place is not None
    assert place.name == run.quantity
    verdicts = {}
    for error in (2.0**exponent, 2.0 ** (exponent - 2)):
        backend = WatchedReference(RelativeError(place, error))
        found = run_check(Values(), backend, "rnn_cell", "bfloat16", PROFILES["quick"], seed_number=0, shrink=False)
        verdicts[error] = found.verdict.bad
    assert list(verdicts.values()) == [True, False]


def test_a_measurement_is_the_same_each_time() -> None:
    assert measure("softmax", "float16", "gradients", runs=2) == measure("softmax", "float16", "gradients", runs=2)


def test_where_nothing_is_computed_there_is_nothing_to_plant() -> None:
    moved = measure("embedding", "float16", "values", runs=1)
    assert (moved.runs, moved.rejected[COMPUTED.name]) == ((), 0)
    assert moved.right > 0
    assert not applies("state_jacobian", "gradients")


def test_an_error_that_cancels_is_not_planted() -> None:
    """All exponentials of a softmax too large by the same factor: so is their sum, and the weights are right."""
    trial = _Trial(Case("attention_weights", "float32", {"B": 2, "U": 2, "T": 3}, {}, seed=1), "values")
    matters = {place.name.partition(": ")[2]: trial.matters(place) for place in trial.places.values()}
    assert not matters["np.exp(shifted)"]
    assert matters["exponentials.sum(axis=-1, keepdims=True)"]
    defaults = operation("crf_log_partition").defaults()
    trial = _Trial(Case("crf_log_partition", "float32", {"B": 2, "T": 3, "K": 3}, defaults, seed=1), "values")
    matters = {place.name.rpartition(": ")[2]: trial.matters(place) for place in trial.places.values()}
    assert not matters["shares /= total * np.exp((shift + log_total) - (log_total + shift))"]  # for gradients alone
    assert matters["np.log(total)"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_fixed_tolerances_are_those_of_torch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    assert torch.testing._comparison.default_tolerances(getattr(torch, dtype)) == ASSERT_CLOSE.rtol_atol[dtype]


def test_a_fixed_tolerance_accepts_what_numpy_does() -> None:
    right = np.array([1.0, -2.0, 0.0, np.inf, 1e-9])
    for error in (0.0, 9e-4, 1.1e-3):
        got = (right * (1 + error)).astype(np.float32)
        close = bool(np.allclose(got, right, rtol=1e-3, atol=1e-7))
        assert ONNX.accepts(CASE, Bounded(right, np.zeros(5)), got) == close == (error < 1e-3)
    assert not ONNX.accepts(CASE, Bounded(right, np.zeros(5)), np.where(np.isinf(right), 1e30, right))
    assert not ONNX.accepts(CASE, Bounded(right, np.zeros(5)), np.full(5, np.nan))


def test_ids_must_be_equal() -> None:
    ids = np.array([3, 4000])
    assert ASSERT_CLOSE.accepts(CASE, Bounded(ids, np.zeros(2)), ids)
    assert not ONNX.accepts(CASE, Bounded(ids, np.zeros(2)), ids + np.array([0, 1]))


def test_the_computed_bound_is_the_suites() -> None:
    expected = expected_of(CASE).outputs["h"]
    (right,) = NumpyBackend().run(CASE.call)
    within, beyond = (
        (expected.value + factor * expected.bound).astype(np.float32) for factor in (0.9, 1.2)
    )  # fmt: skip
    assert [COMPUTED.accepts(CASE, expected, got) for got in (right, within, beyond)] == [True, True, False]


def test_what_is_told_is_what_19_of_20_runs_see() -> None:
    runs = tuple(SeedRun(seed, "", dict.fromkeys(("computed", "onnx", "assert_close"), -seed)) for seed in range(20))
    sharpness = Sharpness(
        "lstm", "float32", "values", runs, 800, dict.fromkeys(("computed", "onnx", "assert_close"), 0)
    )
    assert sharpness.smallest("computed") == 2.0**-1
    assert sharpness.smallest("computed", 0.5) == 2.0**-10
    unseen = Sharpness("lstm", "float32", "values", (*runs[:18], *(SeedRun(0, "", {"onnx": None}),) * 2), 800, {})
    assert unseen.smallest("onnx") == float("inf")
    assert Sharpness.from_json(json.loads(json.dumps(sharpness.to_json()))) == sharpness


def test_smallest_errors_start_at_what_the_type_can_hold() -> None:
    assert [np.float32(1 + 2.0 ** _lowest("float32")) > 1, np.float32(1 + 2.0 ** (_lowest("float32") - 1)) > 1] == [
        True,
        False,
    ]
    assert (1 + 2.0 ** _lowest("float64") > 1, 1 + 2.0 ** (_lowest("float64") - 1) > 1) == (True, False)


def test_the_command_and_the_page(tmp_path: Path) -> None:
    file = tmp_path / "sharpness.json"
    options = ["--op", "softmax", "--op", "embedding", "--dtype", "float16", "--runs", "2", "--json", str(file)]
    done = CliRunner().invoke(main, ["sharpness", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "softmax float16 values: smallest error seen" in done.output
    assert "embedding float16 values: no number is computed" in done.output
    assert "rejected 0 of" in done.output

    from rnnspec.conformance.pages.sharpness import drift_sections, read, sections

    measured, drifts = read(file)
    assert [(one.operation, one.part) for one in measured] == [
        ("embedding", "values"), ("softmax", "values"), ("embedding", "gradients"), ("softmax", "gradients"),
    ]  # fmt: skip
    text = sections(measured)
    row = next(line for line in text["values"].splitlines() if line.startswith("| `softmax` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert float(cells[1]) == pytest.approx(measured[1].smallest(COMPUTED.name), rel=0.05)
    assert "| `embedding` | – | – | – |" in text["values"]
    assert text["summary"].count("float16") == 2
    tables = drift_sections(drifts)
    assert "| float16 | 0.002 | 4 of 4 | 4 of 4 | " in tables["drift"]
    assert {one.quantity for one in drifts if one.operation == "softmax"} == {"y", "dx"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--op", "lsmt"], "lstm"),
        (
            ["--dtype", "float8"],
            "unknown dtype 'float8': did you mean float64? expected one of float16, bfloat16, float32, float64",
        ),
        (["--op", "state_jacobian", "--part", "gradients"], "nothing to measure"),
        (["--runs", "0"], "0 is not in the range x>=1"),
        (["--part", "weights"], "'weights' is not one of 'values', 'gradients', 'drift'"),
    ],
)
def test_bad_input(options: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["sharpness", *options])
    assert done.exit_code == 2
    assert message in done.output


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    from rnnspec.conformance.pages.sharpness import read

    file = tmp_path / "other.json"
    for content in ("[]", "{", '{"measured": [{}]}'):
        file.write_text(content)
        with pytest.raises(ValueError, match="rnnspec sharpness --json"):
            read(file)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="drawing needs matplotlib (extra plots)")
def test_figures_are_the_same_each_time(tmp_path: Path) -> None:
    from rnnspec.conformance.pages.sharpness_plots import draw

    measured = [measure("softmax", "float16", part, runs=1) for part in ("values", "gradients")]
    first, second = (draw(measured, tmp_path / folder) for folder in ("first", "second"))
    assert [file.name for file in first] == ["values.svg", "gradients.svg"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_a_systematic_error_of_the_goal_is_seen_and_half_of_what_rounding_explains_is_not() -> None:
    found = {one.quantity: one for one in measure_drift("dense", "bfloat16", seeds=2)}
    assert set(found) == {"y", "dx", "dW", "db"}
    assert GOALS["bfloat16"] == 1e-2
    for one in found.values():
        assert (one.seeds, one.at_twice) == (2, 2)
        assert 2**-8 < one.explained < 2e-2
        assert DriftSharpness.from_json(json.loads(json.dumps(one.to_json()))) == one
    (y,) = (calls for quantity, calls in calls_of("dense", "bfloat16", 0).items() if quantity == "y")
    assert is_seen(y, "bfloat16", 2 * found["y"].explained)
    assert not is_seen(y, "bfloat16", found["y"].explained / 2)
