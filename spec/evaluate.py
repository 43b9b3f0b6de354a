"""The specification, executed as it stands: the literal equations, one sequence at a time.

This is the definition, not an implementation: slow, in float64 or complex128, and it shares no code with the reference
that it judges. The system of equations is read as recurrence relations and evaluated by memoised recursion, so that
the order of the lines does not matter and recurrences may run either way in time.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.call import Checked, check_call
from rnnspec.spec.errors import SpecError
from rnnspec.spec.language import STEP
from rnnspec.spec.operation import operation
from rnnspec.spec.system import System, system
from rnnspec.spec.vocabulary import VOCABULARY

Array = NDArray[Any]
Key = tuple[str, int | None]

_DEPTH = 40
"""Definitions followed at once; each takes several frames of Python's stack."""


def evaluate(name: str, inputs: Mapping[str, Array], attributes: Mapping[str, Any] | None = None) -> tuple[Array, ...]:
    """Outputs of an operation by its literal equations.

    Parameters
    ----------
    name
        The operation.
    inputs
        Float arrays (any float or complex type; computed in float64 or complex128), lengths, mask.
    attributes
        Those that differ from the default.

    Returns
    -------
    tuple of arrays
        The outputs in the specification's order, batch first.

    Raises
    ------
    CallError
        If the call breaks the specification.
    """
    literal = _Literal(name, inputs, attributes or {})
    return tuple(literal.outputs())


def evaluate_gradient(
    name: str,
    inputs: Mapping[str, Array],
    cotangents: tuple[Array, ...],
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """Gradient of every float input by the literal equations of the gradient, for one cotangent per output.

    The arguments are those of `evaluate`; `cotangents` have the outputs' shapes. Cotangents at padded steps have no
    effect, and the gradient there is 0.
    """
    literal = _Literal(name, inputs, attributes or {})
    return literal.gradients(cotangents)


class _Literal:
    """One batched call, taken apart into single sequences."""

    def __init__(self, name: str, inputs: Mapping[str, Array], attributes: Mapping[str, Any]) -> None:
        self.op = operation(name)
        self.checked: Checked = check_call(name, inputs, attributes)
        self.attributes = self.checked.attributes
        self.system = system(self.op, self.attributes)
        self.sizes = self.checked.sizes
        floats = {k: v for k, v in inputs.items() if v is not None and self.op.inputs[k].kind == "float"}
        self.dtype = np.result_type(np.float64, *(v for v in floats.values() if v.dtype.kind == "c"))
        self.inputs = {k: v.astype(self.dtype) for k, v in floats.items()}
        self.given = tuple(self.inputs)
        for key, item in self.op.inputs_for(self.attributes).items():
            if item.kind == "float" and key not in self.inputs:  # an optional initial state that is absent is zero
                self.inputs[key] = np.zeros([self.sizes[axis] for axis in item.shape], self.dtype)

    def outputs(self) -> list[Array]:
        results = [
            np.zeros([self.sizes[axis] for axis in output.shape], self.dtype) for output in self.op.outputs.values()
        ]
        for b in range(self.sizes["B"]):
            steps, values = self._sequence(b)
            evaluation = Evaluation(self.system, values, self._lengths(steps))
            for result, output in zip(results, self.op.outputs.values(), strict=True):
                if "T" in output.shape:
                    for t, step in enumerate(steps):
                        result[b, step] = evaluation.value(output.name, t)
                else:
                    result[b] = evaluation.value(output.name)
        return results

    def gradients(self, cotangents: tuple[Array, ...]) -> dict[str, Array]:
        results = {key: np.zeros(self.inputs[key].shape, self.dtype) for key in self.given}
        for b in range(self.sizes["B"]):
            steps, values = self._sequence(b)
            for output, cotangent in zip(self.op.outputs.values(), cotangents, strict=True):
                of_sequence = cotangent[b].astype(self.dtype)
                values[f"d{output.name}"] = of_sequence[steps] if "T" in output.shape else of_sequence
            evaluation = Evaluation(self.system, values, self._lengths(steps))
            for key, result in results.items():
                if "T" in self.op.inputs[key].shape:
                    for t, step in enumerate(steps):
                        result[b, step] = evaluation.value(f"d{key}", t)
                elif self.op.inputs[key].per_sequence:
                    result[b] = evaluation.value(f"d{key}")
                elif "G" in self.op.inputs[key].shape:
                    for index, gate in enumerate(self.system.gates):
                        result[index] += evaluation.value(f"d{key}_{gate}")
                else:
                    result += evaluation.value(f"d{key}")
        return results

    def _lengths(self, steps: list[int]) -> dict[str, int]:
        return {"n": len(steps)} if self.op.has_steps else {}

    def _sequence(self, b: int) -> tuple[list[int], dict[str, Array]]:
        """Return the valid steps of sequence b, and its inputs with all other steps taken out."""
        steps = [int(t) for t in np.flatnonzero(self.checked.valid[b])] if self.checked.valid is not None else []
        values = {}
        for key, array in self.inputs.items():
            item = self.op.inputs[key]
            if item.per_sequence:
                values[key] = array[b][steps] if "T" in item.shape else array[b]
            else:
                values[key] = array
                if "G" in item.shape:
                    values.update({f"{key}_{gate}": array[i] for i, gate in enumerate(self.system.gates)})
        return steps, values


class Evaluation:
    """Memoised evaluation of a system's quantities for one sequence.

    `values` are the given arrays by name, those of a sequence with its valid steps alone on the first axis; `sizes` are
    the numbers that equations may name, such as n.
    """

    def __init__(self, rules: System, values: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        self.system = rules
        self.given = values
        self.sizes = sizes
        self.known: dict[Key, Any] = {}
        self.path: list[Key] = []
        self.above: list[Key] = []

    def value(self, name: str, index: int | None = None) -> Any:
        """Value of ``name`` or ``name[index]``.

        A chain of definitions as long as the sequence does not fit on Python's stack: where one goes too deep, the
        quantity at its end is worked out first, and then the chain once more from its start.
        """
        self.above = []
        pending: list[tuple[Key, int]] = [((name, index), 0)]
        while True:
            key, depth = pending[-1]
            del self.above[depth:]
            try:
                result = self._value(*key)
            except _TooDeepError as deep:
                self.above.extend(deep.path)
                pending.append((deep.key, len(self.above)))
                continue
            pending.pop()
            if not pending:
                return result

    def _value(self, name: str, index: int | None = None) -> Any:
        key = (name, index)
        if key in self.known:
            return self.known[key]
        rules = self.system.rules.get(name, [])
        if not rules:
            return self._given(name, index)
        if key in self.path or key in self.above:
            chain = [*self.above, *self.path, key]
            cycle = " -> ".join(_text(*step) for step in chain[chain.index(key) :])
            raise SpecError(f"{self.system.name}: circular definition: {cycle}")
        length = self.sizes.get("n", 0)
        if index is not None and not -1 <= index <= length:
            raise SpecError(f"{self.system.name}: {_text(name, index)} lies outside the steps -1 .. {length}")
        if len(self.path) == _DEPTH:
            raise _TooDeepError(key, tuple(self.path))
        self.path.append(key)
        try:
            for rule in rules:
                if (rule.index is None) != (index is None):
                    raise SpecError(f"{self.system.name}: {rule.left} is used as {_text(name, index)}")
                if rule.index is None or rule.general or self._expression(rule.index, {}) == index:
                    self.known[key] = self._expression(rule.value, {} if index is None else {STEP: index})
                    return self.known[key]
        finally:
            self.path.pop()
        raise SpecError(f"{self.system.name}: no equation gives {_text(name, index)}")

    def _given(self, name: str, index: int | None) -> Any:
        if name not in self.given:
            raise SpecError(f"{self.system.name}: {_text(name, index)} is neither an input nor defined by an equation")
        array = self.given[name]
        if index is None:
            return array
        if not 0 <= index < len(array):
            raise SpecError(f"{self.system.name}: {_text(name, index)} lies outside the steps 0 .. {len(array) - 1}")
        return array[index]

    def _expression(self, node: ast.expr, bound: Mapping[str, int]) -> Any:
        """Value of an expression in which the names of `bound` (the step, a sum's index) have these values."""
        match node:
            case ast.Constant(value=number):
                return number
            case ast.Name(id=name):
                if name in bound:
                    return bound[name]
                return self.sizes[name] if name in self.sizes else self._value(name)
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return self._value(name, self._whole(index, bound))
            case ast.Attribute(value=value):
                return self._expression(value, bound).T
            case ast.UnaryOp(operand=operand):
                return -self._expression(operand, bound)
            case ast.BinOp(left=left, op=operator, right=right):
                return _OPERATE[type(operator)](self._expression(left, bound), self._expression(right, bound))
            case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=element, generators=[loop])]):
                assert isinstance(loop.iter, ast.Call)
                assert isinstance(loop.target, ast.Name)
                over, ends = loop.target.id, [self._whole(end, bound) for end in loop.iter.args]
                terms = (self._expression(element, {**bound, over: step}) for step in range(*ends))
                return sum(terms, start=np.float64(0))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return VOCABULARY[name](*(self._expression(argument, bound) for argument in arguments))
        raise AssertionError(f"the parser let through {ast.dump(node)}")

    def _whole(self, node: ast.expr, bound: Mapping[str, int]) -> int:
        """Value of an expression that counts steps."""
        number = self._expression(node, bound)
        if np.ndim(number) != 0 or number != int(np.real(number)):
            expected = f"expected a whole number, got {ast.unparse(node)} = {number}"
            raise SpecError(f"{self.system.name}: {expected}")
        return int(np.real(number))


class _TooDeepError(Exception):
    """The quantity `key` stands at the end of a `path` that is too long to follow at once."""

    def __init__(self, key: Key, path: tuple[Key, ...]) -> None:
        super().__init__(key)
        self.key = key
        self.path = path


_OPERATE: dict[type[ast.operator], Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.MatMult: np.matmul,
    ast.Pow: np.power,
}


def _text(name: str, index: int | None) -> str:
    return name if index is None else f"{name}[{index}]"
