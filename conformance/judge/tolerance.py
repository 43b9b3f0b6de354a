"""The computed tolerance: for one call, the right result and the largest error that rounding explains.

The reference is run once on arrays of seven versions (`rnnspec.conformance.judge.rounding`): the exact one gives the
result y, the spread d of the six others what rounding to the call's type can do to it. The bound is::

    KAPPA * (1 + 8 min(r, WILD)) * (d + max(d) / 4 + u |y| + smallest normal)

elementwise, with max(d) over the array: six versions leave some elements unmoved by chance. r is the largest d over
the largest |y| of a sequence (of a whole parameter). While r is small, rounding errors add up, and six versions tell
how far. As r nears 1 they multiply, as in a chaotic recurrence: deviations are then spread over orders of magnitude,
and six of them tell less. Where rounding moves a result by more than WILD times itself and by more than any number
that it was computed from, nothing is known of it, and it is not judged: its bound is infinite.

No relative or absolute tolerance is chosen anywhere. The error ratio, error / bound, is at most 1 for a right result
and is the accuracy grade.
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

Array = NDArray[Any]

KAPPA: Final = 4.0
"""Safety factor over the spread; docs/tolerances.md shows the measured distribution of error ratios it rests on."""

WILD: Final = 8.0
"""Spread over result beyond which six versions tell no more."""


@dataclass(frozen=True)
class Bounded:
    """A right result in float64, and the bound on the error of each of its elements; infinite: not judged."""

    value: Array
    bound: Array

    def take(self, rows: Any) -> Bounded:
        """These rows (sequences) alone, in this order."""
        return Bounded(self.value[rows], self.bound[rows])

    def error_ratios(self, got: Array, largest: float) -> Array:
        """|got - value| / bound, elementwise; infinite where `got` is no number.

        Where the result lies within a bound of the type's largest number, an infinity of its sign is right.
        """
        got = got.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.asarray(np.abs(got - self.value) / self.bound)
        overflow = np.isinf(got) & (np.sign(got) == np.sign(self.value)) & (np.abs(self.value) + self.bound >= largest)
        exact = (got == self.value) & (np.isinf(got) | (self.bound == 0))
        ratios[exact | overflow | (np.isposinf(self.bound) & np.isfinite(got))] = 0.0
        ratios[np.isnan(ratios)] = np.inf
        return ratios


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
        return all(
            bool(
                np.all((np.abs(item.value) < limit) | np.isneginf(item.value))
                and np.all((item.bound < limit) | np.isposinf(item.bound))
            )
            for item in everything
        )


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
    floats = {name: array.astype(np.float64) for name, array in call.float_inputs.items()}
    seeds = [cotangent.astype(np.float64) for cotangent in cotangents or ()]
    exact = [np.where(np.isfinite(array), array, 0) for array in (*floats.values(), *seeds)]
    whole = all(bool(np.all(array == np.rint(array))) for array in exact)
    loudest = max((float(np.abs(array).max(initial=0.0)) for array in exact), default=0.0)
    noise = Noise(form.unit_roundoff, form.smallest_normal, seed, whole)
    inputs: dict[str, Any] = {
        name: Rounded.exactly(floats[name], noise) if name in floats else array for name, array in call.inputs.items()
    }
    kinds = call.spec.inputs_for(call.attributes)
    specified = call.spec.outputs_for(call.attributes)
    # Perturbed runs may overflow or meet 0/0 where the exact one does not; the bound is then infinite or NaN there.
    with np.errstate(all="ignore"):
        if cotangents is None:
            outputs = getattr(reference, call.operation)(**inputs, **call.attributes)
            gradients: Mapping[str, Rounded] = {}
        else:
            outputs, vjp = getattr(reference, call.operation + "_vjp")(**inputs, **call.attributes)
            gradients = vjp(*(Rounded.exactly(cotangent, noise) for cotangent in seeds))
        return Expected(
            {
                name: _bounded(output, form, loudest, item.shape[:1] == ("B",))
                if item.kind == "float"
                else _exactly(output)
                for (name, item), output in zip(specified.items(), outputs, strict=True)
            },
            {name: _bounded(d, form, loudest, kinds[name].per_sequence) for name, d in gradients.items()},
            form,
        )


def _exactly(result: Rounded | Array) -> Bounded:
    """Ids, which are right or wrong: not judged where rounding could have chosen otherwise."""
    if not isinstance(result, Rounded):
        return Bounded(result, np.zeros(result.shape))
    versions = result.versions()
    agreed = np.all(versions == versions[0], axis=0)
    return Bounded(np.array(versions[0]), np.where(agreed, 0.0, np.inf))


def _bounded(result: Rounded, form: Format, loudest: float, per_sequence: bool) -> Bounded:
    versions = result.versions() if isinstance(result, Rounded) else result[np.newaxis]
    value = versions[0]
    spread = np.abs(versions - value).max(axis=0)
    together = tuple(range(1 if per_sequence else 0, value.ndim))
    widest = spread.max(axis=together, keepdims=True, initial=0.0)
    r = widest / (np.abs(value).max(axis=together, keepdims=True, initial=0.0) + form.smallest_normal)
    grown = np.where((r > WILD) & (widest > loudest), np.inf, 1 + 8 * np.minimum(r, WILD))
    rounding = spread + spread.max(initial=0.0) / 4 + form.unit_roundoff * np.abs(value) + form.smallest_normal
    return Bounded(np.array(value), KAPPA * grown * rounding)
