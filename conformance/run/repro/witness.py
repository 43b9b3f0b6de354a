"""The calls that a check made of a backend on an example, and their results: the evidence of a violation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.conformance.hosting.guard import Guarded
from rnnspec.spec.arrays import Array


@dataclass
class Ask:
    """One request to a backend: for outputs or, with cotangents, for gradients.

    `given` is the call as the check made it; `call` has copies of its inputs, which the backend cannot overwrite.
    `came` is what the backend gave, outputs or gradients by name; `result` is a copy of it; None if nothing came.
    """

    given: Call
    call: Call
    cotangents: Cotangents | None = None
    wanted: tuple[str, ...] = ()
    directions: Mapping[str, Array] = field(default_factory=dict)
    came: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None

    def answer(self, came: Mapping[str, Any]) -> None:
        """Keep what came."""
        self.came, self.result = came, {name: _copied(result) for name, result in came.items()}


class Witness(Guarded):
    """Passes calls on as `Guarded` does, and remembers them."""

    name = "witness"

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.asks: list[Ask] = []

    def forget(self) -> None:
        """Begin anew: another example is examined."""
        self.asks = []

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        ask = self._ask(call)
        outputs = super().run(call)
        ask.answer(dict(zip(_names(call, len(outputs)), outputs, strict=True)))
        return outputs

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Gradients of the call."""
        ask = self._ask(call)
        ask.cotangents, ask.wanted = tuple(cotangents), tuple(call.float_inputs if wanted is None else wanted)
        gradients = super().gradients(call, cotangents, wanted)
        ask.answer({f"d{name}": gradient for name, gradient in gradients.items()})
        return gradients

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> dict[str, Array]:
        """Second-order gradients of the call."""
        ask = self._ask(call)
        ask.cotangents, ask.wanted, ask.directions = tuple(cotangents), tuple(call.float_inputs), dict(directions)
        gradients = super().second_order(call, cotangents, directions)
        ask.answer({f"d{name}": gradient for name, gradient in gradients.items()})
        return gradients

    def _ask(self, call: Call) -> Ask:
        inputs = {name: _copied(array) for name, array in call.inputs.items()}
        self.asks.append(Ask(call, Call(call.operation, inputs, call.attributes)))
        return self.asks[-1]


def _names(call: Call, count: int) -> list[str]:
    """Names for so many outputs, whatever the call."""
    try:
        specified = [*call.spec.outputs_for(call.attributes)]
    except Exception:  # there is no such call
        specified = []
    return [*specified, *(f"output {number}" for number in range(len(specified), count))][:count]


def _copied(value: Any) -> Any:
    return value.copy(order="K") if isinstance(value, np.ndarray) else value
