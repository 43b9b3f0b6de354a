"""Haiku: haiku.VanillaRNN, LSTM and GRU, and haiku.dynamic_unroll over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import haiku as hk
import jax.numpy as jnp
from jax import Array

from rnnspec.backends.jax import JaxLibrary
from rnnspec.backends.taking import only

Many = tuple[Array, ...]


class HaikuBackend(JaxLibrary):
    """Haiku's cores: relu alone in the RNN, with two biases; the GRU of 2014, whose reset stands before the product.

    Its LSTM adds 1 to the argument of the forget gate in every call, as its documentation says: the adapter's bias of
    that gate is 1 less.
    """

    name: ClassVar[str] = "haiku"
    libraries: ClassVar[tuple[str, ...]] = ("dm-haiku", "jax", "jaxlib")
    by_default: ClassVar[bool] = False

    @only(activation="relu")
    def rnn_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_R: Array) -> Many:
        """Return h."""
        return (_called(*_vanilla(W, R, b, b_R), lambda core: core(x, h_prev)[1]),)

    def lstm_cell(self, x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h and c."""
        return tuple(_called(*_lstm(W, R, b), lambda core: core(x, hk.LSTMState(h_prev, c_prev))[1]))

    @only(reset="before", update="admits")
    def gru_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h."""
        return (_called(*_gru(W, R, b), lambda core: core(x, h_prev)[1]),)

    @only(activation="relu", direction={"forward", "reverse"})
    def rnn(self, x: Array, W: Array, R: Array, b: Array, b_R: Array, h0: Array, *, direction: str) -> Many:
        """Return y and h_n."""
        return tuple(_called(*_vanilla(W, R, b, b_R), lambda core: _unrolled(core, x, h0, direction)))

    @only(direction={"forward", "reverse"})
    def lstm(self, x: Array, W: Array, R: Array, b: Array, h0: Array, c0: Array, *, direction: str) -> Many:
        """Return y, h_n and c_n."""
        y, (h, c) = _called(*_lstm(W, R, b), lambda core: _unrolled(core, x, hk.LSTMState(h0, c0), direction))
        return y, h, c

    @only(reset="before", update="admits", direction={"forward", "reverse"})
    def gru(self, x: Array, W: Array, R: Array, b: Array, h0: Array, *, direction: str) -> Many:
        """Return y and h_n."""
        return tuple(_called(*_gru(W, R, b), lambda core: _unrolled(core, x, h0, direction)))


def _unrolled(core: Any, x: Array, state: Any, direction: str) -> Any:
    return hk.dynamic_unroll(core, x, state, time_major=False, reverse=direction == "reverse")


def _called(kind: Any, units: int, weights: Any, call: Callable[[Any], Any]) -> Any:
    """The result of a call of the core, which Haiku makes and gives these weights inside the call."""
    return hk.without_apply_rng(hk.transform(lambda: call(kind(units, name="core")))).apply(weights)


def _vanilla(W: Array, R: Array, b: Array, b_R: Array) -> tuple[Any, int, Any]:
    return (
        hk.VanillaRNN,
        R.shape[1],
        {"core/linear": {"w": W[0].T, "b": b[0]}, "core/linear_1": {"w": R[0].T, "b": b_R[0]}},
    )


def _lstm(W: Array, R: Array, b: Array) -> tuple[Any, int, Any]:
    """One linear layer of x and h together; the gates in the order i, g, f, o."""
    order, shift = jnp.array([0, 2, 1, 3]), jnp.array([[0], [1], [0], [0]], b.dtype)
    weights = jnp.concatenate([W, R], 2)[order].reshape(-1, W.shape[2] + R.shape[2])
    return hk.LSTM, R.shape[1], {"core/linear": {"w": weights.T, "b": (b - shift)[order].ravel()}}


def _gru(W: Array, R: Array, b: Array) -> tuple[Any, int, Any]:
    """The gates in the order z, r, n."""
    w_i, w_h, bias = (array[jnp.array([1, 0, 2])] for array in (W, R, b))
    weights = {"w_i": w_i.reshape(-1, W.shape[2]).T, "w_h": w_h.reshape(-1, R.shape[2]).T, "b": bias.ravel()}
    return hk.GRU, R.shape[1], {"core": weights}
