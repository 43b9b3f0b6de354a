"""The public functions of the reference, with signatures and documentation from the specification.

Inputs are in the specification's order, after those that every call has; `lengths`, `mask` and attributes are given by
name. Each call is checked by the specification.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Any

from rnnspec.reference.call import Compute, answer
from rnnspec.reference.parts import of_cell
from rnnspec.reference.registry import COMPUTED
from rnnspec.spec import operations
from rnnspec.spec.arrays import Arrays, Vjp
from rnnspec.spec.composition import possible_inputs, possible_outputs, possible_sizes
from rnnspec.spec.operation import Attribute, Axes, Input, Operation, Output, When

Function = Callable[..., Any]

_BY_NAME = ("lengths", "mask")
_WIDTH = 100
_TYPES = {"float": "float", "ids": "int64", "lengths": "int64", "mask": "bool", "bits": "bool"}


def public_functions() -> dict[str, Function]:
    """Return the functions of every operation by name: its own and, if it has a gradient, the one with its vjp."""
    functions: dict[str, Function] = {}
    for name, op in operations().items():
        compute = COMPUTED[name] if name in COMPUTED else of_cell(name)
        functions |= {function.__name__: function for function in _functions(op, compute)}
    return functions


def signature(op: Operation) -> Signature:
    """Return the signature of an operation's functions."""
    items = possible_inputs(op)
    inputs = [name for name in items if name not in _BY_NAME]
    always = [name for name in inputs if not items[name].optional and not items[name].when]
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in always]
    parameters += [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in inputs if name not in always
    ]
    parameters += [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in _BY_NAME if name in items]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=item.default) for name, item in op.attributes.items()
    ]
    return Signature(parameters)


def _functions(op: Operation, compute: Compute) -> Iterator[Function]:
    name, own, known = op.name, signature(op), frozenset(op.attributes)
    in_order = tuple(key for key, item in own.parameters.items() if item.kind is Parameter.POSITIONAL_OR_KEYWORD)

    def bound(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if len(args) > len(in_order):
            raise TypeError(f"{name}: expected at most {len(in_order)} inputs without a name, got {len(args)}")
        inputs, attributes = dict(zip(in_order, args, strict=False)), {}
        for key, value in named.items():
            if key in known:
                attributes[key] = value
            elif key in inputs:
                raise TypeError(f"{name}: {key}: expected once, got by its place and by its name")
            else:
                inputs[key] = value
        return inputs, attributes

    def forward(*args: Any, **named: Any) -> Arrays:
        return answer(name, compute, *bound(args, named), record=False)[0]

    def with_vjp(*args: Any, **named: Any) -> tuple[Arrays, Vjp]:
        return answer(name, compute, *bound(args, named))

    yield _named(forward, name, own, _documentation(op, own))
    if op.differentiable:
        yield _named(with_vjp, f"{name}_vjp", own, _documentation_of_vjp(op, own))


def _named(function: Function, name: str, own: Signature, documentation: str) -> Function:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "rnnspec.reference"
    function.__signature__ = own  # type: ignore[attr-defined]  # for `inspect.signature` and `help`
    function.__doc__ = documentation
    return function


def _documentation(op: Operation, own: Signature) -> str:
    inputs = possible_inputs(op)
    sizes = "; ".join(f"{size}, {about}" for size, about in possible_sizes(op).items())
    floats = any(item.kind == "float" for item in inputs.values())
    lines = [f"{op.title}.", "", *_wrapped(op.summary), "", *_wrapped(f"Sizes: {sizes}.")]
    lines += ["", *_wrapped(_ONE_TYPE)] if floats else []
    lines += ["", *_wrapped(_STEPS)] if op.has_steps else []
    lines += _section("Parameters")
    for name in own.parameters:
        lines += _input(op, inputs[name]) if name in inputs else _attribute(op, op.attributes[name])
    lines += _section("Returns")
    for output in possible_outputs(op).values():
        lines += _output(op, output)
    lines += _section("Raises")
    lines += _entry("rnnspec.spec.CallError", "If the call is not as above; the message says what was expected.")
    lines += _section("References") if op.sources else []
    return "\n".join([*lines, *(line for source in op.sources for line in _wrapped(f"{source}."))])


def _documentation_of_vjp(op: Operation, own: Signature) -> str:
    outputs = [f"d{output.name}" for output in possible_outputs(op).values() if output.kind == "float"]
    text = (
        f"``vjp({', '.join(outputs)})`` takes a cotangent for each float output of the call, and returns the gradient "
        "of every given float input, by name. The inputs must not change before it is called; it may be called again."
    )
    lines = [f"Return the outputs of `{op.name}` and its vector-Jacobian product.", "", *_wrapped(text)]
    lines += [*_section("Parameters"), *_entry(", ".join(own.parameters), f"Arguments of `{op.name}`.")]
    lines += [*_section("Returns"), *_entry("outputs, vjp", f"The outputs of `{op.name}`, and the function above.")]
    return "\n".join(lines)


_ONE_TYPE = (
    "All float arrays of a call have one type: float16, bfloat16, float32 or float64; the first two are computed in "
    "float32 and rounded once, at the end."
)
_STEPS = (
    "A step that lengths or mask take out does not count: outputs with steps are 0 at it, and its numbers, even NaN, "
    "change nothing and have gradient 0."
)


def _section(title: str) -> list[str]:
    return ["", title, "-" * len(title)]


def _entry(head: str, text: str) -> list[str]:
    return [*_wrapped(head), *textwrap.indent("\n".join(_wrapped(text, _WIDTH - 4)), "    ").splitlines()]


def _input(op: Operation, item: Input) -> list[str]:
    absent = ", optional" if item.optional or item.when else ""
    return _entry(f"{item.name} : {_TYPES[item.kind]} {_axes(item.shape)}{absent}", _sentence(op, item))


def _attribute(op: Operation, item: Attribute) -> list[str]:
    return _entry(item.name, f"{_sentence(op, item)} Expected {item.expected()}.")


def _output(op: Operation, item: Output) -> list[str]:
    return _entry(f"{item.name} : {_TYPES[item.kind]} {_axes(item.shape)}", _sentence(op, item))


def _axes(shape: Axes) -> str:
    return f"({', '.join(shape)}{',' if len(shape) == 1 else ''})"


def _sentence(op: Operation, item: Input | Attribute | Output) -> str:
    """Sentence about an item: its meaning, its other shapes, and the condition under which a call has it."""
    shapes = () if isinstance(item, Attribute) else item.shapes
    others = "".join(f"; ``{_axes(shape)}`` with {_settings(op, when)}" for when, shape in shapes)
    condition = _settings(op, item.when)
    return f"{item.about[:1].upper()}{item.about[1:]}{others}{f'; with {condition} only' if condition else ''}."


def _settings(op: Operation, when: When) -> str:
    """A condition in words, without parts that hold for every value of their attribute."""
    parts = []
    for name, wanted in when.items():
        values = wanted if isinstance(wanted, list | tuple) else (wanted,)
        if set(values) != set(op.attributes[name].values):
            words = ("a number" if value == "number" else str(value) for value in values)
            parts.append(f"{name} = {' or '.join(words)}")
    return ", ".join(parts)


def _wrapped(text: str, width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
