"""The functions that an attribute may choose, by name, with their numbers: the activations of ONNX, Keras and PyTorch.

An attribute's value is a name, after which each number may follow a colon: ``leaky_relu``, ``leaky_relu:0.2``,
``hard_sigmoid:0.2:0.5``. Numbers that are left out have their defaults, which are ONNX's. `rnnspec.spec.vocabulary`
defines each function of ``a`` and of its numbers, and its derivative, which at a kink is the one on a stated side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rnnspec.spec.errors import one_of


@dataclass(frozen=True)
class Activation:
    """The numbers of a function by default, the other numbers that are tried, and its range and slope."""

    numbers: tuple[float, ...] = ()
    tried: tuple[tuple[float, ...], ...] = ()
    bounded: bool = False
    """Whether all its values lie between two numbers."""

    flat: bool = False
    """Whether it is constant somewhere, so that what stands in its argument is lost there."""


ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "logistic": Activation(bounded=True),
    "tanh": Activation(bounded=True),
    "relu": Activation(flat=True),
    "identity": Activation(),
    "hard_sigmoid": Activation((0.2, 0.5), tried=((1 / 6, 0.5),), bounded=True, flat=True),
    "leaky_relu": Activation((0.01,), tried=((0.2,),)),
    "thresholded_relu": Activation((1.0,), tried=((0.25,),), flat=True),
    "scaled_tanh": Activation((1.0, 1.0), tried=((1.7159, 2 / 3),), bounded=True),
    "affine": Activation((1.0, 0.0), tried=((0.5, -0.25),)),
    "elu": Activation((1.0,), tried=((0.5,),)),
    "selu": Activation(),
    "softsign": Activation(bounded=True),
    "softplus": Activation(),
    "relu6": Activation(bounded=True, flat=True),
}
"""Every function by name; `identity` is what others call linear."""


@lru_cache(maxsize=1024)
def chosen(text: str) -> tuple[str, tuple[float, ...]]:
    """Return the name and all the numbers of an attribute's value; raise ValueError if it is none of `ACTIVATIONS`."""
    name, *given = text.split(":")
    if name not in ACTIVATIONS:
        raise ValueError(f"{one_of(name, ACTIVATIONS)}, got {text!r}")
    defaults = ACTIVATIONS[name].numbers
    if len(given) > len(defaults):
        raise ValueError(f"expected at most {len(defaults)} numbers after {name}, got {text!r}")
    numbers = tuple(float(number) for number in given)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected finite numbers after {name}, got {text!r}")
    return name, (*numbers, *defaults[len(numbers) :])


def is_activation(value: object) -> bool:
    """Return whether an attribute may have this value."""
    try:
        return isinstance(value, str) and bool(chosen(value))
    except ValueError:
        return False


def written(name: str, numbers: tuple[float, ...] = ()) -> str:
    """Return an attribute's value for a function with these numbers."""
    return ":".join((name, *map(repr, numbers)))


def tried() -> tuple[str, ...]:
    """Return every function, with its numbers by default and with each others that are tried."""
    return tuple(written(name, numbers) for name, one in ACTIVATIONS.items() for numbers in ((), *one.tried))
