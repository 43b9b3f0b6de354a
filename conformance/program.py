"""The program around the commands: its streams, its interrupts, and its exit status.

0: all conforms; 1: something violates, and nothing else; 2: the command cannot run; 130, 143 and 129: interrupted by
Ctrl-C, SIGTERM or the end of the terminal.
"""

from __future__ import annotations

import ast
import atexit
import errno
import io
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO, cast

import click

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]  # asked for before each use

CANNOT_RUN: Final = 2
INTERRUPTED: Final = 130
FEWEST_FILES: Final = 64
"""Files that a command may have open: it imports, and starts processes."""


_WHOLE: Final = 1000
"""Characters beyond those of any sentence."""


class CannotRunError(click.ClickException):
    """A command cannot run: one line of error, exit status 2."""

    exit_code = CANNOT_RUN

    def __init__(self, message: str) -> None:
        super().__init__(_visible(message))


class Commands(click.Group):
    """A group of commands that is told of in whole sentences."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the whole first sentence of its help, which click would cut."""
        rows = [(name, one.get_short_help_str(_WHOLE)) for name, one in self.commands.items() if not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """Find the command; where there is none, name the one that is like it, as newer versions of click do."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            like = get_close_matches(args[0], self.list_commands(context), 1)
            if not like or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {like[0]!r}?", context) from error


class Program(Commands):
    """A group of commands that ends with the right status and loses no output, whatever the commands do."""

    group_class = Commands

    def main(self, args: Any = None, *more: Any, **given: Any) -> Any:
        """Run a command as a program."""
        if not given.pop("standalone_mode", True):
            run: Any = super().main
            return run(args, *more, standalone_mode=False, **given)
        os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")  # of no part in this, and read whatever is wrong with them
        before = set(threading.enumerate())
        _here["is the program"] = args is None
        with _usable_streams() as output:
            status = self._status(args, more, given)
            failure = output.close_for_good()
            if failure is not None and failure.errno != errno.EPIPE:  # whoever reads no further wants no more
                click.echo(f"Error: standard output cannot be written: {failure.strerror or failure}", err=True)
                status = status or CANNOT_RUN
        left = any(not one.daemon for one in set(threading.enumerate()) - before)
        if args is None and (left or _here["hosts a guest"]):
            leave(status)  # an adapter's threads would go on for ever
        sys.exit(status)

    def _status(self, args: Any, more: Any, given: Any) -> int:
        try:
            _must_be_somewhere()
            _must_open_files()
            came = self.main(args, *more, standalone_mode=False, **given)
            return came if isinstance(came, int) else 0
        except click.ClickException as error:
            click.echo(_visible(_shown(error)), err=True)
            return CANNOT_RUN
        except (click.Abort, KeyboardInterrupt) as error:
            click.echo("interrupted", err=True)
            return int(getattr(error, "status", getattr(error.__cause__, "status", INTERRUPTED)))
        except MemoryError:
            click.echo("Error: not enough memory for this: ask for smaller sizes", err=True)
            return CANNOT_RUN
        except Exception:  # not 1, which would say that something violates
            if not _is_somewhere():
                click.echo("Error: the current folder was removed meanwhile: go to another", err=True)
                return CANNOT_RUN
            click.echo(_visible(traceback.format_exc()), err=True)
            click.echo("Error: this is a fault of rnnspec itself: please report it", err=True)
            return CANNOT_RUN


def _visible(words: str) -> str:
    """The words as a terminal may have them. The module behind it imports NumPy: it is imported late."""
    if words.replace("\n", "").isprintable():
        return words
    from rnnspec.backends.words import visible

    return visible(words)


def _shown(error: click.ClickException) -> str:
    """The error as click shows it, with the usage before it where that is wrong."""
    shown = io.StringIO()
    error.show(shown)
    return shown.getvalue().rstrip("\n")


def _must_be_somewhere() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise CannotRunError(f"the current folder is not there any more ({error.strerror}): go to another") from error


def _must_open_files() -> None:
    """Raise CannotRunError where so few files may be open that whatever needs another would fail, each in its way."""
    if resource:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
            raise CannotRunError(
                f"only {most} files may be open here: expected {FEWEST_FILES} or more, as by ulimit -n 1024"
            )


def _is_somewhere() -> bool:
    try:
        _must_be_somewhere()
    except CannotRunError:
        return False
    return True


def have_help(group: click.Group, source: Path) -> None:
    """Give commands their help where Python has removed the docstrings, as ``-OO`` does; `source` has the functions."""
    if sys.flags.optimize < 2:
        return
    functions = (node for node in ast.parse(source.read_text("utf-8")).body if isinstance(node, ast.FunctionDef))
    words = {function.name: ast.get_docstring(function) for function in functions}
    commands: list[click.Command] = [group]
    for command in commands:
        if command.callback is not None:
            command.help = words.get(command.callback.__name__)
        if isinstance(command, click.Group):
            commands += command.commands.values()


class _Output:
    """A stream that remembers its first failure and then takes everything, so that the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, unless that has failed."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, unless writing has failed."""
        self._try(self._stream.flush)

    def close_for_good(self) -> OSError | None:
        """Write what is still to be written; return the failure if there was one."""
        self.flush()
        return self._failure

    def _try(self, does: Any) -> None:
        if self._failure is not None:
            return
        try:
            does()
        except OSError as error:
            self._failure = error
            with suppress(OSError, io.UnsupportedOperation):  # what is left in its buffer must go somewhere
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


@contextmanager
def _usable_streams() -> Iterator[_Output]:
    """Have standard streams that are open and that take every character, in the encoding that they have."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the least free number is this one
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115  # for good
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    before = sys.stdout, sys.stderr
    for one in before:
        if isinstance(one, io.TextIOWrapper):
            one.reconfigure(errors="backslashreplace")
    output, errors = _Output(sys.stdout), _Output(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)  # they pass on what they do not change
    try:
        yield output
    finally:
        errors.flush()
        sys.stdout, sys.stderr = before


_here = {"is the program": False, "hosts a guest": False}


def is_the_program() -> bool:
    """Return whether this process does nothing but run a command, so that it may be ended."""
    return _here["is the program"]


def host_a_guest() -> None:
    """Tell that this process runs other people's code, which may have asked for more to be done at the end."""
    _here["hosts a guest"] = True


def leave(status: int) -> NoReturn:
    """End the process at once, after what is to be done at its end; a guest may not, which could change the status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if not _here["hosts a guest"]:
        atexit._run_exitfuncs()
    elif "multiprocessing.util" in sys.modules:
        sys.modules["multiprocessing.util"]._exit_function()  # processes end, and their folders go
    os._exit(status)
