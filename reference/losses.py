"""Losses over the valid steps of a batch, with gradients of predictions and targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Mask


@computes("mean_absolute_error")
def _mean_absolute_error(call: Admitted) -> Computed:
    steps = _Steps(call)
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def back(de: Array) -> dict[str, Array]:
        d = de[:, :, np.newaxis] * np.sign(error) / features
        return {"prediction": d, "target": -d}

    return steps.computed(np.abs(error).sum(axis=2) / features, back)


@computes("mean_squared_error")
def _mean_squared_error(call: Admitted) -> Computed:
    steps = _Steps(call)
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def back(de: Array) -> dict[str, Array]:
        d = de[:, :, np.newaxis] * error * 2 / features
        return {"prediction": d, "target": -d}

    return steps.computed((error * error).sum(axis=2) / features, back)


@computes("binary_cross_entropy")
def _binary_cross_entropy(call: Admitted) -> Computed:
    steps = _Steps(call)
    return _of_logits(steps) if call.attributes["given"] == "logits" else _of_probabilities(steps)


def _of_logits(steps: _Steps) -> Computed:
    z, wanted = steps.taken("logits"), steps.taken("target")
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), which cannot overflow. The target's share on the side of the
    # logit is taken off |z| for both signs, so that rounding is the same on both sides. All parts take one side where
    # the logit is 0: the slope of each alone does not exist there.
    likely, size = np.where(z < 0, 1 - wanted, wanted), np.where(z < 0, -z, z)
    each = size - size * likely + np.log1p(np.exp(-size))

    def back(de: Array) -> dict[str, Array]:
        p = (1 + np.tanh(z / 2)) / 2  # the logistic, in the form that cannot overflow
        return {"logits": de * (p - wanted), "target": -de * z}

    return steps.computed(each, back)


def _of_probabilities(steps: _Steps) -> Computed:
    p, wanted = steps.taken("probabilities", 0.5), steps.taken("target", 0.5)
    never, always = wanted == 0, wanted == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p, log_not_p = np.log(p), np.log(1 - p)
        each = -np.where(never, 0, wanted * log_p) - np.where(always, 0, (1 - wanted) * log_not_p)

    def back(de: Array) -> dict[str, Array]:
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(always, 0, (1 - wanted) / (1 - p)) - np.where(never, 0, wanted / p)
            gradients = {"probabilities": de * slope, "target": de * (log_not_p - log_p)}
        return {name: np.where(de == 0, 0, array) for name, array in gradients.items()}

    return steps.computed(each, back)


@computes("cross_entropy")
def _cross_entropy(call: Admitted) -> Computed:
    steps = _Steps(call)
    log_p = log_probabilities(steps.taken("logits"))
    return _of_ids(steps, log_p) if call.attributes["targets"] == "ids" else _of_weights(steps, log_p)


def _of_ids(steps: _Steps, log_p: Array) -> Computed:
    ids = steps.ids()

    def back(de: Array) -> dict[str, Array]:
        return {"logits": de[:, :, np.newaxis] * (np.exp(log_p) - _came_true(ids, log_p))}

    return steps.computed(-_at(log_p, ids), back)


def _of_weights(steps: _Steps, log_p: Array) -> Computed:
    weights = steps.taken("target")

    def back(de: Array) -> dict[str, Array]:
        d, total = de[:, :, np.newaxis], weights.sum(axis=2)[:, :, np.newaxis]
        return {"logits": d * (np.exp(log_p) * total - weights), "target": -d * log_p}

    return steps.computed(-(weights * log_p).sum(axis=2), back)


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
    """The valid steps of a call, their weights if they have any, and the reduction of their losses."""

    def __init__(self, call: Admitted) -> None:
        self.call, self.valid, self.reduction = call, call.steps, call.attributes["reduction"]
        self.each = self.reduction == "none"
        self.weights = self.taken("weights") if "weights" in call.floats else None
        self.divisor: Array | int = 1
        self.counts: Mask | bool = True  # not where all weights are 0, and nothing is to be averaged
        if self.reduction == "batch_mean":
            self.divisor = max(len(self.valid), 1)
        elif self.reduction == "mean" and self.weights is not None:
            total = self._total(self.weights)
            self.counts = total != 0
            self.divisor = np.where(self.counts, total, 1)
        elif self.reduction == "mean":
            self.divisor = max(int(self.valid.sum()), 1)

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
        if self.weights is not None:
            # An infinite loss counts nothing where the weight is 0; a finite one has a slope there.
            finite = np.where(np.abs(kept) < np.inf, kept, 0)
            with np.errstate(invalid="ignore"):
                kept = np.where(self.weights == 0, finite * self.weights, kept * self.weights)
        return kept if self.each else self._total(kept) / self.divisor

    def _total(self, array: Array) -> Array:
        """The sum ``(1, 1)`` over all sequences and steps."""
        total: Array = array.reshape(1, array.shape[0] * array.shape[1]).sum(axis=1)[:, np.newaxis]
        return total

    def computed(self, each: Array, back: Callable[[Array], dict[str, Array]]) -> Computed:
        """Return the output from each step's loss, ``(B, T)``, and the way back, by that from each step's loss."""
        loss = self.reduced(each)

        def vjp(dloss: Array) -> dict[str, Array]:
            d = self.handed(dloss)
            if self.weights is None:
                return back(d)
            apart = each - loss if self.reduction == "mean" else each
            return {**back(d * self.weights), "weights": np.where(d == 0, 0, d * np.where(self.valid, apart, 0))}

        return (loss if self.each else loss.reshape(()),), vjp

    def handed(self, dloss: Array) -> Array:
        """Return the gradient of each step's weighed loss, ``(B, T)``, from the output's; 0 at invalid steps."""
        return np.where(self.valid & self.counts, dloss / self.divisor, 0)


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
