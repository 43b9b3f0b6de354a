"""Expected failures as data: what an entry says, which cases it speaks of, and what a wrong file is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.run.expected import expected_failures, load_expected, not_seen
from rnnspec.conformance.run.files import FileError

GOOD = """
[[failure]]
operation = ["lstm", "gru"]
check = "values"
when = { direction = "reverse", dtype = ["float16", "bfloat16"], T = 1 }
versions = { torch = ">=2.6,<3" }
reason = "It reads the sequence in order."
link = "https://example.org/1"
"""


def file(folder: Path, text: str) -> Path:
    path = folder / "expected.toml"
    path.write_text(text)
    return path


def test_an_entry_speaks_of_the_cases_it_describes(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    (entry,) = load_expected(file(tmp_path, GOOD), {"torch": "2.13.0+cpu"})
    described = {"name": "lstm", "dtype": "float16", "sizes": {"T": 1}, "attributes": {"direction": "reverse"}}
    backend = NumpyBackend()
    assert entry.concerns(make_case(**described), "values", backend)
    assert not entry.concerns(make_case(**described), "gradients", backend)
    for changed in ({"name": "rnn"}, {"dtype": "float32"}, {"sizes": {"T": 2}}, {"attributes": {}}):
        assert not entry.concerns(make_case(**{**described, **changed}), "values", backend)


def test_an_entry_may_speak_of_what_the_library_does_itself(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    class Composing(NumpyBackend):
        def refusal(self, call: Call, *, gradient: bool = False) -> str | None:
            return "composed" if call.attributes["direction"] == "reverse" else None

    (entry,) = load_expected(file(tmp_path, GOOD.replace("T = 1", "own = true")), {"torch": "2.13"})
    case = make_case("lstm", dtype="float16", attributes={"direction": "reverse"})
    assert entry.concerns(case, "values", NumpyBackend())
    assert not entry.concerns(case, "values", Composing())


def test_an_entry_may_speak_of_padding_and_of_empty_sequences(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    usual = GOOD.replace('direction = "reverse", dtype = ["float16", "bfloat16"], T = 1', "WHEN")
    for key, kinds in {"empty": ("one_empty", "no_mask"), "padded": ("one_empty", "no_mask", "equal")}.items():
        (entry,) = load_expected(file(tmp_path, usual.replace("WHEN", f"{key} = true")), {"torch": "2.13"})
        for steps in ("all", "equal", "one_empty", "no_mask"):
            case = make_case("lstm", sizes={"B": 3, "T": 4}, steps=steps)
            assert entry.concerns(case, "values", NumpyBackend()) == (steps in kinds)


def test_an_entry_may_speak_of_every_value_but_the_default(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    text = GOOD.replace('["lstm", "gru"]', '"lstm"').replace('direction = "reverse"', 'clip = "other"')
    (entry,) = load_expected(file(tmp_path, text.replace(", T = 1", "")), {"torch": "2.13"})
    for clip, described in ((None, False), (0.5, True)):
        case = make_case("lstm", dtype="float16", attributes={"clip": clip})
        assert entry.concerns(case, "values", NumpyBackend()) == described


def test_an_entry_may_speak_of_any_check(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    (entry,) = load_expected(
        file(tmp_path, GOOD.replace('"values"', '"any"').replace(", T = 1", "")), {"torch": "2.13"}
    )
    case = make_case("gru", dtype="float16", attributes={"direction": "reverse"})
    assert all(entry.concerns(case, check.id, NumpyBackend()) for check in CHECKS)
    assert entry.title.startswith("lstm, gru: any check, ")


def test_versions_choose_the_entries(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    assert load_expected(path, {"torch": "2.6.0"})
    assert not load_expected(path, {"torch": "3.0"})
    assert not load_expected(path, {"numpy": "2.4"})


def test_an_entry_that_nothing_violates_is_named(tmp_path: Path) -> None:
    entries = load_expected(file(tmp_path, GOOD), {"torch": "2.13"})
    (title,) = not_seen(entries, [], [("lstm", "values", "float16")])
    assert title == "lstm, gru: values, direction = reverse, dtype = float16 or bfloat16, T = 1"
    assert not not_seen(entries, [title], [("lstm", "values", "float16")])
    assert not not_seen(entries, [], [("lstm", "gradients", "float16"), ("lstm", "values", "float32")])


@pytest.mark.parametrize(
    ("change", "message"),
    {
        "no TOML": (("reason =", "reason"), "expected TOML"),
        "another table": (("[[failure]]", "[[fault]]"), "expected [[failure]] entries only, got fault"),
        "another key": (("link", "url"), "failure 1: expected a table of operation, check"),
        "no reason": (('reason = "It reads the sequence in order."', ""), "failure 1: reason is missing"),
        "no operation": (('"lstm", "gru"', '"lsmt"'), "operation: did you mean lstm? expected one of "),
        "no check": (
            ('"values"', '"value"'),
            f"check: did you mean values? expected one of {', '.join(check.id for check in CHECKS)}, got 'value'",
        ),
        "no condition": (("direction", "way"), "got way"),
        "no version": ((">=2.6,<3", "new"), "versions: expected something like '>=2.20,<2.22'"),
    }.values(),
)
def test_a_wrong_file_is_told_what_was_expected(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(FileError) as error:
        load_expected(file(tmp_path, GOOD.replace(*change)), {"torch": "2.13"})
    assert message in str(error.value)


def test_a_version_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"expected versions of the libraries, like 2\.20: Invalid version: 'unknown'"):
        load_expected(file(tmp_path, GOOD), {"torch": "unknown"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_backends_file_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe would be waited for without end."""
    backend = NumpyBackend()
    monkeypatch.setattr(backend, "expected_failures", lambda: tmp_path / "pipe")
    with pytest.raises(FileError, match="this is no file"):
        expected_failures(backend)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="expected the backend's file of expected failures"):
        expected_failures(backend)
