"""A call of an operation, as the suite makes it and an adapter takes it, and its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rnnspec import spec
from rnnspec.spec.arrays import Array

Cotangents = tuple[Array | None, ...]
"""One for each float output, in the specification's order; None for an output that is not used."""


class Unsupported(Exception):
    """The implementation cannot do this call, and says so."""


@dataclass(frozen=True)
class Call:
    """One call of an operation: NumPy inputs by name (those present) and every attribute of the operation."""

    operation: str
    inputs: Mapping[str, Array]
    attributes: Mapping[str, Any]

    @cached_property
    def spec(self) -> spec.Operation:
        """The operation's specification, with the parts that the attributes choose."""
        return spec.resolved(spec.operation(self.operation), self.attributes)

    @cached_property
    def _others(self) -> frozenset[str]:
        """Names of the inputs that are no floats."""
        kinds = self.spec.inputs_for(self.attributes)
        return frozenset(name for name, item in kinds.items() if item.kind != "float")

    @property
    def float_inputs(self) -> dict[str, Array]:
        """The inputs that have gradients: all but lengths, masks and ids."""
        mine = (item for item in self.inputs.items() if item[0] not in self._others)
        return {name: array for name, array in mine if array.dtype != np.bool_}
