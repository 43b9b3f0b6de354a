"""`rnnspec.trace` and `rnnspec.bench`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rnnspec
from rnnspec.conformance.run.plan import PlanError
from rnnspec.spec import CallError


def test_a_trace_of_a_drawn_call() -> None:
    trace = rnnspec.trace("rnn", sizes={"T": 3, "H": 2}, gradient=True)
    steps = [one.index for one in trace if one.name == "h"]
    assert {(0,), (1,), (2,)} <= set(steps)
    assert any(one.name == "dh" for one in trace)
    assert trace[0] is trace.quantities[0]
    assert "h[t] = " in str(trace)
    assert trace._repr_html_().count("<tr>") == len(trace) + 1


def test_a_trace_of_numbers_of_ones_own() -> None:
    inputs = {"x": np.ones((1, 2)), "W": np.full((1, 2), 0.5), "b": np.zeros(1)}
    trace = rnnspec.trace("dense", inputs)
    assert [float(one.value[0]) for one in trace if one.name == "y"] == [1.0]
    assert trace.to_json()["operation"] == "dense"


def test_a_wrong_call_of_trace() -> None:
    with pytest.raises(PlanError, match="size Q = 1: expected a number from 0 on for one of B, "):
        rnnspec.trace("rnn", sizes={"Q": 1})
    with pytest.raises(CallError, match="rnn: "):
        rnnspec.trace("rnn", {"x": np.zeros(3)})


def test_a_bench_of_one_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_benchmark")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # in a worker of pytest-xdist nothing is measured
    bench = rnnspec.bench(
        ["numpy"], operations=["dense"], scale="small", sizes={"B": [2, 3]}, modes=["forward"], seconds=0.05,
        memory=False,
    )  # fmt: skip
    assert [outcome.contest.name for outcome in bench.outcomes] == [
        "dense-small B=2 forward float32", "dense-small B=3 forward float32",
    ]  # fmt: skip
    assert "dense-small B=2 forward float32" in str(bench)
    assert bench._repr_html_().startswith("<pre>")
    bench.write_json(tmp_path / "bench.json")
    assert len(json.loads((tmp_path / "bench.json").read_text())["benchmarks"]) == 2


def test_a_name_alone_is_no_list_of_backends() -> None:
    with pytest.raises(PlanError, match=r"expected a list of backends, like \['torch'\]"):
        rnnspec.bench("torch")
