"""Flax NNX: flax.nnx.SimpleCell, OptimizedLSTMCell and GRUCell, and flax.nnx.RNN over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from flax import nnx
from jax import Array

from rnnspec.backends.jax import JaxLibrary
from rnnspec.backends.libraries.flax_functions import ACTIVATIONS, WAYS, zeroed
from rnnspec.backends.taking import at_least, only

Many = tuple[Array, ...]

_ZEROS: Final = nnx.initializers.zeros_init()


class FlaxNnxBackend(JaxLibrary):
    """Flax's cells: one bias, none inside the GRU's reset, and a carry (c, h) of the LSTM."""

    name: ClassVar[str] = "flax-nnx"
    libraries: ClassVar[tuple[str, ...]] = ("flax", "jax", "jaxlib")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of Flax's known faults."""
        return Path(__file__).with_name("flax_nnx.toml")

    @only(activation=set(ACTIVATIONS))
    def rnn_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, activation: str) -> Many:
        """Return h."""
        _, h = _cell(nnx.SimpleCell, W, R, b, activation_fn=ACTIVATIONS[activation])(h_prev, x)
        return (h,)

    def lstm_cell(self, x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h and c."""
        (c, h), _ = _cell(nnx.OptimizedLSTMCell, W, R, b)((c_prev, h_prev), x)
        return h, c

    @only(reset="after", update="keeps")
    def gru_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h."""
        _, h = _cell(nnx.GRUCell, W, R, b)(h_prev, x)
        return (h,)

    @only(activation=set(ACTIVATIONS), direction=WAYS, T=at_least(1), nan_padding=False)
    def rnn(
        self, x: Array, W: Array, R: Array, b: Array, h0: Array, *, lengths: Array, activation: str, direction: str
    ) -> Many:
        """Return y and h_n."""
        cell = _cell(nnx.SimpleCell, W, R, b, activation_fn=ACTIVATIONS[activation])
        return _unrolled(cell, x, h0, lengths, direction)

    @only(direction=WAYS, T=at_least(1), nan_padding=False)
    def lstm(
        self, x: Array, W: Array, R: Array, b: Array, h0: Array, c0: Array, *, lengths: Array, direction: str
    ) -> Many:
        """Return y, h_n and c_n."""
        y, (c, h) = _unrolled(_cell(nnx.OptimizedLSTMCell, W, R, b), x, (c0, h0), lengths, direction)
        return y, h, c

    @only(reset="after", update="keeps", direction=WAYS, T=at_least(1), nan_padding=False)
    def gru(self, x: Array, W: Array, R: Array, b: Array, h0: Array, *, lengths: Array, direction: str) -> Many:
        """Return y and h_n."""
        return _unrolled(_cell(nnx.GRUCell, W, R, b), x, h0, lengths, direction)


def _cell(kind: Any, W: Array, R: Array, b: Array, **options: Any) -> Any:
    """Flax's cell with these parameters; the gates stand along the columns."""
    _, units, features = W.shape
    cell = kind(features, units, kernel_init=_ZEROS, recurrent_kernel_init=_ZEROS, rngs=nnx.Rngs(0), **options)
    cell.dense_i.kernel[...] = W.reshape(-1, features).T
    cell.dense_h.kernel[...] = R.reshape(-1, units).T
    biased = cell.dense_i if cell.dense_i.use_bias else cell.dense_h
    biased.bias[...] = b.ravel()
    return cell


def _unrolled(cell: Any, x: Array, carry: Any, lengths: Array, direction: str) -> tuple[Array, Any]:
    """Outputs, 0 at padding, and the last carry."""
    layer = nnx.RNN(cell, return_carry=True, reverse=direction == "reverse", keep_order=True)
    last, y = layer(x, initial_carry=carry, seq_lengths=lengths)
    return zeroed(y, lengths), last
