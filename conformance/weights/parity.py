"""Both sides of a conversion run on the same input: whether each conforms, and the largest difference between them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import LayerPlace, family_of
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Expected, expect
from rnnspec.conformance.weights.found import Weights
from rnnspec.conformance.weights.sides import NotRunError, Side, run_side
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array, NamedArrays

BATCH: Final = 3
STEPS: Final = 7


@dataclass(frozen=True)
class Ran:
    """One side of a layer: what ran it, and its worst error ratio; or why it did not run.

    A side that ran has no error ratio where nothing can be judged.
    """

    by: str
    outputs: tuple[Array, ...] = ()
    error_ratio: float | None = None

    @property
    def in_words(self) -> str:
        """The error ratio, or why there is none."""
        if self.error_ratio is None:
            return "not judged" if self.outputs else "not run"
        if math.isfinite(self.error_ratio):
            return f"{self.error_ratio:.2f}"
        return "NaN" if any(np.isnan(one).any() for one in self.outputs) else "infinite"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        finite = self.error_ratio if self.error_ratio is not None and math.isfinite(self.error_ratio) else None
        return {"by": self.by, "ran": bool(self.outputs), "error_ratio": finite}


@dataclass(frozen=True)
class Parity:
    """Both sides of a layer."""

    place: LayerPlace
    source: Ran
    target: Ran
    unjudged: str = ""
    """Why nothing can be judged; empty where something can be."""

    @property
    def in_words(self) -> str:
        """The verdict."""
        if self.agrees is None:
            return "not judged" if self.unjudged else "not run"
        if not self.agrees:
            return "differ"
        return "one side is right" if self.difference is None else "agree"

    @property
    def difference(self) -> float | None:
        """The largest difference between the outputs of both sides, if both ran."""
        if not (self.source.outputs and self.target.outputs):
            return None
        pairs = list(zip(self.source.outputs, self.target.outputs, strict=True))
        if any(a.shape != b.shape for a, b in pairs):
            return None
        return max(float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0)) for a, b in pairs)

    @property
    def agrees(self) -> bool | None:
        """Whether each side that ran lies within the bound on its rounding errors; None if none was judged."""
        ratios = [ran.error_ratio for ran in (self.source, self.target) if ran.error_ratio is not None]
        return all(ratio <= 1 for ratio in ratios) if ratios else None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        difference = self.difference
        return {
            "layer": self.place.grouped_name(""),
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "largest_difference": difference if difference is not None and math.isfinite(difference) else None,
            "agrees": self.agrees,
            "not_judged": self.unjudged,
        }


def parities(source: Weights, target: Weights) -> Iterator[Parity]:
    """Run each layer on both sides, forward, on numbers drawn from the layer's name alone."""
    for place, arrays in source.layers.items():
        family, dtype = family_of(NumpyShaping(), arrays), arrays["W"].dtype.name
        random = np.random.default_rng(zlib.crc32(place.grouped_name("").encode()))
        x = random.normal(size=(BATCH, STEPS, arrays["W"].shape[2])).astype(format_of(dtype).dtype)
        call = _call(family, {"x": x, **arrays})
        expected = expect(call, dtype)
        unjudged, ran = _why_unjudged(arrays, expected), []
        for side in (source, target):
            try:
                came = run_side(side.layout, family, side.own[place], x, "b_rn" in arrays)
            except NotRunError as error:
                ran.append(Ran(f"not run: {error}"))
            else:
                ran.append(Ran(came.by, came.outputs, None if unjudged else _worst(came, expected)))
        yield Parity(place, ran[0], ran[1], unjudged)


def _why_unjudged(arrays: NamedArrays, expected: Expected) -> str:
    """Why no output of a layer can be judged; empty if they can."""
    for name, array in arrays.items():
        if missing := int(np.isnan(array).sum()):
            return f"{missing} of {array.size} numbers of {name} are NaN"
    return "" if expected.in_range else f"the right results lie outside {expected.format.name}'s range"


def _call(family: str, inputs: dict[str, Array]) -> Call:
    attributes = dict(operation(family).defaults())
    if family == "gru":
        attributes["reset"] = "after" if "b_rn" in inputs else "before"
    if "P" in inputs:
        attributes["projection"] = True
    return Call(family, inputs, attributes)


def _worst(side: Side, expected: Expected) -> float:
    largest = expected.format.largest
    ratios = [math.inf]
    if all(one.shape == due.value.shape for one, due in zip(side.outputs, expected.outputs.values(), strict=True)):
        pairs = zip(side.outputs, expected.outputs.values(), strict=True)
        ratios = [float(due.error_ratios(one, largest).max(initial=0.0)) for one, due in pairs]
    return max(ratios)
