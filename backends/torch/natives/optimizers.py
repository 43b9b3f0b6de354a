"""Optimizers of torch.optim: each holds a parameter, whose gradient and state are set before one step.

Torch's optimizers change parameters in place, so each call has a parameter of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs

State = dict[str, str]
"""Torch's name of each thing that is remembered, by its input's name."""

STATES: Final[Mapping[str, State]] = {
    "sgd_step": {"u": "momentum_buffer"},
    "rmsprop_step": {"v": "square_avg", "m": "grad_avg"},
    "adam_step": {"m": "exp_avg", "v": "exp_avg_sq"},
    "adamw_step": {"m": "exp_avg", "v": "exp_avg_sq"},
}
CLASSES: Final = {"sgd_step": "SGD", "rmsprop_step": "RMSprop", "adam_step": "Adam", "adamw_step": "AdamW"}


def _refuse_velocity(*, velocity: str, momentum: float | None, **others: Any) -> None:
    if velocity == "updates" and momentum is not None:
        raise Unsupported("torch's velocity sums gradients: velocity = 'gradients'")


def _refuse_epsilon(*, epsilon_at: str, correction: bool = True, **others: Any) -> None:
    if epsilon_at != "outside":
        raise Unsupported("torch adds epsilon to the root of the corrected mean: epsilon_at = 'outside'")
    if not correction:
        raise Unsupported("torch always corrects the means: correction = True")


@native("torch.optim.SGD", _refuse_velocity, differentiable=False)
def sgd_step(**arguments: Any) -> Outputs:
    """Return theta_next and, with momentum, u_next."""
    return _step("sgd_step", arguments)


@native("torch.optim.RMSprop", _refuse_epsilon, differentiable=False)
def rmsprop_step(**arguments: Any) -> Outputs:
    """Return theta_next, v_next and, centred, m_next."""
    return _step("rmsprop_step", arguments)


@native("torch.optim.Adam", _refuse_epsilon, differentiable=False)
def adam_step(**arguments: Any) -> Outputs:
    """Return theta_next, m_next and v_next."""
    return _step("adam_step", arguments)


@native("torch.optim.AdamW", _refuse_epsilon, differentiable=False)
def adamw_step(**arguments: Any) -> Outputs:
    """Return theta_next, m_next and v_next."""
    return _step("adamw_step", arguments)


def options_of(operation: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of torch's class."""
    options: dict[str, Any] = {"lr": attributes["learning_rate"]}
    if operation == "sgd_step":
        momentum = attributes["momentum"]
        # Torch takes a momentum of 0 for none, and has no nesterov then; the velocity is the gradient in both.
        return options if not momentum else {**options, "momentum": momentum, "nesterov": attributes["nesterov"]}
    options["eps"] = attributes["epsilon"]
    if operation == "rmsprop_step":
        return {**options, "alpha": attributes["decay"], "centered": attributes["centred"]}
    options["betas"] = (attributes["beta1"], attributes["beta2"])
    return {**options, "weight_decay": attributes["decay"]} if operation == "adamw_step" else options


def _step(operation: str, arguments: dict[str, Any]) -> Outputs:
    parameter = Parameter(arguments["theta"].detach().clone())
    parameter.grad = arguments["g"].detach().clone()
    optimizer: Optimizer = getattr(torch.optim, CLASSES[operation])([parameter], **options_of(operation, arguments))
    names = {k: name for k, name in STATES[operation].items() if arguments.get(k) is not None}
    state = optimizer.state[parameter]
    state.update({name: arguments[k].detach().clone() for k, name in names.items()})
    if operation != "sgd_step":  # the steps before this one
        state["step"] = torch.tensor(float(arguments.get("step", 1) - 1))
    optimizer.step()
    after: list[Tensor] = [state[name] for name in names.values()]
    if operation == "sgd_step" and arguments["momentum"] == 0:
        after = [parameter.grad]
    return (parameter.detach(), *after)


def _source(call: Call) -> Lines:
    """A parameter with its gradient and state, and one step of torch's optimizer."""
    operation, attributes = call.operation, call.attributes
    names = {k: name for k, name in STATES[operation].items() if k in call.inputs}
    options = ", ".join(f"{key}={value!r}" for key, value in options_of(operation, attributes).items())
    state = ", ".join(f"{name!r}: t[{k!r}].clone()" for k, name in names.items())
    if operation != "sgd_step":
        state = f"'step': torch.tensor({float(attributes.get('step', 1) - 1)}), {state}"
    after = ", ".join(f"s[{name!r}]" for name in names.values())
    if operation == "sgd_step" and attributes["momentum"] == 0:
        after = "p.grad"
    return Lines(
        [
            "p = torch.nn.Parameter(t['theta'].detach().clone())",
            "p.grad = t['g'].detach().clone()",
            f"o = torch.optim.{CLASSES[operation]}([p], {options})",
            "s = o.state[p]",
            f"s.update({{{state}}})",
            "o.step()",
            f"results = [p.detach(), {after}]",
        ]
    )


NATIVES: Final[Mapping[str, Native]] = {
    "sgd_step": sgd_step,
    "rmsprop_step": rmsprop_step,
    "adam_step": adam_step,
    "adamw_step": adamw_step,
}
SCRIPTS: Final[Mapping[str, Script]] = dict.fromkeys(NATIVES, _source)
