"""Faults of a few times the smallest error that is seen: one quantity of the reference is off by so much.

Other faults are wrong by far, and would be caught by bounds ten times as wide too. These would not: each error is one
and a half times the smallest that its check sees with each of the seeds 0 to 4, so that bounds of twice the width miss
it with one of them at least. They stand in `conformance/faults/equations/` beside the changed equations of their
families; ``python -m rnnspec.conformance.faults.near_the_bound`` measures what their `units` are to be.
"""

# ruff: noqa: D102  (what a method does is said where the contract names it)
from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import numpy as np

from rnnspec import reference, spec
from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.faults.equations import files_of_faults, is_changed_equation
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.sharpness.measuring import cases_of, smallest_seen
from rnnspec.conformance.sharpness.planting import RelativeErrorIn, WatchedReference
from rnnspec.spec.arrays import Array

Quantity = Literal["values", "gradients"]

CHECK_OF: Final[Mapping[Quantity, Check]] = {"values": Values(), "gradients": Gradients()}
"""The check that is to catch an error in a part."""

BEYOND: Final = 20
"""An error of two to the power of this many units of roundoff is not asked for."""

MARGIN: Final = 1.5
"""How many times the smallest error that is seen is planted; a little more where steps of the type come between."""

_KEYS: Final = {"operation", "dtype", "part", "quantity", "units"}


class SlightlyWrong(WatchedReference):
    """The reference, with one quantity off by a relative error; all else is right."""

    quantity: ClassVar[str]
    error: ClassVar[float]

    def __init__(self) -> None:
        super().__init__(RelativeErrorIn(self.quantity, self.error))

    def dtypes(self) -> tuple[str, ...]:
        return spec.FLOAT_TYPES

    def has_gradients(self, operation: str) -> bool:
        return spec.operation(operation).differentiable

    def run(self, call: Call) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return super().run(call)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            gradients = self.way_back(call, self._given(call, cotangents))
        return {name: d for name, d in gradients.items() if wanted is None or name in wanted}

    def _given(self, call: Call, cotangents: Cotangents) -> tuple[Array, ...]:
        """The cotangents, zeros for an output that is not used."""
        if all(cotangent is not None for cotangent in cotangents):
            return tuple(cotangent for cotangent in cotangents if cotangent is not None)
        outputs = getattr(reference, call.operation)(**call.inputs, **call.attributes)
        kinds = call.spec.outputs_for(call.attributes).values()
        floats = [output for output, item in zip(outputs, kinds, strict=True) if item.kind == "float"]
        return tuple(np.zeros_like(y) if d is None else d for y, d in zip(floats, cotangents, strict=True))


@dataclass(frozen=True)
class Slight:
    """An error of so many units of roundoff in a quantity that is computed in a part of an operation."""

    name: str
    operation: str
    dtype: str
    part: Quantity
    quantity: str
    units: float

    def with_units(self, units: float) -> Slight:
        """The same with another error."""
        return replace(self, units=units)

    @property
    def fault(self) -> Fault:
        """It as one of the catalogue."""
        error = self.units * format_of(self.dtype).unit_roundoff
        implementation = type("SlightlyWrong", (SlightlyWrong,), {"quantity": self.quantity, "error": error})
        about = f"``{self.quantity}`` is too large by {self.units:g} units of roundoff."
        return Fault(self.name, self.operation, about, implementation, self.dtype)

    def smallest(self, seed: int) -> float:
        """Return how many units the check sees at least with a seed, to a tenth."""
        cases = cases_of(self.operation, self.dtype, self.part, seed)
        lowest = smallest_seen(lambda eighths: self._seen(cases, 2 ** (eighths / 8)), 0, 8 * BEYOND)
        return float(2 ** (lowest / 8))

    def _seen(self, cases: Sequence[Case], units: float) -> bool:
        backend = self.with_units(units).fault.implementation()
        for case in cases:
            try:
                CHECK_OF[self.part].examine(backend, case)
            except Violation:
                return True
        return False


def read(text: str, file: str) -> Iterator[Slight]:
    """Yield the slight faults of a file; where one is wrong, raise SpecError with the file, the fault and its keys."""
    for name, table in tomllib.loads(text).items():
        if is_changed_equation(table):
            continue
        place = f"{file}: [{name}]"
        if set(table) != _KEYS:
            raise spec.SpecError(f"{place}: expected {', '.join(sorted(_KEYS))}, got {', '.join(sorted(table))}")
        if table["part"] not in CHECK_OF:
            raise spec.SpecError(f"{place}: 'part' expects one of {', '.join(CHECK_OF)}, got {table['part']!r}")
        spec.operation(table["operation"])
        yield Slight(name, **table)


SLIGHT: Final = tuple(slight for file, text in files_of_faults() for slight in read(text, file))
"""Values and gradients of every family, the types taking turns."""

FAULTS: Final[tuple[Fault, ...]] = tuple(slight.fault for slight in SLIGHT)


def main() -> None:
    """Print the units that belong into the tables: so many times what is seen with every seed."""
    for slight in SLIGHT:
        smallest = [slight.smallest(seed) for seed in range(5)]
        told = ", ".join(f"{units:.3g}" for units in smallest)
        print(
            f"{slight.operation} {slight.dtype} {slight.part} {slight.quantity}: {MARGIN * max(smallest):.2g} ({told})",
            flush=True,
        )


if __name__ == "__main__":
    main()
