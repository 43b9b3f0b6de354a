"""Faults of the losses that are no changed equations."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the altered reference's)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_of
from rnnspec.conformance.faults.blocks import valid_steps
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.spec.arrays import Array, Arrays


@plant("mean_squared_error")
class PaddingCountsALittle(Altered):
    """A step that is taken out has weight 1e-9 in place of 0, NaN aside; gradients are right."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        (loss,), valid, reduction = outputs, valid_of(call), call.attributes["reduction"]
        if reduction == "none" or call.attributes["weighted"] or not valid.any():
            return outputs
        apart = (call.inputs["prediction"] - call.inputs["target"])[~valid]
        little = 1e-9 * np.nansum(apart.astype(np.float64) ** 2) / apart.shape[1]
        counts = {"mean": valid.sum(), "batch_mean": len(valid)}
        return (np.asarray(loss + little / counts.get(reduction, 1), loss.dtype),)


@plant("binary_cross_entropy")
def by_the_log_of_the_logistic(**arguments: Any) -> Result:
    """Logits become probabilities first: for large ones, the logarithm of 0, or of a probability rounded to 1."""
    if arguments["given"] == "probabilities":
        return reference.binary_cross_entropy_vjp(**arguments)
    valid = valid_steps(arguments["target"].shape, arguments)
    logits, target = (np.where(valid, arguments[name], arguments[name].dtype.type(0)) for name in ("logits", "target"))
    with np.errstate(over="ignore"):
        p = (1 / (1 + np.exp(-logits))).astype(logits.dtype)
    given = {**arguments, "given": "probabilities", "probabilities": p, "target": target}
    del given["logits"]
    outputs, vjp = reference.binary_cross_entropy_vjp(**given)

    def back(dloss: Array) -> dict[str, Array]:
        gradients = vjp(dloss)
        with np.errstate(invalid="ignore"):
            return {**gradients, "logits": gradients["probabilities"] * p * (1 - p)}

    return outputs, back


@plant("mean_squared_error")
class SquaresBeforeTheDifference(Altered):
    """The square is p p - 2 p t + t t, which cancels where the prediction is near the target; gradients are right."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        p, t = call.inputs["prediction"], call.inputs["target"]
        if call.attributes["reduction"] != "none" or call.attributes["weighted"]:
            return outputs
        squares = (p * p - 2 * p * t + t * t).mean(axis=2)
        return (np.asarray(np.where(valid_of(call), squares, 0), outputs[0].dtype),)
