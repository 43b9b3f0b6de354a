"""Keras 3 on PyTorch."""

from __future__ import annotations

from typing import ClassVar

from rnnspec.backends.libraries.keras_layers import KerasLayers, keras_on
from rnnspec.backends.torch import TorchLibrary
from rnnspec.backends.torch.arrays import TorchArrays

keras_on("torch")


class KerasTorchBackend(KerasLayers, TorchLibrary):
    """Keras's layers, whose loop over the steps runs on tensors of torch."""

    name: ClassVar[str] = "keras-torch"
    libraries: ClassVar[tuple[str, ...]] = ("keras", "torch")
    xp = TorchArrays("cpu")
