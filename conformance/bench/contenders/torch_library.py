"""A library that runs on torch as a backend: torch differentiates it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rnnspec.backends import Call, Cotangents, Unsupported
from rnnspec.backends.contract import Prepared
from rnnspec.conformance.bench.contenders.library import Library, Made
from rnnspec.spec.arrays import Array

Gradients = Mapping[str, Tensor]


def _as_they_are(gradients: Gradients) -> Gradients:
    return gradients


@dataclass(frozen=True)
class MadeInTorch(Made):
    """The library's object for one call: like `Made`, with tensors as outputs.

    `leaves` are the tensors that have gradients, by the library's names, and `gradients` turns these gradients into
    those of the call's inputs.
    """

    leaves: Mapping[str, Tensor]
    gradients: Callable[[Gradients], Gradients] = _as_they_are


class TorchContender(Library):
    """Base class of contenders that run on torch, on the CPU."""

    differentiable: ClassVar[tuple[str, ...]] = ()
    """The library's operations that torch differentiates."""

    def make(self, call: Call) -> MadeInTorch:
        """Make the library's object for a call; raise Unsupported if the library lacks it."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Version of torch; subclasses add the library's."""
        return {"torch": str(torch.__version__)}

    def to_numpy(self, array: Tensor) -> Array:
        """Copy a tensor."""
        return np.array(array.detach().numpy())

    def has_gradients(self, operation: str) -> bool:
        """Whether torch differentiates the operation."""
        return operation in self.differentiable

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        with torch.no_grad():
            return super().run(call)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Gradients of the call: of all float inputs, or of the wanted ones."""
        self.accept(call)
        made = self.make(call)
        gradients = made.gradients(dict(zip(made.leaves, self._differentiate(made, cotangents)(), strict=True)))
        return {
            name: self.to_numpy(gradient) for name, gradient in gradients.items() if wanted is None or name in wanted
        }

    def prepare(self, call: Call, cotangents: tuple[Array, ...] | None = None) -> Prepared:
        """Make the object; return its call without autograd, or with cotangents the call and its gradient."""
        self.accept(call)
        if cotangents is not None and not self.has_gradients(call.operation):
            raise Unsupported(f"{self.name} has no gradient of {call.operation}")
        made = self.make(call)

        def forward() -> Any:
            with torch.no_grad():
                return made.call()

        return Prepared(forward if cotangents is None else self._differentiate(made, cotangents), self.synchronise)

    def _differentiate(self, made: MadeInTorch, cotangents: Cotangents) -> Callable[[], tuple[Tensor, ...]]:
        leaves = list(made.leaves.values())
        seeds = [None if d is None else torch.from_numpy(np.array(d)) for d in cotangents]

        def run() -> tuple[Tensor, ...]:
            used = [pair for pair in zip(made.outputs(made.call()), seeds, strict=True) if pair[1] is not None]
            outputs, given = zip(*used, strict=True)
            return torch.autograd.grad(outputs, leaves, given, materialize_grads=True)

        return run


def tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """The arrays as tensors, in torch's own memory, which is aligned: kernels are faster there."""
    return {name: torch.from_numpy(np.array(array)).clone() for name, array in arrays.items()}
