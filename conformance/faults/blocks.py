"""Faults of the building blocks that are no changed equations: of the batch, of the padding and of ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.conformance.faults.attention import Unshifted
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.reference import dense_vjp, embedding_vjp, log_softmax_vjp, softmax_vjp
from rnnspec.spec.arrays import Array

Arguments = dict[str, Any]


def valid_steps(shape: tuple[int, ...], arguments: Arguments) -> NDArray[np.bool_]:
    """Which steps of a call are valid, ``(B, T)``."""
    if arguments.get("mask") is not None:
        return np.asarray(arguments["mask"])
    if arguments.get("lengths") is not None:
        return np.asarray(np.arange(shape[1]) < arguments["lengths"][:, np.newaxis])
    return np.ones(shape[:2], np.bool_)


# dense


@plant("dense")
def softmax_over_the_batch(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The softmax runs down the batch in place of along the units."""
    if activation != "softmax":
        return dense_vjp(x, W, b, activation=activation)
    (a,), vjp = dense_vjp(x, W, b, activation="identity")
    (y,), softmax_back = softmax_vjp(np.ascontiguousarray(a.T))
    return (y.T,), lambda dy: vjp(softmax_back(np.ascontiguousarray(dy.T))["x"].T)


# embedding


@plant("embedding")
def padding_looks_up_the_first_row(ids: Array, E: Array, **steps: Any) -> Result:
    """Steps that are taken out show the row of id 0, and add to its gradient."""
    return embedding_vjp(np.where(valid_steps(ids.shape, steps), ids, 0), E)


# softmax and log_softmax


@plant("softmax")
class WithoutItsShift(Unshifted):
    """The greatest number is not taken off first: exponentials of large numbers overflow."""


@plant("softmax")
def empty_row_uniform(x: Array, **steps: Any) -> Result:
    """A sequence without valid positions gets equal weights, as a large negative number in place of a mask gives."""
    (y,), vjp = softmax_vjp(x, **steps)
    empty = ~valid_steps(x.shape, steps).any(axis=1, keepdims=True)
    return (np.where(empty, x.dtype.type(1 / max(x.shape[1], 1)), y),), vjp


@plant("softmax")
def over_the_batch(x: Array, **steps: Any) -> Result:
    """The weights of one position add up to 1 over the sequences."""
    valid = np.ascontiguousarray(valid_steps(x.shape, steps).T)
    (y,), vjp = softmax_vjp(np.ascontiguousarray(x.T), mask=valid)
    return (y.T,), lambda dy: {"x": vjp(np.ascontiguousarray(dy.T))["x"].T}


@plant("log_softmax")
def minus_infinity_at_the_padding(x: Array, **steps: Any) -> Result:
    """Positions that are taken out show minus infinity, the logarithm of their weight, in place of 0."""
    (y,), vjp = log_softmax_vjp(x, **steps)
    return (np.where(valid_steps(x.shape, steps), y, -y.dtype.type(np.inf)),), vjp
