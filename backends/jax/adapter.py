"""JAX, eager and compiled: every operation is composed of JAX's functions, and differentiated by JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax

from rnnspec.backends.composed.arrays import ArrayNamespace
from rnnspec.backends.composed.backend import FrameworkBackend
from rnnspec.backends.jax.arrays import JaxArrays
from rnnspec.backends.jax.library import JaxLibrary
from rnnspec.backends.native import Function, Native


class JaxBackend(JaxLibrary, FrameworkBackend):
    """JAX, eager: one function after another. JAX has no recurrent layer of its own; its libraries are backends."""

    name: ClassVar[str] = "jax"
    compiles: ClassVar[int] = 4
    jit: ClassVar[bool] = False
    natives: ClassVar[Mapping[str, Native]] = {}

    def __init__(self, device: str = "cpu") -> None:
        """Open JAX on `device`: cpu, gpu:0 and so on."""
        super().__init__(device)
        self.arrays: ArrayNamespace = JaxArrays()

    def _dispatch(self, operation: str, *, gradient: bool) -> Function:
        """As any framework, on the device, and in full precision there."""
        method = super()._dispatch(operation, gradient=gradient)

        def on_device(**arguments: Any) -> tuple[Any, ...]:
            with jax.default_device(self._place), jax.default_matmul_precision("highest"):
                return method(**arguments)

        return on_device


class JaxJitBackend(JaxBackend):
    """JAX under `jax.jit`: an operation is compiled for its attributes and shapes, its recurrence as one scan."""

    name: ClassVar[str] = "jax-jit"
    by_default: ClassVar[bool] = False
    compiles: ClassVar[int] = 20
    jit: ClassVar[bool] = True

    def __init__(self, device: str = "cpu") -> None:
        """Open JAX on `device`."""
        super().__init__(device)
        self.arrays = JaxArrays(traced=True)
