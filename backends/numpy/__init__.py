"""The NumPy reference behind the adapter contract."""

from rnnspec.backends.numpy.adapter import NumpyBackend

__all__ = ["NumpyBackend"]
