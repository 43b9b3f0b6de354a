"""The outputs that a layer returns: those of all steps, with 0 or the one before at steps taken out, or the last one.

Outputs are columns, ``(T, S, B)``, with 0 at steps taken out, as `rnnspec.reference.unroll` makes them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.reference.call import batch_first, steps_first
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array


def shown(output: str, y: Array, reading: Reading) -> tuple[Array, Callable[[Array], Array]]:
    """Return what `output` says of ``y (T, S, B)``, batch first, and the way back from its gradient to that of y."""
    if output == "last":
        return _last(y, reading).T, lambda dlast: _last_back(y, dlast.T, reading)
    if output == "sequence" or reading.valid is None:
        return batch_first(y), steps_first
    return batch_first(_held(y, reading)), lambda dheld: _held_back(steps_first(dheld), reading)


def _held(y: Array, reading: Reading) -> Array:
    """At each step the output of the step read last, 0 before the first one."""
    valid, held = _valid(y, reading), np.empty_like(y)
    latest = np.zeros_like(y, shape=y.shape[1:])
    for t in reading.order(y.shape[0]):
        held[t] = latest = np.where(valid[t], y[t], latest)
    return held


def _held_back(dheld: Array, reading: Reading) -> Array:
    valid, dy = _valid(dheld, reading), np.empty_like(dheld)
    dlatest = np.zeros_like(dheld, shape=dheld.shape[1:])
    for t in reversed(list(reading.order(dheld.shape[0]))):
        dlatest = dlatest + dheld[t]
        dy[t] = np.where(valid[t], dlatest, 0)
        dlatest = np.where(valid[t], 0, dlatest)
    return dy


def _last(y: Array, reading: Reading) -> Array:
    """The output ``(S, B)`` of the step read last, 0 where none is read."""
    valid, last = _valid(y, reading), np.zeros_like(y, shape=y.shape[1:])
    for t in reading.order(y.shape[0]):
        last = np.where(valid[t], y[t], last)
    return last


def _last_back(y: Array, dlast: Array, reading: Reading) -> Array:
    valid, dy = _valid(y, reading), np.zeros_like(dlast, shape=y.shape)
    for t in reversed(list(reading.order(y.shape[0]))):
        dy[t] = np.where(valid[t], dlast, 0)
        dlast = np.where(valid[t], 0, dlast)
    return dy


def _valid(y: Array, reading: Reading) -> Array:
    """Valid steps, ``(T, B)``."""
    return np.ones((y.shape[0], y.shape[2]), np.bool_) if reading.valid is None else reading.valid
