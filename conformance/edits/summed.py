"""Edits of the sums over steps that are the gradients of a layer's parameters.

A layer that unrolls a cell has no lines for them: they are made of the cell's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from rnnspec.conformance.edits.single import Edit
from rnnspec.spec import Operation, system
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Block

_STEPS: Final = "range(n)"
_OTHERS: Final = ("range(n - 1)", "range(1, n)", "range(n - 1, n)")
"""All steps but the last, all but the first, and the last alone."""

_BEFORE: Final = re.compile(r"_prev\b")
"""The end of the name of a state before a step; without it, the name is that of the state after the step."""


def summed_edits(op: Operation, given: Mapping[str, Any]) -> Iterator[Edit]:
    """Yield edits of the gradients of parameters, of all gates at once.

    Other steps have a part in one, or the states after the steps stand for those before.

    Parameters
    ----------
    op
        The operation.
    given
        A complete set of its attributes.
    """
    inputs = op.inputs_for(given)
    sums: dict[str, list[Equation]] = {}
    for equation in system(op, given).gradient:
        if _is_sum_over_steps(equation.value) and (name := _parameter(equation.target, inputs)):
            sums.setdefault(name, []).append(equation)
    for own in sums.values():
        texts = [ast.unparse(equation.value) for equation in own]
        changed = [[f"{a}{other}{b}" for a, _, b in (text.rpartition(_STEPS) for text in texts)] for other in _OTHERS]
        changed.append([_BEFORE.sub("", text) for text in texts])
        for new in changed:
            if new != texts:
                lines = [f"{equation.left} = {text}" for equation, text in zip(own, new, strict=True)]
                blocks = tuple(Block(line, "a gradient's sum") for line in lines)
                yield Edit(lines[0], op, "gradients", blocks, (), f"{own[0].left} = {texts[0]}")


def _is_sum_over_steps(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(generators=[ast.comprehension(iter=steps)])]):
            return ast.unparse(steps) == _STEPS
    return False


def _parameter(target: str, inputs: Collection[str]) -> str:
    """The input of which a quantity is the gradient, or that of one of its gates; empty where it is none."""
    name = target.removeprefix("d")
    return next((one for one in (name, name.rpartition("_")[0]) if one in inputs), "")
