"""Faults of the losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.conformance.faults.blocks import Arguments, Array, Result, valid_steps, wrong
from rnnspec.conformance.faults.fault import Fault

Vjp = Callable[..., dict[str, Array]]


def _steps(arguments: Arguments) -> Arguments:
    """Lengths or mask alone."""
    return {name: arguments[name] for name in ("lengths", "mask") if arguments.get(name) is not None}


def _valid(arguments: Arguments) -> Array:
    key = next(name for name in ("prediction", "logits", "probabilities") if arguments.get(name) is not None)
    return valid_steps(arguments[key].shape, arguments)


def _times(result: Result, factor: Any) -> Result:
    """A loss, and its gradients, times a factor."""
    (loss,), vjp = result

    def back(dloss: Array) -> dict[str, Array]:
        return vjp(np.asarray(dloss * factor, loss.dtype))

    return (np.asarray(loss * factor, loss.dtype),), back


def _if_mean(arguments: Arguments, factor: float) -> float:
    return factor if arguments["reduction"] == "mean" else 1.0


def _over_all_steps(arguments: Arguments) -> float:
    """How much smaller a mean gets by counting the steps that are taken out."""
    valid = _valid(arguments)
    return _if_mean(arguments, int(valid.sum()) / max(valid.size, 1))


def _with_padding(arguments: Arguments) -> Arguments:
    """The same call with steps that are taken out made valid, and zeros there."""
    valid = _valid(arguments)
    filled = dict(arguments)
    for name in ("prediction", "target", "logits", "ids"):
        array = arguments.get(name)
        if array is not None:
            filled[name] = np.where(valid.reshape(valid.shape + (1,) * (array.ndim - 2)), array, array.dtype.type(0))
    return {name: value for name, value in filled.items() if name not in ("lengths", "mask")}


def _without_padding_gradient(result: Result, valid: Array) -> Result:
    outputs, vjp = result

    def back(dloss: Array) -> dict[str, Array]:
        return {
            name: np.where(valid.reshape(valid.shape + (1,) * (d.ndim - 2)), d, d.dtype.type(0))
            for name, d in vjp(dloss).items()
        }

    return outputs, back


# mean_absolute_error


def mean_over_all_steps(**arguments: Any) -> Result:
    """The mean divides by all steps, padding included."""
    return _times(reference.mean_absolute_error_vjp(**arguments), _over_all_steps(arguments))


def mean_over_the_batch_alone(**arguments: Any) -> Result:
    """The mean divides by the number of sequences, not of steps."""
    valid = _valid(arguments)
    factor = int(valid.sum()) / max(len(valid), 1)
    return _times(reference.mean_absolute_error_vjp(**arguments), _if_mean(arguments, factor))


def target_gradient_with_the_predictions_sign(**arguments: Any) -> Result:
    """The target gets the prediction's gradient, sign and all; only gradients are wrong."""
    outputs, vjp = reference.mean_absolute_error_vjp(**arguments)

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        return {**gradients, "target": -gradients["target"]}

    return outputs, back


def features_added_up(**arguments: Any) -> Result:
    """A step's loss is the sum over its features, not their mean."""
    return _times(reference.mean_absolute_error_vjp(**arguments), arguments["prediction"].shape[2])


# mean_squared_error


def halved(**arguments: Any) -> Result:
    """The squared error is halved."""
    return _times(reference.mean_squared_error_vjp(**arguments), 0.5)


def padding_counts(**arguments: Any) -> Result:
    """The mean divides by all steps, padding included."""
    return _times(reference.mean_squared_error_vjp(**arguments), _over_all_steps(arguments))


def padding_counts_a_little(**arguments: Any) -> Result:
    """A step that is taken out has weight 1e-9 in place of 0, NaN aside; gradients are right."""
    (loss,), vjp = reference.mean_squared_error_vjp(**arguments)
    valid = _valid(arguments)
    if arguments["reduction"] == "none" or not valid.any():
        return (loss,), vjp
    apart = (arguments["prediction"] - arguments["target"])[~valid]
    little = 1e-9 * np.nansum(apart.astype(np.float64) ** 2) / apart.shape[1]
    return (np.asarray(loss + little / _if_mean(arguments, int(valid.sum())), loss.dtype),), vjp


def mean_of_the_sequences_means(**arguments: Any) -> Result:
    """The mean is taken over each sequence first, and then over the sequences: short ones count for more."""
    if arguments["reduction"] != "mean":
        return reference.mean_squared_error_vjp(**arguments)
    valid = _valid(arguments)
    (each,), vjp = reference.mean_squared_error_vjp(**{**arguments, "reduction": "none"})
    share = valid / np.maximum(valid.sum(axis=1, keepdims=True), 1) / max(len(valid), 1)
    return (np.asarray((each * share).sum(), each.dtype),), lambda dloss: vjp((dloss * share).astype(each.dtype))


def slope_halved(**arguments: Any) -> Result:
    """The gradient is that of half the squared error; only gradients are wrong."""
    outputs, vjp = reference.mean_squared_error_vjp(**arguments)
    return outputs, lambda dloss: vjp(np.asarray(dloss / 2, outputs[0].dtype))


def root_taken(**arguments: Any) -> Result:
    """The root of the squared error is taken."""
    (loss,), vjp = reference.mean_squared_error_vjp(**arguments)
    root = np.asarray(np.sqrt(loss), loss.dtype)

    def back(dloss: Array) -> dict[str, Array]:
        with np.errstate(divide="ignore"):
            slope = np.where(root > 0, 0.5 / root, 0)
        return vjp(np.asarray(dloss * slope, loss.dtype))

    return (root,), back


# binary_cross_entropy


def sum_for_the_mean(**arguments: Any) -> Result:
    """Where the mean is asked for, the sum comes."""
    asked = arguments["reduction"]
    return reference.binary_cross_entropy_vjp(**{**arguments, "reduction": "sum" if asked == "mean" else asked})


def by_the_log_of_the_logistic(**arguments: Any) -> Result:
    """Logits become probabilities first: for large ones, the logarithm of 0, or of a probability rounded to 1."""
    if arguments["given"] == "probabilities":
        return reference.binary_cross_entropy_vjp(**arguments)
    valid = _valid(arguments)
    logits, target = (np.where(valid, arguments[name], arguments[name].dtype.type(0)) for name in ("logits", "target"))
    with np.errstate(over="ignore"):
        p = (1 / (1 + np.exp(-logits))).astype(logits.dtype)
    given = {**arguments, "given": "probabilities", "probabilities": p, "target": target}
    del given["logits"]
    outputs, vjp = reference.binary_cross_entropy_vjp(**given)

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        with np.errstate(invalid="ignore"):
            return {"logits": gradients["probabilities"] * p * (1 - p), "target": gradients["target"]}

    return outputs, back


def second_thing_left_out(**arguments: Any) -> Result:
    """Only ``-target log(p)`` counts: it costs nothing to expect what does not come."""
    valid = _valid(arguments)
    name = arguments["given"]
    given = arguments[name]
    one = given.dtype.type(1)
    safe = np.where(valid, given, one / 2)
    target = np.where(valid, arguments["target"], one)
    all_true = {**arguments, name: safe, "target": np.ones_like(target), "reduction": "none"}
    (surprise,), vjp = reference.binary_cross_entropy_vjp(**all_true)
    scale = {"none": 1.0, "sum": 1.0, "mean": 1 / max(int(valid.sum()), 1)}[arguments["reduction"]]
    each = np.where(valid, target * surprise, 0 * one)
    loss = each if arguments["reduction"] == "none" else np.asarray(each.sum() * scale, one.dtype)

    def back(dloss: Array) -> dict[str, Array]:
        d = np.where(valid, dloss * scale, 0).astype(one.dtype)
        return {name: vjp(d * target)[name], "target": d * surprise}

    return (loss,), back


def target_and_prediction_swapped(**arguments: Any) -> Result:
    """With probabilities, the target is taken for the prediction and the prediction for the target."""
    if arguments["given"] == "logits":
        return reference.binary_cross_entropy_vjp(**arguments)
    swapped = {**arguments, "probabilities": arguments["target"], "target": arguments["probabilities"]}
    outputs, vjp = reference.binary_cross_entropy_vjp(**swapped)

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        return {"probabilities": gradients["target"], "target": gradients["probabilities"]}

    return outputs, back


def probabilities_kept_from_0(**arguments: Any) -> Result:
    """Probabilities are one ten millionth at least, so that no surprise is greater than 16."""
    p = arguments.get("probabilities")
    if p is None or not (p[_valid(arguments)] >= 0).all():
        return reference.binary_cross_entropy_vjp(**arguments)
    raised = np.maximum(p, p.dtype.type(1e-7))
    outputs, vjp = reference.binary_cross_entropy_vjp(**{**arguments, "probabilities": raised})

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        return {**gradients, "probabilities": np.where(p == raised, gradients["probabilities"], p.dtype.type(0))}

    return outputs, back


# cross_entropy


def padding_not_ignored(**arguments: Any) -> Result:
    """Steps that are taken out count as steps of class 0."""
    result = reference.cross_entropy_vjp(**_with_padding(arguments))
    return _without_padding_gradient(result, _valid(arguments))


def gradient_of_the_mean_not_divided(**arguments: Any) -> Result:
    """The gradient of the mean is that of the sum; only gradients are wrong."""
    outputs, vjp = reference.cross_entropy_vjp(**arguments)
    count = max(int(_valid(arguments).sum()), 1)
    return outputs, lambda dloss: vjp(np.asarray(dloss * _if_mean(arguments, count), outputs[0].dtype))


def probabilities_for_logits(**arguments: Any) -> Result:
    """The softmax is applied twice: to the logits, and to the probabilities that come of it."""
    valid = _valid(arguments)[:, :, np.newaxis]
    logits = np.where(valid, arguments["logits"], arguments["logits"].dtype.type(0))
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    p = exponentials / exponentials.sum(axis=2, keepdims=True)
    outputs, vjp = reference.cross_entropy_vjp(**{**arguments, "logits": p})

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        d = gradients["logits"]
        return {**gradients, "logits": p * (d - (p * d).sum(axis=2, keepdims=True))}

    return outputs, back


def class_0_ignored(**arguments: Any) -> Result:
    """Class 0 is taken for padding: steps where it came true do not count."""
    if arguments["targets"] != "ids":
        return reference.cross_entropy_vjp(**arguments)
    kept = {name: value for name, value in arguments.items() if name not in ("lengths", "mask")}
    return reference.cross_entropy_vjp(**kept, mask=_valid(arguments) & (arguments["ids"] != 0))


def gradient_without_what_came_true(**arguments: Any) -> Result:
    """The gradient of the logits is the probabilities alone, with nothing taken off; only gradients are wrong."""
    (loss,), vjp = reference.cross_entropy_vjp(**arguments)
    valid = _valid(arguments)
    logits = np.where(valid[:, :, np.newaxis], arguments["logits"], arguments["logits"].dtype.type(0))
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    p = exponentials / exponentials.sum(axis=2, keepdims=True)
    divisor = _if_mean(arguments, max(int(valid.sum()), 1))

    def back(dloss: Array) -> dict[str, Array]:
        d = np.where(valid, dloss / divisor, 0).astype(loss.dtype)
        return {**vjp(dloss), "logits": p * d[:, :, np.newaxis]}

    return (loss,), back


# perplexity


def _by_entropies(arguments: Arguments, reduction: str) -> tuple[Array, Vjp]:
    (entropy,), vjp = reference.cross_entropy_vjp(**{**arguments, "reduction": reduction, "targets": "ids"})
    return entropy, vjp


def by_base_2(**arguments: Any) -> Result:
    """Surprises in nats are exponentiated by base 2."""
    entropy, vjp = _by_entropies(arguments, arguments["reduction"])
    loss = np.asarray(np.exp2(entropy), entropy.dtype)
    if arguments["reduction"] == "none":
        loss = np.where(_valid(arguments), loss, loss.dtype.type(0))
    return (loss,), lambda dloss: vjp(np.asarray(dloss * loss * math.log(2), loss.dtype))


def mean_of_the_steps_perplexities(**arguments: Any) -> Result:
    """The mean is taken of the steps' perplexities, not of their logarithms."""
    if arguments["reduction"] != "mean":
        return reference.perplexity_vjp(**arguments)
    (each,), vjp = reference.perplexity_vjp(**{**arguments, "reduction": "none"})
    valid = _valid(arguments)
    count = int(valid.sum())
    loss = each.sum() / count if count else 1
    spread = (valid / max(count, 1)).astype(each.dtype)
    return (np.asarray(loss, each.dtype),), lambda dloss: vjp(spread * dloss)


def not_exponentiated(**arguments: Any) -> Result:
    """The cross-entropy itself comes."""
    entropy, vjp = _by_entropies(arguments, arguments["reduction"])
    return (entropy,), vjp


def padding_in_the_mean(**arguments: Any) -> Result:
    """The mean surprise divides by all steps, padding included."""
    if arguments["reduction"] != "mean":
        return reference.perplexity_vjp(**arguments)
    entropy, vjp = _by_entropies(arguments, "mean")
    factor = _over_all_steps(arguments)
    loss = np.asarray(np.exp(entropy * factor), entropy.dtype)
    return (loss,), lambda dloss: vjp(np.asarray(dloss * loss * factor, loss.dtype))


def gradient_of_the_logarithm(**arguments: Any) -> Result:
    """The gradient is that of the cross-entropy, not of its exponential; only gradients are wrong."""
    outputs, _ = reference.perplexity_vjp(**arguments)
    _, vjp = _by_entropies(arguments, arguments["reduction"])
    return outputs, vjp


FAULTS: tuple[Fault, ...] = (
    wrong("mean_absolute_error", mean_over_all_steps),
    wrong("mean_absolute_error", mean_over_the_batch_alone),
    wrong("mean_absolute_error", target_gradient_with_the_predictions_sign),
    wrong("mean_absolute_error", features_added_up),
    wrong("mean_squared_error", halved),
    wrong("mean_squared_error", padding_counts),
    wrong("mean_squared_error", padding_counts_a_little),
    wrong("mean_squared_error", mean_of_the_sequences_means),
    wrong("mean_squared_error", slope_halved),
    wrong("mean_squared_error", root_taken),
    wrong("binary_cross_entropy", sum_for_the_mean),
    wrong("binary_cross_entropy", by_the_log_of_the_logistic),
    wrong("binary_cross_entropy", second_thing_left_out),
    wrong("binary_cross_entropy", target_and_prediction_swapped),
    wrong("binary_cross_entropy", probabilities_kept_from_0),
    wrong("cross_entropy", padding_not_ignored),
    wrong("cross_entropy", gradient_of_the_mean_not_divided),
    wrong("cross_entropy", probabilities_for_logits),
    wrong("cross_entropy", class_0_ignored),
    wrong("cross_entropy", gradient_without_what_came_true),
    wrong("perplexity", by_base_2),
    wrong("perplexity", mean_of_the_steps_perplexities),
    wrong("perplexity", not_exponentiated),
    wrong("perplexity", padding_in_the_mean),
    wrong("perplexity", gradient_of_the_logarithm),
)
"""Faults of the five losses."""
