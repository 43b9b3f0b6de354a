"""Optimizers of Keras: each holds a parameter, whose state is set before one step by its gradient.

Keras's optimizers change variables in place. One is built for a configuration, and each call sets its variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, keras, tf

STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "sgd_step": ("u",),
    "rmsprop_step": ("v", "m"),
    "adam_step": ("m", "v"),
    "adamw_step": ("m", "v"),
}
"""The inputs that are remembered, in the order of the optimizer's variables."""

CLASSES: Final = {"sgd_step": "SGD", "rmsprop_step": "RMSprop", "adam_step": "Adam", "adamw_step": "AdamW"}


def _refuse_velocity(*, velocity: str, momentum: float | None, **others: Any) -> None:
    if momentum == 0:
        raise Unsupported("Keras takes a momentum of 0 for none, and has no velocity then")
    if velocity == "gradients" and momentum is not None:
        raise Unsupported("Keras's velocity sums updates: velocity = 'updates'")


def _refuse_epsilon(*, epsilon_at: str, **others: Any) -> None:
    if epsilon_at != "inside":
        raise Unsupported("Keras adds epsilon to the mean in the root: epsilon_at = 'inside'")


def _refuse_corrected(*, epsilon_at: str, correction: bool, **others: Any) -> None:
    if epsilon_at != "uncorrected":
        raise Unsupported("Keras adds epsilon to the root of the uncorrected mean: epsilon_at = 'uncorrected'")
    if not correction:
        raise Unsupported("Keras always corrects the means: correction = True")


def options_of(operation: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of Keras's class."""
    options: dict[str, Any] = {"learning_rate": attributes["learning_rate"]}
    if operation == "sgd_step":
        return {**options, "momentum": attributes["momentum"] or 0.0, "nesterov": attributes["nesterov"]}
    options["epsilon"] = attributes["epsilon"]
    if operation == "rmsprop_step":
        return {**options, "rho": attributes["decay"], "centered": attributes["centred"]}
    options |= {"beta_1": attributes["beta1"], "beta_2": attributes["beta2"]}
    return {**options, "weight_decay": attributes["decay"]} if operation == "adamw_step" else options


@lru_cache(maxsize=256)
def _built(operation: str, size: int, dtype: str, **options: Any) -> tuple[Any, Any]:
    """Return Keras's optimizer, built for a parameter, and that parameter."""
    with tf.init_scope():
        parameter = keras.Variable(tf.zeros(size, dtype), dtype=dtype)
        optimizer = getattr(keras.optimizers, CLASSES[operation])(**options)
        optimizer.build([parameter])
    return optimizer, parameter


def _stepping(operation: str) -> Any:
    def step(*, theta: Tensor, g: Tensor, **arguments: Any) -> Outputs:
        options = options_of(operation, arguments)
        optimizer, parameter = _built(operation, theta.shape[0], theta.dtype.name, **options)
        iterations, _, *states = optimizer.variables
        given = [arguments[name] for name in STATES[operation] if arguments.get(name) is not None]
        iterations.assign(arguments.get("step", 1) - 1)  # the steps before this one
        for variable, value in zip([parameter, *states], [theta, *given], strict=True):
            variable.assign(value)
        optimizer.apply([g], [parameter])
        return tuple(tf.identity(variable.value) for variable in (parameter, *states))

    return step


def _source(call: Call) -> Lines:
    """A parameter with its state, and one step of Keras's optimizer."""
    operation = call.operation
    options = ", ".join(f"{key}={value!r}" for key, value in options_of(operation, call.attributes).items())
    given = ", ".join(f't["{name}"]' for name in ("theta", *STATES[operation]) if name in call.inputs)
    return Lines(
        [
            'p = keras.Variable(t["theta"], dtype=dtype)',
            f"o = keras.optimizers.{CLASSES[operation]}({options})",
            "o.build([p])",
            "iterations, _, *states = o.variables",
            f"iterations.assign({call.attributes.get('step', 1) - 1})",
            f"done = [v.assign(value) for v, value in zip([p, *states], [{given}])]",
            'o.apply([t["g"]], [p])',
            "results = [v.value for v in (p, *states)]",
        ]
    )


_REFUSING: Final[Mapping[str, Callable[..., None]]] = {
    "sgd_step": _refuse_velocity,
    "rmsprop_step": _refuse_epsilon,
    "adam_step": _refuse_corrected,
    "adamw_step": _refuse_corrected,
}
NATIVES: Final[Mapping[str, Native]] = {
    name: Native(f"keras.optimizers.{CLASSES[name]}", _stepping(name), refuse, differentiable=False)
    for name, refuse in _REFUSING.items()
}
SCRIPTS: Final[Mapping[str, Script]] = dict.fromkeys(NATIVES, _source)
