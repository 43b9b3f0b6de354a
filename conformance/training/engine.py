"""The computation of operations in training: by a backend, or by the reference on arrays of any kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.conformance.judge.formats import Format
from rnnspec.conformance.judge.rounding import Noise, Rounded
from rnnspec.spec import resolved
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Operation

Back = Callable[[Mapping[str, Any], Collection[str]], Mapping[str, Any]]
"""From cotangents of outputs, by name, to gradients of these inputs, by name."""


class ArrayEngine(Protocol):
    """Operations on arrays of its own, which have NumPy's functions for shapes and arithmetic."""

    def array(self, numbers: Array) -> Any:
        """Return numbers as an array; those that are no floats stay as they are."""

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents."""


class ReferenceEngine:
    """The reference in float64 or, with noise, in all versions that rounding to a type can make of it.

    Numbers are first rounded to the type, as a backend has them.
    """

    def __init__(self, form: Format, noise: Noise | None = None) -> None:
        self._form, self._noise = form, noise

    def array(self, numbers: Array) -> Any:
        """Return numbers that the type holds, in float64."""
        if numbers.dtype.kind != "f":
            return numbers
        held = numbers.astype(self._form.dtype).astype(np.float64)
        return held if self._noise is None else Rounded.exactly(held, self._noise)

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""
        with np.errstate(all="ignore"):
            outputs = getattr(reference, op.name)(**inputs, **attributes)
        return dict(zip(resolved(op, attributes).outputs_for(attributes), outputs, strict=True))

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents."""
        with np.errstate(all="ignore"):
            outputs, vjp = getattr(reference, f"{op.name}_vjp")(**inputs, **attributes)
        named = _named(op, attributes, outputs)

        def back(cotangents: Mapping[str, Any], wanted: Collection[str]) -> Mapping[str, Any]:
            with np.errstate(all="ignore"):
                found = vjp(
                    *(cotangents[k] if k in cotangents else self._zeros(named[k]) for k in _floats(op, attributes))
                )
            return {name: found[name] for name in wanted}

        return named, back

    def _zeros(self, like: Any) -> Any:
        return self.array(np.zeros(like.shape))


class BackendEngine:
    """A backend in one of its types."""

    def __init__(self, backend: Backend, dtype: str, form: Format) -> None:
        self.backend, self.dtype, self._form = backend, dtype, form

    def array(self, numbers: Array) -> Array:
        """Return numbers in the type."""
        return numbers.astype(self._form.dtype) if numbers.dtype.kind == "f" else numbers

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""
        return _named(op, attributes, self.backend.run(Call(op.name, inputs, attributes)))

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents."""
        outputs, go_back = self.backend.recorded(Call(op.name, inputs, attributes))

        def back(cotangents: Mapping[str, Any], wanted: Collection[str]) -> Mapping[str, Any]:
            return go_back(tuple(cotangents.get(name) for name in _floats(op, attributes)), wanted)

        return _named(op, attributes, outputs), back


def _named(op: Operation, attributes: Mapping[str, Any], outputs: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(resolved(op, attributes).outputs_for(attributes), outputs, strict=True))


def _floats(op: Operation, attributes: Mapping[str, Any]) -> list[str]:
    """Names of the float outputs, which have cotangents."""
    return [k for k, output in resolved(op, attributes).outputs_for(attributes).items() if output.kind == "float"]
