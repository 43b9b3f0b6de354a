"""Dataclasses from plain data, each value of the type that its field declares."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


def made(cls: type[Made], data: Mapping[str, Any], **given: Any) -> Made:
    """Make an object of a dataclass from plain data; fields that the data lacks have their defaults.

    Raises
    ------
    TypeError
        If a value is of another type than its field declares, a field without a default is missing, or there is one
        that the class has not.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"expected an object with the fields of a {cls.__name__}")
    hints = get_type_hints(cls)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # a dataclass, as its callers have it
    values = {**data, **given}
    if not set(values) <= known:
        raise TypeError(f"a {cls.__name__} has no {', '.join(sorted(map(str, set(values) - known)))}")
    return cls(**{name: _of_type(value, hints[name], name) for name, value in values.items()})


def _of_type(value: Any, hint: Any, name: str) -> Any:
    """The value as the hint has it: a list becomes a tuple, a word a member of an enumeration."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in inner:
            return None
        (other,) = (one for one in inner if one is not types.NoneType)
        return _of_type(value, other, name)
    if origin is Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_of_type(one, inner[0], name) for one in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {_of_type(key, inner[0], name): _of_type(one, inner[1], name) for key, one in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum) and isinstance(value, str):
        return hint(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise TypeError(f"{name}: expected a number that is finite")
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return made(hint, value)
    raise TypeError(f"{name}: got {value!r}")
