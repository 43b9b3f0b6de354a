"""Two runs against each other, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.conformance.bench.comparing import BenchRun, compare, read_run
from rnnspec.conformance.bench.errors import BenchError

RNG = np.random.default_rng(0)


def run(name: str = "run.json", refusals: dict[str, str] | None = None, **medians: float) -> BenchRun:
    times = {key: RNG.lognormal(np.log(median), 0.02, 30) for key, median in medians.items()}
    return BenchRun(Path(name), times, refusals or {}, {"CPU": "fast", "threads": "1"})


def test_only_what_is_surely_slower_by_more_than_the_threshold_is_a_regression() -> None:
    old = run(much=1.0, little=1.0, same=1.0, better=1.0)
    comparison = compare(old, run(much=1.5, little=1.05, same=1.0, better=0.5), 0.1)
    verdicts = {one.name: one.verdict for one in comparison.compared}
    assert verdicts == {"much": "regression", "little": "slower", "same": "no difference shown", "better": "faster"}
    assert comparison.bad
    assert not compare(old, run(much=1.5), 0.6).bad


def test_what_no_longer_conforms_is_lost() -> None:
    comparison = compare(run(a=1.0, b=1.0), run(b=1.0, refusals={"a": "does not conform: y"}), 0.1)
    assert comparison.lost == {"a": "does not conform: y"}
    assert comparison.bad


def test_what_one_file_alone_has_is_told_and_no_regression() -> None:
    comparison = compare(run(a=1.0, b=1.0), run(b=1.0, c=1.0), 0.1)
    assert (comparison.only_old, comparison.only_new) == (("a",), ("c",))
    assert not comparison.bad


def test_other_machines_are_told() -> None:
    new = BenchRun(Path("new.json"), run(a=1.0).times, {}, {"CPU": "slow", "threads": "1"})
    assert compare(run(a=1.0), new, 0.1).machines == {"CPU": ("fast", "slow")}


def test_nothing_in_common() -> None:
    with pytest.raises(BenchError, match=r"in both files, got none: old.json has a, new.json has b, c and 1 more"):
        compare(run("old.json", a=1.0), run("new.json", b=1.0, c=1.0, d=1.0), 0.1)


GOOD: dict[str, Any] = {"fullname": "a", "stats": {"data": [1.0, 2.0]}}
FOREIGN = {
    "no JSON": "so not JSON",
    "no object": "[]",
    "no benchmarks": json.dumps({"backends": []}),
    "empty": json.dumps({"benchmarks": []}),
    "no stats": json.dumps({"benchmarks": [{"fullname": "a"}]}),
    "no data": json.dumps({"benchmarks": [{"fullname": "a", "stats": {"median": 1.0}}]}),
    "no name": json.dumps({"benchmarks": [{"stats": {"data": [1.0]}}]}),
    "no rounds": json.dumps({"benchmarks": [{"fullname": "a", "stats": {"data": []}}]}),
    "no numbers": json.dumps({"benchmarks": [{"fullname": "a", "stats": {"data": ["fast"]}}]}),
    "no seconds": json.dumps({"benchmarks": [{"fullname": "a", "stats": {"data": [-1.0]}}]}),
    "no number": json.dumps({"benchmarks": [{"fullname": "a", "stats": {"data": [float("nan")]}}]}),
    "other refusals": json.dumps({"benchmarks": [GOOD], "rnnspec": {"refusals": ["a"]}}),
    "other machine": json.dumps({"benchmarks": [GOOD], "machine_info": "mine"}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "foreign.json"
    file.write_text(FOREIGN[name])
    wanted = "expected a file that 'rnnspec bench --json' or 'pytest --benchmark-json' writes"
    with pytest.raises(BenchError, match=wanted):
        read_run(file)


def test_a_file_of_pytest_benchmarks_own(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"benchmarks": [GOOD], "machine_info": {"node": "here", "cpu": {"count": 4}}}))
    read = read_run(file)
    assert list(read.times["a"]) == [1.0, 2.0]
    assert read.machine == {"machine": "here", "cores": "4"}
