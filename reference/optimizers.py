"""Steps of optimizers: from a parameter, its gradient and what was remembered of earlier steps, to those after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnspec.reference.call import Admitted, Computed, no_way_back
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array


@computes("sgd_step")
def _sgd_step(call: Admitted) -> Computed:
    theta, g = call.floats["theta"], call.floats["g"]
    rate, momentum = call.attributes["learning_rate"], call.attributes["momentum"]
    if momentum is None:
        return (theta - rate * g,), no_way_back
    nesterov, u = call.attributes["nesterov"], call.floats["u"]
    if call.attributes["velocity"] == "gradients":
        u_next = momentum * u + g
        direction = g + momentum * u_next if nesterov else u_next
        return (theta - rate * direction, u_next), no_way_back
    u_next = momentum * u - rate * g
    update = momentum * u_next - rate * g if nesterov else u_next
    return (theta + update, u_next), no_way_back


@computes("rmsprop_step")
def _rmsprop_step(call: Admitted) -> Computed:
    theta, g, v = (call.floats[name] for name in ("theta", "g", "v"))
    rate, decay, epsilon = (call.attributes[name] for name in ("learning_rate", "decay", "epsilon"))
    v_next = _mean(v, g * g, decay)
    spread = _squares(v_next)
    means: tuple[Array, ...] = ()
    if call.attributes["centred"]:
        m_next = _mean(call.floats["m"], g, decay)
        spread, means = v_next - m_next * m_next, (m_next,)
    divisor = np.sqrt(spread + epsilon) if call.attributes["epsilon_at"] == "inside" else np.sqrt(spread) + epsilon
    return (theta - rate * g / divisor, v_next, *means), no_way_back


@computes("adam_step")
def _adam_step(call: Admitted) -> Computed:
    return _adam(call, call.floats["theta"]), no_way_back


@computes("adamw_step")
def _adamw_step(call: Admitted) -> Computed:
    decay = call.attributes["learning_rate"] * call.attributes["decay"]
    return _adam(call, call.floats["theta"] * (1 - decay)), no_way_back


def _adam(call: Admitted, theta: Array) -> tuple[Array, Array, Array]:
    """The parameter after a step from `theta`, and both running means."""
    g, m, v, of = call.floats["g"], call.floats["m"], call.floats["v"], call.attributes
    m_next = _mean(m, g, of["beta1"])
    v_next = _mean(v, g * g, of["beta2"])
    seen1, seen2 = (_seen(of, name) for name in ("beta1", "beta2"))
    match of["epsilon_at"]:
        case "outside":
            divisor = np.sqrt(_squares(v_next / seen2)) + of["epsilon"]
        case "inside":
            divisor = np.sqrt(_squares(v_next / seen2) + of["epsilon"])
        case _:
            divisor = (np.sqrt(_squares(v_next)) + of["epsilon"]) / math.sqrt(seen2)
    return theta - of["learning_rate"] * (m_next / seen1) / divisor, m_next, v_next


def _mean(before: Array, now: Array, decay: float) -> Array:
    """The running mean, decay · before + (1 - decay) · now, in the form in which frameworks have it.

    Where one is far larger than the other, or both nearly cancel, rounding of their difference is what it is off by.
    """
    return before + (1 - decay) * (now - before)


def _squares(v: Array) -> Array:
    """A mean of squares. It is not negative; no version of it is either, that rounding has moved from 0."""
    return np.maximum(v, 0)


def _seen(attributes: dict[str, Any], beta: str) -> float:
    """The share of a running mean that is not what it began with: 0."""
    return float(1 - attributes[beta] ** attributes["step"]) if attributes["correction"] else 1.0
