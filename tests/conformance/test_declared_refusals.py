"""A library's own errors that an adapter declares as refusals: `Backend.refuses_with`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rnnspec import reference
from rnnspec.backends import BackendError, Call, Unsupported, open_backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.backends.refusals import declared_refusal
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import Isolated
from rnnspec.conformance.run import Profile, Verdict, run_check

VALUES, GRADIENTS = (next(check for check in CHECKS if check.id == name) for name in ("values", "gradients"))


class OwnError(Exception):
    """A library's own."""


class NarrowError(OwnError):
    """One of its kinds."""


class Library(NumpyBackend):
    """Goes only forward, and has an error of its own for anything else."""

    name = "library"
    refuses_with: ClassVar[Any] = {ValueError: "only forward"}

    @staticmethod
    def lstm(**call: Any) -> Any:
        if call["direction"] == "reverse":
            raise ValueError("this layer goes only forward\n  set go_backwards=False")
        if call["clip"] is not None:
            raise ValueError("clip: no idea")
        return reference.lstm(**call)


@pytest.fixture
def calls(make_case: Callable[..., Case]) -> tuple[Call, Call, Call]:
    """One that the library can do, one that it refuses, and one in which it has a bug."""
    changes: tuple[dict[str, Any], ...] = ({}, {"direction": "reverse"}, {"clip": 1.0})
    good, refused, bad = (make_case("lstm", attributes=change).call for change in changes)
    return good, refused, bad


def test_a_declared_error_is_a_refusal_and_another_is_a_crash(calls: tuple[Call, Call, Call]) -> None:
    good, refused, bad = calls
    backend = Guarded(Library())
    assert len(backend.run(good)) == 3
    with pytest.raises(Unsupported, match=r"^this layer goes only forward$"):
        backend.run(refused)
    assert backend.refuses(refused) == "this layer goes only forward"
    assert backend.refuses(good) is None
    with pytest.raises(BackendCrashError, match="clip: no idea") as crash:
        backend.run(bad)
    assert "the adapter declares it in refuses_with, or raises Unsupported" in str(crash.value).splitlines()[-1]


@pytest.mark.parametrize("error", [KeyError("clip"), RuntimeError("clip")])
def test_an_error_that_is_a_bug_by_its_kind_has_no_hint(error: Exception, calls: tuple[Call, Call, Call]) -> None:
    class Buggy(Library):
        @staticmethod
        def lstm(**call: Any) -> Any:
            raise error

    with pytest.raises(BackendCrashError, match="clip") as crash:
        Guarded(Buggy()).run(calls[0])
    assert "refuses_with" not in str(crash.value)


def test_an_error_of_the_contract_has_no_hint(calls: tuple[Call, Call, Call]) -> None:
    class NoTuple(Library):
        @staticmethod
        def lstm(**call: Any) -> Any:
            return 1.0

    with pytest.raises(BackendCrashError, match="expected lstm to return a tuple") as crash:
        Guarded(NoTuple()).run(calls[0])
    assert "refuses_with" not in str(crash.value)


def test_the_verdict_counts_it_as_a_refusal(few: Profile) -> None:
    class Narrow(Library):
        refuses_with: ClassVar[Any] = {ValueError: "only forward", "ValueError": "clip: no idea"}

    result = run_check(VALUES, Narrow(), "lstm", "float32", few)
    assert result.verdict is Verdict.CONFORMS, result.message
    assert set(result.reasons) == {"this layer goes only forward", "clip: no idea"}
    assert run_check(VALUES, Library(), "lstm", "float32", few).verdict is Verdict.CRASHED


def test_gradients_are_refused_with_it_too(few: Profile) -> None:
    class NoGradient(Library):
        refuses_with: ClassVar[Any] = {NotImplementedError: ""}

        @staticmethod
        def lstm_vjp(**call: Any) -> Any:
            raise NotImplementedError

        lstm = NumpyBackend.lstm

    result = run_check(GRADIENTS, NoGradient(), "lstm", "float32", few)
    assert (result.verdict, result.message) == (Verdict.REFUSED, "NotImplementedError")


@pytest.mark.parametrize(
    ("error", "declared", "reason"),
    [
        (NarrowError("one\ntwo"), {OwnError: ""}, "one"),
        (NarrowError("one\ntwo"), {OwnError: "two"}, "one"),
        (NarrowError("one"), {OwnError: "two"}, None),
        (OwnError("one"), {NarrowError: ""}, None),
        (OwnError("one"), {f"{__name__}.OwnError": ""}, "one"),
        (NarrowError("one"), {f"{__name__}.OwnError": "on"}, "one"),
        (OwnError("one"), {"not.imported.OwnError": ""}, None),
        (ValueError("one"), {"ValueError": "one"}, "one"),
        (ValueError("one"), {"no_such_name": "one"}, None),
        (NotImplementedError(), {NotImplementedError: ""}, "NotImplementedError"),
        (SystemExit("one"), {"SystemExit": "one"}, None),
    ],
)
def test_what_is_declared(error: BaseException, declared: Any, reason: str | None) -> None:
    assert declared_refusal(error, declared) == reason


MODULE = """\
from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend


class LayerError(Exception):
    pass


class Declaring(NumpyBackend):
    name = "declaring"
    refuses_with = {DECLARED}

    @staticmethod
    def lstm(**call):
        if call["direction"] == "reverse":
            raise LayerError("only forward")
        return reference.lstm(**call)
"""


@pytest.fixture
def declaring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The name of an adapter that declares what is given."""

    def write(declared: str) -> str:
        (tmp_path / "declaring.py").write_text(MODULE.replace("{DECLARED}", declared))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.delitem(sys.modules, "declaring", raising=False)
        return "declaring:Declaring"

    return write


@pytest.mark.parametrize("declared", ['{LayerError: ""}', '{"declaring.LayerError": "forward"}'])
def test_in_a_process_of_its_own_too(
    declared: str, declaring: Callable[[str], str], calls: tuple[Call, Call, Call]
) -> None:
    backend = Isolated(declaring(declared))
    try:
        assert len(backend.run(calls[0])) == 3
        with pytest.raises(Unsupported, match=r"^only forward$"):
            backend.run(calls[1])
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ('{Exception: ""}', "Exception needs a text that the messages of refusals contain"),
        ('{"ValueError": " "}', "ValueError needs a text that the messages of refusals contain"),
        ('{"builtins.RuntimeError": ""}', "builtins.RuntimeError needs a text"),
        ("{KeyboardInterrupt: 'x'}", "expected a type of exceptions or its name, like 'mylibrary.Error', got <class"),
        ("{'SystemExit': 'x'}", "expected a type of exceptions or its name, like 'mylibrary.Error', got 'SystemExit'"),
        ("{3: 'x'}", "expected a type of exceptions or its name, like 'mylibrary.Error', got 3"),
        ("{ValueError: None}", "expected a text of the message of <class 'ValueError'>, got None"),
        ("[ValueError]", "expected types of exceptions with texts, like {ValueError: 'first timestep'}"),
    ],
)
def test_what_would_hide_any_bug_does_not_open(declared: str, words: str, declaring: Callable[[str], str]) -> None:
    name = declaring(declared)
    with pytest.raises(BackendError) as caught:
        open_backend(name)
    assert str(caught.value).startswith(f"backend {name!r}: refuses_with: {words}")
