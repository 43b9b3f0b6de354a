"""Work on a cluster of separate processes gives the report of one process, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="a cluster needs Dask's distributed")

from rnnspec.conformance.hosting import cluster as cluster_module
from rnnspec.conformance.hosting.block import Guest
from rnnspec.conformance.hosting.cluster import Cluster
from rnnspec.conformance.hosting.errors import ClusterError
from rnnspec.conformance.hosting.facts import facts_of
from rnnspec.conformance.hosting.isolated import Isolation
from rnnspec.conformance.hosting.jobs import Here, Results
from rnnspec.conformance.hosting.work import Work, named
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.soak.engine import EXAMINE, work_through
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.report import BAD

pytestmark = pytest.mark.slow

ADAPTERS = """\
import os
import pathlib
import time
from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend

class Slow(NumpyBackend):
    name = "slow"
    def rnn_cell(self, **call):
        time.sleep(0.01)
        return reference.rnn_cell(**call)

class Versioned(Slow):
    name = "versioned"
    def versions(self):
        return {"library": os.environ.get("OF_LIBRARY", "1.0")}

class Wrong(NumpyBackend):
    name = "wrong"
    def dense(self, **call):
        return tuple(2 * one for one in reference.dense(**call))

class Fatal(NumpyBackend):
    name = "fatal"
    def rnn_cell(self, **call):
        os._exit(3)
"""


class LocalCluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.begin()

    def begin(self) -> None:
        more = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show")
        self.scheduler = self._start("scheduler", *more)

    def add(self, **environment: str) -> None:
        more = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60")
        self.workers.append(self._start("worker", self.address, *more, **environment))

    def _start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dask", *words],
            env={**os.environ, "PYTHONPATH": path, **environment}, cwd=self.folder.parent,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def lose_scheduler(self) -> None:
        assert self.scheduler is not None
        self.scheduler.kill()
        self.scheduler.wait()

    def close(self) -> None:
        for one in (*self.workers, self.scheduler):
            if one is not None:
                one.kill()
                one.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalCluster]]:
    """Start a scheduler with so many workers, which can import the adapters."""
    made: list[LocalCluster] = []

    def begin(workers: int = 0) -> LocalCluster:
        folder = tmp_path_factory.mktemp("cluster")
        (folder / "cluster_guests.py").write_text(ADAPTERS)
        made.append(LocalCluster(folder))
        for _ in range(workers):
            made[-1].add()
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def cluster(start: Callable[..., LocalCluster]) -> LocalCluster:
    """Two workers, which no test disturbs."""
    return start(2)


@pytest.fixture
def rnnspec(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    (tmp_path / "cluster_guests.py").write_text(ADAPTERS)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-P", "-m", "rnnspec", *map(str, words)], cwd=tmp_path, text=True,
            capture_output=True, timeout=400, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip

    return run


def timeless(data: Any) -> Any:
    """The same without times."""
    if isinstance(data, dict):
        return {key: timeless(value) for key, value in data.items() if "seconds" not in key and key != "date"}
    return [timeless(value) for value in data] if isinstance(data, list) else data


SOAK = ("soak", "cluster_guests:Slow", "--no-isolate", "--op", "rnn_cell", "--op", "dense", "--cases", 800)
FATAL = ("soak", "cluster_guests:Fatal", "--no-isolate", "--op", "rnn_cell", "--cases", 200)
COMMANDS = {
    "soak": SOAK,
    "validate": ("validate", "numpy", "--op", "dense", "--op", "embedding", "--dtype", "float16"),
    "faults": ("faults", "--op", "embedding"),
    "sharpness": ("sharpness", "--op", "dense", "--dtype", "float32", "--part", "values", "--runs", 2),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_cluster_gives_the_report_of_one_process(
    name: str, cluster: LocalCluster, rnnspec: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    reports = []
    for where in ((), ("--scheduler", cluster.address)):
        file = tmp_path / f"{len(reports)}.json"
        done = rnnspec(*COMMANDS[name], *where, "--json", file)
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(file.read_text()))
    assert timeless(reports[0]) == timeless(reports[1])


def test_repros_come_back_from_the_workers(
    cluster: LocalCluster, rnnspec: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    asked = ("validate", "cluster_guests:Wrong", "--op", "dense", "--dtype", "float32", "--largest", "1")
    done = rnnspec(*asked, "--scheduler", cluster.address, "--repro-dir", tmp_path / "repros")
    assert done.returncode == 1, done.stderr
    scripts = sorted((tmp_path / "repros").glob("*.py"))
    assert any(str(script) in done.stdout.replace("\n", "") for script in scripts)
    assert subprocess.run([sys.executable, scripts[0]], capture_output=True, cwd=tmp_path).returncode == 1


def test_workers_that_are_killed_lose_nothing(
    start: Callable[..., LocalCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = start(2)
    soak = Soak("cluster_guests:Slow", (("rnn_cell", "float32"),), isolation=Isolation.NEVER)
    done: list[range] = []
    chance = random.Random(int(time.time()))

    def kill_and_replace() -> None:
        for _ in range(3):
            time.sleep(chance.uniform(0.5, 2.0))
            victim = chance.choice([one for one in cluster.workers if one.poll() is None])
            victim.kill()
            cluster.add()

    monkeypatch.syspath_prepend(cluster.folder)
    with Cluster(cluster.address) as workers:
        killer = threading.Thread(target=kill_and_replace)
        killer.start()
        items = [[start, start + 100] for start in range(0, 2000, 100)]
        for _, (part, statistics) in workers.results(EXAMINE.having(soak=soak.to_json()), items):
            assert statistics.whole().cases == len(part)
            done.append(part)
        killer.join()
    assert sorted((part.start, part.stop) for part in done) == [tuple(item) for item in items]


def test_a_worker_of_other_versions_or_without_the_framework_gets_no_work(
    start: Callable[..., LocalCluster], rnnspec: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    one = start()
    one.add(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    asked = ("soak", "cluster_guests:Versioned", "--no-isolate", "--op", "rnn_cell", "--scheduler", one.address)
    done = rnnspec(*asked, "--cases", 10)
    assert done.returncode == 2
    assert re.search("gets no work: .*cluster_guests", done.stderr)
    assert "has the versions of this process" in done.stderr
    assert "Traceback" not in done.stderr
    one.add(OF_LIBRARY="2.0")
    one.add()
    with Cluster(one.address) as workers:
        workers._client.wait_for_workers(3, timeout=60)
    done = rnnspec(*asked, "--cases", 400, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    assert "gets no work: library: expected 1.0, got 2.0" in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["cases"] == 400


def test_a_scheduler_that_comes_back_finds_the_work_where_it_was(
    start: Callable[..., LocalCluster], rnnspec: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    cluster, kept = start(2), tmp_path / "kept"

    def lose_it() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (kept.exists() and json.loads(kept.read_text())["done"]):
            time.sleep(0.1)
        cluster.lose_scheduler()
        time.sleep(5)  # a shorter break is mended by Dask's own client
        cluster.begin()
        cluster.add()

    breaking = threading.Thread(target=lose_it)
    breaking.start()
    done = rnnspec(*SOAK, "--scheduler", cluster.address, "--resume", kept, "--json", tmp_path / "report.json")
    breaking.join()
    assert done.returncode == 0, done.stderr
    assert "is lost; waiting up to" in done.stderr
    assert "it is back" in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    rnnspec(*SOAK, "--json", tmp_path / "alone.json")
    assert timeless(report) == timeless(json.loads((tmp_path / "alone.json").read_text()))


def test_a_piece_that_ends_its_process_each_time_is_one_line(
    cluster: LocalCluster, rnnspec: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = rnnspec(*FATAL, "--scheduler", cluster.address)
    assert done.returncode == 2
    assert "a process in which backend cluster_guests:Fatal ran was lost" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_keeps_what_came(cluster: LocalCluster, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    words = [*map(str, SOAK[:-1]), "100000", "--scheduler", cluster.address, "--resume", str(kept)]
    path = os.pathsep.join([str(cluster.folder), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "rnnspec", *words], cwd=cluster.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    end = time.monotonic() + 90
    while not (kept.exists() and json.loads(kept.read_text())["done"]):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 130, printed
    assert "and kept in" in printed
    assert "Traceback" not in printed
    state = json.loads(kept.read_text())
    assert sum(group["cases"] for _, _, group in state["statistics"]["by_regime"]) == sum(
        stop - begin for begin, stop in state["done"]
    )


def test_a_pickled_result_is_refused(cluster: LocalCluster) -> None:
    with Cluster(cluster.address) as workers:
        future = workers._client.submit(dict, [("result", Path("x"))], pure=False)
        with pytest.raises(ClusterError, match="something else than a result"):
            workers.outcome(Work(str, str, str), None, future)


@pytest.mark.parametrize("answer", ["[]", "{", "null", '["a", "{}"]', '["a", "{\\"result\\": {\\"start\\": 0}}"]'])
def test_an_answer_of_another_form_is_refused(answer: str, cluster: LocalCluster) -> None:
    with Cluster(cluster.address) as workers:
        future = workers._client.submit(str, answer, pure=False)
        with pytest.raises(ClusterError, match="something else than a result"):
            workers.outcome(EXAMINE, [0, 1], future)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the client that came to nothing
def test_another_server_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers something that announces more than ever comes."""
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(cluster_module, "CLOSE_SECONDS", 0.5)
    with ExitStack() as connections, socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    # Open until the test ends: a socket that nobody closes warns in whichever test runs next.
                    connection = connections.enter_context(server.accept()[0])
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ClusterError, match="nobody answers at tcp://"):
            Cluster(f"tcp://127.0.0.1:{server.getsockname()[1]}")


def test_a_scheduler_that_is_not_there_is_one_line(
    start: Callable[..., LocalCluster],
    rnnspec: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = rnnspec("soak", "numpy", "--op", "dense", "--cases", 10, "--scheduler", "nonsense")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "expected a scheduler's address" in done.stderr
    with monkeypatch.context() as impatient:
        impatient.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
        with pytest.raises(ClusterError, match="nobody answers at"):
            Cluster("tcp://127.0.0.1:1")
    monkeypatch.setattr(cluster_module, "WORKER_SECONDS", 0.5)
    with pytest.raises(ClusterError, match="has no worker"):
        Cluster(start().address)
    done = rnnspec("soak", "numpy", "--cases", 10, "--scheduler", "x", "--jobs", 2)
    assert done.returncode == 2
    assert "expected --jobs or --scheduler, got both" in done.stderr


def test_only_work_of_the_project_can_be_named() -> None:
    assert named(EXAMINE.name) is EXAMINE
    for name in ("os:system", "rnnspec.conformance.soak.engine:BLOCK", "rnnspec.conformance.soak.engine"):
        with pytest.raises(LookupError):
            named(name)


class Cheating(Here):
    """A worker that examines fewer cases than it is asked for."""

    def results(self, work: Work[Any], items: Iterable[Any]) -> Results[Any]:
        """Yield results of a part of each piece."""
        yield from super().results(work, [[start, stop - 1] for start, stop in items])


def test_a_result_of_another_piece_is_an_error() -> None:
    soak = Soak("numpy", (("dense", "float32"),))
    with pytest.raises(PlanError, match="expected the cases 0 to 3, got 0 to 2"):
        work_through(soak, [range(3)], Cheating(), lambda part, statistics: None)


def test_a_guest_takes_no_interrupt_of_the_terminal() -> None:
    guest = Guest()
    try:
        request = {"work": EXAMINE.name, "settings": {"soak": Soak("numpy", (("dense", "float32"),)).to_json()}}
        facts = facts_of(EXAMINE.having(**request["settings"]))  # type: ignore[arg-type]  # it is a dict
        guest.ask(json.dumps({**request, "item": [0, 1], "facts": facts}))  # it has begun
        asked = json.dumps({**request, "item": [0, 40], "facts": facts})
        answers: list[str] = []
        waiting = threading.Thread(target=lambda: answers.append(guest.ask(asked)))
        waiting.start()
        while waiting.is_alive():
            guest._process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        waiting.join()
        _, statistics = EXAMINE.revived(json.loads(answers[0])["result"], [0, 1])
        assert statistics.whole().values.count(*BAD) == 0
    finally:
        guest.end()


def test_certificates_that_are_missing_are_one_line() -> None:
    with pytest.raises(ClusterError, match=r"tls://127.0.0.1:1 needs certificates: name them in distributed.comm.tls"):
        Cluster("tls://127.0.0.1:1")
