"""How `rnnspec bench` reads its command line. Only click is imported here, so that help comes at once."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

COMMON = "BTDHK"
"""Sizes that help shows; every capital letter is one."""


class WithDefault(click.Group):
    """A group whose command `run` is meant where no other is named: ``bench torch`` is ``bench run torch``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before arguments that begin with no command's name."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As the default command is called."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] [BACKEND]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options, and the other commands."""
        self.commands["run"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def size_options(command: Command) -> Command:
    """An option for each size: ``-T 200``; they arrive as ``size_t``."""
    for letter in sorted(string.ascii_uppercase, key=lambda one: (one not in COMMON, COMMON.find(one), one))[::-1]:
        command = click.option(
            f"-{letter}",
            f"size_{letter.lower()}",
            type=int,
            metavar="SIZE",
            hidden=letter not in COMMON,
            help="Every capital letter is a size; 'rnnspec show OPERATION' tells which it has." * (letter == "K")
            or f"Size {letter}.",
        )(command)
    return command


def sizes_from(options: dict[str, Any]) -> dict[str, int]:
    """Take the sizes that were given out of a command's options."""
    given = {letter: options.pop(f"size_{letter.lower()}") for letter in string.ascii_uppercase}
    return {letter: size for letter, size in given.items() if size is not None}
