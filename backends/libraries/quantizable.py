"""torch.ao.nn.quantizable: the LSTM that torch puts in the place of its own before it is quantised, still in floats."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.ao.nn import quantizable

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, from_spec, holding

Many = tuple[Tensor, ...]


class QuantizableBackend(TorchLibrary):
    """The quantizable cell and layer, a linear layer each for input and state; no lengths."""

    name: ClassVar[str] = "torch-quantizable"
    by_default: ClassVar[bool] = False

    def lstm_cell(
        self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor
    ) -> Many:
        """Return h and c."""
        found: Many = _held(quantizable.LSTMCell, "", W, R, b, b_R)(x, (h_prev, c_prev))
        return found

    @only(T=at_least(1), B=at_least(1))
    def lstm(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        layer = _held(quantizable.LSTM, "layers.0.layer_fw.cell.", W, R, b, b_R, batch_first=True)
        y, (h, c) = layer(x, (h0[None], c0[None]))
        return y, h[0], c[0]


def _held(kind: Any, cell: str, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, **options: Any) -> torch.nn.Module:
    given = from_spec("lstm", W, R, b, b_R=b_R)
    names = {
        "weight_ih": "igates.weight",
        "weight_hh": "hgates.weight",
        "bias_ih": "igates.bias",
        "bias_hh": "hgates.bias",
    }
    return holding(kind(W.shape[2], R.shape[1], **options), {cell + names[name]: one for name, one in given.items()})
