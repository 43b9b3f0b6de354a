"""Equinox: equinox.nn.LSTMCell and GRUCell, one sequence at a time, and a scan over them as its documentation shows."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
from jax import Array, lax

from rnnspec.backends.jax import JaxLibrary
from rnnspec.backends.taking import only

Many = tuple[Array, ...]


class EquinoxBackend(JaxLibrary):
    """Equinox's cells: gates i, f, g, o and r, z, n, one bias, and the GRU's reset on the product."""

    name: ClassVar[str] = "equinox"
    libraries: ClassVar[tuple[str, ...]] = ("equinox", "jax", "jaxlib")
    by_default: ClassVar[bool] = False

    def lstm_cell(self, x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array) -> Many:
        """Return h and c."""
        h, c = jax.vmap(_cell(eqx.nn.LSTMCell, W, R, bias=b.ravel()))(x, (h_prev, c_prev))
        return h, c

    def gru_cell(self, x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array) -> Many:
        """Return h."""
        return (jax.vmap(_cell(eqx.nn.GRUCell, W, R, bias=b.ravel(), bias_n=b_rn))(x, h_prev),)

    def lstm(self, x: Array, W: Array, R: Array, b: Array, h0: Array, c0: Array) -> Many:
        """Return y, h_n and c_n."""
        cell = jax.vmap(_cell(eqx.nn.LSTMCell, W, R, bias=b.ravel()))
        (h, c), y = lax.scan(lambda state, x: ((new := cell(x, state)), new[0]), (h0, c0), x.swapaxes(0, 1))
        return y.swapaxes(0, 1), h, c

    @only(reset="after", update="keeps")
    def gru(self, x: Array, W: Array, R: Array, b: Array, b_rn: Array, h0: Array) -> Many:
        """Return y and h_n."""
        cell = jax.vmap(_cell(eqx.nn.GRUCell, W, R, bias=b.ravel(), bias_n=b_rn))
        h, y = lax.scan(lambda state, x: ((new := cell(x, state)), new), h0, x.swapaxes(0, 1))
        return y.swapaxes(0, 1), h


def _cell(kind: Any, W: Array, R: Array, **biases: Array) -> Any:
    """Equinox's cell with these parameters; the gates stand along the rows."""
    _, units, features = W.shape
    cell = eqx.filter_eval_shape(kind, features, units, key=jax.random.key(0))
    names = ("weight_ih", "weight_hh", *biases)
    given = (W.reshape(-1, features), R.reshape(-1, units), *biases.values())
    return eqx.tree_at(lambda made: [getattr(made, name) for name in names], cell, given)
