"""Faults of the building blocks: dense layer, embeddings, softmax, dropout."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends import Backend
from rnnspec.conformance.faults.fault import Fault
from rnnspec.reference import dense_vjp, dropout_vjp, embedding_vjp, log_softmax_vjp, softmax_vjp

Array = NDArray[Any]
Arguments = dict[str, Any]
Result = tuple[tuple[Array, ...], Callable[..., dict[str, Array]]]


def wrong(operation: str, computed: Callable[..., Result]) -> Fault:
    """The fault of an operation that is `computed` so: named after that function, and described by its docstring.

    It is called as the operation is, and returns the outputs and their vector-Jacobian product.
    """

    def outputs(self: Backend, **arguments: Any) -> tuple[Array, ...]:
        return computed(**arguments)[0]

    def with_gradient(self: Backend, **arguments: Any) -> Result:
        return computed(**arguments)

    methods = {"name": "faulty", operation: outputs, f"{operation}_vjp": with_gradient}
    name = f"{operation}-{computed.__name__}".replace("_", "-")
    about = re.sub(r"\s+", " ", computed.__doc__ or "").strip()
    return Fault(name, operation, about, type("Faulty", (Backend,), methods))


def valid_steps(shape: tuple[int, ...], arguments: Arguments) -> NDArray[np.bool_]:
    """Which steps of a call are valid, ``(B, T)``."""
    if arguments.get("mask") is not None:
        return np.asarray(arguments["mask"])
    if arguments.get("lengths") is not None:
        return np.asarray(np.arange(shape[1]) < arguments["lengths"][:, np.newaxis])
    return np.ones(shape[:2], np.bool_)


# dense


def weights_transposed(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """W is read as its transpose, where it is square: ``x @ W`` for ``x @ W.T``."""
    square = W.shape[0] == W.shape[1]
    outputs, vjp = dense_vjp(x, np.ascontiguousarray(W.T) if square else W, b, activation=activation)

    def back(dy: Array) -> dict[str, Array]:
        gradients = vjp(dy)
        return {**gradients, "W": gradients["W"].T} if square else gradients

    return outputs, back


def bias_dropped(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The bias is left out, and gets no gradient."""
    outputs, vjp = dense_vjp(x, W, np.zeros_like(b), activation=activation)
    return outputs, lambda dy: {**vjp(dy), "b": np.zeros_like(b)}


def activation_left_out(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The function f is never applied."""
    return dense_vjp(x, W, b, activation="identity")


def softmax_over_the_batch(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The softmax runs down the batch in place of along the units."""
    if activation != "softmax":
        return dense_vjp(x, W, b, activation=activation)
    (a,), vjp = dense_vjp(x, W, b, activation="identity")
    (y,), softmax_back = softmax_vjp(np.ascontiguousarray(a.T))
    return (y.T,), lambda dy: vjp(softmax_back(np.ascontiguousarray(dy.T))["x"].T)


def relu_passes_every_gradient(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The slope of relu is 1 for negative arguments too; only gradients are wrong."""
    outputs, vjp = dense_vjp(x, W, b, activation=activation)
    _, linear = dense_vjp(x, W, b, activation="identity")
    return outputs, linear if activation == "relu" else vjp


def softmax_gradient_of_each_unit_alone(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The softmax's gradient is ``y (1 - y)``, as if no unit saw another; only gradients are wrong."""
    (y,), vjp = dense_vjp(x, W, b, activation=activation)
    _, linear = dense_vjp(x, W, b, activation="identity")
    return (y,), (lambda dy: linear(dy * y * (1 - y))) if activation == "softmax" else vjp


def bias_gradient_averaged(x: Array, W: Array, b: Array, activation: Any) -> Result:
    """The bias gets the mean of its gradients over the batch, not the sum; only gradients are wrong."""
    outputs, vjp = dense_vjp(x, W, b, activation=activation)

    def back(dy: Array) -> dict[str, Array]:
        gradients = vjp(dy)
        return {**gradients, "b": gradients["b"] / max(len(x), 1)}

    return outputs, back


# embedding


def gradient_overwritten(ids: Array, E: Array, **steps: Any) -> Result:
    """Of ids that stand several times only one adds to the gradient: ``dE[ids] = dy``; only gradients are wrong."""
    outputs, _ = embedding_vjp(ids, E, **steps)
    valid = valid_steps(ids.shape, steps)

    def back(dy: Array) -> dict[str, Array]:
        dE = np.zeros_like(E)
        dE[ids[valid]] = dy[valid]
        return {"E": dE}

    return outputs, back


def ids_from_one(ids: Array, E: Array, **steps: Any) -> Result:
    """Ids are counted from 1: each looks up the row before its own, and the first the last."""
    valid = valid_steps(ids.shape, steps)
    return embedding_vjp(np.where(valid, (ids - 1) % len(E), 0), E, **steps)


def padding_looks_up_the_first_row(ids: Array, E: Array, **steps: Any) -> Result:
    """Steps that are taken out show the row of id 0, and add to its gradient."""
    return embedding_vjp(np.where(valid_steps(ids.shape, steps), ids, 0), E)


def first_row_without_gradient(ids: Array, E: Array, **steps: Any) -> Result:
    """Id 0 is taken for padding and its row gets no gradient, without being asked; only gradients are wrong."""
    outputs, vjp = embedding_vjp(ids, E, **steps)

    def back(dy: Array) -> dict[str, Array]:
        dE = vjp(dy)["E"]
        dE[0] = 0
        return {"E": dE}

    return outputs, back


def gradient_divided_by_counts(ids: Array, E: Array, **steps: Any) -> Result:
    """Each row's gradient is the mean over the places where it was looked up; only gradients are wrong."""
    outputs, vjp = embedding_vjp(ids, E, **steps)
    counts = np.bincount(ids[valid_steps(ids.shape, steps)], minlength=len(E))
    return outputs, lambda dy: {"E": (vjp(dy)["E"] / np.maximum(counts, 1)[:, np.newaxis]).astype(E.dtype)}


# softmax and log_softmax


def _cleaned(x: Array, steps: Arguments) -> Array:
    return np.where(valid_steps(x.shape, steps), x, x.dtype.type(0))


def over_the_padding(x: Array, **steps: Any) -> Result:
    """Positions that are taken out count in the sum, as exp(0), before their weights are set to 0."""
    (y,), vjp = softmax_vjp(_cleaned(x, steps))
    return (_cleaned(y, steps),), lambda dy: {"x": _cleaned(vjp(_cleaned(dy, steps))["x"], steps)}


def without_its_shift(x: Array, **steps: Any) -> Result:
    """The greatest number is not taken off first: exponentials of large numbers overflow."""
    valid = valid_steps(x.shape, steps)
    with np.errstate(all="ignore"):
        exponentials = np.where(valid, np.exp(_cleaned(x, steps)), x.dtype.type(0))
        total = exponentials.sum(axis=1, keepdims=True)
        y = np.where(valid, exponentials / np.where(valid.any(axis=1, keepdims=True), total, x.dtype.type(1)), 0)
    y = y.astype(x.dtype)

    def back(dy: Array) -> dict[str, Array]:
        d = _cleaned(dy, steps)
        return {"x": y * (d - (d * y).sum(axis=1, keepdims=True))}

    return (y,), back


def empty_row_uniform(x: Array, **steps: Any) -> Result:
    """A sequence without valid positions gets equal weights, as a large negative number in place of a mask gives."""
    (y,), vjp = softmax_vjp(x, **steps)
    empty = ~valid_steps(x.shape, steps).any(axis=1, keepdims=True)
    return (np.where(empty, x.dtype.type(1 / max(x.shape[1], 1)), y),), vjp


def over_the_batch(x: Array, **steps: Any) -> Result:
    """The weights of one position add up to 1 over the sequences."""
    valid = np.ascontiguousarray(valid_steps(x.shape, steps).T)
    (y,), vjp = softmax_vjp(np.ascontiguousarray(x.T), mask=valid)
    return (y.T,), lambda dy: {"x": vjp(np.ascontiguousarray(dy.T))["x"].T}


def gradient_of_each_position_alone(x: Array, **steps: Any) -> Result:
    """The gradient is ``y (1 - y) dy``, as if no position saw another; only gradients are wrong."""
    (y,), _ = softmax_vjp(x, **steps)
    return (y,), lambda dy: {"x": y * (1 - y) * _cleaned(dy, steps)}


def log_of_padded_weights(x: Array, **steps: Any) -> Result:
    """Positions that are taken out count in the sum, as exp(0)."""
    (y,), vjp = log_softmax_vjp(_cleaned(x, steps))
    return (_cleaned(y, steps),), lambda dy: {"x": _cleaned(vjp(_cleaned(dy, steps))["x"], steps)}


def by_the_log_of_the_weights(x: Array, **steps: Any) -> Result:
    """The weights are formed first, and kept from being 0 by 1e-7: small ones have wrong logarithms."""
    (y,), back = softmax_vjp(x, **steps)
    valid = valid_steps(x.shape, steps)
    small = y.dtype.type(1e-7)

    def vjp(dy: Array) -> dict[str, Array]:
        return back(_cleaned(dy, steps) / (y + small))

    return (np.where(valid, np.log(y + small), y.dtype.type(0)),), vjp


def minus_infinity_at_the_padding(x: Array, **steps: Any) -> Result:
    """Positions that are taken out show minus infinity, the logarithm of their weight, in place of 0."""
    (y,), vjp = log_softmax_vjp(x, **steps)
    return (np.where(valid_steps(x.shape, steps), y, -y.dtype.type(np.inf)),), vjp


def gradient_without_the_sum(x: Array, **steps: Any) -> Result:
    """Each number's gradient is that of its own logarithm alone, ``dy (1 - exp(y))``; only gradients are wrong."""
    (y,), _ = log_softmax_vjp(x, **steps)
    return (y,), lambda dy: {"x": _cleaned(dy, steps) * (1 - np.exp(y))}


# dropout


def _times(factor: float, result: Result) -> Result:
    """A result with outputs and gradients times a factor."""
    outputs, vjp = result

    def back(*cotangents: Array) -> dict[str, Array]:
        return {name: gradient * gradient.dtype.type(factor) for name, gradient in vjp(*cotangents).items()}

    return tuple(output * output.dtype.type(factor) for output in outputs), back


def not_rescaled(p: float, **arguments: Any) -> Result:
    """What is kept is not divided by 1 - p."""
    return _times(1 - p, dropout_vjp(p=p, **arguments))


def divided_by_p(p: float, **arguments: Any) -> Result:
    """What is kept is divided by p, as if p were the probability of keeping."""
    return _times((1 - p) / (p or 1), dropout_vjp(p=p, **arguments))


def scaled_as_in_inference(p: float, **arguments: Any) -> Result:
    """What is kept is multiplied by 1 - p, which is for inference, in place of divided."""
    return _times((1 - p) ** 2, dropout_vjp(p=p, **arguments))


def mask_inverted(keep: Array, **arguments: Any) -> Result:
    """What is to be kept is dropped, and what is to be dropped is kept."""
    return dropout_vjp(keep=~keep, **arguments)


def shared_mask_at_the_first_step_only(x: Array, keep: Array, shared_over: Any, **arguments: Any) -> Result:
    """A mask for the whole sequence drops at the first step, and nothing after it."""
    if shared_over == "time":
        first = np.arange(x.shape[1])[np.newaxis, :, np.newaxis] == 0
        keep = np.where(first, keep[:, np.newaxis], np.True_)
    return dropout_vjp(x, keep, shared_over="none", **arguments)


def mask_shared_without_being_asked(x: Array, keep: Array, shared_over: Any, **arguments: Any) -> Result:
    """The first step's mask is used at every step."""
    if shared_over == "none" and x.shape[1]:
        keep = np.broadcast_to(keep[:, :1], keep.shape)
    return dropout_vjp(x, keep, shared_over=shared_over, **arguments)


def gradient_not_dropped(x: Array, keep: Array, **arguments: Any) -> Result:
    """The gradient reaches what was dropped too; only gradients are wrong."""
    outputs, _ = dropout_vjp(x, keep, **arguments)
    _, vjp = dropout_vjp(x, np.ones_like(keep), **arguments)
    return outputs, vjp


FAULTS: tuple[Fault, ...] = (
    wrong("dense", weights_transposed),
    wrong("dense", bias_dropped),
    wrong("dense", activation_left_out),
    wrong("dense", softmax_over_the_batch),
    wrong("dense", relu_passes_every_gradient),
    wrong("dense", softmax_gradient_of_each_unit_alone),
    wrong("dense", bias_gradient_averaged),
    wrong("embedding", gradient_overwritten),
    wrong("embedding", ids_from_one),
    wrong("embedding", padding_looks_up_the_first_row),
    wrong("embedding", first_row_without_gradient),
    wrong("embedding", gradient_divided_by_counts),
    wrong("softmax", over_the_padding),
    wrong("softmax", without_its_shift),
    wrong("softmax", empty_row_uniform),
    wrong("softmax", over_the_batch),
    wrong("softmax", gradient_of_each_position_alone),
    wrong("log_softmax", log_of_padded_weights),
    wrong("log_softmax", by_the_log_of_the_weights),
    wrong("log_softmax", minus_infinity_at_the_padding),
    wrong("log_softmax", gradient_without_the_sum),
    wrong("dropout", not_rescaled),
    wrong("dropout", divided_by_p),
    wrong("dropout", scaled_as_in_inference),
    wrong("dropout", mask_inverted),
    wrong("dropout", shared_mask_at_the_first_step_only),
    wrong("dropout", mask_shared_without_being_asked),
    wrong("dropout", gradient_not_dropped),
)
"""Faults of dense, embedding, softmax, log_softmax and dropout."""
