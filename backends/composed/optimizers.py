"""Steps of optimizers, for frameworks that have none of their own for a call; in float32 at least."""

from __future__ import annotations

import math
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor


def sgd_step(xp: ArrayNamespace, *, learning_rate: float, momentum: float | None, **call: Any) -> Many:
    """The parameter after, and the velocity if there is one."""
    theta, g, *velocity = _wide(xp, call, "theta", "g", "u")
    if momentum is None:
        return _narrow(xp, call, theta - learning_rate * g)
    (u,), nesterov = velocity, call["nesterov"]
    if call["velocity"] == "gradients":
        u_next = momentum * u + g
        return _narrow(xp, call, theta - learning_rate * (g + momentum * u_next if nesterov else u_next), u_next)
    u_next = momentum * u - learning_rate * g
    return _narrow(xp, call, theta + (momentum * u_next - learning_rate * g if nesterov else u_next), u_next)


def rmsprop_step(
    xp: ArrayNamespace, *, learning_rate: float, decay: float, epsilon: float, epsilon_at: str, **call: Any
) -> Many:
    """The parameter after, the mean of the squares and, centred, that of the gradient."""
    theta, g, v, *means = _wide(xp, call, "theta", "g", "v", "m")
    v_next = decay * v + (1 - decay) * g * g
    means = [decay * m + (1 - decay) * g for m in means]
    spread = v_next - means[0] * means[0] if means else v_next
    divisor = xp.sqrt(spread + epsilon) if epsilon_at == "inside" else xp.sqrt(spread) + epsilon
    return _narrow(xp, call, theta - learning_rate * g / divisor, v_next, *means)


def adam_step(xp: ArrayNamespace, **call: Any) -> Many:
    """The parameter after, and both running means."""
    return _adam(xp, 1.0, **call)


def adamw_step(xp: ArrayNamespace, *, decay: float, learning_rate: float, **call: Any) -> Many:
    """The parameter after, and both running means; the parameter is first made smaller."""
    return _adam(xp, 1 - learning_rate * decay, learning_rate=learning_rate, **call)


def _adam(
    xp: ArrayNamespace,
    kept: float,
    *,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    epsilon_at: str,
    correction: bool,
    step: int,
    **call: Any,
) -> Many:
    theta, g, m, v = _wide(xp, call, "theta", "g", "m", "v")
    m_next = beta1 * m + (1 - beta1) * g
    v_next = beta2 * v + (1 - beta2) * g * g
    seen1, seen2 = (1 - beta1**step, 1 - beta2**step) if correction else (1.0, 1.0)
    match epsilon_at:
        case "outside":
            divisor = xp.sqrt(v_next / seen2) + epsilon
        case "inside":
            divisor = xp.sqrt(v_next / seen2 + epsilon)
        case _:
            divisor = (xp.sqrt(v_next) + epsilon) / math.sqrt(seen2)
    return _narrow(xp, call, theta * kept - learning_rate * (m_next / seen1) / divisor, m_next, v_next)


def _wide(xp: ArrayNamespace, call: dict[str, Any], *names: str) -> list[Tensor]:
    """These inputs, of those that there are, in float32 at least."""
    return [xp.widened(call[name]) for name in names if call.get(name) is not None]


def _narrow(xp: ArrayNamespace, call: dict[str, Any], *outputs: Tensor) -> Many:
    """The outputs in the type of the parameter."""
    return tuple(xp.astype(output, call["theta"].dtype) for output in outputs)
