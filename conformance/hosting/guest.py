"""Program of an isolated backend's process. `conformance.hosting.isolated` starts it and sends requests.

The module imports the adapter and the adapter's needs, but not the suite, so that neither can disturb the other.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from rnnspec import spec
from rnnspec.backends import Backend, BackendError, Call, Unsupported, open_backend
from rnnspec.backends.accuracy import Declared
from rnnspec.backends.contract import outputs_of
from rnnspec.backends.refusals import declared_refusal, may_be_refusal
from rnnspec.backends.words import kind_of, name_of, visible, words_of
from rnnspec.conformance.hosting.keeper import KEPT, become_kept
from rnnspec.conformance.hosting.timed import REQUESTS, TimedCalls
from rnnspec.spec.arrays import Array

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]  # asked for before each use


TRACE: Final = "trace"
"""The name of the file for the interpreter's place in the code."""
GRACE_SECONDS: Final = 5.0
"""Seconds between the suite's time limit for a call and the process's own, which is the later one."""


@dataclass(frozen=True)
class About:
    """Facts about a backend that need no call."""

    name: str
    device: str
    dtypes: tuple[str, ...]
    operations: tuple[str, ...]
    with_gradients: frozenset[str]
    with_second_order: frozenset[str]
    with_drawing: frozenset[str]
    versions: Mapping[str, str]
    expected_failures: Path | None
    by_default: bool
    compiles: int
    accuracy: Declared


@dataclass(frozen=True)
class Foreign:
    """Substitute of a result that is no array: only its type's name, since the type may be the adapter's own."""

    type_name: str


@dataclass(frozen=True)
class Done:
    """A result, and the new values of the inputs that the call overwrote, and of results of calls before.

    `spoiled` has an entry for each result that is no longer as it was, by its distance in answers and its place there.
    """

    result: Any
    overwritten: Mapping[str, Array] = field(default_factory=dict)
    spoiled: Mapping[tuple[int, int], Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The backend raised `Unsupported`, or an error of its library's that it declares as a refusal."""

    reason: str


@dataclass(frozen=True)
class Raised:
    """The backend raised another exception.

    `exhausted`: it ran out of memory and had really used most of it; `may_be_refusal` is as of `backends.refusals`.
    """

    kind: str
    words: str
    place: str
    out_of_memory: bool = False
    exhausted: bool = False
    may_be_refusal: bool = False


REMEMBERED: Final = 4
"""Answers of which the results are looked at again after later calls."""
_SMALL_BYTES: Final = 2**18
"""Size of an array up to which that is cheap."""
MOST_LISTED: Final = 1000
"""Operations, types or versions of an adapter."""
OPENING_BYTES: Final = 2**33
"""Data that a process may have while it opens a backend, even where its limit is less: a framework is imported."""
FARTHEST: Final = 2**33
"""Bytes that an array's memory spans at most."""
REOPEN: Final = "reopen"
"""The request to open the backend anew, which is made with any call."""

Answer = Done | Refused | Raised


@dataclass(frozen=True)
class MemoryLayout:
    """An array's strides and whether it is writeable, which are lost between processes."""

    strides: tuple[int, ...]
    writeable: bool

    @classmethod
    def of(cls, array: Array) -> MemoryLayout | None:
        """Return the array's layout; None if it is that of a new array."""
        flags = array.flags
        return None if flags.c_contiguous and flags.writeable else cls(array.strides, flags.writeable)

    def apply(self, array: Array) -> Array:
        """Copy the array into this layout."""
        spans = [(length - 1) * stride for length, stride in zip(array.shape, self.strides, strict=True)]
        first, last = sum(min(0, span) for span in spans), sum(max(0, span) for span in spans)
        laid = array.copy()
        if last - first > FARTHEST:
            raise ValueError(f"strides: expected numbers that lie at most {FARTHEST:,} bytes apart, got {self.strides}")
        if array.size:
            memory = np.zeros(last - first + array.itemsize, np.uint8)
            laid = np.ndarray(array.shape, array.dtype, memory, offset=-first, strides=self.strides)
            laid[...] = array
        laid.flags.writeable = self.writeable
        return laid


def place_of(error: BaseException) -> str:
    """Return file and line of the frame that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{visible(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "a place that is not known"


def begin(work: Callable[..., None], connection: Connection, folder: str, *arguments: Any) -> NoReturn:
    """Do a guest's work, kept apart from the suite, and end the process with all its threads.

    Parameters
    ----------
    work
        `serve` or `describe`.
    connection
        Connection for requests and answers.
    folder
        Its temporary folder. The interpreter writes its place in the code into the file `TRACE` there if a signal ends
        it.
    arguments
        More arguments of `work`.
    """
    _seclude()
    if KEPT:
        become_kept(Path(folder))
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, which is killed with all processes that it starts
        os.set_inheritable(connection.fileno(), False)  # its children must not keep the connection open
    faulthandler.enable(os.open(Path(folder, TRACE), os.O_WRONLY | os.O_APPEND | os.O_CREAT), all_threads=False)
    status = 0
    try:
        work(connection, *arguments)
    except (EOFError, OSError):  # the suite has ended
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        status = 1
    os._exit(status)  # an adapter's threads would go on for ever


class Handed:
    """The last results that were handed out, as they lie in memory, and as they were."""

    def __init__(self) -> None:
        self._last: deque[list[tuple[Array, bytes]]] = deque(maxlen=REMEMBERED)

    def spoiled(self) -> dict[tuple[int, int], Array]:
        """Return those that have other numbers than when this was last asked."""
        found: dict[tuple[int, int], Array] = {}
        for distance, results in enumerate(reversed(self._last), start=1):
            for place, (array, before) in enumerate(results):
                if before and (now := array.tobytes()) != before:
                    found[distance, place] = array
                    results[place] = array, now
        return found

    def add(self, result: Any) -> None:
        """Remember the small ones of a result's arrays."""
        small = (array.tobytes() if array.nbytes <= _SMALL_BYTES else b"" for array in arrays_of(result))
        self._last.append([*zip(arrays_of(result), small, strict=True)])


def arrays_of(result: Any) -> list[Array]:
    """Return the arrays of a result, in their order."""
    values = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else ()
    return [value for value in values if isinstance(value, np.ndarray) and not value.dtype.hasobject]


def serve(connection: Connection, name: str, device: str, memory: int, seconds: float) -> None:
    """Open the backend and answer requests until the other side closes the connection.

    Parameters
    ----------
    connection
        A request has a number, which the answer has too, a method's name, the layouts of the call's inputs, the call,
        and further positional and named arguments.
    name, device
        Arguments of `open_backend`.
    memory
        Most bytes of data of the process, if the platform can limit them.
    seconds
        Time limit of a call. The suite enforces it; the process enforces it too, in case the suite has ended.
    """
    _limit(max(memory, OPENING_BYTES))
    backend, answer = _opened(name, device)
    if backend is not None:
        _limit(memory)
    connection.send((0, answer))
    timed = None if backend is None else TimedCalls(backend)
    handed = Handed()
    while backend is not None:
        number, request, layouts, call, more, options = connection.recv()
        with _ended_after(seconds + GRACE_SECONDS):
            if request == REOPEN:
                with suppress(Exception):  # a backend that opened once is kept where it does not open again
                    backend = open_backend(name, device)
                    timed = TimedCalls(backend)
                handed.add(None)
                connection.send((number, Done(None)))
                continue
            ask = getattr(timed if request in REQUESTS else backend, request)
            answer = _answer(backend, memory, request, ask, _laid_out(call, layouts), *more, **options)
        if isinstance(answer, Done):
            answer = replace(answer, spoiled=handed.spoiled())
            handed.add(answer.result)
        connection.send((number, answer))


def describe(connection: Connection, names: Sequence[str], device: str) -> None:
    """Try to open each backend in turn, and answer for each with what is to be known of it."""
    _limit(OPENING_BYTES)
    for number, name in enumerate(names):
        connection.send((number, _opened(name, device)[1]))


def _opened(name: str, device: str) -> tuple[Backend | None, Answer]:
    try:
        backend = open_backend(name, device)
        return backend, Done(about(backend))
    except BackendError as error:
        return None, Refused(str(error))
    except BaseException as error:  # an adapter that fails even to describe itself
        return None, Refused(f"backend {name_of(name)!r} does not open: {kind_of(error)}: {words_of(error)}")


def _seclude() -> None:
    """Leave the terminal, its signals and its output to the suite."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w", encoding="utf-8")  # the old streams need not be files
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit(memory: int) -> None:
    """Limit the data of the process, not its address space: accelerators reserve far more of that than they use."""
    if resource:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _few(what: str, several: Iterable[Any]) -> tuple[Any, ...]:
    """What an adapter lists; ValueError if there is no end of it in sight."""
    found = tuple(islice(several, MOST_LISTED + 1))
    if len(found) > MOST_LISTED:
        raise ValueError(f"{what}: expected at most {MOST_LISTED}, got more")
    return found


def about(backend: Backend) -> About:
    """Ask a backend for what needs no call; raise whatever it raises, or ValueError for an answer of a wrong kind."""
    operations = _few("operations", backend.operations())
    dtypes = _few("dtypes", backend.dtypes())
    versions = _few("versions", backend.versions().items())
    expected = backend.expected_failures()
    if not all(isinstance(name, str) for name in (*operations, *dtypes)):
        raise ValueError("expected names of operations and of dtypes")
    return About(
        name=name_of(str(backend.name)),
        device=name_of(str(backend.device)),
        dtypes=dtypes,
        operations=operations,
        with_gradients=frozenset(name for name in operations if backend.has_gradients(name)),
        with_second_order=frozenset(name for name in operations if backend.has_second_order(name)),
        with_drawing=frozenset(name for name in spec.operations() if backend.draws(name)),
        versions={name_of(str(key)): name_of(str(version)) for key, version in versions},
        expected_failures=None if expected is None else Path(expected),
        by_default=bool(backend.by_default),
        compiles=int(backend.compiles),
        accuracy=backend.accuracy,
    )


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End the process if the block takes longer than `seconds`, even in native code."""
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


def _answer(
    backend: Backend, memory: int, request: str, ask: Callable[..., Any], call: Call, *more: Any, **options: Any
) -> Answer:
    before = {name: array.copy() for name, array in call.inputs.items()}
    try:
        with np.errstate(all="ignore"):  # the checks judge overflow
            result = _plain(request, call, ask(call, *more, **options))
    except Unsupported as refusal:
        return Refused(words_of(refusal))
    except BaseException as error:  # all exceptions, since nothing else runs in this process
        reason = declared_refusal(error, backend.refuses_with)
        if reason is not None:
            return Refused(reason)
        short = isinstance(error, MemoryError)
        may_be = may_be_refusal(error, type(backend))
        return Raised(kind_of(error), words_of(error), place_of(error), short, short and _much_used(memory), may_be)
    after = {name: array for name, array in call.inputs.items() if array.tobytes() != before[name].tobytes()}
    return Done(result, after)


def _plain(request: str, call: Call, result: Any) -> Any:
    """Convert a result to types that the other side knows."""
    if request in ("run", "drawn"):
        return tuple(_portable(output) for output in outputs_of(call, result))
    if request in ("gradients", "second_order"):
        return {f"{name}": _portable(gradient) for name, gradient in dict(result).items()}
    if request in REQUESTS:
        return float(result)
    return None if result is None else str(result).encode(errors="backslashreplace").decode()


def _portable(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return Foreign(kind_of(value))
    if value.dtype.hasobject:
        return np.empty(value.shape, object)
    return np.asarray(value)  # of the base class


def _much_used(memory: int) -> bool:
    """Whether the process has really used half of its memory, and not asked once for far too much."""
    if not resource:
        return True
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit > memory / 2
