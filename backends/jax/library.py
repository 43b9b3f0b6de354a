"""The base class of adapters of libraries in JAX: conversion, and differentiation by `jax.vjp`.

An adapter has a method for each operation, on JAX's arrays, and writes no gradient::

    class Mine(JaxLibrary):
        name = "mine"
        libraries = ("jax", "mine")

        @only(direction="forward")
        def gru(self, x, W, R, b, b_rn, h0): ...
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnspec.backends.contract import Backend, Call, Cotangents, wanted_of
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.arrays import Array

jax.config.update("jax_enable_x64", True)  # without it, float64 and int64 quietly become float32 and int32


class JaxLibrary(Backend):
    """Base class of adapters of JAX code: JAX's arrays in and out, and reverse mode for the gradients."""

    libraries: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    compiles: ClassVar[int] = 20
    jit: ClassVar[bool] = True
    """Whether the methods run under `jax.jit`, compiled once for each set of shapes and attributes, as users run them.
    False: a method looks at values."""

    def __init__(self, device: str = "cpu") -> None:
        """Open JAX on `device`: cpu, gpu:0 and so on."""
        super().__init__(device)
        self._jitted: dict[Hashable, Callable[..., Any]] = {}

    def devices(self) -> tuple[str, ...]:
        """The CPU, and every accelerator that JAX sees."""
        found = (device for device in jax.devices() if device.platform != "cpu")
        return ("cpu", *(f"{device.platform}:{device.id}" for device in found))

    def dtypes(self) -> tuple[str, ...]:
        """All four: JAX computes and differentiates in each."""
        return FLOAT_TYPES

    def to_native(self, array: Array) -> jax.Array:
        """Copy onto the device; JAX's bfloat16 is that of ml_dtypes."""
        return jax.device_put(np.array(array, order="C"), self._place)

    def to_numpy(self, array: jax.Array) -> Array:
        """Copy back from the device."""
        return np.array(array)

    def differentiate(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """By `jax.vjp` of the outputs that are used; an input that none depends on has gradient 0."""
        used = [cotangent is not None for cotangent in cotangents]

        def outputs(arrays: Mapping[str, jax.Array]) -> tuple[jax.Array, ...]:
            floats = _floats(function(**arrays))
            return tuple(output for output, wanted in zip(floats, used, strict=True) if wanted)

        with jax.default_device(self._place):
            _, pull = jax.vjp(outputs, inputs)
            (gradients,) = pull(tuple(cotangent for cotangent in cotangents if cotangent is not None))
        return dict(gradients)

    def differentiate_twice(
        self,
        function: Callable[..., tuple[Any, ...]],
        inputs: dict[str, Any],
        cotangents: tuple[Any, ...],
        directions: dict[str, Any],
    ) -> dict[str, Any]:
        """By `jax.vjp` of `differentiate`."""

        def first(**arrays: jax.Array) -> tuple[jax.Array, ...]:
            gradients = self.differentiate(function, arrays, cotangents)
            return tuple(gradients[name] for name in directions)

        return self.differentiate(first, inputs, tuple(directions.values()))

    def synchronise(self) -> None:
        """Wait until all that was started has run: JAX is asynchronous, on the CPU too."""
        jax.effects_barrier()
        jax.device_put(0, self._place).block_until_ready()

    def _method(self, operation: str) -> Callable[..., tuple[Any, ...]]:
        method = super()._method(operation)
        if not self.jit:
            return method
        if operation not in self._jitted:
            self._jitted[operation] = jitted(method)
        return self._jitted[operation]

    def _differentiable(self, operation: str) -> Callable[..., tuple[Any, ...]]:
        return super()._method(operation)  # the whole gradient is compiled, not its parts

    def _gradient(
        self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None
    ) -> Callable[[], dict[str, Any]]:
        if not self.jit or callable(getattr(self, call.operation + "_vjp", None)):
            return super()._gradient(call, cotangents, wanted)
        return self._compiled(call, cotangents, wanted, None)

    def _second_order(
        self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]
    ) -> Callable[[], dict[str, Any]]:
        if not self.jit:
            return super()._second_order(call, cotangents, directions)
        return self._compiled(call, cotangents, None, directions)

    def _compiled(
        self,
        call: Call,
        cotangents: Cotangents,
        wanted: Collection[str] | None,
        directions: Mapping[str, Array] | None,
    ) -> Callable[[], dict[str, Any]]:
        """Put everything on the device and return the gradient as one compiled function, twice with `directions`.

        What is compiled depends on the call's attributes, on which inputs there are and on which outputs are used. JAX
        compiles it for each set of shapes.
        """
        admitted = self._admit_differentiable(call)
        names = wanted_of(call, wanted)
        native = self.inputs_to_native(admitted.inputs)
        floats = {name: array for name, array in native.items() if name in names}
        others = {name: array for name, array in native.items() if name not in names}
        method, attributes = self._differentiable(call.operation), dict(admitted.attributes)

        def gradient(floats: Any, others: Any, seeds: Any, along: Any) -> Any:
            def function(**inputs: Any) -> tuple[Any, ...]:
                return method(**inputs, **others, **attributes)

            if along is None:
                return self.differentiate(function, floats, seeds)
            return self.differentiate_twice(function, floats, seeds, along)

        key = (call.operation, tuple((n, type(v), v) for n, v in sorted(attributes.items())))  # 1 is not True
        compiled = self._jitted.setdefault(key, jax.jit(gradient))
        seeds = self._native_cotangents(cotangents)
        along = None if directions is None else {name: self.to_native(array) for name, array in directions.items()}
        return lambda: dict(compiled(floats, others, seeds, along))

    @property
    def _place(self) -> jax.Device:
        """The device, as JAX's own object."""
        platform, _, number = self.device.partition(":")
        return next(device for device in jax.devices(platform) if not number or device.id == int(number))


def jitted(function: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Return the function as `jax.jit` compiles it; its arguments that are no arrays are compiled in."""

    @cache
    def with_attributes(*attributes: tuple[str, type, Any]) -> Callable[..., tuple[Any, ...]]:
        compiled: Callable[..., tuple[Any, ...]]
        compiled = jax.jit(partial(function, **{name: value for name, _, value in attributes}))
        return compiled

    def method(**arguments: Any) -> tuple[Any, ...]:
        arrays = {name: value for name, value in arguments.items() if isinstance(value, jax.Array)}
        attributes = ((n, type(v), v) for n, v in sorted(arguments.items()) if n not in arrays)  # 1 is not True
        return with_attributes(*attributes)(**arrays)

    return method


def _floats(outputs: Sequence[jax.Array]) -> list[jax.Array]:
    return [output for output in outputs if jnp.issubdtype(output.dtype, jnp.floating)]
