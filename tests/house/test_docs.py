"""What README and docs show is what there is: examples in Python run, and commands are read as command lines."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import click
import pytest

from rnnspec.conformance.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[str]:
    """The command lines of a page's blocks and tables, without what follows a comment sign."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(rnnspec [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    found = [line.partition(" #")[0].strip() for line in lines if line.startswith("rnnspec ")]
    return [line.replace("\\|", "|") for line in dict.fromkeys(found)]


OF_PYTEST = {"-n", "-k", "-x", "--junitxml"}
EVERY = [(page.name, line) for page in PAGES for line in commands(page)]


def parsed(line: str) -> None:
    """Read a command line as the program does, without running it; raise click.UsageError if it cannot be."""
    words = shlex.split(line)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        if words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        elif "run" in command.commands:
            command = command.commands["run"]
        else:
            raise click.UsageError(f"no command {words[0]!r}")
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    if command.name == "validate":
        known |= OF_PYTEST
    options = [word.partition("=")[0] for word in words if re.match(r"-[-\w]", word)]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise click.UsageError(f"no option {', '.join(unknown)}")
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    if not words and any(one.required and one.nargs == 1 for one in arguments):
        return  # a command that is only named
    valued = words[-1:] and any(words[-1] in one.opts and not getattr(one, "is_flag", True) for one in command.params)
    context = click.Context(command, info_name=command.name, ignore_unknown_options=True)
    command.make_parser(context).parse_args([*words, *["VALUE"] * bool(valued)])


@pytest.mark.parametrize(("page", "line"), EVERY)
def test_every_command_of_the_pages_is_one(page: str, line: str) -> None:
    parsed(line)


def test_there_are_commands_to_read() -> None:
    assert len(EVERY) > 40
    assert {"README.md", "reports.md", "benchmarks.md", "vectors.md"} <= {page for page, _ in EVERY}


@pytest.mark.parametrize(
    "line", ["rnnspec validte torch", "rnnspec show lstm --latx", "rnnspec validate torch --htlm a", "rnnspec bench -u"]
)
def test_a_command_that_there_is_not_would_be_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(line)


def test_the_examples_of_the_python_page_run() -> None:
    found = doctest.testfile(
        str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted >= 8
    assert found.failed == 0


def test_the_names_of_the_python_page_are_the_names() -> None:
    import rnnspec

    text = (ROOT / "docs" / "python.md").read_text()
    assert {name for name in rnnspec.__all__ if name.islower()} <= set(re.findall(r"`@?rnnspec\.(\w+)", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_between_pages_is_dead(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
