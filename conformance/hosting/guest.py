"""A backend at work in a process of its own: what runs there. `conformance.run.isolated` starts it and asks.

It stands outside `conformance.run` so that the process imports the adapter and what the adapter needs, and not the
suite: neither can then disturb the other.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, BackendError, Call, Unsupported, open_backend
from rnnspec.spec.arrays import Array

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]  # asked for before each use


GRACE_SECONDS: Final = 5.0
"""Seconds between the suite's time limit for a call and the process's own, which is the later one."""


@dataclass(frozen=True)
class About:
    """What is known of a backend without a call."""

    name: str
    device: str
    dtypes: tuple[str, ...]
    operations: tuple[str, ...]
    with_gradients: frozenset[str]
    with_second_order: frozenset[str]
    versions: Mapping[str, str]
    expected_failures: Path | None


@dataclass(frozen=True)
class Foreign:
    """Stands for a result that is no array: only its type's name travels, since its type may be the adapter's own."""

    type_name: str


@dataclass(frozen=True)
class Done:
    """An answer, and the inputs that the call overwrote, as they are now."""

    result: Any
    overwritten: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The backend raised `Unsupported`."""

    reason: str


@dataclass(frozen=True)
class Raised:
    """The backend raised something else. `exhausted`: it was out of memory, most of which it had really used."""

    kind: str
    words: str
    place: str
    out_of_memory: bool = False
    exhausted: bool = False


Answer = Done | Refused | Raised


@dataclass(frozen=True)
class MemoryLayout:
    """How an array lies in memory and whether it may be written to: what is lost on the way from process to process."""

    strides: tuple[int, ...]
    writeable: bool

    @classmethod
    def of(cls, array: Array) -> MemoryLayout | None:
        """The array's layout; None for that of a new array."""
        flags = array.flags
        return None if flags.c_contiguous and flags.writeable else cls(array.strides, flags.writeable)

    def apply(self, array: Array) -> Array:
        """Copy the array into this layout."""
        spans = [(length - 1) * stride for length, stride in zip(array.shape, self.strides, strict=True)]
        first, last = sum(min(0, span) for span in spans), sum(max(0, span) for span in spans)
        laid = array.copy()
        if array.size:
            memory = np.zeros(last - first + array.itemsize, np.uint8)
            laid = np.ndarray(array.shape, array.dtype, memory, offset=-first, strides=self.strides)
            laid[...] = array
        laid.flags.writeable = self.writeable
        return laid


def words_of(error: BaseException) -> str:
    """The exception's message; some cannot even be shown."""
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown)"


def place_of(error: BaseException) -> str:
    """File and line of the frame that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "a place that is not known"


def serve(connection: Connection, name: str, device: str, trace: str, memory: int, seconds: float) -> None:
    """Open the backend and answer until the other side hangs up.

    Parameters
    ----------
    connection
        Where requests come from (a method's name, the layouts of the call's inputs, the call, and further arguments by
        place and by name) and answers go.
    name, device
        As of `open_backend`.
    trace
        File into which the interpreter writes where it was, should a signal end it.
    memory
        Bytes of data that the process may have, where the platform can limit them.
    seconds
        Time that a call may take. The suite watches it; this is for where the suite has come to its own end meanwhile.
    """
    _seclude(connection, trace)
    try:
        backend = open_backend(name, device)
        about = _about(backend)
    except BackendError as error:
        connection.send(Refused(words_of(error)))
        return
    except BaseException as error:  # an adapter that cannot even say what it has
        connection.send(Refused(f"backend {name!r} does not open: {type(error).__name__}: {words_of(error)}"))
        return
    _limit(memory)
    connection.send(Done(about))
    while True:
        try:
            request, layouts, call, more, options = connection.recv()
        except (EOFError, OSError):  # the suite is gone, and may have had no time to clean up
            Path(trace).unlink(missing_ok=True)
            return
        with _ended_after(seconds + GRACE_SECONDS):
            answer = _answer(backend, memory, request, _laid_out(call, layouts), *more, **options)
        connection.send(answer)


def _seclude(connection: Connection, trace: str) -> None:
    """Leave the terminal, its signals and its output to the suite; tell of a fatal signal in a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, to be killed with whatever it has started
        os.set_inheritable(connection.fileno(), False)  # what it starts is not to hold the line
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w", encoding="utf-8")  # what was there may not have been a file
    faulthandler.enable(os.open(trace, os.O_WRONLY | os.O_APPEND), all_threads=False)
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit(memory: int) -> None:
    """Limit the data of the process, not its address space: accelerators reserve far more of that than they use."""
    if resource:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _about(backend: Backend) -> About:
    operations = tuple(backend.operations())
    return About(
        name=str(backend.name),
        device=str(backend.device),
        dtypes=tuple(backend.dtypes()),
        operations=operations,
        with_gradients=frozenset(name for name in operations if backend.has_gradients(name)),
        with_second_order=frozenset(name for name in operations if backend.has_second_order(name)),
        versions={str(key): str(version) for key, version in backend.versions().items()},
        expected_failures=backend.expected_failures(),
    )


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End the process if this takes so long, whatever it is busy with."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _laid_out(call: Call, layouts: Mapping[str, MemoryLayout | None]) -> Call:
    laid = {name: layout.apply(call.inputs[name]) for name, layout in layouts.items() if layout}
    return replace(call, inputs={**call.inputs, **laid})


def _answer(backend: Backend, memory: int, request: str, call: Call, *more: Any, **options: Any) -> Answer:
    ask: Callable[..., Any] = getattr(backend, request)
    before = {name: array.copy() for name, array in call.inputs.items()}
    try:
        with np.errstate(all="ignore"):  # overflow is for the checks to judge
            result = _plain(request, ask(call, *more, **options))
    except Unsupported as refusal:
        return Refused(words_of(refusal))
    except BaseException as error:  # whatever it is: nobody else is left here to stop
        short = isinstance(error, MemoryError)
        return Raised(type(error).__name__, words_of(error), place_of(error), short, short and _much_used(memory))
    after = {name: array for name, array in call.inputs.items() if array.tobytes() != before[name].tobytes()}
    return Done(result, after)


def _plain(request: str, result: Any) -> Any:
    """The result in types that the other side knows."""
    if request == "run":
        return tuple(_portable(output) for output in result)
    if request in ("gradients", "second_order"):
        return {f"{name}": _portable(gradient) for name, gradient in dict(result).items()}
    return None if result is None else str(result)


def _portable(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return Foreign(type(value).__name__)
    if value.dtype.hasobject:
        return np.empty(value.shape, object)
    return np.asarray(value)  # of the base class


def _much_used(memory: int) -> bool:
    """Whether the process has really used most of what it may, rather than asked once for far too much."""
    if not resource:
        return True
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit > memory / 2
