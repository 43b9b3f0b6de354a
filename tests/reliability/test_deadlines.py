"""Calls in the suite's own process have a time limit, and what cannot be interrupted ends its worker."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.hosting import stuck
from rnnspec.conformance.hosting.deadline import at_most
from rnnspec.conformance.hosting.guard import Guarded, GuestLostError
from rnnspec.conformance.hosting.isolated import OWN_SECONDS, Isolation, Limits

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timers of this kind")
CALL = Call("softmax", {"x": np.ones((1, 2), np.float32)}, {})


def stubborn() -> None:
    try:
        time.sleep(100)
    except BaseException:
        time.sleep(100)


def busy() -> None:
    while True:
        pass


@pytest.mark.parametrize("hang", [lambda: time.sleep(100), stubborn, busy])
def test_a_call_that_hangs_is_lost(hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    backend = NumpyBackend()
    monkeypatch.setattr(backend, "run", lambda call: hang())
    monkeypatch.setattr("rnnspec.conformance.hosting.deadline.AGAIN_SECONDS", 0.05)
    backend.time_limit = 0.05
    with pytest.raises(GuestLostError, match=r"no answer within 0.05 s") as lost:
        Guarded(backend).run(CALL)
    assert lost.value.timed_out
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_the_limit_of_a_call() -> None:
    backend = Isolation.NEVER.open("numpy", "cpu", Limits(3.0))
    assert backend.time_limit == OWN_SECONDS
    other = Isolation.NEVER.open("rnnspec.backends.numpy:NumpyBackend", "cpu", Limits(3.0))
    assert other.time_limit == 3.0


def test_timers_of_others_are_left_alone() -> None:
    signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        with at_most(0.01):
            time.sleep(0.02)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 90
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


NATIVE = """
import ctypes
from rnnspec.conformance.hosting import deadline
deadline.GRACE_SECONDS = 0.1
deadline.end_this_process_after_deadlines()
with deadline.at_most(0.1):
    ctypes.PyDLL(None).sleep(100)  # it holds Python's lock
"""


STUCK = """
import ctypes, os, signal, sys, threading
from rnnspec.backends.interrupts import interruptible
from rnnspec.conformance import program
from rnnspec.conformance.hosting import deadline, stuck

def words(status, happened):
    print(status, happened)
    return 7

program._here["is the program"] = True
stuck.GRACE_SECONDS = 0.1
limit, number = float(sys.argv[1]), int(sys.argv[2])
lock, library = (ctypes.c_char * 64)(), ctypes.CDLL(None)
if number:
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
with interruptible(), stuck.last_words(words), deadline.at_most(limit):
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)  # for ever
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is that of this system's library")
@pytest.mark.parametrize(("limit", "number", "status"), [(0.1, 0, 2), (1000.0, signal.SIGTERM, 143)])
def test_native_code_in_the_suites_process_has_last_words(limit: float, number: int, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(limit), str(int(number))], timeout=60, capture_output=True, text=True
    )
    assert done.stdout == f"{status} a call in this process is in native code that does not return\n"
    assert done.returncode == 7


def test_a_process_that_is_not_the_program_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stuck, "_watch", None)
    with stuck.watched(1.0):
        pass


def test_native_code_ends_its_worker() -> None:
    assert subprocess.run([sys.executable, "-c", NATIVE], timeout=60).returncode == 1
