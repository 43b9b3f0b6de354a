"""The JAX backends, eager and compiled, and the base class of adapters of JAX's libraries."""

from rnnspec.backends.jax.adapter import JaxBackend, JaxJitBackend
from rnnspec.backends.jax.library import JaxLibrary

__all__ = ["JaxBackend", "JaxJitBackend", "JaxLibrary"]
