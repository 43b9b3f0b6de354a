"""Faults of the order of the gates: W, R and b are read with the gates in every order but the right one."""

from __future__ import annotations

from itertools import permutations

from rnnspec.conformance.edits.changing import with_gates
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.fault import Fault
from rnnspec.spec import operation

LIBRARIES = {"iofg": "ONNX", "igfo": "Haiku", "figo": "OpenVINO", "zrn": "Keras and ONNX"}
"""Whose order of the gates it is."""


def gates_in_order(layer: str, order: tuple[str, ...]) -> Fault:
    """The fault of reading W, R and b with the gates in this order."""
    whose = f", as in {LIBRARIES[''.join(order)]}" if "".join(order) in LIBRARIES else ""
    return Fault(
        f"{layer}-gates-in-order-{'-'.join(order)}",
        layer,
        f"W, R and b are read with the gates in the order {', '.join(order)}{whose}.",
        backend_of(with_gates(operation(layer), order)),
    )


FAULTS: tuple[Fault, ...] = tuple(
    gates_in_order(layer, order)
    for layer in ("lstm", "gru")
    for order in permutations(operation(layer).gates)
    if order != operation(layer).gates
)
