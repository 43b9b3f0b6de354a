"""Losses over the valid steps of a batch, each with its gradient, by predictions and by targets."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnnspec.reference.call import Admitted, Vjp, admit, widened
from rnnspec.reference.unroll import Array, Mask

Reduction = Literal["none", "sum", "mean"]


def mean_absolute_error(
    prediction: Array,
    target: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[Array]:
    """Compute the mean distance of predictions from their targets.

    Parameters
    ----------
    prediction, target
        ``(B, T, D)``. All arrays but `lengths` and `mask` have one type: float16, bfloat16, float32 or float64; the
        first two are computed in float32 and rounded once, at the end.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. What stands
        there, NaN included, changes nothing and has gradient 0.
    reduction
        A step's loss is the mean over its D features. ``"none"``: each step's loss; ``"sum"``: their sum over the valid
        steps of the batch; ``"mean"``: their mean, 0 where there is no step.

    Returns
    -------
    loss
        A scalar, of the inputs' type; with ``reduction="none"`` ``(B, T)``, 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Willmott & Matsuura (2005), Advantages of the mean absolute error over RMSE, Climate Research 30, 79-82.
    """
    outputs, _ = mean_absolute_error_vjp(prediction, target, lengths=lengths, mask=mask, reduction=reduction)
    return outputs


def mean_absolute_error_vjp(
    prediction: Array,
    target: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[tuple[Array], Vjp]:
    """Compute what `mean_absolute_error` does, and return its output and its vector-Jacobian product.

    ``vjp(dloss)`` gives the gradients of the prediction and of the target; the slope where they are equal is 0. The
    inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `mean_absolute_error`.
    """
    inputs = {"prediction": prediction, "target": target, "lengths": lengths, "mask": mask}
    steps = _Steps(admit("mean_absolute_error", inputs, {"reduction": reduction}))
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis] * np.sign(error) / features
        return steps.call.gradients({"prediction": d, "target": -d})

    return (steps.loss(np.abs(error).sum(axis=2) / features),), vjp


def mean_squared_error(
    prediction: Array,
    target: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[Array]:
    """Compute the mean square of the distance of predictions from their targets; it is not halved.

    Parameters
    ----------
    prediction, target, lengths, mask, reduction
        As in `mean_absolute_error`.

    Returns
    -------
    loss
        A scalar, of the inputs' type; with ``reduction="none"`` ``(B, T)``, 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Gauss (1809), Theoria motus corporum coelestium.
    """
    outputs, _ = mean_squared_error_vjp(prediction, target, lengths=lengths, mask=mask, reduction=reduction)
    return outputs


def mean_squared_error_vjp(
    prediction: Array,
    target: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[tuple[Array], Vjp]:
    """Compute what `mean_squared_error` does, and return its output and its vector-Jacobian product.

    ``vjp(dloss)`` gives the gradients of the prediction and of the target. The inputs must not change before it is
    called; it may be called again.

    References
    ----------
    As of `mean_squared_error`.
    """
    inputs = {"prediction": prediction, "target": target, "lengths": lengths, "mask": mask}
    steps = _Steps(admit("mean_squared_error", inputs, {"reduction": reduction}))
    error = steps.taken("prediction") - steps.taken("target")
    features = error.shape[2]

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis] * error * 2 / features
        return steps.call.gradients({"prediction": d, "target": -d})

    return (steps.loss((error * error).sum(axis=2) / features),), vjp


def binary_cross_entropy(
    logits: Array | None = None,
    probabilities: Array | None = None,
    target: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    given: Literal["logits", "probabilities"] = "logits",
    reduction: Reduction = "mean",
) -> tuple[Array]:
    """Compute the surprise, in nats, at which of two things came true.

    Parameters
    ----------
    logits
        With ``given="logits"`` only: log-odds of the first thing, ``(B, T)``. All arrays but `lengths` and `mask` have
        one type: float16, bfloat16, float32 or float64; the first two are computed in float32 and rounded once, at the
        end.
    probabilities
        With ``given="probabilities"`` only: probability of the first thing, ``(B, T)``, from 0 to 1. At 0 and at 1 the
        loss is infinite if the target puts weight on what was excluded, and finite if it does not.
    target
        ``(B, T)``: 1 where the first thing came true, 0 where the second did, or a probability.
    lengths, mask, reduction
        As in `mean_absolute_error`.
    given
        ``"logits"`` or ``"probabilities"``.

    Returns
    -------
    loss
        A scalar, of the inputs' type; with ``reduction="none"`` ``(B, T)``, 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning.
    """
    outputs, _ = binary_cross_entropy_vjp(
        logits, probabilities, target, lengths=lengths, mask=mask, given=given, reduction=reduction
    )
    return outputs


def binary_cross_entropy_vjp(
    logits: Array | None = None,
    probabilities: Array | None = None,
    target: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    given: Literal["logits", "probabilities"] = "logits",
    reduction: Reduction = "mean",
) -> tuple[tuple[Array], Vjp]:
    """Compute what `binary_cross_entropy` does, and return its output and its vector-Jacobian product.

    ``vjp(dloss)`` gives the gradients of the logits, or of the probabilities, and of the target; infinite ones where
    the slope is. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `binary_cross_entropy`.
    """
    inputs = {
        "logits": logits,
        "probabilities": probabilities,
        "target": target,
        "lengths": lengths,
        "mask": mask,
    }
    steps = _Steps(admit("binary_cross_entropy", inputs, {"given": given, "reduction": reduction}))
    if given == "logits":
        return _from_logits(steps)
    return _from_probabilities(steps)


def _from_logits(steps: _Steps) -> tuple[tuple[Array], Vjp]:
    z, wanted = steps.taken("logits"), steps.taken("target")
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), where nothing can overflow. What is as likely as the logit says
    # is taken off |z| whichever of the two things it is, so that no side is rounded less than the other.
    likely = np.where(z < 0, 1 - wanted, wanted)
    each = np.abs(z) - np.abs(z) * likely + np.log1p(np.exp(-np.abs(z)))

    def vjp(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)
        p = (1 + np.tanh(z / 2)) / 2  # the logistic, in the form that cannot overflow
        return steps.call.gradients({"logits": d * (p - wanted), "target": -d * z})

    return (steps.loss(each),), vjp


def _from_probabilities(steps: _Steps) -> tuple[tuple[Array], Vjp]:
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
        return steps.call.gradients({name: np.where(d == 0, 0, array) for name, array in gradients.items()})

    return (steps.loss(each),), vjp


def cross_entropy(
    logits: Array,
    ids: Array | None = None,
    target: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    targets: Literal["ids", "distribution"] = "ids",
    reduction: Reduction = "mean",
) -> tuple[Array]:
    """Compute the surprise, in nats, at the class that came true.

    Parameters
    ----------
    logits
        ``(B, T, K)``: the classes' probabilities are their softmax. All float arrays have one type: float16, bfloat16,
        float32 or float64; the first two are computed in float32 and rounded once, at the end.
    ids
        With ``targets="ids"`` only: the class that came true, int64 ``(B, T)``, from 0 to below K; at steps that are
        not valid it may be anything.
    target
        With ``targets="distribution"`` only: the weight of each class, ``(B, T, K)``, from 0 to 1; one-hot or any
        other.
    lengths, mask, reduction
        As in `mean_absolute_error`.
    targets
        ``"ids"`` or ``"distribution"``.

    Returns
    -------
    loss
        A scalar, of the type of the logits; with ``reduction="none"`` ``(B, T)``, 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Bridle (1990), Probabilistic interpretation of feedforward classification network outputs.
    """
    outputs, _ = cross_entropy_vjp(
        logits, ids, target, lengths=lengths, mask=mask, targets=targets, reduction=reduction
    )
    return outputs


def cross_entropy_vjp(
    logits: Array,
    ids: Array | None = None,
    target: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    targets: Literal["ids", "distribution"] = "ids",
    reduction: Reduction = "mean",
) -> tuple[tuple[Array], Vjp]:
    """Compute what `cross_entropy` does, and return its output and its vector-Jacobian product.

    ``vjp(dloss)`` gives the gradients of the logits and of the target, if there is one. The inputs must not change
    before it is called; it may be called again.

    References
    ----------
    As of `cross_entropy`.
    """
    inputs = {"logits": logits, "ids": ids, "target": target, "lengths": lengths, "mask": mask}
    steps = _Steps(admit("cross_entropy", inputs, {"targets": targets, "reduction": reduction}))
    log_p = _log_probabilities(steps.taken("logits"))
    if targets == "ids":
        assert ids is not None
        known = steps.ids(ids)

        def vjp(dloss: Array) -> dict[str, Array]:
            d = steps.handed(dloss)[:, :, np.newaxis]
            return steps.call.gradients({"logits": d * (np.exp(log_p) - _came_true(known, log_p))})

        return (steps.loss(-_at(log_p, known)),), vjp

    weights = steps.taken("target")

    def vjp_of_weights(dloss: Array) -> dict[str, Array]:
        d = steps.handed(dloss)[:, :, np.newaxis]
        total = weights.sum(axis=2)[:, :, np.newaxis]
        return steps.call.gradients({"logits": d * (np.exp(log_p) * total - weights), "target": -d * log_p})

    return (steps.loss(-(weights * log_p).sum(axis=2)),), vjp_of_weights


def perplexity(
    logits: Array,
    ids: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[Array]:
    """Compute how many equally likely classes would be as surprising as what came true: exp of the cross-entropy.

    Parameters
    ----------
    logits, ids, lengths, mask
        As in `cross_entropy`.
    reduction
        What is exponentiated: ``"none"``: each step's cross-entropy; ``"sum"``: their sum over the valid steps of the
        batch; ``"mean"``: their mean, 0 where there is no step.

    Returns
    -------
    loss
        A scalar, of the type of the logits; with ``reduction="none"`` ``(B, T)``, 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Jelinek, Mercer, Bahl & Baker (1977), Perplexity, a measure of the difficulty of speech recognition, JASA 62(S1).
    """
    outputs, _ = perplexity_vjp(logits, ids, lengths=lengths, mask=mask, reduction=reduction)
    return outputs


def perplexity_vjp(
    logits: Array,
    ids: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[tuple[Array], Vjp]:
    """Compute what `perplexity` does, and return its output and its vector-Jacobian product.

    ``vjp(dloss)`` gives the gradient of the logits. The inputs must not change before it is called; it may be called
    again.

    References
    ----------
    As of `perplexity`.
    """
    inputs = {"logits": logits, "ids": ids, "lengths": lengths, "mask": mask}
    steps = _Steps(admit("perplexity", inputs, {"reduction": reduction}))
    log_p = _log_probabilities(steps.taken("logits"))
    known = steps.ids(ids)
    entropy = steps.reduced(-_at(log_p, known))
    with np.errstate(over="ignore"):
        number = np.exp(entropy)
    loss = np.where(steps.valid, number, 0) if reduction == "none" else number.reshape(())

    def vjp(dloss: Array) -> dict[str, Array]:
        hit = _came_true(known, log_p)
        wide = number[:, :, np.newaxis]
        with np.errstate(over="ignore", invalid="ignore"):
            # Where the number itself is too large, its product with a small probability need not be.
            others = np.where(hit, 0, np.exp(entropy[:, :, np.newaxis] + log_p))
            apart = np.where(hit, -others.sum(axis=2)[:, :, np.newaxis], others)
            slope = np.where(np.isfinite(wide), wide * (np.exp(log_p) - hit), apart)
            d = steps.handed(dloss)[:, :, np.newaxis]
            product = d * slope
        return steps.call.gradients({"logits": np.where(d == 0, 0, product)})

    return (steps.call.rounded(loss),), vjp


class _Steps:
    """The valid steps of a call, and how their losses make one: none, sum or mean."""

    def __init__(self, call: Admitted) -> None:
        assert call.valid is not None
        self.call = call
        self.valid: Mask = call.valid
        self.reduction: Reduction = call.attributes["reduction"]
        count = int(self.valid.sum())
        self.divisor = max(count, 1) if self.reduction == "mean" else 1

    def taken(self, name: str, elsewhere: float = 0.0) -> Array:
        """Return an input with something harmless at the steps that are taken out."""
        array = self.call.floats[name]
        return np.where(self.valid.reshape(self.valid.shape + (1,) * (array.ndim - 2)), array, elsewhere)

    def ids(self, ids: Array) -> Array:
        """Return ids with a 0 at the steps that are taken out."""
        return np.where(self.valid, ids, 0)

    def reduced(self, each: Array) -> Array:
        """From each step's number, ``(B, T)``, to the reduction of the valid ones; two axes, whatever it is."""
        kept = np.where(self.valid, each, 0)
        if self.reduction == "none":
            return kept
        together: Array = kept.reshape(1, kept.shape[0] * kept.shape[1]).sum(axis=1)[:, np.newaxis]
        return together / self.divisor

    def loss(self, each: Array) -> Array:
        """From each step's loss, ``(B, T)``, to the output, rounded."""
        reduced = self.reduced(each)
        return self.call.rounded(reduced if self.reduction == "none" else reduced.reshape(()))

    def handed(self, dloss: Array) -> Array:
        """From the gradient of the output to that of each step's loss, ``(B, T)``; 0 at the steps taken out."""
        return np.where(self.valid, widened(dloss) / self.divisor, 0)


def _log_probabilities(logits: Array) -> Array:
    """Logarithm of the softmax over the last of three axes; the greatest logit is taken off first."""
    shifted = logits - logits.max(axis=2)[:, :, np.newaxis]
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=2))[:, :, np.newaxis]
    return log_p


def _at(array: Array, ids: Array) -> Array:
    """Of each step, the entry that its id names."""
    found: Array = np.take_along_axis(array, ids[:, :, np.newaxis], axis=2)[:, :, 0]
    return found


def _came_true(ids: Array, like: Array) -> Mask:
    """Which class came true, ``(B, T, K)``."""
    hit: Mask = ids[:, :, np.newaxis] == np.arange(like.shape[2])
    return hit
