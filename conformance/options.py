"""The options of ``rnnspec validate``, and of the pytest plugin that it drives.

The command line's help has them, so that nothing but the standard library is imported here.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rnnspec.conformance.numbers import MOST_COUNT, number_between, whole_between

if TYPE_CHECKING:
    import pytest

    from rnnspec.backends import Backend


@dataclass(frozen=True)
class Option:
    """How a field of `Options` is given: by ``--NAME`` on the command line, by ``--rnnspec-NAME`` to pytest."""

    name: str
    help: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] | None = None
    """The words that pytest takes, where it does not take any."""

    flags: str = ""
    """As the command line spells an option that has no value."""

    in_pytest: bool = True
    """Whether pytest has it too."""

    in_commands: bool = True
    """Whether the command line has it."""

    click: Callable[[Any], Mapping[str, Any]] = lambda click: {}
    """Further arguments for click, made with that module."""

    @property
    def pytest_name(self) -> str:
        """Its name in pytest."""
        return f"--rnnspec-{self.name}"


def _option(default: Any, name: str, about: str, **more: Any) -> Any:
    """A field with this default that is given by this option."""
    return field(default=default, metadata={"option": Option(name, about, **more)})


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _folder(click: Any) -> Mapping[str, Any]:
    return {"type": click.Path(file_okay=False, path_type=Path)}


def _file(click: Any) -> Mapping[str, Any]:
    return {"type": click.Path(exists=True, dir_okay=False, path_type=Path)}


def _count(click: Any) -> Mapping[str, Any]:
    from rnnspec.conformance.click_types import Count

    return {"type": Count(1)}


MOST_SECONDS: Final = 10.0**7
"""115 days: clocks and timers of all platforms take it."""
MOST_GIBIBYTES: Final = 2.0**20
LEAST: Final = 0.001


def _number(most: float) -> dict[str, Any]:
    """The description of a limit for pytest and click."""

    def told(_click: Any) -> Mapping[str, Any]:
        from rnnspec.conformance.click_types import Number

        return {"type": Number(LEAST, most)}

    return {"parse": number_between(LEAST, most), "click": told}


def isolation(_context: object, _option: object, asked: bool | None) -> str:
    """The word for what the command line asks for; None: for neither."""
    # Not the enumeration: its module imports NumPy, and the number of threads is set before that.
    return {None: "auto", True: "always", False: "never"}[asked]


@dataclass(frozen=True)
class Options:
    """The request to the suite: a field for each option, in the order of the command line's help."""

    backends: tuple[str, ...] = _option((), "backend", "Backend to validate (repeatable).")
    operations: tuple[str, ...] = _option((), "op", "Only this operation (repeatable).")
    dtypes: tuple[str, ...] = _option((), "dtype", "Only this type (repeatable).")
    device: str = _option("cpu", "device", "Device to run on.")
    profile: str = _option("quick", "profile", "quick, standard or thorough.")
    seed: int = _option(
        0,
        "seed",
        "Seed of the cases; equal seeds draw equal cases.",
        parse=whole_between(0),
        click=lambda click: {"type": click.IntRange(0)},
    )
    largest: int | None = _option(
        None,
        "largest",
        "Largest size on the ladder; by default 300, and larger ones where calls are cheap (docs/checks.md).",
        parse=whole_between(1, MOST_COUNT),
        click=_count,
    )
    case: Path | None = _option(
        None,
        "case",
        "Ask only the case in this file again: a repro's .npz, or a .json with a case.",
        click=_file,
        in_pytest=False,
    )
    repro_dir: Path | None = _option(
        None, "repro-dir", "Write a repro of each failure there.", parse=_path, click=_folder
    )
    replay: bool = _option(
        True,
        "replay",
        "Try first what failed in earlier runs.",
        flags="--replay/--no-replay",
        click=lambda click: {"envvar": "RNNSPEC_REPLAY", "show_envvar": True},
        in_pytest=False,
    )
    replay_dir: Path | None = _option(
        None,
        "replay-dir",
        "Where failures are kept from run to run; validate has a folder in the user's cache.",
        parse=_path,
        click=_folder,
    )
    expected: Path | None = _option(
        None, "expected", "TOML file of expected failures, besides the backend's own.", parse=_path, click=_file
    )
    strict: bool = _option(
        False,
        "strict",
        "Fail where a SHOULD is departed from or an expected failure not seen.",
        click=lambda click: {"is_flag": True},
        in_pytest=False,
    )
    resume: Path | None = _option(
        None,
        "resume",
        "Keep finished operations in this file, and go on from those that it has.",
        click=lambda click: {"type": click.Path(dir_okay=False, path_type=Path)},
        in_pytest=False,
    )
    scheduler: str = _option(
        "",
        "scheduler",
        "Share the operations among the workers of the Dask scheduler at this address.",
        click=lambda click: {"metavar": "ADDRESS", "show_default": False},
        in_pytest=False,
    )
    done: tuple[str, ...] = _option(
        (), "done", "Leave out this BACKEND/OPERATION, which is done (repeatable).", in_commands=False
    )
    isolate: str = _option(
        "auto",
        "isolate",
        "In a process of its own; by default if it is not one of rnnspec's.",
        choices=("auto", "always", "never"),
        flags="--isolate/--no-isolate",
        click=lambda click: {"default": None, "show_default": False, "callback": isolation},
    )
    time_limit: float = _option(60.0, "time-limit", "Seconds for a call.", **_number(MOST_SECONDS))
    memory_limit: float = _option(8.0, "memory-limit", "GiB for a process.", **_number(MOST_GIBIBYTES))

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """The options of pytest's call."""
        given: dict[str, Any] = {}
        for name, option in IN_PYTEST.items():
            value = config.getoption(option.pytest_name)
            given[name] = tuple(value) if isinstance(value, list) else value
        return cls(**given)

    def for_pytest(self) -> list[str]:
        """The arguments of which `of` makes the same again, wherever pytest runs."""
        arguments = []
        for name, option in IN_PYTEST.items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None:
                    arguments.append(f"{option.pytest_name}={one.absolute() if isinstance(one, Path) else one}")
        return arguments

    def open(self, backend: str) -> Backend:
        """Open a backend by its name, in a process of its own if that is asked for; raise BackendError if it fails."""
        from rnnspec.conformance.hosting.isolated import Isolation, Limits

        return Isolation(self.isolate).open(backend, self.device, Limits(self.time_limit, self.memory_limit))


DECIDING: Final = ("dtypes", "device", "profile", "seed", "largest", "isolate", "time_limit", "memory_limit")
"""The fields on which results depend, beside the backends, the operations and the expected failures."""

OPTIONS: Final[Mapping[str, Option]] = {item.name: item.metadata["option"] for item in fields(Options)}
"""Each field's option. A field's default is its option's."""

IN_PYTEST: Final[Mapping[str, Option]] = {name: option for name, option in OPTIONS.items() if option.in_pytest}


def _told(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same function, whose words argparse shows where it reads nothing."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return read


def add_to_pytest(group: pytest.OptionGroup) -> None:
    """Declare the options that pytest has."""
    for name, option in IN_PYTEST.items():
        default = getattr(Options, name)
        if default == ():
            group.addoption(option.pytest_name, action="append", default=[], help=option.help)
        else:
            group.addoption(
                option.pytest_name, type=_told(option.parse), choices=option.choices, default=default, help=option.help
            )
