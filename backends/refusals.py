"""A library's own errors that say that it cannot do a call, as an adapter declares them: `Backend.refuses_with`."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from traceback import walk_tb
from typing import Final

from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import kind_of, readable

Declared = Mapping[type[Exception] | str, str]
"""Types of exceptions, or their names, each with a text that the message contains."""


_OF_REFUSALS: Final = (ValueError, TypeError, NotImplementedError)
_OWN: Final = "rnnspec."
"""The beginning of the names of the project's own modules."""


def declared_refusal(error: BaseException, declared: Declared) -> str | None:
    """Return the first line of an error's message if the error is declared as a refusal; None if it is none."""
    try:
        message = str(error)
    except Interrupted:
        raise
    except BaseException:  # an exception whose message cannot be made contains no text
        return None
    for kind, text in declared.items():
        found = _named(kind) if isinstance(kind, str) else kind
        if found is not None and isinstance(error, found) and text in message:
            return (readable(message).strip().splitlines() or [kind_of(error)])[0]
    return None


def may_be_refusal(error: BaseException, adapter: type) -> bool:
    """Whether an error may be a library's own way of saying that it cannot do a call, which the adapter should declare.

    It is one of the kinds that libraries raise for that, and came from an adapter of someone else's or from below it.
    The error is the one that is being handled.
    """
    if not issubclass(type(error), _OF_REFUSALS) or adapter.__module__.startswith(_OWN):
        return False
    *_, (innermost, _) = walk_tb(sys.exc_info()[2])
    return not str(innermost.f_globals.get("__name__")).startswith(_OWN)


def must_be_narrow(declared: Declared) -> None:
    """Raise ValueError, with a message for the adapter's author, if a declaration is none or would hide any bug."""
    if not isinstance(declared, Mapping):
        raise ValueError(
            f"expected types of exceptions with texts, like {{ValueError: 'first timestep'}}: {declared!r}"
        )
    for kind, text in declared.items():
        found = _named(kind) if isinstance(kind, str) else kind
        is_type = isinstance(found, type) and issubclass(found, Exception)
        if not is_type and not (isinstance(kind, str) and "." in kind and not kind.startswith("builtins.")):
            raise ValueError(f"expected a type of exceptions or its name, like 'mylibrary.Error', got {kind!r}")
        if not isinstance(text, str):
            raise ValueError(f"expected a text of the message of {kind!r}, got {text!r}")
        own = is_type and found.__module__ == "builtins" and found is not NotImplementedError
        if own and not text.strip():
            name = kind if isinstance(kind, str) else kind.__name__
            raise ValueError(
                f"{name} needs a text that the messages of refusals contain: without one, every {name} is taken for a "
                "refusal, those of bugs included"
            )


def _named(name: str) -> type[Exception] | None:
    """The type that is called so, where its module is imported, as it is once the type has been raised."""
    module, _, attribute = name.rpartition(".")
    kind = getattr(sys.modules.get(module) if module else builtins, attribute, None)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None
