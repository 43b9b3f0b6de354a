"""PyTorch, eager: `natives` has torch's own operations; all others are composed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from rnnspec.backends.composed.backend import FrameworkBackend
from rnnspec.backends.contract import Call
from rnnspec.backends.native import Function, Native
from rnnspec.backends.torch.arrays import TorchArrays
from rnnspec.backends.torch.library import TorchLibrary
from rnnspec.backends.torch.natives import DRAWING, NATIVES
from rnnspec.backends.torch.script import script


class TorchBackend(TorchLibrary, FrameworkBackend):
    """PyTorch, eager: torch's own modules and functions where it has them, autograd for the gradients."""

    name: ClassVar[str] = "torch"
    natives: ClassVar[Mapping[str, Native]] = NATIVES
    drawing: ClassVar[Mapping[str, Native]] = DRAWING

    def __init__(self, device: str = "cpu") -> None:
        """Open torch on `device`; see `devices`."""
        super().__init__(device)
        self.arrays = TorchArrays(device)

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of torch's known faults."""
        return Path(__file__).with_name("expected_failures.toml")

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """Python source that makes the call on torch alone; None where the call, or its gradient, is composed."""
        if self.refusal(call, gradient=bool(wanted)) is not None:
            return None
        function = self.natives[call.operation].function
        compiled = self.compiled(function) is not function
        return script(call, self.device, wanted, directions, compiled=compiled)

    def _drawing(self, operation: str) -> Function | None:
        """As any framework, with torch's generators seeded as its callers do it."""
        native = super()._drawing(operation)
        if native is None:
            return None

        def method(*, seed: int | None, **arguments: Any) -> tuple[Any, ...]:
            if seed is not None:
                torch.manual_seed(seed)
            with self._precision(), torch.no_grad():
                return native(**arguments)

        return method

    def _dispatch(self, operation: str, *, gradient: bool) -> Function:
        """As any framework, in full precision; and without autograd where none is asked for, which is faster."""
        dispatched = super()._dispatch(operation, gradient=gradient)

        def method(**arguments: Any) -> tuple[Any, ...]:
            with self._precision(), torch.set_grad_enabled(gradient):
                return dispatched(**arguments)

        return method
