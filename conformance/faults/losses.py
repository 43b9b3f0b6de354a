"""Faults of the losses that are no changed equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.conformance.faults.blocks import Arguments, valid_steps
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.spec.arrays import Array


def _valid(arguments: Arguments) -> Array:
    key = next(name for name in ("prediction", "logits", "probabilities") if arguments.get(name) is not None)
    return valid_steps(arguments[key].shape, arguments)


def _if_mean(arguments: Arguments, factor: float) -> float:
    return factor if arguments["reduction"] == "mean" else 1.0


@plant("mean_squared_error")
def padding_counts_a_little(**arguments: Any) -> Result:
    """A step that is taken out has weight 1e-9 in place of 0, NaN aside; gradients are right."""
    (loss,), vjp = reference.mean_squared_error_vjp(**arguments)
    valid = _valid(arguments)
    if arguments["reduction"] == "none" or not valid.any():
        return (loss,), vjp
    apart = (arguments["prediction"] - arguments["target"])[~valid]
    little = 1e-9 * np.nansum(apart.astype(np.float64) ** 2) / apart.shape[1]
    return (np.asarray(loss + little / _if_mean(arguments, int(valid.sum())), loss.dtype),), vjp


@plant("binary_cross_entropy")
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
