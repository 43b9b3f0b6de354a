"""Work that can be shared out: a function of one item, with the plain form in which its results are kept and sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class FormError(ValueError):
    """Plain data that are no result of this work."""


def no_versions(**_: Any) -> dict[str, str]:
    """Return no versions: the results depend on rnnspec and NumPy alone."""
    return {}


def fits_any(*_: Any, **__: Any) -> bool:
    """Take any result for the item's: whoever adds it up can tell."""
    return True


@dataclass(frozen=True)
class Work(Generic[Result]):
    """A function of a module that does one piece of work, independent of all others.

    Items and settings are plain data, as JSON has them, so that a piece can be named to another process or machine.
    A `Work` is a constant of the module of its function.

    Parameters
    ----------
    function
        It receives an item, and the settings by their names.
    write
        Function that makes plain data of a result.
    read
        Function that makes the result of plain data; it raises an error where they are none.
    versions
        Function of the settings that returns the versions of the libraries on which the results depend.
    settings
        Settings of the function; `having` sets them.
    fits
        Function of an item, a result and the settings that tells whether the result can be that item's.
    """

    function: Callable[..., Result]
    write: Callable[[Result], Any]
    read: Callable[[Any], Result]
    versions: Callable[..., Mapping[str, str]] = no_versions
    settings: Mapping[str, Any] = field(default_factory=dict)
    fits: Callable[..., bool] = fits_any

    def having(self, **settings: Any) -> Work[Result]:
        """Return the work with these settings."""
        return replace(self, settings={**self.settings, **settings})

    def __call__(self, item: Any) -> Result:
        """Do the work on an item."""
        return self.function(item, **self.settings)

    def revived(self, data: Any, item: Any) -> Result:
        """Return the result of an item, of plain data that others wrote; raise FormError if they are none."""
        try:
            result = self.read(data)
            fits = self.fits(item, result, **self.settings)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise FormError(str(error)) from error
        if not fits:
            raise FormError("it is of another piece of work")
        return result

    @property
    def name(self) -> str:
        """The place of its constant, ``module:NAME``, by which `named` finds it."""
        module = import_module(self.function.__module__)
        for name, value in vars(module).items():
            if isinstance(value, Work) and value.function is self.function:
                return f"{module.__name__}:{name}"
        raise LookupError(f"{module.__name__} has no constant for the work of {self.function.__name__}")


def named(name: str) -> Work[Any]:
    """Return the work that is a constant of one of the project's modules; raise LookupError if there is none."""
    module, _, constant = name.partition(":")
    if not module.startswith("rnnspec."):
        raise LookupError(f"expected work of rnnspec, got {name!r}")
    work = getattr(import_module(module), constant, None)
    if not isinstance(work, Work):
        raise LookupError(f"expected work, got {name!r}")
    return work
