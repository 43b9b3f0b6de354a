"""``rnnspec.conforms``: tests of one's own test suite, of a backend that the test's function returns."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rnnspec.backends import BackendError
from rnnspec.conformance import kinds
from rnnspec.conformance.interface.judging import Judged, validate
from rnnspec.conformance.run import Verdict
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.plan import PlanError, must_be_known
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.errors import one_of

_PARAMETER = "rnnspec_dtype"
_SET = ("backend", "operations", "progress")
_OPTIONS = [name for name in inspect.signature(validate).parameters if name not in _SET]


def conforms(
    *operations: str, dtypes: Sequence[str] | None = None, **options: Any
) -> Callable[[Callable[..., Judged | Sequence[Judged]]], Callable[..., None]]:
    """Make a test of a function that returns a backend: each operation in each type is a test of its own.

    The function may take fixtures. A test fails with the report as its message, is skipped where the backend has not
    the operation or refuses all of it, and is an expected failure where the backend's known faults explain it::

        @rnnspec.conforms("lstm", "gru", dtypes=["float32"])
        def test_my_layers():
            return MyBackend

    Parameters
    ----------
    *operations
        At least one; their names are checked when the tests are collected.
    dtypes
        By default all four; those that the backend has not are skipped.
    **options
        Further options of `rnnspec.validate`.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    PlanError, UnknownOperationError
        If no operation is named, or an operation, a type or an option is none that there is; the decorator raises it
        if it is given a class.
    """
    if not operations or not all(isinstance(name, str) for name in operations):
        raise PlanError("rnnspec.conforms: expected names of operations, like @rnnspec.conforms('lstm')")
    dtypes = None if dtypes is None else kinds.names("dtypes", dtypes)
    if dtypes is not None and not dtypes:
        raise PlanError("rnnspec.conforms: dtypes: expected names, or None for all, got none")
    must_be_known(operations, dtypes or ())
    unknown = next((name for name in options if name not in _OPTIONS), None)
    if unknown is not None:
        raise PlanError(f"rnnspec.conforms: unknown option {unknown!r}: {one_of(unknown, _OPTIONS)}")
    cases = [(name, dtype) for name in operations for dtype in dtypes or FLOAT_TYPES[::-1]]

    def decorate(function: Callable[..., Judged | Sequence[Judged]]) -> Callable[..., None]:
        if isinstance(function, type) or not callable(function):
            raise PlanError(f"rnnspec.conforms: expected a function that returns a backend, got {function!r}")
        if inspect.iscoroutinefunction(function):
            raise PlanError(f"rnnspec.conforms: expected a plain function, got async def {function.__name__}")

        @functools.wraps(function)
        def test(*of_a_class: Any, **fixtures: Any) -> None:
            name, dtype = fixtures.pop(_PARAMETER)
            _judge(function(*of_a_class, **fixtures), name, dtype, options)

        own = inspect.signature(function).parameters.values()
        parameter = inspect.Parameter(_PARAMETER, inspect.Parameter.KEYWORD_ONLY)
        test.__signature__ = inspect.Signature([*own, parameter])  # type: ignore[attr-defined]  # pytest reads it
        marked: Callable[..., None] = pytest.mark.parametrize(_PARAMETER, cases, ids=map("-".join, cases))(test)
        return marked

    return decorate


def _judge(backend: Judged | Sequence[Judged], name: str, dtype: str, options: dict[str, Any]) -> None:
    """Pass, skip or fail the test of an operation in a type."""
    if backend is None:
        pytest.fail("the function returned None: expected a backend, like 'return MyBackend'", pytrace=False)
    has = getattr(backend, "dtypes", None) if not isinstance(backend, str | type) else None
    if has is not None and dtype not in has():
        pytest.skip(f"the backend has no {dtype}")
    report, why = None, ""
    try:
        report = validate(backend, operations=[name], dtypes=[dtype], progress=False, **options)
    except (BackendError, FileError, PlanError) as error:
        if error.__cause__ is not None:  # an error of the adapter's own, whose place its author wants to see
            raise
        why = str(error)
    if report is None:  # out of the block, or pytest tells it twice
        if f"has no {dtype}" in why:
            pytest.skip(why)
        pytest.fail(why, pytrace=False)
    if report.verdict.bad:
        pytest.fail(str(report), pytrace=False)
    if report.verdict is Verdict.EXPECTED:
        pytest.xfail(str(report))
    if not report.verdict.judged:
        pytest.skip("; ".join(report.sentences))
