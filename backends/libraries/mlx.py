"""MLX: mlx.nn.RNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import ml_dtypes
import mlx.core as mx
import numpy as np
from mlx import nn

from rnnspec.backends import Backend, at_least, only
from rnnspec.spec.arrays import Array

Tensor = Any
Many = tuple[Tensor, ...]


class MlxBackend(Backend):
    """MLX's layers, batch first, one bias and the GRU's own inside the reset; no lengths, and one direction."""

    name: ClassVar[str] = "mlx"
    libraries: ClassVar[tuple[str, ...]] = ("mlx",)
    by_default: ClassVar[bool] = False

    def dtypes(self) -> tuple[str, ...]:
        """Three: no product of matrices in float64 but on the CPU, and no layer of it."""
        return ("float16", "bfloat16", "float32")

    def to_native(self, array: Array) -> Tensor:
        """Copy; bfloat16 goes through float32, which holds all of its numbers."""
        half = array.dtype == ml_dtypes.bfloat16
        return mx.array(array.astype(np.float32)).astype(mx.bfloat16) if half else mx.array(np.array(array, order="C"))

    def to_numpy(self, array: Tensor) -> Array:
        """Copy back."""
        half = array.dtype == mx.bfloat16
        return np.array(array.astype(mx.float32)).astype(ml_dtypes.bfloat16) if half else np.array(array)

    def differentiate(
        self, function: Callable[..., Many], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """By `mlx.core.vjp` of the outputs that are used."""
        used = [place for place, cotangent in enumerate(cotangents) if cotangent is not None]

        def outputs(*arrays: Tensor) -> list[Tensor]:
            found = function(**dict(zip(inputs, arrays, strict=True)))
            return [found[place] for place in used]

        _, gradients = mx.vjp(outputs, list(inputs.values()), [cotangents[place] for place in used])
        return dict(zip(inputs, gradients, strict=True))

    @only(T=at_least(1), activation={"tanh", "relu"})
    def rnn(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, h0: Tensor, *, activation: str) -> Many:
        """Return y and h_n."""
        layer = nn.RNN(W.shape[2], R.shape[1], nonlinearity={"tanh": mx.tanh, "relu": nn.relu}[activation])
        layer.Wxh, layer.Whh, layer.bias = W[0], R[0], b[0]
        y = layer(x, h0)
        return y, y[:, -1]

    @only(T=at_least(1))
    def lstm(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        layer = nn.LSTM(W.shape[2], R.shape[1])
        layer.Wx, layer.Wh, layer.bias = W.flatten(0, 1), R.flatten(0, 1), b.flatten()
        y, c = layer(x, h0, c0)
        return y, y[:, -1], c[:, -1]

    @only(T=at_least(1), reset="after", update="keeps")
    def gru(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor, h0: Tensor) -> Many:
        """Return y and h_n."""
        layer = nn.GRU(W.shape[2], R.shape[1])
        layer.Wx, layer.Wh, layer.b, layer.bhn = W.flatten(0, 1), R.flatten(0, 1), b.flatten(), b_rn
        y = layer(x, h0)
        return y, y[:, -1]
