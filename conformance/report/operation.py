"""An operation in words: the parts of a description that the terminal and the documentation site share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rnnspec.spec import Operation, resolved, system
from rnnspec.spec.language import Equation
from rnnspec.spec.latex import typesetter
from rnnspec.spec.printing import needed, reading_order
from rnnspec.spec.system import System

ARRAY_TYPES: Final = {"float": "float", "ids": "int64", "lengths": "int64", "mask": "bool", "bits": "bool"}
"""The type of an array of each kind."""

BATCHES: Final = (
    "Sequences are padded to T steps. A step that lengths or mask take out is not there:{state} outputs that have "
    "steps are 0 at it, and its content, NaN included, changes nothing and has gradient 0."
)
"""The treatment of padding."""


def of_what(op: Operation) -> str:
    """Say what an operation's equations are of, and how its steps are counted."""
    if op.over_batch:
        return "of the whole batch; valid[b, t] says whether step t of sequence b is valid"
    if op.has_steps:
        return "of one sequence of the batch with n valid steps, t = 0 … n - 1"
    return "of one sequence of the batch" if "B" in op.sizes else "of whole arrays"


def sizes_in_words(op: Operation, attributes: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each size with its meaning and its origin."""
    gates = op.gates_for(attributes)
    same = op.same_sizes_for(attributes)
    shapes = [item.shape for item in op.inputs_for(attributes).values()]
    shapes += [item.shape for item in op.outputs_for(attributes).values()]
    used = {axis for shape in shapes for axis in shape} | {"n"}
    used |= {name for text in same.values() for name in op.sizes if name in text.replace("(", " ").split()}
    for symbol, about in op.sizes.items():
        if symbol == "G" and gates:
            count = f"{len(gates)} gate{'s' if len(gates) > 1 else ''}"
            yield symbol, f"{count}, in this order on the axis: {', '.join(gates)}"
        elif symbol in used and symbol != "G":
            yield symbol, f"{about}; {symbol} = {same[symbol]}" if symbol in same else about


def equations_of(op: Operation, chosen: System) -> tuple[tuple[Equation, ...], tuple[Equation, ...]]:
    """The equations in reading order; of an operation without a gradient, those of a gradient that its outputs use."""
    gradient = chosen.gradient
    if not op.differentiable:
        every = needed((*chosen.forward, *gradient), op.outputs)
        gradient = tuple(equation for equation in gradient if equation in every)
    return reading_order(chosen.forward, gradient, chosen.sizes), reading_order(gradient, chosen.forward, chosen.sizes)


def typeset(op: Operation, attributes: Mapping[str, Any], equations: tuple[Equation, ...]) -> str:
    """Typeset equations of an operation as a LaTeX ``align*`` environment."""
    line = typesetter(resolved(op, attributes), attributes, system(op, attributes)).equation
    return "\n".join(("\\begin{align*}", " \\\\\n".join(map(line, equations)), "\\end{align*}"))


def shape_text(axes: tuple[str, ...]) -> str:
    """Format a shape as Python does."""
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
