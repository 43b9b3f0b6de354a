"""The computed tolerance: for one call, the right result and the largest error that rounding explains.

The reference is run once on arrays of seven versions (`rnnspec.conformance.judge.rounding`): the exact one gives the
result y, the spread d of the six others what rounding to the call's type can do to it. The bound is::

    KAPPA * (d + max(d) / 4 + u |y| + smallest normal)

elementwise, with max(d) over the array: six versions leave some elements unmoved by chance. No relative or absolute
tolerance is chosen anywhere. The error ratio, error / bound, is at most 1 for a right result and is the accuracy grade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.conformance.judge.formats import Format, format_of
from rnnspec.conformance.judge.rounding import Noise, Rounded
from rnnspec.spec import operation

Array = NDArray[Any]

KAPPA: Final = 4.0
"""Safety factor over the spread; docs/tolerances.md shows the measured distribution of error ratios it rests on."""


@dataclass(frozen=True)
class Bounded:
    """A right result in float64, and the bound on the error of each of its elements."""

    value: Array
    bound: Array

    def error_ratios(self, got: Array, largest: float) -> Array:
        """|got - value| / bound, elementwise; infinite where `got` is no number.

        Where the result lies within a bound of the type's largest number, an infinity of its sign is right.
        """
        got = got.astype(np.float64)
        with np.errstate(invalid="ignore"):
            ratios = np.abs(got - self.value) / self.bound
        overflow = np.isinf(got) & (np.sign(got) == np.sign(self.value)) & (np.abs(self.value) + self.bound >= largest)
        ratios[overflow] = 0.0
        ratios[np.isnan(ratios)] = np.inf
        return np.asarray(ratios)


@dataclass(frozen=True)
class Expected:
    """What one call must give: its outputs by name and, if cotangents were given, its gradients by input."""

    outputs: dict[str, Bounded]
    gradients: dict[str, Bounded]
    format: Format

    def in_range(self) -> bool:
        """Whether the type can hold the results with room to spare; calls beyond that show nothing about anyone."""
        everything = [*self.outputs.values(), *self.gradients.values()]
        limit = self.format.largest / 16
        return all(bool(np.all(np.abs(item.value) + item.bound < limit)) for item in everything)


def expect(call: Call, dtype: str, cotangents: tuple[Array, ...] | None = None, seed: int = 0) -> Expected:
    """Compute what is right for a call, and the tolerance.

    Parameters
    ----------
    call
        Its float inputs may have any type that holds their values exactly.
    dtype
        The type to compute the tolerance for.
    cotangents
        One per output, for the gradients; None for the outputs alone.
    seed
        Of the random directions of rounding.
    """
    form = format_of(dtype)
    noise = Noise(form.unit_roundoff, form.smallest_normal, seed)
    floats = call.float_inputs
    inputs: dict[str, Any] = {
        name: Rounded.exactly(array.astype(np.float64), noise) if name in floats else array
        for name, array in call.inputs.items()
    }
    names = operation(call.operation).outputs
    # Perturbed runs may overflow or meet 0/0 where the exact one does not; the bound is then infinite or NaN there.
    with np.errstate(all="ignore"):
        if cotangents is None:
            outputs = getattr(reference, call.operation)(**inputs, **call.attributes)
            gradients: Mapping[str, Rounded] = {}
        else:
            outputs, vjp = getattr(reference, call.operation + "_vjp")(**inputs, **call.attributes)
            gradients = vjp(*(Rounded.exactly(cotangent.astype(np.float64), noise) for cotangent in cotangents))
        return Expected(
            {name: _bounded(output, form) for name, output in zip(names, outputs, strict=True)},
            {name: _bounded(gradient, form) for name, gradient in gradients.items()},
            form,
        )


def _bounded(result: Rounded, form: Format) -> Bounded:
    versions = result.data
    value = versions[0]
    spread = np.abs(versions - value).max(axis=0)
    widest = spread.max(initial=0.0)
    bound = KAPPA * (spread + widest / 4 + form.unit_roundoff * np.abs(value) + form.smallest_normal)
    return Bounded(np.array(value), bound)
