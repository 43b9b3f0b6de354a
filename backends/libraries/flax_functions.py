"""The part that the adapters of Flax's two interfaces share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import jax
import jax.numpy as jnp
from jax import Array

ACTIVATIONS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "logistic": jax.nn.sigmoid,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softsign": jax.nn.soft_sign,
    "softplus": jax.nn.softplus,
    "relu6": jax.nn.relu6,
}
"""JAX's functions by the specification's names; Flax takes any function."""

WAYS: Final = {"forward", "reverse"}


def zeroed(y: Array, lengths: Array) -> Array:
    """Outputs (B, T, H) with zeros at the padding, where Flax has numbers."""
    return jnp.where((jnp.arange(y.shape[1]) < lengths[:, None])[:, :, None], y, 0)
