"""Losses over the valid steps of a batch, with gradients of predictions and targets."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Mask


@computes("mean_absolute_error")
def _mean_absolute_error(call: Admitted) -> Computed:
    steps = _Steps(call)
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis] * np.sign(error) / features
        return {"prediction": d, "target": -d}

    return (steps.loss(np.abs(error).sum(axis=2) / features),), vjp


@computes("mean_squared_error")
def _mean_squared_error(call: Admitted) -> Computed:
    steps = _Steps(call)
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis] * error * 2 / features
        return {"prediction": d, "target": -d}

    return (steps.loss((error * error).sum(axis=2) / features),), vjp


@computes("binary_cross_entropy")
def _binary_cross_entropy(call: Admitted) -> Computed:
    steps = _Steps(call)
    return _of_logits(steps) if call.attributes["given"] == "logits" else _of_probabilities(steps)


def _of_logits(steps: _Steps) -> Computed:
    z, wanted = steps.taken("logits"), steps.taken("target")
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), which cannot overflow. The target's share on the side of the
    # logit is taken off |z| for both signs, so that rounding is the same on both sides.
    likely = np.where(z < 0, 1 - wanted, wanted)
    each = np.abs(z) - np.abs(z) * likely + np.log1p(np.exp(-np.abs(z)))

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)
        p = (1 + np.tanh(z / 2)) / 2  # the logistic, in the form that cannot overflow
        return {"logits": d * (p - wanted), "target": -d * z}

    return (steps.loss(each),), vjp


def _of_probabilities(steps: _Steps) -> Computed:
    p, wanted = steps.taken("probabilities", 0.5), steps.taken("target", 0.5)
    never, always = wanted == 0, wanted == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p, log_not_p = np.log(p), np.log(1 - p)
        each = -np.where(never, 0, wanted * log_p) - np.where(always, 0, (1 - wanted) * log_not_p)

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(always, 0, (1 - wanted) / (1 - p)) - np.where(never, 0, wanted / p)
            gradients = {"probabilities": d * slope, "target": d * (log_not_p - log_p)}
        return {name: np.where(d == 0, 0, array) for name, array in gradients.items()}

    return (steps.loss(each),), vjp


@computes("cross_entropy")
def _cross_entropy(call: Admitted) -> Computed:
    steps = _Steps(call)
    log_p = log_probabilities(steps.taken("logits"))
    return _of_ids(steps, log_p) if call.attributes["targets"] == "ids" else _of_weights(steps, log_p)


def _of_ids(steps: _Steps, log_p: Array) -> Computed:
    ids = steps.ids()

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis]
        return {"logits": d * (np.exp(log_p) - _came_true(ids, log_p))}

    return (steps.loss(-_at(log_p, ids)),), vjp


def _of_weights(steps: _Steps, log_p: Array) -> Computed:
    weights = steps.taken("target")

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis]
        total = weights.sum(axis=2)[:, :, np.newaxis]
        return {"logits": d * (np.exp(log_p) * total - weights), "target": -d * log_p}

    return (steps.loss(-(weights * log_p).sum(axis=2)),), vjp


@computes("perplexity")
def _perplexity(call: Admitted) -> Computed:
    steps = _Steps(call)
    log_p, ids = log_probabilities(steps.taken("logits")), steps.ids()
    entropy = steps.reduced(-_at(log_p, ids))
    with np.errstate(over="ignore"):
        number = np.exp(entropy)
    loss = np.where(steps.valid, number, 0) if steps.each else number.reshape(())

    def vjp(dloss: Array) -> dict[str, Array]:
        hit = _came_true(ids, log_p)
        wide = number[:, :, np.newaxis]
        with np.errstate(over="ignore", invalid="ignore"):
            # If the number itself is too large, its product with a small probability need not be.
            others = np.where(hit, 0, np.exp(entropy[:, :, np.newaxis] + log_p))
            apart = np.where(hit, -others.sum(axis=2)[:, :, np.newaxis], others)
            slope = np.where(np.isfinite(wide), wide * (np.exp(log_p) - hit), apart)
            d = steps.handed(dloss)[:, :, np.newaxis]
            product = d * slope
        return {"logits": np.where(d == 0, 0, product)}

    return (loss,), vjp


class _Steps:
    """The valid steps of a call, and the reduction of their losses: none, sum or mean."""

    def __init__(self, call: Admitted) -> None:
        self.call, self.valid = call, call.steps
        self.each = call.attributes["reduction"] == "none"
        self.divisor = max(int(self.valid.sum()), 1) if call.attributes["reduction"] == "mean" else 1

    def taken(self, name: str, elsewhere: float = 0.0) -> Array:
        """Return an input with the harmless number `elsewhere` at invalid steps."""
        array = self.call.floats[name]
        return np.where(self.valid.reshape(self.valid.shape + (1,) * (array.ndim - 2)), array, elsewhere)

    def ids(self) -> Array:
        """Return the ids with 0 at invalid steps."""
        return np.where(self.valid, self.call.inputs["ids"], 0)

    def reduced(self, each: Array) -> Array:
        """Return the reduction of the valid steps' numbers, ``(B, T)`` or ``(1, 1)``, from all ``(B, T)``."""
        kept = np.where(self.valid, each, 0)
        if self.each:
            return kept
        together: Array = kept.reshape(1, kept.shape[0] * kept.shape[1]).sum(axis=1)[:, np.newaxis]
        return together / self.divisor

    def loss(self, each: Array) -> Array:
        """Return the output from each step's loss, ``(B, T)``."""
        reduced = self.reduced(each)
        return reduced if self.each else reduced.reshape(())

    def handed(self, dloss: Array) -> Array:
        """Return the gradient of each step's loss, ``(B, T)``, from the output's; 0 at invalid steps."""
        return np.where(self.valid, dloss / self.divisor, 0)


def log_probabilities(logits: Array) -> Array:
    """Logarithm of the softmax over the last of three axes, after subtraction of the greatest logit."""
    shifted = logits - logits.max(axis=2)[:, :, np.newaxis]
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=2))[:, :, np.newaxis]
    return log_p


def _at(array: Array, ids: Array) -> Array:
    """The entry of each step's id, ``(B, T)``."""
    found: Array = np.take_along_axis(array, ids[:, :, np.newaxis], axis=2)[:, :, 0]
    return found


def _came_true(ids: Array, like: Array) -> Mask:
    """Whether each class is the true one, ``(B, T, K)``."""
    hit: Mask = ids[:, :, np.newaxis] == np.arange(like.shape[2])
    return hit
