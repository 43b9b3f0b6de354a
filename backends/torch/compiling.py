"""PyTorch, compiled: the same functions as eager PyTorch's, under torch.compile."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import torch

from rnnspec.backends.composed.operations import OPERATIONS
from rnnspec.backends.native import Function, Native
from rnnspec.backends.torch.adapter import TorchBackend
from rnnspec.backends.torch.natives import NATIVES, stacks

_LAYERS: Final = (*stacks.NETWORKS, *stacks.NATIVES)
_LEFT_TO_EAGER: Final = (*(NATIVES[name].function for name in _LAYERS), OPERATIONS["state_jacobian"])
"""torch.compile does not compile nn.RNN, nn.LSTM and nn.GRU: it breaks the graph there and calls them. In the vmap of
jacrev, which the Jacobian is composed of, it ends in an internal error of torch for some cells."""

_RECOMPILATIONS: Final = 100_000
"""A model has a few shapes, and a validation hundreds, with as many attributes. Beyond torch's limit, eight, it would
quietly go on without compiling, and the verdict would not be on the code that the backend's name says."""


class TorchCompileBackend(TorchBackend):
    """PyTorch under torch.compile, as people run it: inductor, with dynamic shapes where a size is seen to change.

    One operation is compiled, forward and backward. Whether torch's own implementation takes a call is decided
    before, outside of what is compiled.
    """

    name: ClassVar[str] = "torch-compile"
    by_default: ClassVar[bool] = False
    compiles: ClassVar[int] = 20
    drawing: ClassVar[Mapping[str, Native]] = {}  # eager torch is asked: seeds are no part of what is compiled
    keeps_layouts: ClassVar[bool] = False  # each layout, and each set of inputs that are one, would be compiled anew

    def __init__(self, device: str = "cpu") -> None:
        """Open torch on `device`, and raise the limits of recompilation, which are those of the whole process.

        Raises
        ------
        RuntimeError
            If there is no C++ compiler: inductor writes C++.
        """
        super().__init__(device)
        compiler = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
        if shutil.which(compiler) is None:
            raise RuntimeError(
                f"torch.compile needs a C++ compiler: expected {compiler} on the path; install it or set CXX to another"
            )
        config = torch._dynamo.config
        config.recompile_limit = config.accumulated_recompile_limit = _RECOMPILATIONS
        config.fail_on_recompile_limit_hit = True

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of torch's known faults once compiled, by itself or through inductor."""
        return Path(__file__).with_name("expected_failures_compiled.toml")

    def versions(self) -> dict[str, str]:
        """Torch's, and how it compiles."""
        return {**super().versions(), "compiler": "inductor"}

    def has_second_order(self, operation: str) -> bool:
        """True for the layers that are left to eager torch: compiled code has no gradients of gradients."""
        return operation in _LAYERS and super().has_second_order(operation)

    @property
    def flows(self) -> bool:
        """False: compiled code gives the buffers of its forward pass away, and no product of it can be kept."""
        return False

    def compiled(self, function: Function) -> Function:
        """Compile what torch.compile compiles."""
        if getattr(function, "func", function) in _LEFT_TO_EAGER:  # composed operations are bound to their arrays
            return function
        compiled: Function = torch.compile(function)
        return compiled
