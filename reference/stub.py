"""The types of the public functions, for editors and mypy: ``python -m rnnspec.reference.stub`` writes `__init__.pyi`.

The package makes the functions when it is imported, where no type checker sees them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from inspect import Parameter
from pathlib import Path

from rnnspec.reference.public import signature
from rnnspec.spec import Operation, operations
from rnnspec.spec.composition import possible_inputs, possible_outputs
from rnnspec.spec.operation import WHOLE, Attribute

FILE = Path(__file__).with_name("__init__.pyi")

_HEAD = '''\
"""Types of the public functions, made of the specification by ``python -m rnnspec.reference.stub``."""

# fmt: off

from typing import Literal

from rnnspec.spec.arrays import Array, Vjp
'''
_WIDTH = 120


def stub() -> str:
    """Return the text of the stub."""
    functions = [line for op in operations().values() for line in _functions(op)]
    return _HEAD + "\n" + "\n".join(functions) + "\n"


def _functions(op: Operation) -> Iterator[str]:
    outputs = possible_outputs(op).values()
    always = all(not output.when for output in outputs)
    returned = f"tuple[{', '.join('Array' for _ in outputs)}]" if always else "tuple[Array, ...]"
    parameters = ", ".join(_parameters(op))
    for name, result in ((op.name, returned), (f"{op.name}_vjp", f"tuple[{returned}, Vjp]")):
        if name == op.name or op.differentiable:
            whole = f"def {name}({parameters}) -> {result}: ..."
            if len(whole) <= _WIDTH:
                yield whole
            else:
                yield f"def {name}("
                yield textwrap.fill(f"{parameters},", _WIDTH, initial_indent="    ", subsequent_indent="    ")
                yield f") -> {result}: ..."


def _parameters(op: Operation) -> Iterator[str]:
    inputs, by_name = possible_inputs(op), False
    for name, parameter in signature(op).parameters.items():
        if parameter.kind is Parameter.KEYWORD_ONLY and not by_name:
            by_name = True
            yield "*"
        if name not in inputs:
            yield f"{name}: {_type(op.attributes[name])} = {parameter.default!r}".replace("'", '"')
        elif parameter.default is None:
            yield f"{name}: Array | None = None"
        else:
            yield f"{name}: Array"


def _type(attribute: Attribute) -> str:
    if attribute.domain:
        number = "int" if attribute.domain in WHOLE else "float"
        return f"{number} | None" if attribute.default is None else number
    if all(isinstance(value, bool) for value in attribute.values):
        return "bool"
    one = "str" if attribute.others else f"Literal[{', '.join(map(repr, attribute.values))}]"
    return f"tuple[{', '.join([one] * len(attribute.functions))}]" if attribute.is_tuple else one


if __name__ == "__main__":
    FILE.write_text(stub(), encoding="utf-8")
