"""Options of `rnnspec bench`. This module imports little but click, so that help appears at once."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnspec.conformance.numbers import is_whole

Command = TypeVar("Command", bound=Callable[..., Any])

COMMON = "BTDHK"
"""Sizes that the help shows; every capital letter is a size."""


class WithDefault(click.Group):
    """A group with the default command `run`: ``bench torch`` means ``bench run torch``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before arguments that begin with no command's name."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage of the default command."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] [BACKEND]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default command's options, and the commands."""
        self.commands["run"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def size_options(command: Command) -> Command:
    """Add an option for each size: ``-T 200`` sets the parameter ``size_t``."""
    for letter in sorted(string.ascii_uppercase, key=lambda one: (one not in COMMON, COMMON.find(one), one))[::-1]:
        command = click.option(
            f"-{letter}",
            f"size_{letter.lower()}",
            multiple=True,
            callback=_sizes,
            metavar="SIZE[,SIZE...]",
            hidden=letter not in COMMON,
            help="Every capital letter is a size; 'rnnspec show OPERATION' lists its sizes." * (letter == "K")
            or f"Size {letter}; several are timed one after the other.",
        )(command)
    return command


def _sizes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    """Read a size, or several with commas between them, of an option that is given once or several times."""
    sizes: list[int] = []
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        if not all(is_whole(part.removeprefix("-")) for part in parts):
            raise click.BadParameter(f"expected whole numbers, like 100 or 100,200, got {text!r}")
        sizes += map(int, parts)
    return tuple(dict.fromkeys(sizes))


def names_in(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Read names with commas between them, of an option that is given once or several times."""
    return tuple(dict.fromkeys(part.strip() for part in ",".join(texts).split(",") if part.strip()))


def sizes_from(options: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Remove the sizes from a command's options, and return those that were given."""
    given = {letter: options.pop(f"size_{letter.lower()}") for letter in string.ascii_uppercase}
    return {letter: size for letter, size in given.items() if size}
