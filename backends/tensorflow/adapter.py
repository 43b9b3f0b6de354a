"""TensorFlow, eager: Keras's layers and TensorFlow's functions where they exist, composed operations elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rnnspec.backends.composed.arrays import ArrayNamespace
from rnnspec.backends.composed.backend import FrameworkBackend
from rnnspec.backends.contract import Call
from rnnspec.backends.native import Function, Native
from rnnspec.backends.tensorflow.arrays import TensorFlowArrays
from rnnspec.backends.tensorflow.library import TensorFlowLibrary
from rnnspec.backends.tensorflow.natives import DRAWING, NATIVES
from rnnspec.backends.tensorflow.script import script


class TensorFlowBackend(TensorFlowLibrary, FrameworkBackend):
    """TensorFlow, eager: Keras's layers called as they are, differentiated by a tape."""

    name: ClassVar[str] = "tensorflow"
    natives: ClassVar[Mapping[str, Native]] = NATIVES
    drawing: ClassVar[Mapping[str, Native]] = DRAWING
    graph: ClassVar[str | None] = None
    """The decorator that makes a graph of a call, in a script; None: there is none."""

    def __init__(self, device: str = "cpu") -> None:
        """Open TensorFlow on `device`: cpu, gpu:0 and so on."""
        super().__init__(device)
        self.arrays: ArrayNamespace = TensorFlowArrays()

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """Python source that makes the call on Keras and TensorFlow alone; None where the call is composed."""
        if directions or self.refusal(call, gradient=bool(wanted)) is not None:
            return None
        return script(call, self.device, wanted, self.graph)

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of known faults of Keras and TensorFlow."""
        return Path(__file__).with_name("expected_failures.toml")

    def _drawing(self, operation: str) -> Function | None:
        native = super()._drawing(operation)
        return None if native is None else self._on_device(native)

    def _dispatch(self, operation: str, *, gradient: bool) -> Function:
        return self._on_device(super()._dispatch(operation, gradient=gradient))

    def _on_device(self, method: Function) -> Function:
        def on_device(**arguments: Any) -> tuple[Any, ...]:
            with self._settings():
                return method(**arguments)

        return on_device
