"""The accuracy that an implementation declares, where it is coarser than rounding to the type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """How far single operations may be off, in units of roundoff of the call's type.

    Parameters
    ----------
    transcendental
        Of the result of tanh, exp and the like: a table, or a polynomial of few terms. 4 is what is always allowed.
    product
        Of each term of a product of matrices: TF32 rounds float32 to 11 bits, which is 2**13 units. 1 is what is always
        allowed.

    Raises
    ------
    ValueError
        If one of them is less than that, or no finite number.
    """

    transcendental: float = 4.0
    product: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("transcendental", 4), ("product", 1)):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < least:
                raise ValueError(f"accuracy: {name}: expected a number of units, at least {least}, got {value!r}")

    @property
    def coarser(self) -> float:
        """How many times as far as usual an operation may be off at most."""
        return max(self.transcendental / 4, self.product)

    @property
    def biased(self) -> float:
        """Units by which all results may be off the same way: a table errs alike in every call."""
        return max(self.transcendental if self.transcendental > 4 else 1.0, self.product)

    def __str__(self) -> str:
        return f"transcendental {self.transcendental:g} u, product {self.product:g} u"


USUAL = Accuracy()
"""What is allowed to every implementation."""

Declared = Accuracy | Mapping[str, Accuracy] | None
"""What a backend declares: nothing, the same in every type, or by the name of a type."""


def must_be_an_accuracy(name: str, declared: object) -> None:
    """Raise ValueError if a backend declares its accuracy in another form."""
    by_type = declared.values() if isinstance(declared, Mapping) else () if declared is None else (declared,)
    for one in by_type:
        if not isinstance(one, Accuracy):
            raise ValueError(
                f"backend {name}: accuracy: expected Accuracy(…), or one by the name of a type, got {one!r}"
            )


def accuracy_in(declared: Declared, dtype: str) -> Accuracy:
    """Return what a backend declares for a type."""
    if isinstance(declared, Accuracy):
        return declared
    return (declared or {}).get(dtype, USUAL)
