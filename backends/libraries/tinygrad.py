"""tinygrad: tinygrad.nn.LSTMCell, and a loop over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from tinygrad import Tensor
from tinygrad.nn import LSTMCell

from rnnspec.backends import Backend, at_least, only
from rnnspec.spec.arrays import Array

Many = tuple[Any, ...]


class TinygradBackend(Backend):
    """tinygrad's cell on the CPU; every set of shapes is compiled anew."""

    name: ClassVar[str] = "tinygrad"
    libraries: ClassVar[tuple[str, ...]] = ("tinygrad",)
    by_default: ClassVar[bool] = False
    compiles: ClassVar[int] = 20

    def dtypes(self) -> tuple[str, ...]:
        """The types that every processor has."""
        return ("float32", "float64")

    def to_native(self, array: Array) -> Tensor:
        """Copy."""
        return Tensor(np.array(array, order="C"))

    def to_numpy(self, array: Tensor) -> Array:
        """Compute, and copy back."""
        return np.array(array.numpy())

    def differentiate(
        self, function: Callable[..., Many], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """By the gradient of the sum of what is used, times its cotangents; 0 where that depends on no input."""
        outputs = function(**inputs)
        used = [(y * dy).sum() for y, dy in zip(outputs, cotangents, strict=True) if dy is not None]
        zeros = [(leaf * 0).sum() for leaf in inputs.values()]
        return dict(zip(inputs, sum([*used, *zeros]).gradient(*inputs.values()), strict=True))

    @only(B=at_least(1))
    def lstm_cell(
        self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor
    ) -> Many:
        """Return h and c."""
        found: Many = _cell(W, R, b, b_R)(x, (h_prev, c_prev))
        return found

    @only(B=at_least(1), T=at_least(1))
    def lstm(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        cell, h, c, states = _cell(W, R, b, b_R), h0, c0, []
        for step in range(x.shape[1]):
            h, c = cell(x[:, step], (h, c))
            states.append(h)
        return Tensor.stack(*states, dim=1), h, c


def _cell(W: Tensor, R: Tensor, b: Tensor, b_R: Tensor) -> LSTMCell:
    _, units, features = W.shape
    cell = LSTMCell(features, units)
    cell.weight_ih, cell.weight_hh = W.reshape(-1, features), R.reshape(-1, units)
    cell.bias_ih, cell.bias_hh = b.flatten(), b_R.flatten()
    return cell
