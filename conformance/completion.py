"""The words that a shell completes. They are imported when a shell asks for them, so that help appears at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import click
from click.shell_completion import CompletionItem


def _operations() -> Iterable[str]:
    from rnnspec.spec import operations

    return operations()


def _types() -> Iterable[str]:
    from rnnspec.spec import FLOAT_TYPES

    return FLOAT_TYPES[::-1]


def _models() -> Iterable[str]:
    from rnnspec.spec.models import models

    return models()


def _backends() -> Iterable[str]:
    from rnnspec.backends.discovery import offered

    return sorted(offered().entries)


def _checks() -> Iterable[str]:
    from rnnspec.conformance.checks import CHECKS

    return (check.id for check in CHECKS)


def _profiles() -> Iterable[str]:
    from rnnspec.conformance.run.profile import PROFILES

    return PROFILES


def _workloads() -> Iterable[str]:
    from rnnspec.conformance.bench.catalogue import load_catalogue

    return load_catalogue().named


_WORDS: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "--op": _operations, "operation": _operations,
    "backend": _backends, "backends": _backends,
    "--dtype": _types, "--model": _models, "--check": _checks, "--profile": _profiles, "--workload": _workloads,
}  # fmt: skip
"""By the option, or the argument's name."""


class _Name(click.types.StringParamType):
    """A word, of which a shell completes those that are known."""

    def __init__(self, known: Callable[[], Iterable[str]]) -> None:
        self._known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the known words that begin so."""
        return [CompletionItem(word) for word in self._known() if word.startswith(incomplete)]


def complete_names(group: click.Group) -> None:
    """Let a shell complete the names that commands take, but where a parameter has a kind that completes by itself."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            complete_names(command)
        for parameter in command.params:
            names = parameter.opts if isinstance(parameter, click.Option) else [str(parameter.name)]
            known = next((_WORDS[name] for name in names if name in _WORDS), None)
            if known is not None and isinstance(parameter.type, click.types.StringParamType):
                parameter.type = _Name(known)
