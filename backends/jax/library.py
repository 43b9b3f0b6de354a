"""The base class of adapters of libraries in JAX: conversion, and differentiation by `jax.vjp`.

An adapter has a method for each operation, on JAX's arrays, and writes no gradient::

    class Mine(JaxLibrary):
        name = "mine"
        libraries = ("jax", "mine")

        @only(direction="forward")
        def gru(self, x, W, R, b, b_rn, h0): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnspec.backends.contract import Backend
from rnnspec.spec.arrays import Array

jax.config.update("jax_enable_x64", True)  # without it, float64 and int64 quietly become float32 and int32


class JaxLibrary(Backend):
    """What is written in JAX: JAX's arrays in and out, and reverse mode for the gradients."""

    libraries: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    compiles: ClassVar[int] = 4

    def devices(self) -> tuple[str, ...]:
        """The CPU, and every accelerator that JAX sees."""
        found = (device for device in jax.devices() if device.platform != "cpu")
        return ("cpu", *(f"{device.platform}:{device.id}" for device in found))

    def dtypes(self) -> tuple[str, ...]:
        """All four: JAX computes and differentiates in each."""
        return ("float16", "bfloat16", "float32", "float64")

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

    @property
    def _place(self) -> jax.Device:
        """The device, as JAX's own object."""
        platform, _, number = self.device.partition(":")
        return next(device for device in jax.devices(platform) if not number or device.id == int(number))


def _floats(outputs: Sequence[jax.Array]) -> list[jax.Array]:
    return [output for output in outputs if jnp.issubdtype(output.dtype, jnp.floating)]
