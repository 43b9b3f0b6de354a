"""Whatever a guest writes into its pipe, the suite reads answers alone, and does not wait for more than it is due."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.conformance.hosting.guard import GuestLostError
from rnnspec.conformance.hosting.guest import Done
from rnnspec.conformance.hosting.isolated import Isolated, Limits
from rnnspec.conformance.hosting.keeper import KEPT
from rnnspec.conformance.hosting.messages import fits

pytestmark = pytest.mark.skipif(not KEPT, reason="it meddles with descriptors as Linux has them")
GUEST = """
import gc, os, pickle, struct, time
from multiprocessing.connection import Connection
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.hosting.guest import Done

class Evil:
    def __reduce__(self):
        return os.mkdir, (os.path.join(os.path.dirname(__file__), "made"),)

def pickled(pipe):
    pipe.send_bytes(pickle.dumps((1, Evil())))

def half(pipe):
    os.write(pipe.fileno(), struct.pack("!i", 1000) + b"x")
    time.sleep(1000)

def endless(pipe):
    os.write(pipe.fileno(), struct.pack("!i", -1) + struct.pack("!Q", 2**60))

def forged(pipe):
    pipe.send((1, Done(5)))

def twice(pipe):
    for number in (0, 0, 7):
        pipe.send((number, Done(5)))

def fifo(pipe):
    trace = os.path.join(os.environ["TMPDIR"], "trace")
    os.unlink(trace)
    os.mkfifo(trace)
    os.abort()

class Meddles(NumpyBackend):
    name = "meddles"

    def run(self, call):
        globals()[call.attributes["how"]](next(one for one in gc.get_objects() if type(one) is Connection))
        return (call.inputs["x"],)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meddling")


@pytest.fixture(scope="module")
def guest(folder: Path) -> Iterator[Isolated]:
    (folder / "meddling_guest.py").write_text(GUEST)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        isolated = Isolated("meddling_guest:Meddles", limits=Limits(2.0))
        yield isolated
    isolated.close()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("pickled", "it asks for posix.mkdir"),
        ("half", "a message half sent"),
        ("endless", "else than an answer|ended|broke off"),
        ("forged", "something else than an answer"),
        ("fifo", "SIGABRT"),
        ("twice", ""),
    ],
)
def test_what_a_guest_writes_into_its_pipe(how: str, told: str, guest: Isolated, folder: Path) -> None:
    call = Call("softmax", {"x": np.ones(2, np.float32)}, {"how": how})
    if told:
        with pytest.raises(GuestLostError, match=told):
            guest.run(call)
    else:
        assert np.array_equal(guest.run(call)[0], np.ones(2))
    assert not (folder / "made").exists()


def test_a_guest_of_an_interpreter_that_tells_its_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    Isolated("numpy").close()


X = np.ones(2, np.float32)
ANSWERS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "outputs in a list": ([X], "run", {}),
    "objects": ((object(),), "run", {}),
    "a scalar": ((np.float32(1),), "run", {}),
    "names that are none": ({1: X}, "gradients", {}),
    "a text for numbers": ("x", "gradients", {}),
    "bytes": (b"x", "script", {}),
    "a number for words": (5, "refusal", {}),
    "no number": (None, "time_calls", {}),
    "an input that there is not": ((X,), "run", {"y": X}),
    "an input of another shape": ((X,), "run", {"x": np.ones(3, np.float32)}),
    "an input of another type": ((X,), "run", {"x": np.ones(2)}),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_answers_of_another_form(what: str) -> None:
    result, request, overwritten = ANSWERS[what]
    assert not fits(Done(result, overwritten), request, {"x": X})


def test_an_answer_is_plain() -> None:
    assert fits(Done((X,), {"x": X}), "run", {"x": X})
