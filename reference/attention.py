"""Attention: the score of each key for a query, the weights from the scores, and the context.

All arrays are batch first: queries ``(B, U, D)``, keys ``(B, T, E)``. A `Scorer` computes quantities of the keys alone
once, when it is built; a decoder gives it a query at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.registry import computes
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array, Arrays, Mask


@computes("attention_scores")
def _attention_scores(call: Admitted) -> Computed:
    valid = call.holes
    score = call.attributes["score"]
    parameters = {name: call.floats[name] for name in score_parameters(score)}
    function = scorer(score, call.without_holes("k"), parameters)
    scores, known = function.scores(call.floats["q"])

    def vjp(dscores: Array) -> dict[str, Array]:
        dq, noted = function.back(known, kept(dscores, valid))
        return {"q": dq, **function.gradients(*noted)}

    return (kept(scores, valid),), vjp


@computes("attention_weights")
def _attention_weights(call: Admitted) -> Computed:
    valid = call.holes
    weights = softmax(kept(call.floats["scores"], valid), valid)
    return (weights,), lambda dweights: {"scores": softmax_back(kept(dweights, valid), weights)}


@computes("attention_context")
def _attention_context(call: Admitted) -> Computed:
    weights, values = kept(call.floats["weights"], call.holes), call.without_holes("values")
    return (weights @ values,), lambda d: {"weights": d @ _across(values), "values": _across(weights) @ d}


@computes("attention")
def _attention(call: Admitted) -> Computed:
    score, scale = call.attributes["score"], call.attributes["scale"]
    parameters = {name: call.floats[name] for name in score_parameters(score)}
    function = scorer(score, call.without_holes("k"), parameters)
    seen, values = _seen(call), call.without_holes("values")
    scores, known = function.scores(call.floats["q"])
    weights = softmax_over(scores if scale is None else scores * scale, seen)

    def vjp(dcontext: Array, dweights: Array) -> dict[str, Array]:
        dall = np.where(seen, dweights, 0) + dcontext @ _across(values)
        dscores = softmax_back(dall, weights)
        dq, noted = function.back(known, dscores if scale is None else dscores * scale)
        return {"q": dq, "values": _across(weights) @ dcontext, **function.gradients(*noted)}

    return (weights @ values, weights), vjp


@computes("multi_head_attention")
def _multi_head_attention(call: Admitted) -> Computed:
    floats, seen, scale = call.floats, _seen(call), float(call.sizes["H"]) ** -0.5
    q, k, values = floats["q"], call.without_holes("k"), call.without_holes("values")
    heads = range(call.sizes["N"])

    def projected(x: Array, name: str, head: int) -> Array:
        product: Array = x @ floats[f"W_{name}"][head].T
        return product + floats[f"b_{name}"][head] if f"b_{name}" in floats else product

    queries, keys, own_values = (
        [projected(x, name, head) for head in heads] for x, name in ((q, "q"), (k, "k"), (values, "v"))
    )
    each = [softmax_over((queries[j] @ _across(keys[j])) * scale, seen) for j in heads]
    read = [each[j] @ own_values[j] for j in heads]
    y = read[0] @ floats["W_o"][0].T
    for j in heads[1:]:
        y = y + read[j] @ floats["W_o"][j].T
    if "b_o" in floats:
        y = y + floats["b_o"]

    def vjp(dy: Array, dweights: Array) -> dict[str, Array]:
        found: dict[str, list[Array]] = {name: [] for name in ("W_q", "W_k", "W_v", "W_o", "b_q", "b_k", "b_v")}
        dq, dk, dvalues = np.zeros_like(q), np.zeros_like(k), np.zeros_like(values)
        for j in heads:
            dshown = dweights * (1 / len(heads)) if call.attributes["averaged"] else dweights[:, j]
            dread = dy @ floats["W_o"][j]
            dscores = softmax_back(np.where(seen, dshown, 0) + dread @ _across(own_values[j]), each[j]) * scale
            own = {"q": dscores @ keys[j], "k": _across(dscores) @ queries[j], "v": _across(each[j]) @ dread}
            for name, x in (("q", q), ("k", k), ("v", values)):
                found[f"W_{name}"].append(_outer(own[name], x))
                found[f"b_{name}"].append(own[name].sum(axis=(0, 1)))
            found["W_o"].append(_outer(dy, read[j]))
            dq = dq + own["q"] @ floats["W_q"][j]
            dk = dk + own["k"] @ floats["W_k"][j]
            dvalues = dvalues + own["v"] @ floats["W_v"][j]
        if call.holes is not None:  # the bias of a key that is taken out is read by nobody
            dk, dvalues = (np.where(call.steps[:, :, np.newaxis], d, 0) for d in (dk, dvalues))
        gradients = {name: np.stack(arrays) for name, arrays in found.items()}
        return {"q": dq, "k": dk, "values": dvalues, "b_o": dy.sum(axis=(0, 1)), **gradients}

    if call.attributes["averaged"]:
        total = each[0]
        for j in heads[1:]:
            total = total + each[j]
        return (y, total * (1 / len(heads))), vjp
    return (y, np.stack(each, axis=1)), vjp


def _seen(call: Admitted) -> Mask:
    """Which query sees which key, ``(B, U, T)``."""
    seen: Mask = np.broadcast_to(call.steps[:, np.newaxis], (call.sizes["B"], call.sizes["U"], call.sizes["T"]))
    if call.attributes.get("masked_queries"):
        seen = seen & call.inputs["query_mask"][:, :, np.newaxis]
    if call.attributes["causal"]:
        seen = seen & np.tri(*seen.shape[1:], dtype=np.bool_)
    return seen


@computes("feature_attention")
def _feature_attention(call: Admitted) -> Computed:
    x, W, b = (call.floats[name] for name in ("x", "W", "b"))
    weights = softmax((x @ W.T + b)[:, np.newaxis], None)[:, 0]

    def vjp(dy: Array) -> dict[str, Array]:
        dscores = softmax_back(dy * x, weights)
        return {"x": dy * weights + dscores @ W, "W": dscores.T @ x, "b": dscores.sum(axis=0)}

    return (x * weights,), vjp


class Scorer(Protocol):
    """A score function on the keys of a batch.

    The arrays that `back` notes for several queries can be joined along the axis of the queries.
    """

    @property
    def scores(self) -> Callable[[Array], tuple[Array, Arrays]]:
        """``scores(q)``: scores ``(B, U, T)`` of all keys for ``q (B, U, D)``, and the arrays that `back` needs."""

    @property
    def back(self) -> Callable[[Arrays, Array], tuple[Array, Arrays]]:
        """``back(known, dscores)``: the gradient of q, and the arrays that `gradients` needs."""

    @property
    def gradients(self) -> Callable[..., dict[str, Array]]:
        """``gradients(*noted)``: gradients of the keys, ``k``, and of every parameter, summed over the queries."""


class Products:
    """``dot``, ``scaled_dot`` and ``general``: ``q · (W_a @ k)``, times a scale; without W_a, ``q · k``."""

    def __init__(self, k: Array, W_a: Array | None = None, scale: float | None = None) -> None:
        self.k, self.W_a, self.scale = k, W_a, scale
        self.keys = k if W_a is None else k @ W_a.T

    def scores(self, q: Array) -> tuple[Array, Arrays]:
        """Return the scores of the keys for the queries, and the arrays that `back` needs."""
        products = q @ _across(self.keys)
        return products if self.scale is None else products * self.scale, (q,)

    def back(self, known: Arrays, dscores: Array) -> tuple[Array, Arrays]:
        """Return the gradient of the queries from that of the scores, and the arrays that `gradients` needs."""
        (q,) = known
        dproducts = dscores if self.scale is None else dscores * self.scale
        return dproducts @ self.keys, (dproducts, q)

    def gradients(self, dproducts: Array, q: Array) -> dict[str, Array]:
        """Return the gradients of the keys and of W_a from that of the products."""
        dkeys = _across(dproducts) @ q
        if self.W_a is None:
            return {"k": dkeys}
        return {"k": dkeys @ self.W_a, "W_a": _outer(dkeys, self.k)}


class Additive:
    """``additive``: ``v_a · tanh(W_q @ q + W_k @ k + b_a)``."""

    def __init__(self, k: Array, W_q: Array, W_k: Array, b_a: Array, v_a: Array) -> None:
        self.k, self.W_q, self.W_k, self.v_a = k, W_q, W_k, v_a
        self.keys = k @ W_k.T + b_a

    def scores(self, q: Array) -> tuple[Array, Arrays]:
        """Return the scores of the keys for the queries, and the arrays that `back` needs."""
        z = np.tanh((q @ self.W_q.T)[:, :, np.newaxis] + self.keys[:, np.newaxis])
        return (z @ self.v_a.reshape(-1, 1)).reshape(*z.shape[:3]), (q, z)

    def back(self, known: Arrays, dscores: Array) -> tuple[Array, Arrays]:
        """Return the gradient of the queries from that of the scores, and the arrays that `gradients` needs."""
        q, z = known
        dv = (dscores[:, :, np.newaxis] @ z)[:, :, 0]
        da = dscores[:, :, :, np.newaxis] * self.v_a * (1 - z * z)
        dqueries = da.sum(axis=2)
        return dqueries @ self.W_q, (q, da, dqueries, dv)

    def gradients(self, q: Array, da: Array, dqueries: Array, dv: Array) -> dict[str, Array]:
        """Return the gradients of the keys and the parameters from that of the argument of tanh."""
        dkeys = da.sum(axis=1)
        return {
            "k": dkeys @ self.W_k,
            "W_q": _outer(dqueries, q),
            "W_k": _outer(dkeys, self.k),
            "b_a": dkeys.sum(axis=(0, 1)),
            "v_a": dv.sum(axis=(0, 1)),
        }


class Concat(Additive):
    """``concat``: ``v_a · tanh(W_a @ [q; k] + b_a)``, which is additive with the columns of W_a split."""

    def __init__(self, k: Array, W_a: Array, b_a: Array, v_a: Array) -> None:
        features = W_a.shape[1] - k.shape[2]
        super().__init__(k, W_a[:, :features], W_a[:, features:], b_a, v_a)

    def gradients(self, q: Array, da: Array, dqueries: Array, dv: Array) -> dict[str, Array]:
        """Return the gradients of the keys and the parameters from that of the argument of tanh."""
        gradients = super().gradients(q, da, dqueries, dv)
        dW_q, dW_k = gradients.pop("W_q"), gradients.pop("W_k")
        return gradients | {"W_a": np.concatenate((dW_q, dW_k), axis=1)}


class Cosine:
    """``cosine``: the product of the directions; the direction of a zero vector is zero."""

    def __init__(self, k: Array) -> None:
        self.keys = Direction.of(k)

    def scores(self, q: Array) -> tuple[Array, Arrays]:
        """Return the scores of the keys for the queries, and the arrays that `back` needs."""
        direction = Direction.of(q)
        return direction.unit @ _across(self.keys.unit), (direction.unit, direction.length, direction.scale)

    def back(self, known: Arrays, dscores: Array) -> tuple[Array, Arrays]:
        """Return the gradient of the queries from that of the scores, and the arrays that `gradients` needs."""
        direction = Direction(*known)
        return direction.back(dscores @ self.keys.unit), (dscores, direction.unit)

    def gradients(self, dscores: Array, unit: Array) -> dict[str, Array]:
        """Return the gradient of the keys from that of the scores."""
        return {"k": self.keys.back(_across(dscores) @ unit)}


@dataclass(frozen=True)
class Direction:
    """``unit = x / norm(x)``, where ``norm(x) = length * scale``; zero if x is zero.

    The scale is the largest magnitude, so that no square overflows or vanishes; a zero vector has scale 0.
    """

    unit: Array
    length: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> Direction:
        """Return the direction of each vector on the last axis."""
        scale = np.max(np.abs(x), axis=-1, keepdims=True)
        scaled = x / _never_zero(scale)
        length = np.sqrt((scaled * scaled).sum(axis=-1, keepdims=True))
        unit = np.where(scale == 0, 0, scaled / np.maximum(length, _ALL_BUT_ZERO))
        return cls(unit, length, scale)

    def back(self, dunit: Array) -> Array:
        """Return the gradient of the vector from the direction's: the part across the vector, 0 at a zero vector."""
        across = dunit - self.unit * (dunit * self.unit).sum(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):
            dx = across / np.maximum(self.length, _ALL_BUT_ZERO) / _never_zero(self.scale)
        # A test for equality, whose outcome rounding cannot change.
        return np.where(self.scale == 0, 0, dx)


# A nonzero vector has a scaled length of at least 1, or if it is subnormal, of at least the unit roundoff.
_ALL_BUT_ZERO = 1e-20


def _never_zero(scale: Array) -> Array:
    return np.maximum(scale, float(np.finfo(scale.dtype).tiny))


def scorer(score: str, k: Array, parameters: Mapping[str, Array]) -> Scorer:
    """Build the score function of that name with its `parameters` on the keys ``k (B, T, E)``."""
    match score:
        case "dot":
            return Products(k)
        case "scaled_dot":
            return Products(k, scale=float(k.shape[2]) ** -0.5)
        case "general":
            return Products(k, parameters["W_a"])
        case "additive":
            return Additive(k, **parameters)
        case "concat":
            return Concat(k, **parameters)
        case "cosine":
            return Cosine(k)
    raise ValueError(f"unknown score {score!r}")


def score_parameters(score: str) -> tuple[str, ...]:
    """Return the names of a score function's own parameters."""
    inputs = operation("attention_scores").inputs_for({"score": score})
    return tuple(name for name, item in inputs.items() if not item.per_sequence)


class Attention:
    """Attention of queries to a memory: the context, and the weights that make it.

    `memory` ``(B, T, E)`` is both keys and values. It must be 0 where `valid` ``(B, T)``, if given, is false.
    """

    def __init__(self, score: str, memory: Array, parameters: Mapping[str, Array], valid: Mask | None) -> None:
        self.scorer = scorer(score, memory, parameters)
        self.memory, self.valid = memory, valid

    def read(self, q: Array) -> tuple[Array, Array, Arrays]:
        """Return the queries' contexts ``(B, U, E)`` and weights ``(B, U, T)``, and the arrays that `back` needs."""
        scores, known = self.scorer.scores(q)
        weights = softmax(scores, self.valid)
        return weights @ self.memory, weights, (weights, *known)

    def back(self, known: Arrays, dcontext: Array, dweights: Array) -> tuple[Array, Arrays]:
        """Return the gradient of the queries from those of contexts and weights, and the arrays `gradients` needs."""
        weights, *scored = known
        dscores = softmax_back(kept(dweights, self.valid) + dcontext @ _across(self.memory), weights)
        dq, noted = self.scorer.back(tuple(scored), dscores)
        return dq, (weights, dcontext, *noted)

    def gradients(self, weights: Array, dcontext: Array, *noted: Array) -> dict[str, Array]:
        """Return the gradients of the memory, through scores and contexts, and of the score's parameters."""
        gradients = self.scorer.gradients(*noted)
        # An invalid key has weight 0, and so a gradient of 0 already.
        gradients["memory"] = gradients.pop("k") + _across(weights) @ dcontext
        return gradients


def softmax(scores: Array, valid: Mask | None) -> Array:
    """Return weights ``(B, U, T)``: the softmax of each row over the valid keys ``(B, T)``; zeros without any."""
    return softmax_over(scores, None if valid is None else valid[:, np.newaxis])


def softmax_over(scores: Array, seen: Mask | None) -> Array:
    """Return the softmax of each row over the keys that are seen, ``(B, U, T)`` or broadcast; zeros without any."""
    if scores.shape[2] == 0:
        return np.zeros_like(scores)
    candidates = scores if seen is None else np.where(seen, scores, float("-inf"))
    top = np.max(candidates, axis=-1, keepdims=True)
    shifted = _where_seen(scores - np.where(np.isfinite(top), top, 0), seen)
    exponentials = _where_seen(np.exp(shifted), seen)
    # The sum is at least 1, or 0 without a valid key.
    return _where_seen(exponentials / np.maximum(exponentials.sum(axis=-1, keepdims=True), 0.5), seen)


def softmax_back(dweights: Array, weights: Array) -> Array:
    """Return the gradient of the scores from that of their weights."""
    dscores: Array = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))
    return dscores


def kept(array: Array, valid: Mask | None) -> Array:
    """Return an array ``(B, U, T)`` with zeros at invalid keys."""
    return _where_seen(array, None if valid is None else valid[:, np.newaxis])


def _where_seen(array: Array, seen: Mask | None) -> Array:
    return array if seen is None else np.where(seen, array, 0)


def _across(array: Array) -> Array:
    """Transpose the matrix of each sequence."""
    return array.transpose(0, 2, 1)


def _outer(da: Array, x: Array) -> Array:
    """``outer(da, x)``, summed over the batch and the second axis: the gradient of W where ``a = W @ x``."""
    rows: Array = da.reshape(da.shape[0] * da.shape[1], da.shape[2]).T
    product: Array = rows @ x.reshape(x.shape[0] * x.shape[1], x.shape[2])
    return product
