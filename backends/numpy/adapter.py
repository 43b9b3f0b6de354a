"""The NumPy reference as a backend: the suite holds it to the same checks as every other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from rnnspec import reference, spec
from rnnspec.backends.contract import Backend, Call, Cotangents
from rnnspec.reference.traced import Traced, gradients
from rnnspec.spec.arrays import Array


class NumpyBackend(Backend):
    """Each operation is the reference's function of that name, and its gradient the function beside it."""

    name: ClassVar[str] = "numpy"
    checks_calls: ClassVar[bool] = False  # the functions do
    by_default: ClassVar[bool] = False  # it is what the others are compared with

    def dtypes(self) -> tuple[str, ...]:
        """All the specification's types; the two-byte ones are computed in float32 and rounded once."""
        return spec.FLOAT_TYPES

    def has_second_order(self, operation: str) -> bool:
        """True for every operation that has gradients, as long as they are the reference's."""
        return spec.operation(operation).differentiable and self.vjp_of(operation) is _vjp(operation)

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> dict[str, Array]:
        """By differentiating the reference's own gradients."""
        variables = {name: Traced.variable(array) for name, array in call.float_inputs.items()}
        outputs, vjp = self.vjp_of(call.operation)(**{**call.inputs, **variables}, **call.attributes)
        kinds = call.spec.outputs_for(call.attributes).values()
        floats = [output for output, item in zip(outputs, kinds, strict=True) if item.kind == "float"]
        seeds = (np.zeros(y.shape, y.dtype) if d is None else d for y, d in zip(floats, cotangents, strict=True))
        first = vjp(*(Traced(seed) for seed in seeds))
        second = gradients([(first[name], d) for name, d in directions.items()], list(variables.values()))
        return {
            name: np.zeros_like(variable.value) if d is None else d.astype(variable.dtype)
            for (name, variable), d in zip(variables.items(), second, strict=True)
        }

    def _zeros(self, output: Array) -> Array:
        return np.zeros_like(output)

    def vjp_of(self, operation: str) -> Callable[..., Any]:
        """The function whose gradients are differentiated."""
        function: Callable[..., Any] = getattr(self, f"{operation}_vjp")
        return function


def _vjp(operation: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(reference, f"{operation}_vjp")
    return function


def _adopt() -> None:
    """Give the adapter a method for every operation, and for its gradient where it has one."""
    for name, operation in spec.operations().items():
        setattr(NumpyBackend, name, staticmethod(getattr(reference, name)))
        if operation.differentiable:
            setattr(NumpyBackend, f"{name}_vjp", staticmethod(_vjp(name)))


_adopt()
