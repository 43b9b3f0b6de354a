"""The computation of operations in training: by a backend, or by the reference on arrays of any kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.composed.backend import FrameworkBackend
from rnnspec.backends.words import name_of
from rnnspec.conformance.judge.formats import Format
from rnnspec.conformance.judge.rounding import Noise, Rounded
from rnnspec.spec import resolved
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Operation

Back = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From cotangents of outputs, by name, to the gradients of the inputs that were wanted, by name."""


class ArrayEngine(Protocol):
    """Operations on arrays of its own, and what joins them."""

    def array(self, numbers: Array) -> Any:
        """Return numbers as an array; those that are no floats stay as they are."""

    def numbers(self, array: Any) -> Any:
        """Return an array as what a judge compares."""

    def reshape(self, array: Any, shape: Sequence[int]) -> Any:
        """Return an array in another shape, in the same order of its numbers."""

    def concat(self, arrays: Sequence[Any], axis: int) -> Any:
        """Return arrays one after another on an axis, counted from the first."""

    def sum(self, array: Any) -> Any:
        """Return the sum of all numbers."""

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any], wanted: Collection[str]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents to the inputs that are wanted."""


class _OnNumPy:
    """What joins operations, on NumPy's arrays and on those that have its functions."""

    def numbers(self, array: Any) -> Any:
        """Return the array itself."""
        return array

    def reshape(self, array: Any, shape: Sequence[int]) -> Any:
        """Return an array in another shape, in the same order of its numbers."""
        return array.reshape(tuple(shape))

    def concat(self, arrays: Sequence[Any], axis: int) -> Any:
        """Return arrays one after another on an axis, counted from the first."""
        return np.concatenate(arrays, axis=axis)

    def sum(self, array: Any) -> Any:
        """Return the sum of all numbers."""
        return array.sum()


class ReferenceEngine(_OnNumPy):
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
        return _named(op, attributes, outputs)

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any], wanted: Collection[str]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents to the inputs that are wanted."""
        with np.errstate(all="ignore"):
            outputs, vjp = getattr(reference, f"{op.name}_vjp")(**inputs, **attributes)
        named = _named(op, attributes, outputs)

        def back(cotangents: Mapping[str, Any]) -> Mapping[str, Any]:
            with np.errstate(all="ignore"):
                found = vjp(
                    *(cotangents[k] if k in cotangents else self._zeros(named[k]) for k in _floats(op, attributes))
                )
            return {name: found[name] for name in wanted}

        return named, back

    def _zeros(self, like: Any) -> Any:
        return self.array(np.zeros(like.shape))


class BackendEngine(_OnNumPy):
    """A backend in one of its types; between two operations, arrays are NumPy's."""

    def __init__(self, backend: Backend, dtype: str, form: Format) -> None:
        self.backend, self.dtype, self._form = backend, dtype, form

    def array(self, numbers: Array) -> Array:
        """Return numbers in the type."""
        return numbers.astype(self._form.dtype) if numbers.dtype.kind == "f" else numbers

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""
        return _named(op, attributes, self.backend.run(Call(op.name, inputs, attributes)))

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any], wanted: Collection[str]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents to the inputs that are wanted."""
        outputs, go_back = self.backend.recorded(Call(op.name, inputs, attributes), wanted)
        return _named(op, attributes, outputs), _by_name(op, attributes, go_back)


class FlowingEngine(BackendEngine):
    """A backend in one of its types, whose arrays stay on the device from one operation to the next.

    Raises
    ------
    Unsupported
        If the backend can only make a call together with its gradient, or its arrays cannot be joined.
    """

    def __init__(self, backend: Backend, dtype: str, form: Format) -> None:
        super().__init__(backend, dtype, form)
        own = isinstance(backend, FrameworkBackend)
        if not backend.flows or not (own or type(backend).to_native is Backend.to_native):
            why = "its arrays cannot go from one operation to the next without a copy"
            raise Unsupported(f"{name_of(backend.opened_as or backend.name)}: {why}")
        self._arrays = backend.arrays if isinstance(backend, FrameworkBackend) else None

    def array(self, numbers: Array) -> Any:
        """Return numbers in the type, on the device."""
        return self.backend.to_native(super().array(numbers))

    def numbers(self, array: Any) -> Array:
        """Return a copy in NumPy's memory."""
        return self.backend.to_numpy(array)

    def reshape(self, array: Any, shape: Sequence[int]) -> Any:
        """Return an array in another shape, in the same order of its numbers."""
        return super().reshape(array, shape) if self._arrays is None else self._arrays.reshape(array, tuple(shape))

    def concat(self, arrays: Sequence[Any], axis: int) -> Any:
        """Return arrays one after another on an axis, counted from the first."""
        return super().concat(arrays, axis) if self._arrays is None else self._arrays.concat(list(arrays), axis)

    def sum(self, array: Any) -> Any:
        """Return the sum of all numbers."""
        return super().sum(array) if self._arrays is None else self._arrays.sum(array)

    def run(self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a call, by name."""
        return _named(op, attributes, self.backend.run_here(Call(op.name, inputs, attributes)))

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any], wanted: Collection[str]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call, and the way back from their cotangents to the inputs that are wanted."""
        outputs, go_back = self.backend.recorded_here(Call(op.name, inputs, attributes), wanted)
        return _named(op, attributes, outputs), _by_name(op, attributes, go_back)


def _by_name(op: Operation, attributes: Mapping[str, Any], back: Callable[[tuple[Any, ...]], Any]) -> Back:
    return lambda cotangents: back(tuple(cotangents.get(name) for name in _floats(op, attributes)))


def _named(op: Operation, attributes: Mapping[str, Any], outputs: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(resolved(op, attributes).outputs_for(attributes), outputs, strict=True))


def _floats(op: Operation, attributes: Mapping[str, Any]) -> list[str]:
    """Names of the float outputs, which have cotangents."""
    return [k for k, output in resolved(op, attributes).outputs_for(attributes).items() if output.kind == "float"]
