"""The base class of adapters of libraries in torch: conversion, and differentiation by autograd.

An adapter has a method for each operation, on tensors, and writes no gradient::

    class Mine(TorchLibrary):
        name = "mine"
        libraries = ("torch", "mine")

        @only(direction="forward")
        def gru(self, x, W, R, b, b_rn, h0): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final

import ml_dtypes
import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor, nn

from rnnspec.backends.contract import Backend, Unsupported
from rnnspec.backends.torch.precision import full_precision
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.arrays import Array

_NOT_TWICE: Final = ("is not implemented", "double backward")
"""Words of torch's errors where a backward pass has no derivative: in kernels of cuDNN and oneDNN, and compiled."""


class TorchLibrary(Backend):
    """Base class of adapters of torch code: tensors in and out, and autograd for the gradients."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    keeps_layouts: ClassVar[bool] = True
    """Whether torch is given arrays as they lie in memory, and one array as one tensor."""

    def devices(self) -> tuple[str, ...]:
        """The CPU, and every CUDA device; ``cuda`` is the current one."""
        if not torch.cuda.is_available():
            return ("cpu",)
        return ("cpu", "cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def dtypes(self) -> tuple[str, ...]:
        """All four: torch computes and differentiates every operation in each, on the CPU too."""
        return FLOAT_TYPES

    def versions(self) -> dict[str, str]:
        """Versions of the libraries and, on a CUDA device, of CUDA and cuDNN, and the precision of calls."""
        versions = super().versions()
        if self.device != "cpu":
            versions["cuda"] = str(torch.version.cuda)
            versions["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]  # torch has no type for it
            versions["tf32"] = versions["16-bit accumulation"] = "off"
        return versions

    def to_native(self, array: Array) -> Tensor:
        """Copy onto the device, strides kept; bfloat16, which torch does not read from NumPy, goes as its bits.

        Torch has no strides that are negative or no multiple of the element's size: such an array is copied in order.
        """
        flags, step = array.flags, array.itemsize
        plain = flags.c_contiguous or not self.keeps_layouts or any(s < 0 or s % step for s in array.strides)
        if plain or not flags.aligned:
            return self._copied(np.array(array, order="C"))
        # All memory between the first element and the last is the array's own, or that of the one it is a view of.
        count = 1 + sum((size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)) // step
        memory = np.array(as_strided(array, (count,), (step,)))
        return self._copied(memory).as_strided(array.shape, tuple(stride // step for stride in array.strides))

    def inputs_to_native(self, inputs: Mapping[str, Array]) -> dict[str, Tensor]:
        """Copy onto the device; one array for several inputs becomes one tensor, as torch's own callers pass it."""
        if not self.keeps_layouts:
            return super().inputs_to_native(inputs)
        copies: dict[int, Tensor] = {}
        for array in inputs.values():
            if id(array) not in copies:
                copies[id(array)] = self.to_native(array)
        return {name: copies[id(array)] for name, array in inputs.items()}

    def _copied(self, copy: Array) -> Tensor:
        """Into torch's own memory, which is aligned: kernels are faster there."""
        if copy.dtype == ml_dtypes.bfloat16:
            tensor = torch.from_numpy(copy.view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(copy)
        return tensor.to(self.device, copy=True)

    def to_numpy(self, array: Tensor) -> Array:
        """Copy back from the device."""
        tensor = array.detach().cpu().contiguous()
        if tensor._is_zerotensor():  # a gradient that is known to be 0 may have no memory
            tensor = torch.zeros_like(tensor)
        if tensor.dtype == torch.bfloat16:
            return np.array(tensor.view(torch.int16).numpy()).view(ml_dtypes.bfloat16)
        return np.array(tensor.numpy())

    def differentiate(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """Autograd; an input that no output depends on has gradient 0."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
        with self._precision():
            return _gradients(_floats(function(**leaves)), cotangents, leaves)

    def record(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], dict[str, Any]]]:
        """Autograd, whose graph is kept as long as the product is; the outputs have no part in it."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
        with self._precision():
            outputs = function(**leaves)
        floats = _floats(outputs)

        def pull(cotangents: tuple[Any, ...]) -> dict[str, Any]:
            with self._precision():
                return _gradients(floats, cotangents, leaves, retain_graph=True)

        return tuple(output.detach() for output in outputs), pull

    def differentiate_twice(
        self,
        function: Callable[..., tuple[Any, ...]],
        inputs: dict[str, Any],
        cotangents: tuple[Any, ...],
        directions: dict[str, Any],
    ) -> dict[str, Any]:
        """Autograd of autograd; Unsupported, in torch's own words, where a kernel's backward pass has no derivative."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
        towards = {name: leaves[name] for name in directions}
        with self._precision():
            try:
                first = _gradients(_floats(function(**leaves)), cotangents, towards, create_graph=True)
                return _gradients(list(first.values()), tuple(directions.values()), leaves)
            except RuntimeError as error:  # NotImplementedError is one
                if any(words in str(error) for words in _NOT_TWICE):
                    raise Unsupported(str(error)) from error
                raise

    def synchronise(self) -> None:
        """Wait for the CUDA device; the CPU is never behind."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def peak_device_memory(self) -> int | None:
        """The most bytes that torch's allocator gave out."""
        return None if self.device == "cpu" else int(torch.cuda.max_memory_allocated(self.device))

    def _precision(self) -> AbstractContextManager[None]:
        return nullcontext() if self.device == "cpu" else full_precision()


def holding(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Put tensors in the place of a module's parameters, by their names in its state dict, and return the module.

    Gradients flow to the tensors. torch.func.functional_call does the same for one call of ``forward``.
    """
    for name, tensor in tensors.items():
        path, _, own = name.rpartition(".")
        owner = module.get_submodule(path)
        delattr(owner, own)
        setattr(owner, own, tensor)
    return module


def _floats(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [output for output in outputs if output.is_floating_point()]


def _gradients(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    leaves: Mapping[str, Tensor],
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> dict[str, Tensor]:
    """Gradients of the leaves; 0 for a leaf that no output depends on. An output without a cotangent is not used."""
    seeded = [(y, dy) for y, dy in zip(outputs, cotangents, strict=True) if dy is not None and y.requires_grad]
    if not seeded or not leaves:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    gradients = torch.autograd.grad(
        [y for y, _ in seeded],
        list(leaves.values()),
        [dy for _, dy in seeded],
        create_graph=create_graph,
        retain_graph=create_graph or retain_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return dict(zip(leaves, gradients, strict=True))
