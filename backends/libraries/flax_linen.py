"""Flax Linen: flax.linen.SimpleCell, OptimizedLSTMCell, GRUCell and MGUCell, and flax.linen.RNN over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from flax import linen
from jax import Array

from rnnspec.backends.jax import JaxLibrary
from rnnspec.backends.libraries.flax_functions import ACTIVATIONS, WAYS, zeroed
from rnnspec.backends.taking import at_least, only

Many = tuple[Array, ...]


class FlaxLinenBackend(JaxLibrary):
    """Flax's older interface: a dense layer for each gate, one bias, and another inside the reset of GRU and MGU."""

    name: ClassVar[str] = "flax-linen"
    libraries: ClassVar[tuple[str, ...]] = ("flax", "jax", "jaxlib")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of Flax's known faults."""
        return Path(__file__).with_name("flax_linen.toml")

    @only(activation=set(ACTIVATIONS))
    def rnn_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, activation: str) -> Many:
        """Return h."""
        cell, weights = _simple(W, R, b, activation)
        return (cell.apply(weights, h_prev, x)[0],)

    def lstm_cell(self, x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h and c."""
        cell, weights = linen.OptimizedLSTMCell(R.shape[1]), _gates("ifgo", W, R, bias_of_h=b)
        (c, h), _ = cell.apply(weights, (c_prev, h_prev), x)
        return h, c

    @only(reset="after", update="keeps")
    def gru_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array) -> Many:
        """Return h."""
        return (linen.GRUCell(R.shape[1]).apply(_gates("rzn", W, R, b, b_rn), h_prev, x)[0],)

    @only(reset="after", update="keeps")
    def mgu_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array) -> Many:
        """Return h."""
        return (linen.MGUCell(R.shape[1]).apply(_gates("fn", W, R, b, b_rn), h_prev, x)[0],)

    @only(activation=set(ACTIVATIONS), direction=WAYS, T=at_least(1), nan_padding=False)
    def rnn(
        self, x: Array, W: Array, R: Array, b: Array, h0: Array, *, lengths: Array, activation: str, direction: str
    ) -> Many:
        """Return y and h_n."""
        return _unrolled(*_simple(W, R, b, activation), x, h0, lengths, direction)

    @only(direction=WAYS, T=at_least(1), nan_padding=False)
    def lstm(
        self, x: Array, W: Array, R: Array, b: Array, h0: Array, c0: Array, *, lengths: Array, direction: str
    ) -> Many:
        """Return y, h_n and c_n."""
        cell, weights = linen.OptimizedLSTMCell(R.shape[1]), _gates("ifgo", W, R, bias_of_h=b)
        y, (c, h) = _unrolled(cell, weights, x, (c0, h0), lengths, direction)
        return y, h, c

    @only(reset="after", update="keeps", direction=WAYS, T=at_least(1), nan_padding=False)
    def gru(
        self, x: Array, W: Array, R: Array, b: Array, b_rn: Array, h0: Array, *, lengths: Array, direction: str
    ) -> Many:
        """Return y and h_n."""
        return _unrolled(linen.GRUCell(R.shape[1]), _gates("rzn", W, R, b, b_rn), x, h0, lengths, direction)

    @only(reset="after", update="keeps", direction=WAYS, T=at_least(1), nan_padding=False)
    def mgu(
        self, x: Array, W: Array, R: Array, b: Array, b_rn: Array, h0: Array, *, lengths: Array, direction: str
    ) -> Many:
        """Return y and h_n."""
        return _unrolled(linen.MGUCell(R.shape[1]), _gates("fn", W, R, b, b_rn), x, h0, lengths, direction)


def _simple(W: Array, R: Array, b: Array, activation: str) -> tuple[Any, Any]:
    cell = linen.SimpleCell(R.shape[1], activation_fn=ACTIVATIONS[activation])
    return cell, {"params": {"i": {"kernel": W[0].T, "bias": b[0]}, "h": {"kernel": R[0].T}}}


def _gates(
    names: str, W: Array, R: Array, b: Array | None = None, b_rn: Array | None = None, bias_of_h: Array | None = None
) -> Any:
    """Flax's variables: a kernel of the input and one of the state for each gate, with the bias where Flax has it."""
    found: dict[str, dict[str, Array]] = {}
    for place, gate in enumerate(names):
        found[f"i{gate}"], found[f"h{gate}"] = {"kernel": W[place].T}, {"kernel": R[place].T}
        if b is not None:
            found[f"i{gate}"]["bias"] = b[place]
        if bias_of_h is not None:
            found[f"h{gate}"]["bias"] = bias_of_h[place]
    if b_rn is not None:
        found["hn"]["bias"] = b_rn
    return {"params": found}


def _unrolled(cell: Any, weights: Any, x: Array, carry: Any, lengths: Array, direction: str) -> tuple[Array, Any]:
    """Outputs, 0 at padding, and the last carry."""
    layer = linen.RNN(cell, return_carry=True, reverse=direction == "reverse", keep_order=True)
    variables = {"params": {"cell": weights["params"]}}
    last, y = layer.apply(variables, x, initial_carry=carry, seq_lengths=lengths)
    return zeroed(y, lengths), last
