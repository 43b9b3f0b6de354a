"""``rnnspec.validate``: the verdict on backends, in Python."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from rnnspec.backends import Backend
from rnnspec.backends.discovery import must_have_a_name, open_class
from rnnspec.backends.interrupts import interruptible
from rnnspec.conformance import kinds
from rnnspec.conformance.diagnosis import FaultResult, diagnose
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.hosting.process import environment
from rnnspec.conformance.judge.declared import declared_by
from rnnspec.conformance.options import OPTIONS, Options
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import BackendSummary, summarise, without_paths
from rnnspec.conformance.run import CheckResult
from rnnspec.conformance.run.by_options import ask, profile_of
from rnnspec.conformance.run.expected import expected_failures
from rnnspec.conformance.run.files import must_be_writable_folder
from rnnspec.conformance.run.plan import PlanError, plan
from rnnspec.conformance.run.runner import Failed
from rnnspec.conformance.run.session import forget

Judged = str | type[Backend] | Backend
"""A backend's name, an adapter's class, or an adapter."""


def validate(
    backend: Judged | Sequence[Judged],
    *,
    operations: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    device: str = "cpu",
    profile: Literal["quick", "standard", "thorough"] = "quick",
    seed: int = 0,
    largest: int | None = None,
    expected: str | Path | None = None,
    repro_dir: str | Path | None = None,
    time_limit: float = Options.time_limit,
    memory_limit: float = Options.memory_limit,
    progress: bool = True,
) -> Report:
    """Check that backends conform to the specification.

    A backend that is given by its name runs in a process of its own, so that a crash ends in a verdict and this
    process stays as it is. A class or an adapter is called in this process, and may be defined in a notebook.

    Parameters
    ----------
    backend
        The name of an installed backend or ``package.module:Class``, a subclass of `rnnspec.backends.Backend`, or an
        object of one; or several of these.
    operations, dtypes
        What is asked for; by default, everything that the backend has.
    device
        Device of backends that are opened here; an adapter's object has its own.
    profile, seed
        How much is asked, and the seed of the numbers: equal seeds ask equal calls.
    largest
        Largest size on the ladder of sizes; by default that of the profile.
    expected
        TOML file of expected failures, besides the backend's own.
    repro_dir
        Where to write a repro of each failure; the report has the contents of each fault's repro in any case.
    time_limit, memory_limit
        Seconds of a call, and GiB of a process, of backends given by their names.
    progress
        Whether to show a bar on a terminal meanwhile.

    Returns
    -------
    Report
        The verdicts; ``report.conforms`` says whether every backend conforms.

    Raises
    ------
    BackendError
        If a backend does not open.
    PlanError, UnknownOperationError, FileError
        If an operation, a type, a profile or a file is none that there is.
    """
    if not isinstance(backend, str | type | Backend | Iterable):
        raise PlanError(f"expected a backend's name, a class, an adapter or a list of these, got {backend!r}")
    several = (backend,) if isinstance(backend, str | type | Backend) else tuple(backend)
    options = Options(
        operations=_listed("operations", operations), dtypes=_listed("dtypes", dtypes),
        device=kinds.words("device", device), profile=kinds.words("profile", profile),
        seed=kinds.whole("seed", seed, 0), largest=None if largest is None else kinds.whole("largest", largest, 1),
        expected=kinds.path("expected", expected),
        repro_dir=kinds.path("repro_dir", repro_dir), time_limit=time_limit, memory_limit=memory_limit,
    )  # fmt: skip
    profile_of(options)
    _must_be_in_range(options)
    if not several:
        raise PlanError("expected a backend, got none")
    if options.repro_dir is not None:
        must_be_writable_folder(options.repro_dir)
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        stack.enter_context(_one_thread_for_guests())
        stack.enter_context(_quiet_numbers())
        if options.repro_dir is None:
            folder = stack.enter_context(TemporaryDirectory(prefix="rnnspec-"))
            options = replace(options, repro_dir=Path(folder))
        forget()  # an adapter may have changed since it was asked
        opened: dict[str, Backend] = {}
        for one in several:
            name, adapter = _opened(one, options, stack)
            again = (f"{name} ({number})" for number in count(2))
            opened[name if name not in opened else next(other for other in again if other not in opened)] = adapter
        told = _Told(options, kept=repro_dir is not None, progress=progress)
        return Report(tuple(told.about(name, adapter) for name, adapter in opened.items()), conditions())


def _listed(what: str, names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    if isinstance(names, str):
        raise PlanError(f"{what}: expected a list of names, like [{names!r}], got {names!r}")
    listed = tuple(names) if isinstance(names, Iterable) else (names,)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise PlanError(f"{what}: expected names, or None for all, got {listed!r}")
    return listed


def _must_be_in_range(options: Options) -> None:
    """Raise PlanError if a number is out of the range that the command line takes."""
    for name in ("time_limit", "memory_limit"):
        value = getattr(options, name)
        try:
            OPTIONS[name].parse(str(value))
        except ValueError as error:
            raise PlanError(f"{name}: {error}") from error


def _opened(one: Judged, options: Options, stack: ExitStack) -> tuple[str, Backend]:
    """The backend and the name by which the report tells of it."""
    if isinstance(one, str):
        limits = Limits(options.time_limit, options.memory_limit)
        adapter = Isolation.ALWAYS.open(one, options.device, limits)
        stack.callback(getattr(adapter, "close", lambda: None))
        return one, adapter
    if isinstance(one, Backend):
        must_have_a_name(one, type(one).__name__)
    else:
        one = open_class(one, options.device)
    return one.name, one


@contextmanager
def _one_thread_for_guests() -> Iterator[None]:
    """Start processes whose frameworks compute with one thread, unless the user says how many: calls are small."""
    with environment(OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1")):
        yield


@contextmanager
def _quiet_numbers() -> Iterator[None]:
    """Let numbers overflow as the suite means them to, whatever the caller has made of the warnings of that."""
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("ignore")
        yield


class _Told:
    """The verdicts on backends, one after the other."""

    def __init__(self, options: Options, *, kept: bool, progress: bool) -> None:
        self._options, self._kept, self._progress = options, kept, progress

    def about(self, name: str, backend: Backend) -> BackendSummary:
        """Ask all checks of a backend, and look for the faults behind those that fail."""
        options = self._options
        known = expected_failures(backend, options.expected)
        items = plan(name, backend, options.operations, options.dtypes)
        results, faults = list[CheckResult](), list[FaultResult]()
        with bar(open_console(sys.stderr)) as shown:
            task = shown.add_task(name, total=len(items), visible=self._progress)
            for operation, together in groupby(items, lambda item: item.operation):
                failed: list[Failed] = []
                for item in together:
                    shown.update(task, description=f"{name} {operation} {item.dtype} {item.check}")
                    results.append(replace(ask(item, backend, options, failed), backend=name))
                    shown.update(task, advance=1)
                if failed:
                    found = diagnose(backend, operation, failed, known, options.repro_dir)
                    faults += [replace(fault, backend=name) for fault in found]
        if not self._kept:
            results, faults = without_paths(results, faults)
        made = (options.profile, options.seed, faults, declared_by(backend))
        return summarise(name, backend.versions(), results, known, *made)
