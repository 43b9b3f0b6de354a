"""A soak gives the same whatever the order, the number of processes, or how often it was interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnspec.conformance.bench.cost import cost_of
from rnnspec.conformance.hosting.jobs import Here, workers
from rnnspec.conformance.soak.engine import BLOCK, blocks, work_through
from rnnspec.conformance.soak.examining import MOST_FLOPS, Examiner, Soak
from rnnspec.conformance.soak.state import State
from rnnspec.conformance.soak.statistics import CasePlace, Statistics

SOAK = Soak("numpy", (("rnn_cell", "float32"), ("crf_score", "float16"), ("dense", "bfloat16")), seed=5)
CASES = BLOCK + 70


def soaked(parts: list[range], jobs: int = 1) -> State:
    state = State()
    with workers(jobs) as sharing:
        assert work_through(SOAK, parts, sharing, state.add) == 0
    return state


@pytest.fixture(scope="module")
def at_once() -> dict[str, Any]:
    return soaked([range(CASES)]).statistics.to_json()


def test_blocks_are_cut_at_the_same_places_wherever_one_begins() -> None:
    cut = list(blocks([range(10, BLOCK + 5), range(3 * BLOCK, 3 * BLOCK + 1)]))
    assert cut == [range(10, BLOCK), range(BLOCK, BLOCK + 5), range(3 * BLOCK, 3 * BLOCK + 1)]
    assert list(blocks([])) == []


def test_a_case_depends_on_the_seed_and_its_place_alone() -> None:
    def names(soak: Soak, order: list[int]) -> dict[CasePlace, str]:
        examiner = Examiner(soak)
        return {soak.place(number): str(examiner.case(soak.place(number))) for number in order}

    numbers = list(range(60))
    forwards, backwards = names(SOAK, numbers), names(SOAK, numbers[::-1])
    assert forwards == backwards
    assert len(set(forwards.values())) == 60
    alone = names(Soak("numpy", (("crf_score", "float16"),), seed=5), list(range(20)))
    assert alone == {place: name for place, name in forwards.items() if place.operation == "crf_score"}
    other = names(Soak("numpy", SOAK.targets, seed=6), numbers)
    assert other.keys() == forwards.keys()
    assert not set(other.values()) & set(forwards.values())


def test_a_case_that_takes_minutes_is_drawn_again() -> None:
    examiner = Examiner(Soak("numpy", (("state_jacobian", "float32"),)))
    drawn = [examiner.case(CasePlace("state_jacobian", "float32", number)) for number in range(300)]
    assert max(cost_of([case], "forward").flops for case in drawn) <= MOST_FLOPS
    assert sum(case.sizes["H"] > 5 for case in drawn) > 30  # there are large ones


def test_the_order_of_the_parts_does_not_matter(at_once: dict[str, Any]) -> None:
    parts = list(blocks([range(30), range(30, 150), range(150, CASES)]))
    random.Random(1).shuffle(parts)
    assert soaked(parts).statistics.to_json() == at_once


def test_two_processes_give_what_one_gives(at_once: dict[str, Any]) -> None:
    state = soaked([range(CASES)], jobs=2)
    assert state.done == [range(CASES)]
    assert state.statistics.to_json() == at_once


def test_the_two_processes_are_others_with_one_thread_each(
    monkeypatch: pytest.MonkeyPatch, soak: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "telling.py").write_text(
        "import os\nfrom rnnspec.backends.numpy import NumpyBackend\n\n\n"
        "class Telling(NumpyBackend):\n"
        '    """Tells where it runs by what it refuses."""\n'
        "    name = 'telling'\n\n"
        "    def rnn_cell(self, **call):\n"
        "        raise MemoryError(f\"{os.getpid()} {os.environ['OMP_NUM_THREADS']}\")\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    _, report = soak("telling:Telling", "--no-isolate", "--jobs", "2", "--cases", str(2 * BLOCK))
    words = {tuple(failure["message"].split()[1:3]) for failure in report["failures"]}
    assert {threads for _, threads in words} == {"1"}
    assert str(os.getpid()) not in {process for process, _ in words}


def test_a_soak_that_went_on_gives_what_one_without_a_break_gives(soak: Callable[..., Any], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    _, whole = soak("numpy", "--cases", "330")
    for cases in ("70", "290", "330", "330"):
        result, report = soak("numpy", "--cases", cases, "--resume", str(kept))
        assert result.exit_code == 0
        assert report["cases"] == int(cases)
    timeless = {"seconds"}
    assert {key: value for key, value in report.items() if key not in timeless} == {
        key: value for key, value in whole.items() if key not in timeless
    }


# Interrupts: a process that is sent the signals.


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rnnspec", "soak", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def cases_in(kept: Path) -> int:
    """How many cases a file says are done."""
    return sum(stop - start for start, stop in json.loads(kept.read_text())["done"]) if kept.exists() else 0


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


@pytest.mark.parametrize(("jobs", "number"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_an_interrupt_loses_nothing(jobs: str, number: signal.Signals, backends: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    arguments = ("oddities:Slow", "--no-isolate", "--op", "rnn_cell", "--dtype", "float32", "--cases", "100000")
    with start(*arguments, "--jobs", jobs, "--resume", str(kept), folder=backends) as process:
        wait_for(lambda: cases_in(kept) >= BLOCK, process)
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to all of the group
        else:
            process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, printed
    done = cases_in(kept)
    assert BLOCK <= done < 100_000
    assert f"interrupted with {done:,} of 100,000 cases done and kept in" in printed
    assert "Traceback" not in printed
    data = json.loads(kept.read_text())
    assert sum(group["cases"] for _, _, group in data["statistics"]["by_regime"]) == done


def test_a_second_interrupt_ends_what_hangs(backends: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    arguments = ("oddities:Hanging", "--no-isolate", "--op", "rnn_cell", "--dtype", "float32", "--cases", "4000")
    with start(*arguments, "--jobs", "2", "--resume", str(kept), folder=backends) as process:
        wait_for(lambda: len(list(backends.glob("hanging-*"))) == 2, process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert cases_in(kept) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_no_process_outlives_the_one_that_gives_it_work(backends: Path) -> None:
    arguments = ("oddities:Hanging", "--no-isolate", "--op", "rnn_cell", "--dtype", "float32", "--cases", "4000")
    with start(*arguments, "--jobs", "2", folder=backends) as process:
        wait_for(lambda: len(list(backends.glob("hanging-*"))) == 2, process)
        process.kill()
    workers = [int(path.name.removeprefix("hanging-")) for path in backends.glob("hanging-*")]
    end = time.monotonic() + 30
    while any(map(runs, workers)):
        assert time.monotonic() < end, "a process still runs"
        time.sleep(0.05)


def runs(process: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_lost_process_is_a_clear_error_and_what_was_done_is_kept(
    soak: Callable[..., Any], backends: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    result, _ = soak("oddities:Crashing", "--no-isolate", "--jobs", "2", "--cases", "2000", "--resume", str(kept))
    assert result.exit_code == 2
    assert "oddities:Crashing ran was lost" in result.output
    assert "--isolate" in result.output
    assert cases_in(kept) < 2000


def test_a_fault_of_the_suite_names_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the judge is broken")

    monkeypatch.setattr("rnnspec.conformance.soak.examining.expected_of", broken)
    with pytest.raises(ZeroDivisionError) as error:
        work_through(SOAK, [range(3)], Here(), lambda numbers, statistics: None)
    assert "in case rnn_cell float32 0 of seed 5: rnn_cell float32 B=" in error.value.__notes__[0]


def test_nothing_is_reported_of_what_was_not_examined() -> None:
    reported: list[tuple[range, Statistics]] = []
    assert work_through(SOAK, [], Here(), lambda *done: reported.append(done)) == 0
    assert reported == []
