"""`rnnspec.trace` and `rnnspec.bench`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import rnnspec
from rnnspec.backends import Backend, BackendError
from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.cli import main
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
    assert " object at 0x" not in repr(trace[0])
    assert repr(trace) == f"<rnnspec.Trace: {len(trace)} quantities of rnn>"


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
    assert repr(bench) == "<rnnspec.Bench: 2 workloads>"
    bench.write_json(tmp_path / "bench.json")
    assert len(json.loads((tmp_path / "bench.json").read_text())["benchmarks"]) == 2


def test_a_name_alone_is_no_list_of_backends() -> None:
    with pytest.raises(PlanError, match=r"expected a list of backends, like \['torch'\]"):
        rnnspec.bench("torch")


DENSE = {"x": np.ones((1, 2)), "W": np.full((1, 2), 0.5), "b": np.zeros(1)}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: rnnspec.trace(3), "expected an operation's name: expected a text, got 3"),
        (lambda: rnnspec.trace("rnn", seed=-1), "seed: expected a whole number from 0 on, got -1"),
        (lambda: rnnspec.trace("rnn", sizes={"T": 2.5}), "sizes: T: expected a whole number from 0 on, got 2.5"),
        (lambda: rnnspec.trace("rnn", attributes=3), "attributes: expected a dict, like {'reset': 'before'}, got 3"),
        (lambda: rnnspec.trace("rnn", 3), "inputs: expected a dict"),
        (lambda: rnnspec.trace("rnn", sequence="a"), "sequence: expected a whole number"),
        (
            lambda: rnnspec.trace("dense", DENSE, gradient=True),
            "gradient: expected cotangents beside inputs of your own",
        ),
        (lambda: rnnspec.trace("dense", DENSE, cotangents=[]), "cotangents: expected an array for each of y, got []"),
        (lambda: rnnspec.bench([]), "expected a backend, got none"),
        (lambda: rnnspec.bench([3]), "backends: expected a list of names, got [3]"),
        (
            lambda: rnnspec.bench(["numpy"], seconds=float("nan")),
            "seconds: expected a number from 0.001 to 1e+07, got nan",
        ),
        (lambda: rnnspec.bench(["numpy"], rounds=1), "rounds: expected a whole number from 2 on, got 1"),
        (lambda: rnnspec.bench(["numpy"], sizes={"T": "x"}), "sizes: T: expected a whole number or a list of some"),
        (lambda: rnnspec.bench(["numpy"], threads=0), "threads: expected a whole number from 1 on, got 0"),
        (lambda: rnnspec.bench(["numpy"], sizes={"T": [True]}), "sizes: T: expected a whole number or a list of some"),
        (lambda: rnnspec.conforms("lstm", dtypes="float32"), "expected a list of dtypes, like ['float32']"),
        (lambda: rnnspec.validate("numpy", operations=3), "operations: expected names, or None for all, got (3,)"),
        (lambda: rnnspec.validate("numpy", profile=["quick"]), "profile: expected a text, got ['quick']"),
        (lambda: rnnspec.validate("numpy", expected=3), "expected: expected a path, got 3"),
    ],
)
def test_an_argument_of_another_kind_is_one_line(call: Callable[[], object], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        call()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [None, "", "a\nb", "\x1b[31m"])
def test_an_adapter_without_a_name_is_told(name: str | None) -> None:
    own = {} if name is None else {"name": name}
    adapter = type("Mine", (Backend,), own)
    for one in (adapter, adapter()):
        with pytest.raises(BackendError, match="expected Mine to have a name, like name = 'mine'"):
            rnnspec.validate(one, operations=["dense"])


def test_numbers_and_words_of_numpy_are_values_of_attributes() -> None:
    trace = rnnspec.trace("rnn", attributes={"clip": np.float32(0.5), "activation": np.str_("relu")})
    assert (trace.attributes["clip"], type(trace.attributes["clip"])) == (0.5, float)
    assert type(trace.attributes["activation"]) is str
    assert len(rnnspec.trace("rnn", sizes={"T": np.int64(2)})) == len(rnnspec.trace("rnn", sizes={"T": 2}))


def test_an_interrupt_while_it_times_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_benchmark")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    def hold(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr("rnnspec.conformance.bench.engine.Engine.hold", hold)
    done = CliRunner().invoke(main, ["bench", "numpy", "--alone", "--op", "dense", "--no-memory"])
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (130, "interrupted")
