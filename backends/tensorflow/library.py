"""The base class of adapters of libraries in TensorFlow: conversion, and differentiation by a tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import numpy as np

from rnnspec.backends.contract import Backend, Unsupported
from rnnspec.backends.tensorflow.framework import Tensor, tf
from rnnspec.backends.tensorflow.keras_layers import with_cudnn
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.arrays import Array


class TensorFlowLibrary(Backend):
    """Base class of adapters of eager TensorFlow code: tensors in and out, and a tape for the gradients."""

    libraries: ClassVar[tuple[str, ...]] = ("tensorflow", "keras")
    cudnn: ClassVar[bool] = True
    """Whether Keras's layers may use cuDNN on a GPU."""

    # The machine.

    def devices(self) -> tuple[str, ...]:
        """The CPU, and every GPU that TensorFlow sees."""
        return ("cpu", *(f"gpu:{index}" for index, _ in enumerate(tf.config.list_physical_devices("GPU"))))

    def dtypes(self) -> tuple[str, ...]:
        """All four: TensorFlow computes and differentiates every operation in each."""
        return FLOAT_TYPES

    def versions(self) -> dict[str, str]:
        """Versions of the libraries and, on a GPU, of CUDA."""
        versions = super().versions()
        if self.device != "cpu":
            versions["cuda"] = str(tf.sysconfig.get_build_info().get("cuda_version"))
        return versions

    def to_native(self, array: Array) -> Tensor:
        """Copy onto the device; TensorFlow's bfloat16 is that of ml_dtypes."""
        with tf.device(self.device):
            return tf.constant(np.array(array, order="C"))

    def to_numpy(self, array: Tensor) -> Array:
        """Copy back from the device."""
        return np.array(array.numpy())

    def synchronise(self) -> None:
        """Wait for the GPU; on the CPU, TensorFlow is never behind."""
        if self.device != "cpu":
            tf.test.experimental.sync_devices()

    def peak_device_memory(self) -> int | None:
        """The most bytes that TensorFlow's allocator gave out."""
        if self.device == "cpu":
            return None
        return int(tf.config.experimental.get_memory_info(self.device.upper())["peak"])

    # Gradients.

    def differentiate(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """By a tape; an input that no output depends on has gradient 0."""
        with self._settings():
            with _watching(inputs) as tape:
                outputs = _floats(function(**inputs))
            return _gradients(tape, outputs, cotangents, inputs)

    def record(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], dict[str, Any]]]:
        """By a tape that is kept as long as the product is."""
        with self._settings(), _watching(inputs, persistent=True) as tape:
            outputs = function(**inputs)

        def pull(cotangents: tuple[Any, ...]) -> dict[str, Any]:
            with self._settings():
                return _gradients(tape, _floats(outputs), cotangents, inputs)

        return outputs, pull

    def differentiate_twice(
        self,
        function: Callable[..., tuple[Any, ...]],
        inputs: dict[str, Any],
        cotangents: tuple[Any, ...],
        directions: dict[str, Any],
    ) -> dict[str, Any]:
        """By a tape within a tape; Unsupported, in TensorFlow's own words, where a gradient has no gradient."""
        with self._settings():
            try:
                with _watching(inputs) as outer:
                    with _watching(inputs) as inner:
                        outputs = _floats(function(**inputs))
                    first = _gradients(inner, outputs, cotangents, {name: inputs[name] for name in directions})
                return _gradients(outer, list(first.values()), tuple(directions.values()), inputs)
            except LookupError as error:
                raise Unsupported(str(error)) from error

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Compute on the device, float32 as float32."""
        with ExitStack() as stack:
            stack.enter_context(tf.device(self.device))
            if self.device != "cpu":
                stack.enter_context(with_cudnn(self.cudnn))
                stack.enter_context(_no_tf32())
            yield


@contextmanager
def _watching(inputs: Mapping[str, Tensor], *, persistent: bool = False) -> Iterator[Any]:
    """Record what is computed of these inputs."""
    with tf.GradientTape(persistent=persistent, watch_accessed_variables=False) as tape:
        tape.watch(list(inputs.values()))
        yield tape


def _floats(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [output for output in outputs if output.dtype.is_floating]


def _gradients(
    tape: Any, outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], inputs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients of the inputs; 0 for one that no output depends on. An output without a cotangent is not used."""
    # TensorFlow takes an output whose gradient is None for one with a gradient of ones, or aborts.
    used = [(y, dy) for y, dy in zip(outputs, cotangents, strict=True) if dy is not None]
    gradients = tape.gradient(
        [y for y, _ in used],
        dict(inputs),
        output_gradients=[dy for _, dy in used],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # The gradient of looking rows up names the rows.
    return {name: tf.convert_to_tensor(gradient) for name, gradient in gradients.items()}


@contextmanager
def _no_tf32() -> Iterator[None]:
    """Have GPUs compute float32 as float32, where TensorFloat-32 would keep 10 bits of the mantissa."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)
