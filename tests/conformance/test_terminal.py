"""The terminal as people use it: nothing that must be typed is cut, and what is mistyped is recognised."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from rnnspec.backends.discovery import installs, offered
from rnnspec.conformance.cases.regimes import REGIMES
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.cli import main, split_arguments
from rnnspec.conformance.commands.show import parse_settings
from rnnspec.conformance.examples import EXAMPLES
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.spec import operation, operations
from rnnspec.spec.errors import one_of


def run(*arguments: str, columns: int = 80) -> str:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, arguments)
    assert done.exit_code in (0, 2), done.output
    return done.output


def commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = [("", main)]
    for path, group in found:
        if isinstance(group, click.Group):
            found += [(f"{path} {name}".strip(), one) for name, one in group.commands.items() if not one.hidden]
    return found


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_name_of_the_lists_is_cut(columns: int) -> None:
    first = [
        line.split()[0] for line in run("list", "--time-limit", "60", columns=columns).splitlines() if line.split()
    ]
    assert set(operations()) <= set(first)
    words = set(re.findall(r"\w+", run("list", "--time-limit", "60", columns=columns)))
    assert {name for op in operations().values() for name in op.attributes} <= words
    assert {check.id for check in CHECKS} <= set(run("list", "--checks", columns=columns).split())
    assert set(REGIMES) <= set(run("list", "--regimes", columns=columns).split())


@pytest.mark.parametrize("columns", [40, 100])
def test_the_bar_of_progress_has_one_line_of_the_terminal(columns: int) -> None:
    console = open_console(io.StringIO(), width=columns, force_terminal=True)
    with bar(console) as shown:
        shown.add_task("a backend with a long name lstm float32 values", total=100)
        (line,) = console.render_lines(shown.get_renderable(), pad=False)
    assert sum(len(part.text) for part in line) <= columns


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("show", "lstmm"), "did you mean lstm? expected one of dense, "),
        (("show", "LSTM"), "did you mean lstm? expected one of dense, "),
        (("validate", "nummpy"), "did you mean numpy? expected one of "),
        (("validate", "my/own.py"), "a file is named as its module, with the class: own:Class. "),
        (("validate", "numpy", "--dtype", "float23"), "did you mean float32?"),
        (("validate", "numpy", "--profile", "quik"), "did you mean quick?"),
        (("show", "lstm", "--set", "couppled=true"), "did you mean coupled?"),
        (("bench", "numpy", "-w", "speach", "--alone"), "did you mean speech?"),
        (("show", "--model", "image-row"), "did you mean image-rows?"),
        (("validate", "numpy", "--opp", "lstm"), "did you mean --op?"),
        (
            ("validate", "numpy", "--rnnspec-op", "lstm"),
            "this option is for pytest without this command: expected --op",
        ),
        (("validte",), "Did you mean 'validate'?"),
    ],
)
def test_what_is_mistyped_is_recognised(arguments: tuple[str, ...], meant: str) -> None:
    assert meant in run(*arguments)


def test_a_backend_without_an_extra_is_installed_by_the_one_that_it_is_a_variant_of() -> None:
    assert installs("jax-jit") == installs("jax") != installs("") == "pip install"
    assert all(installs(name) != installs("") for name in offered().own - {"numpy"})


def test_what_is_like_nothing_is_not_guessed() -> None:
    assert one_of("xyz", ("lstm", "gru")) == "expected one of lstm, gru"
    assert one_of("xyz", ()) == "expected none"


def test_groups_list_whole_sentences() -> None:
    words = " ".join(run("--help", columns=40).split())
    assert all(one.help.partition(".\n")[0].replace("\n", " ").rstrip(".") in words for one in main.commands.values())


@pytest.mark.parametrize(("path", "command"), commands(), ids=str)
def test_every_help_has_examples_that_are_commands(path: str, command: click.Command) -> None:
    shown = run(*path.split(), "--help", columns=100)
    assert "Examples:" in shown
    for example in EXAMPLES[path]:
        assert f"\n    rnnspec {example}\n" in f"{shown}\n"
        words = shlex.split(example)
        assert main.commands[words[0]]
        assert path == "" or example.startswith(path)


@pytest.mark.parametrize("example", [one for several in EXAMPLES.values() for one in several])
def test_the_options_of_examples_are_there(unknown_options: Callable[[str], set[str]], example: str) -> None:
    """Each example is read as a command line, though not run."""
    assert unknown_options(example) == set()


def test_a_word_of_an_attribute_is_that_word() -> None:
    assert parse_settings(operation("bidirectional"), ["merge=none"]) == {"merge": "none"}
    assert parse_settings(operation("lstm"), ["clip=none", "coupled=true"]) == {"clip": None, "coupled": True}
    shown = ("logistic", "tanh", "tanh")  # as a default is shown
    for text in (str(shown), '["logistic", "tanh", "tanh"]', "logistic, tanh ,tanh", "logistic,tanh,tanh"):
        assert parse_settings(operation("lstm"), [f"activations={text}"]) == {"activations": shown}
    assert "clip: expected a positive number" in run("show", "lstm", "--set", f"clip={'(' * 9999}")
    assert "clip: expected one value, got another: 'clip=2'" in run(
        "show", "lstm", "--set", "clip=1", "--set", "clip=2"
    )
    assert run("show", "bidirectional", "--set", "merge=none").startswith("bidirectional: ")


@pytest.mark.parametrize(
    ("words", "backends", "for_pytest"),
    [
        ("-n 0 mine", ("mine",), ("-n", "0")),
        ("mine -n 0 other", ("mine", "other"), ("-n", "0")),
        ("-x mine -k lstm", ("mine",), ("-x", "-k", "lstm")),
        ("--junitxml=a.xml mine", ("mine",), ("--junitxml=a.xml",)),
    ],
)
def test_options_and_backends_come_in_any_order(
    words: str, backends: tuple[str, ...], for_pytest: tuple[str, ...]
) -> None:
    assert split_arguments(tuple(words.split())) == (backends, for_pytest)


def test_the_lines_that_docs_reports_gives_for_shells_ask_for_their_scripts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text("utf-8")
    shells = re.findall(r"_RNNSPEC_COMPLETE=(\w+)_source rnnspec", page)
    assert shells == ["bash", "zsh", "fish"]
    for shell in shells:
        script = CliRunner(env={"_RNNSPEC_COMPLETE": f"{shell}_source"}).invoke(main, prog_name="rnnspec").output
        assert f"{shell}_complete" in script


def test_a_shell_completes_commands_options_and_names() -> None:
    def completed(*arguments: str, incomplete: str) -> set[str]:
        completion = ShellComplete(main, {}, "rnnspec", "_RNNSPEC_COMPLETE")
        return {one.value for one in completion.get_completions(list(arguments), incomplete)}

    assert completed(incomplete="val") == {"validate"}
    assert "--repro-dir" in completed("validate", incomplete="--re")
    assert completed("show", incomplete="lstm_") == {"lstm_cell", "lstm_1997", "lstm_1997_cell"}
    for command in (("validate",), ("bench",), ("faults",), ("new-backend", "mine"), ("vectors", "export", "d")):
        assert "gru_cell" in completed(*command, "--op", incomplete="gru")
    for command in ("validate", "bench", "soak", "bisect", "train", "learn"):
        assert "numpy" in completed(command, incomplete="num")
    assert "float32" in completed("validate", "--dtype", incomplete="float")
    assert completed("validate", "--profile", incomplete="q") == {"quick"}
    assert completed("bisect", "numpy", "--check", incomplete="values") == {"values"}
    assert completed("bench", "-w", incomplete="spe") == {"speech"}
    assert completed("convert", "a", "b", "--to", incomplete="k") == {"keras"}
    for command in ("show", "train", "learn", "bench"):
        assert completed(command, "--model", incomplete="image") == {"image-rows"}
