"""JAX, eager and compiled: every operation is composed of JAX's functions, and differentiated by JAX."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
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

    def __init__(self, device: str = "cpu") -> None:
        """Open JAX on `device`."""
        super().__init__(device)
        self.arrays = JaxArrays(traced=True)

    def compiled(self, function: Function) -> Function:
        """Return the function as `jax.jit` compiles it, anew for every set of attributes."""

        @cache
        def with_attributes(*attributes: tuple[str, type, Any]) -> Function:
            compiled: Function = jax.jit(partial(function, **{name: value for name, _, value in attributes}))
            return compiled

        def method(**arguments: Any) -> tuple[Any, ...]:
            arrays = {name: value for name, value in arguments.items() if isinstance(value, jax.Array)}
            attributes = ((n, type(v), v) for n, v in sorted(arguments.items()) if n not in arrays)  # 1 is not True
            return with_attributes(*attributes)(**arrays)

        return method
