"""The place of one element of a result: whether it stands in the padding, or in an empty sequence."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.backends import Call
from rnnspec.spec import CallError, check_call


def whereabouts(call: Call, quantity: str, index: Sequence[int]) -> str:
    """As a message goes on after an element's place: ", in the padding (length 3)", or nothing.

    A quantity is an output's name, or an input's with a d before it; of a parameter there is nothing to know.
    """
    kinds = {f"d{name}": item.shape for name, item in call.spec.inputs_for(call.attributes).items()}
    kinds |= {name: item.shape for name, item in call.spec.outputs_for(call.attributes).items()}
    shape = kinds.get(quantity, ())
    if shape[:1] != ("B",) or len(shape) != len(index):
        return ""
    try:
        valid = check_call(call.operation, call.inputs, call.attributes).valid
    except CallError:
        return ""
    if valid is None or index[0] >= len(valid):
        return ""
    steps = valid[index[0]]
    if not steps.any():
        return ", of a sequence of length 0"
    place = next((index[axis] for axis, size in enumerate(shape) if size in ("T", "T_all")), None)
    if place is not None and not steps[place]:
        length = f" (length {steps.sum()})" if "lengths" in call.inputs else ""
        return f", in the padding{length}"
    return ""
