"""torchrecurrent: its minimal gated unit, its LSTM with peepholes and its LSTM of 1997."""

from __future__ import annotations

from typing import Any, ClassVar

import torchrecurrent
from torch import Tensor
from torch.func import functional_call

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary

Many = tuple[Tensor, ...]


class TorchrecurrentBackend(TorchLibrary):
    """torchrecurrent's layers, batch first; two biases that add up, and no lengths."""

    name: ClassVar[str] = "torchrecurrent"
    libraries: ClassVar[tuple[str, ...]] = ("torchrecurrent", "torch")
    by_default: ClassVar[bool] = False

    @only(reset="before", update="admits")
    def mgu_cell(self, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor) -> Many:
        """Return h."""
        return (_called(torchrecurrent.MGUCell, "", x, h_prev, W, R, b),)

    def peephole_lstm_cell(
        self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, P: Tensor
    ) -> Many:
        """Return h and c."""
        found: Many = _called(torchrecurrent.PeepholeLSTMCell, "", x, (h_prev, c_prev), W, R, b, weight_ph=P.flatten())
        return found

    def lstm_1997_cell(self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor) -> Many:
        """Return h and c."""
        found: Many = _called(torchrecurrent.OriginalLSTMCell, "", x, (h_prev, c_prev), W, R, b)
        return found

    @only(reset="before", update="admits", T=at_least(1))
    def mgu(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, h0: Tensor) -> Many:
        """Return y and h_n."""
        y, h_n = _called(torchrecurrent.MGU, "cells.0.", x, h0[None], W, R, b, batch_first=True)
        return y, h_n[0]

    @only(T=at_least(1))
    def peephole_lstm(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, P: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        layer, peepholes = torchrecurrent.PeepholeLSTM, P.flatten()
        y, (h, c) = _called(layer, "cells.0.", x, (h0[None], c0[None]), W, R, b, batch_first=True, weight_ph=peepholes)
        return y, h[0], c[0]

    @only(T=at_least(1))
    def lstm_1997(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        y, (h, c) = _called(torchrecurrent.OriginalLSTM, "cells.0.", x, (h0[None], c0[None]), W, R, b, batch_first=True)
        return y, h[0], c[0]


def _called(kind: Any, prefix: str, x: Tensor, states: Any, W: Tensor, R: Tensor, b: Tensor, **more: Any) -> Any:
    """Results of torchrecurrent's module with these parameters; `more` has further ones, and options."""
    _, units, features = W.shape
    options = {name: value for name, value in more.items() if not isinstance(value, Tensor)}
    module = kind(features, units, dtype=W.dtype, **options)
    weights = {"weight_ih": W.flatten(0, 1), "weight_hh": R.flatten(0, 1), "bias_ih": b.flatten()}
    weights |= {"bias_hh": b.new_zeros(b.numel()), **{n: value for n, value in more.items() if n not in options}}
    return functional_call(module, {prefix + name: weight for name, weight in weights.items()}, (x, states))
