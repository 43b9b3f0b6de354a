"""Value regimes: what kinds of numbers a call is filled with.

Values are generic by default (distinct, signed, with initial states that are not zero); constant weights and zero
states hide most faults. The other regimes go where implementations are known to break.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec import Operation
from rnnspec.spec.operation import Input

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Regime:
    """Scales of the inputs, states, matrices (on top of 1/√fan-in; `recurrent` for those of the state) and biases.

    Of probabilities the scales say nothing: where they are `nearly_certain`, they come close to 0 and 1.
    """

    about: str
    inputs: float = 1.0
    states: float = 0.7
    matrices: float = 1.0
    recurrent: float = 1.0
    biases: float = 0.5
    remembers: bool = False
    own_scales: bool = False
    whole: bool = False
    forbids: bool = False
    empties: bool = False
    nearly_certain: bool = False


REGIMES: Final[Mapping[str, Regime]] = {
    "generic": Regime("of order 1, all distinct"),
    "scaled": Regime("each array at a scale of its own, from 0.03 to 5", own_scales=True),
    "integers": Regime("small whole numbers, exact in every type", whole=True),
    "tiny": Regime(
        "near the smallest numbers of the type", 2.0**-6, 2.0**-6, 2.0**-5, 2.0**-5, 2.0**-6, nearly_certain=True
    ),
    "saturating": Regime(
        "gates at 0 and 1", inputs=3.0, states=2.0, matrices=6.0, recurrent=4.0, biases=4.0, nearly_certain=True
    ),
    "overflowing": Regime("gates' arguments whose exponential overflows", biases=150.0),
    "long_memory": Regime("the gate that keeps the state is open", recurrent=0.3, biases=0.2, remembers=True),
    "forbidding": Regime("minus infinity where it is legal", forbids=True),
    "zeros": Regime("half of all vectors of inputs and states are zero", empties=True),
    "chaotic": Regime("recurrent weights that amplify every difference", matrices=0.5, recurrent=4.0, biases=0.1),
}


def fill(
    name: str,
    op: Operation,
    item: Input,
    shape: tuple[int, ...],
    attributes: Mapping[str, Any],
    rng: np.random.Generator,
) -> Numbers:
    """Numbers for one input of an operation in a regime, float64; the caller rounds them to the type."""
    regime = REGIMES[name]
    if item.domain == "probability":
        return _probabilities(regime, shape, rng)
    if regime.whole:
        return rng.integers(-2, 3, shape).astype(np.float64)
    numbers = rng.normal(size=shape)
    axes = [axis for axis in item.shape if axis != "G"]
    if item.per_sequence:
        scale = regime.inputs if "T" in item.shape or item.name == "x" else regime.states
        if name == "overflowing" and "b" not in op.inputs:
            scale = regime.biases
    elif len(axes) >= 2:
        gain = regime.recurrent if axes[1] != "D" else regime.matrices
        # relu does not squash: a recurrence that amplifies would leave every type's range within a few steps.
        gain = min(gain, 0.5) if "relu" in functions_of(op, attributes) else gain
        scale = gain / max(shape[-1], 1) ** 0.5
    else:
        scale = min(regime.biases, 0.5) if "relu" in functions_of(op, attributes) else regime.biases
    if regime.own_scales:
        scale *= float(np.exp(rng.uniform(np.log(0.03), np.log(5.0))))
    numbers *= scale
    if regime.remembers and item.name == "b" and op.memory_gate:
        _open_memory(np.moveaxis(numbers, item.shape.index("G"), 0), op, attributes)
    if regime.empties and (item.per_sequence or "B" not in op.sizes):
        numbers[rng.random(shape[:-1]) < 0.5] = 0
    if regime.forbids and item.domain == "forbidding":
        numbers[rng.random(shape) < 0.25] = -np.inf
    return numbers


def _probabilities(regime: Regime, shape: tuple[int, ...], rng: np.random.Generator) -> Numbers:
    """Naive logarithms break at the ends of the range, which are legal; ones that are kept from 0 err close to it."""
    if regime.whole:
        return rng.integers(0, 2, shape).astype(np.float64)
    if not regime.nearly_certain:
        return rng.random(shape)
    rare = np.exp(-rng.uniform(0, rng.uniform(7, 40), shape))
    # Closer to 1, every type but float64 would round to 1, and the loss be infinite.
    return np.where(rng.random(shape) < 0.5, rare, 1 - np.maximum(rare, np.exp(-7)))


def functions_of(op: Operation, attributes: Mapping[str, Any]) -> set[str]:
    """Names of the functions that the attributes choose, such as the activations."""
    chosen: set[str] = set()
    for name, attribute in op.attributes.items():
        if attribute.functions:
            value = attributes[name]
            chosen.update(value if attribute.is_tuple else (value,))
    return chosen


def _open_memory(bias: Numbers, op: Operation, attributes: Mapping[str, Any]) -> None:
    """Shift the bias of the gate that keeps the state so that the state is kept."""
    gates = op.gates_for(attributes)
    if op.memory_gate in gates:
        closing = attributes.get("update") == "admits"
        bias[gates.index(op.memory_gate)] += -4.0 if closing else 4.0
    else:  # coupled: the memory is kept where the input gate is closed
        bias[0] -= 4.0
