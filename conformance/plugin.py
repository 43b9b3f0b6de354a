"""The pytest plugin: options, the conformance tests' parameters, and their results in test reports.

``pytest -p rnnspec.conformance.plugin --pyargs rnnspec.conformance.suite --rnnspec-backend torch`` runs the suite by
hand; ``rnnspec validate`` does the same and shows the verdict. No other run of pytest loads the plugin: tests of one's
own are made by `rnnspec.conforms`, which needs none. It imports nothing heavy until the suite runs.
"""

from __future__ import annotations

import faulthandler
import gc
import signal
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from rnnspec.conformance.options import Options, add_to_pytest

if TYPE_CHECKING:
    from rnnspec.backends import Backend
    from rnnspec.conformance.run import CheckResult
    from rnnspec.conformance.run.plan import Item
    from rnnspec.conformance.run.runner import Failed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the suite's options."""
    add_to_pytest(parser.getgroup("rnnspec"))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have a worker obey the process that shares out the work alone, and end with it, in native code too."""
    if hasattr(config, "workerinput"):
        from rnnspec.conformance.hosting.deadline import end_this_process_after_deadlines
        from rnnspec.conformance.hosting.keeper import end_with_starter

        faulthandler.disable()  # a crash is told by the verdict
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all
        end_with_starter()
        end_this_process_after_deadlines()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the suite's test with each check to run."""
    if "rnnspec_item" not in metafunc.fixturenames:
        return
    from rnnspec.backends import BackendError
    from rnnspec.conformance.run.expected import expected_failures
    from rnnspec.conformance.run.files import FileError
    from rnnspec.conformance.run.plan import PlanError, plan
    from rnnspec.spec import UnknownOperationError

    options = Options.of(metafunc.config)
    try:
        items = [
            item
            for name in options.backends
            for item in plan(name, _backend(metafunc.config, name), options.operations, options.dtypes)
            if item.part not in options.done
        ]
        for name in options.backends:
            expected_failures(_backend(metafunc.config, name), options.expected)  # what is wrong in it is told once
    except (BackendError, FileError, PlanError, UnknownOperationError) as error:
        raise pytest.UsageError(str(error)) from error
    metafunc.parametrize("rnnspec_item", items, ids=[item.id for item in items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process run all checks of an operation: in a type they share a deck and its answers.

    The faults are then looked for once, in all types together.

    It applies only if xdist groups tests. Its own grouping writes a mark into a test's name, which pytest 9 prevents.
    """
    if not Options.of(config).backends or config.getvalue("dist") != "loadgroup":
        return None
    from rnnspec.conformance.run.together import Together

    return Together(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Look for the faults behind what failed, once all checks of an operation are done."""
    yield
    done = _item_of(item)
    failed = item.config.stash.get(_FAILED, [])
    if done is None or not failed:
        return
    following = None if nextitem is None else _item_of(nextitem)
    if following is not None and (following.backend, following.operation) == (done.backend, done.operation):
        return
    from rnnspec.conformance.run.result import FAULTS

    item.user_properties.append((FAULTS, _faults(item.config, done, failed)))
    failed.clear()


def _item_of(item: pytest.Item) -> Item | None:
    """Return the check that a test runs; None for tests that are not the suite's."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("rnnspec_item")


def _faults(config: pytest.Config, item: Item, failed: list[Failed]) -> list[dict[str, Any]]:
    from rnnspec.conformance.diagnosis import diagnose
    from rnnspec.conformance.run.expected import expected_failures

    options, backend = Options.of(config), _backend(config, item.backend)
    known = expected_failures(backend, options.expected)
    found = diagnose(backend, item.operation, failed, known, options.repro_dir)
    return [{**fault.to_json(), "backend": item.backend} for fault in found]


@pytest.fixture
def rnnspec_run(request: pytest.FixtureRequest, rnnspec_item: Item) -> Callable[[], None]:
    """Return a function that runs one check, attaches its result to the report, and passes, skips or fails by it."""
    return lambda: _interruptible_run(request, rnnspec_item)


def _interruptible_run(request: pytest.FixtureRequest, item: Item) -> None:
    """Run one check, with interrupts told apart from a guest's KeyboardInterrupt, as ``rnnspec`` itself does."""
    from rnnspec.backends.interrupts import interruptible

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with interruptible():
            _run(request, item)
    else:
        _run(request, item)


def _run(request: pytest.FixtureRequest, item: Item) -> None:
    from rnnspec.conformance.cases import DeckError
    from rnnspec.conformance.run import Verdict
    from rnnspec.conformance.run.result import RESULT, UNPLANNED

    try:
        result = _result(request.config, item)
    except DeckError as error:
        request.node.user_properties.append((UNPLANNED, str(error)))
        request.session.shouldfail = str(error)  # every further check would plan and fail again
        pytest.fail(str(error), pytrace=False)
    except MemoryError:
        words = f"{item.id}: the suite itself has not enough memory: ask for less by --largest 30"
        raise pytest.fail.Exception(words, pytrace=False) from None
    request.node.user_properties.append((RESULT, {**result.to_json(), "backend": item.backend}))
    if result.verdict.bad:
        pytest.fail(f"{result.verdict}: {result.message}", pytrace=False)
    if result.verdict in (Verdict.EXPECTED, Verdict.DEPARTS):
        pytest.xfail(f"{result.verdict}: {result.message}")
    if result.verdict is not Verdict.CONFORMS:
        pytest.skip(f"{result.verdict}: {result.message}")


def _result(config: pytest.Config, item: Item) -> CheckResult:
    from rnnspec.conformance.run.by_options import ask

    failed: list[Failed] = config.stash.setdefault(_FAILED, [])
    return ask(item, _backend(config, item.backend), Options.of(config), failed)


_FAILED = pytest.StashKey["list[Failed]"]()
_OPENED = pytest.StashKey["dict[str, Backend]"]()


def _backend(config: pytest.Config, name: str) -> Backend:
    """Open each backend once in a process."""
    opened = config.stash.setdefault(_OPENED, {})
    if name not in opened:
        opened[name] = Options.of(config).open(name)
        # A framework's half a million objects outlive the run, so the garbage collector need not walk them again.
        gc.collect()
        gc.freeze()
    return opened[name]
