"""Keras 3 on JAX."""

from __future__ import annotations

from typing import ClassVar

from rnnspec.backends.jax import JaxLibrary
from rnnspec.backends.jax.arrays import JaxArrays
from rnnspec.backends.libraries.keras_layers import KerasLayers, keras_on

keras_on("jax")


class KerasJaxBackend(KerasLayers, JaxLibrary):
    """Keras's layers, whose loop over the steps is JAX's scan."""

    name: ClassVar[str] = "keras-jax"
    libraries: ClassVar[tuple[str, ...]] = ("keras", "jax", "jaxlib")
    xp = JaxArrays()
