"""The gates of a cell, stacked: one product with all weights gives every gate's argument as a block of rows."""

from __future__ import annotations

from rnnspec.spec.arrays import Array


def stacked(parameter: Array) -> Array:
    """Lay ``W (G, H, D)`` out as ``(G·H, D)``, or ``b (G, H)`` as one column ``(G·H, 1)``."""
    gates, units = parameter.shape[:2]
    return parameter.reshape(gates * units, -1)


def rows(gate: int, units: int) -> slice:
    """Return the rows of the gate at this place in the stack."""
    return slice(gate * units, (gate + 1) * units)


def outer(da: Array, x: Array, units: int) -> Array:
    """Return ``outer(da, x)``, summed over the columns and split by gate: the gradient of W or R, ``(G, H, D)``."""
    return (da @ x.T).reshape(-1, units, x.shape[0])


def total(da: Array, units: int) -> Array:
    """Return ``da``, summed over the columns and split by gate: the gradient of b, ``(G, H)``."""
    db: Array = da.sum(axis=1)
    return db.reshape(-1, units)
