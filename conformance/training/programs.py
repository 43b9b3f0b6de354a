"""Training as a framework's users write it, beside backends whose operations are trained one by one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from rnnspec.backends.discovery import BackendError, installs
from rnnspec.backends.training import NativeTraining, Program
from rnnspec.conformance.training.trainer import StepRecord, global_norm
from rnnspec.spec.arrays import Array

_WHERE: Final[Mapping[str, tuple[str, str]]] = {
    "torch-module": ("torch", "rnnspec.backends.torch.module_training"),
    "keras-fit": ("tensorflow", "rnnspec.backends.tensorflow.fitting"),
}
"""The package that each program needs, and the module that has it."""

PROGRAMS: Final = tuple(_WHERE)
"""Names of the programs, which `rnnspec train` takes beside those of backends."""


def program(name: str) -> Program:
    """Return the program of this name; raise BackendError if its framework is not installed."""
    package, module = _WHERE[name]
    if find_spec(package) is None:
        raise BackendError(f"{name} needs {package}: expected it installed; use {installs(package)}")
    found: Program = import_module(module).PROGRAM
    return found


class ProgramTrainer:
    """A program's training as a judge sees it."""

    def __init__(self, training: NativeTraining) -> None:
        self._training = training

    def do(self, batch: Mapping[str, Array]) -> StepRecord:
        """Make one step with a batch."""
        taken = self._training.do(dict(batch))
        norm = global_norm(taken.gradients) if taken.gradients else None
        return StepRecord(
            taken.loss, norm, taken.gradients, taken.parameters, taken.clipped, taken.states, taken.answer
        )
