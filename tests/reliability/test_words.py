"""Messages of guests: short enough to read, and without anything that a terminal or a layout would obey."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.table import Table

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.backends.words import MOST_CHARACTERS, MOST_LINES, kind_of, name_of, readable, visible, words_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.report.console import NARROWEST, WIDEST, open_console
from rnnspec.conformance.run import Profile, Verdict, run_check
from rnnspec.conformance.run.runner import checks_for
from rnnspec.spec import operation

EVIL = "\x1b[31mRED\x1b]0;title\x07\x9b2J\u202ertl\udc80\r"


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert visible(EVIL) == r"\x1b[31mRED\x1b]0;title\x07\x9b2J\u202ertl\udc80\x0d"
    assert visible("α\tβ\r\nγ") == "α\tβ\nγ"


@pytest.mark.parametrize("words", ["x" * 10**7, "line\n" * 10**5])
def test_long_words_are_cut(words: str) -> None:
    shown = readable(words)
    assert len(shown) < MOST_CHARACTERS + 50
    assert len(shown.splitlines()) <= MOST_LINES
    assert "more characters)" in shown
    assert readable("two\nlines") == "two\nlines"
    assert len(name_of(words)) < 110


def test_an_exception_that_cannot_be_shown() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert words_of(Mute()) == "(its message cannot be shown)"


class Words(str):
    __slots__ = ()

    def __getitem__(self, _: Any) -> str:
        raise SystemExit

    def splitlines(self, *_: Any) -> list[str]:
        raise SystemExit


def test_a_type_or_a_text_that_answers_with_an_exception() -> None:
    class Nameless(type):
        def __getattribute__(cls, name: str) -> Any:
            raise SystemExit(name)

    class OddError(Exception, metaclass=Nameless):
        pass

    class Says(Exception):
        def __str__(self) -> str:
            return Words("said")

    assert kind_of(OddError()) == "OddError"
    with pytest.raises(BackendCrashError, match="OddError") as crash:
        Guarded(Raising(OddError())).run(Call("softmax", {}, {}))
    assert crash.value.__cause__ is crash.value.__context__ is None
    assert words_of(Says()) == "said"


class Yes(np.ndarray):
    """An array that is equal to everything."""

    def __eq__(self, other: object) -> Any:
        return True

    def __sub__(self, other: object) -> Any:
        return np.zeros(self.shape)

    __rsub__ = __sub__


class Hooked:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise SystemExit(0)

    @property
    def __class__(self) -> Any:
        raise SystemExit(0)


def test_results_of_other_classes_are_seen_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = NumpyBackend()
    given = np.ones(2).view(Yes), Hooked(), np.ma.masked_array(np.ones(2), mask=True)
    monkeypatch.setattr(backend, "run", lambda call: given)
    plain, hooked, masked = Guarded(backend).run(Call("softmax", {}, {}))
    assert type(plain) is type(masked) is np.ndarray
    assert np.shares_memory(plain, given[0])
    assert kind_of(hooked) == "Hooked"
    assert not isinstance(hooked, np.ndarray)


class Raising(NumpyBackend):
    name = "raising"

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def run(self, call: object) -> tuple[()]:
        raise self.error


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt("now"), Odd("now"), SystemExit("now"), GeneratorExit("now"), pytest.skip.Exception("now")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_guest_raises_is_its_crash(error: BaseException) -> None:
    case = Case("dense", "float32", {"B": 1, "D": 1, "H": 1}, operation("dense").defaults())
    with pytest.raises(BackendCrashError, match=f"{type(error).__name__}: now"):
        Guarded(Raising(error)).run(case.call)


def test_results_that_are_objects_are_judged() -> None:
    class OfObjects(NumpyBackend):
        name = "of objects"

        def to_numpy(self, array: Any) -> Any:
            return np.asarray(array).astype(object)

    found = {
        check.id: run_check(check, OfObjects(), "dense", "float32", Profile("few", 4, 4, largest=0)).verdict
        for check in checks_for("dense", CHECKS)
    }
    assert found["values"] is Verdict.VIOLATES


def test_the_users_interrupt_is_no_crash() -> None:
    case = Case("dense", "float32", {"B": 1, "D": 1, "H": 1}, operation("dense").defaults())
    with pytest.raises(Interrupted):
        Guarded(Raising(Interrupted())).run(case.call)


def test_a_refusal_is_cut_and_shown() -> None:
    case = Case("dense", "float32", {"B": 1, "D": 1, "H": 1}, operation("dense").defaults())
    with pytest.raises(Unsupported) as refusal:
        Guarded(Raising(Unsupported("\x1b" + "y" * 10**6))).run(case.call)
    assert str(refusal.value).startswith(r"\x1byyy")
    assert len(str(refusal.value)) < MOST_CHARACTERS + 50


@pytest.mark.parametrize("columns", ["0", "40"])
def test_the_console_shows_text_as_it_is(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    file = io.StringIO()
    console = open_console(file)
    table = Table(title=f"[/x] {EVIL}")
    table.add_column("[red]head")
    table.add_row(f"[/red] {EVIL} :smile:")
    console.print(table)
    console.print(f"[bold] {EVIL}")
    printed = file.getvalue()
    assert not set(printed) & set("\x1b\x07\x9b\u202e\udc80\r")
    for text in ("[/x] ", "[red]head", "[/red] ", ":smile:", "[bold] "):
        assert text in printed
    assert console.width == NARROWEST


def test_a_terminal_is_not_as_wide_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is filled up."""
    monkeypatch.setenv("COLUMNS", "999999999")
    assert open_console(io.StringIO()).width == WIDEST
