"""A worker of pytest-xdist that is lost costs the check that it is in, once, and no other."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.plan import Item, lost_result
from rnnspec.conformance.run.result import RESULT

pytest.importorskip("xdist")
from rnnspec.conformance.run.together import BETWEEN, Together

ABORTS_ONCE = """
import os
from pathlib import Path
from rnnspec.backends.numpy import NumpyBackend

class Aborts(NumpyBackend):
    name = "aborts"
    def dense(self, *args, **more):
        if not Path("aborted").exists():
            Path("aborted").touch()
            os.abort()
        return super().dense(*args, **more)
"""
ITEM = Item("fake", "dense", "float32", CHECKS[0].id)


def test_the_check_in_which_a_worker_is_lost_is_a_crash(program: Any, tmp_path: Path) -> None:
    (tmp_path / "aborts.py").write_text(ABORTS_ONCE)
    done = program(
        "validate", "aborts:Aborts", "--no-isolate", "--op", "dense", "--dtype", "float32", "-n", "1",
        "-k", "values or batch", "--json", str(tmp_path / "r.json"), path=(tmp_path,),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (backend,) = json.loads((tmp_path / "r.json").read_text())["backends"]
    verdicts = [check["verdict"] for check in backend["operations"][0]["checks"]]
    assert verdicts.count("crashed") == 1
    assert set(verdicts) == {"crashed", "conforms"}


def scheduling(between: set[str]) -> Any:
    one = Together.__new__(Together)
    one.config = SimpleNamespace(stash=pytest.Stash())
    one.config.stash[BETWEEN] = between
    one.assigned_work = OrderedDict(gw0={"done": {"a": True}, "begun": {"b": True, "c": False, "d": False}})
    one.workqueue = OrderedDict()
    return one


def test_a_lost_check_is_not_done_again() -> None:
    one = scheduling(set())
    assert one.remove_node("gw0") == "c"
    assert one.workqueue == {"begun": {"b": True, "c": True, "d": False}}


def test_a_worker_lost_after_a_check_costs_no_other() -> None:
    collector = Collector(Console(quiet=True), [ITEM])
    collector._config = cast(Any, SimpleNamespace(stash=pytest.Stash()))
    result = lost_result(ITEM, "cpu")
    report: Any = SimpleNamespace(
        when="call", failed=True, node="gw0", user_properties=[(RESULT, {**result.to_json(), "verdict": "violates"})]
    )
    collector.pytest_runtest_logreport(report)
    assert not collector.results
    collector.pytest_testnodedown("gw0", "lost")
    (found,) = collector.results
    assert found.verdict is Verdict.VIOLATES
    one = scheduling(collector._config.stash[BETWEEN])  # type: ignore[union-attr]  # it was set above
    assert one.remove_node("gw0") is None
    assert one.workqueue == {"begun": {"b": True, "c": False, "d": False}}
