"""Faults of optimizers that no equation says: what is remembered of one parameter is used for another."""

# ruff: noqa: D102  (a fault's class says what is wrong; its methods are the operations)
from __future__ import annotations

from typing import Any

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, with_inputs
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array


@plant("sgd_step", "rmsprop_step", "adam_step", "adamw_step")
class StateSharedBetweenParameters(Altered):
    """The state is kept in one place for all parameters of a size: each finds what the last one left."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._left: dict[Any, Array] = {}

    def altered(self, call: Call) -> Call:
        found = {key: self._left[kind] for key in _states(call) if (kind := _kind(call, key)) in self._left}
        return with_inputs(call, **found)

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        names = tuple(call.spec.outputs_for(call.attributes))
        after = dict(zip(names, outputs, strict=True))
        self._left |= {_kind(call, key): after[f"{key}_next"] for key in _states(call)}
        return outputs


def _states(call: Call) -> list[str]:
    return [key for key in ("u", "m", "v") if key in call.inputs]


def _kind(call: Call, key: str) -> Any:
    """The key by which parameters share a state: its name, size and type, and the attributes."""
    array = call.inputs[key]
    return key, array.shape, array.dtype, call.attributes.get("centred")
