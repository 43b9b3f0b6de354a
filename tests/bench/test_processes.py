"""Threads, and memory in processes of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnspec.conformance.bench.catalogue import at_scale
from rnnspec.conformance.bench.contender import open_contenders
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.memory import most_resident, most_resident_anew, peak_memory
from rnnspec.conformance.bench.threads import cores, pinned
from rnnspec.conformance.bench.workload import Workload
from rnnspec.conformance.cases import Case
from rnnspec.conformance.thread_variables import VARIABLES


def calls(cases: Sequence[Case], mode: str) -> dict[str, Any]:
    return {"cases": [case.to_json() for case in cases], "mode": mode}


def test_threads_are_pinned_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = cores()
    with pinned(1) as count:
        assert count == 1
        assert {os.environ[name] for name in VARIABLES} == {"1"}
        if hasattr(os, "sched_getaffinity"):
            assert cores() == before[:1]
    assert cores() == before
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_all_cores_by_default() -> None:
    with pinned(None) as count:
        assert count == len(cores())


def test_more_threads_than_cores() -> None:
    there = len(cores())
    with pytest.raises(BenchError, match=f"threads: expected 1 to {there}, .*got {there + 1}"), pinned(there + 1):
        pass


def test_memory_in_a_process_of_its_own(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array of 64 MiB in, one out: beside the framework, both count."""
    (case,) = at_scale("clip_by_value", "small").with_sizes(N=2**24).cases("forward", "float32")
    (tmp_path / "random.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)  # where a file has the name of a module that others import
    large = peak_memory("numpy", "cpu", calls([case], "forward"))
    small = peak_memory("numpy", "cpu", calls(tiny().cases("gradient", "float32"), "gradient"))
    assert large is not None
    assert small is not None
    assert large.device is None
    assert large.before >= 2**26
    assert large.taken >= 2**26
    assert small.resident < 2**28
    assert large.resident > small.resident + 2**26


def test_memory_of_what_fails_is_unknown(tiny: Workload | Any) -> None:
    assert peak_memory("no-such-backend", "cpu", calls(tiny().cases("forward", "float32"), "forward")) is None


def test_what_was_resident_before_does_not_count() -> None:
    hog = bytearray(2**27)
    assert len(hog) == 2**27
    high = most_resident()
    del hog
    assert most_resident_anew() <= high


@pytest.mark.parametrize("names", [("numpy",), ("numpy", "numpy")])
def test_two_backends_are_needed(names: tuple[str, ...]) -> None:
    with pytest.raises(BenchError, match=r"expected two backends to compare, .*got only numpy; .*--alone"):
        open_contenders(names, "cpu")
    (alone,) = open_contenders(names, "cpu", alone=True)
    assert alone.name == "numpy"


def test_a_device_in_the_name_goes_before() -> None:
    one, other = open_contenders(("numpy", "numpy@cpu"), "cpu")
    assert (one.name, other.name, other.backend.device) == ("numpy", "numpy@cpu", "cpu")
    assert other.place == "cpu"
