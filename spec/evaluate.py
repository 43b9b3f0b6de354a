"""Literal evaluation of the specification's equations, one sequence at a time.

This is the definition, not an implementation. It is slow, computes in float64 or complex128, and shares no code with
the reference that it judges. The equations are recurrence relations, evaluated by memoised recursion. The order of the
lines therefore does not matter, and recurrences may run in either direction of time.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from rnnspec.spec.arrays import Array
from rnnspec.spec.call import Checked, check_call
from rnnspec.spec.composition import resolved
from rnnspec.spec.errors import SpecError
from rnnspec.spec.language import Equation, gradient_of, indices_of
from rnnspec.spec.loading import operation
from rnnspec.spec.operation import Input, Operation
from rnnspec.spec.system import System, system
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

Key = tuple[str, tuple[int, ...]]

_DEPTH = 40
"""Most nested definitions at once; each takes several frames of Python's stack."""


def evaluate(name: str, inputs: Mapping[str, Array], attributes: Mapping[str, Any] | None = None) -> tuple[Array, ...]:
    """Return the outputs of an operation by its literal equations.

    Parameters
    ----------
    name
        Name of the operation.
    inputs
        Float arrays (any float or complex type; computed in float64 or complex128), lengths, mask.
    attributes
        Attributes that differ from their defaults.

    Returns
    -------
    tuple of arrays
        The outputs in the specification's order, batch first.

    Raises
    ------
    CallError
        If the call breaks the specification.
    """
    return tuple(LiteralCall(operation(name), inputs, attributes or {}).outputs())


def evaluate_gradient(
    name: str,
    inputs: Mapping[str, Array],
    cotangents: tuple[Array, ...],
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """Return the gradient of every float input by the gradient's literal equations, for one cotangent per output.

    The arguments are those of `evaluate`; `cotangents` have the outputs' shapes. Cotangents at padded steps have no
    effect, and gradients there are 0. Raises SpecError if the operation has no equations for its gradient.
    """
    return LiteralCall(operation(name), inputs, attributes or {}).gradients(cotangents)


class LiteralCall:
    """One batched call, split into single sequences unless its equations are those of the whole batch.

    Parameters
    ----------
    op
        The operation, or one that differs from it only in its equations.
    inputs, attributes
        Arguments of `evaluate`.
    taken
        Values of attributes in the equations, which override the call's.

    Raises
    ------
    CallError
        If the call breaks the specification.
    """

    def __init__(
        self,
        op: Operation,
        inputs: Mapping[str, Array],
        attributes: Mapping[str, Any],
        taken: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.checked: Checked = check_call(op.name, inputs, attributes)
        self.attributes = self.checked.attributes
        self.op = resolved(op, self.attributes)
        self.system = system(self.op, {**self.attributes, **taken})
        self.sizes = self.checked.sizes
        self.items = self.op.inputs_for(self.attributes)
        self.results = self.op.outputs_for(self.attributes)
        present = {k: v for k, v in inputs.items() if v is not None}
        floats = {k: v for k, v in present.items() if self.items[k].kind == "float"}
        self.dtype = np.result_type(np.float64, *(v for v in floats.values() if v.dtype.kind == "c"))
        self.inputs = {k: v.astype(self.dtype) for k, v in floats.items()}
        self.given = tuple(self.inputs)
        self.inputs |= {k: v for k, v in present.items() if self.items[k].kind in ("ids", "bits")}
        for key, item in self.items.items():
            if item.kind == "float" and key not in self.inputs:  # an optional input that is absent is zero
                self.inputs[key] = np.zeros(self._shape(item.shape), self.dtype)

    @property
    def sequences(self) -> range:
        """The sequences that are evaluated one by one; of an operation on whole batches, it is the batch."""
        return range(1 if self.op.over_batch or not self._batched() else self.sizes["B"])

    def evaluation(self, values: Mapping[str, Array], sizes: Mapping[str, int]) -> Evaluation:
        """Return the evaluation of one sequence's quantities."""
        return Evaluation(self.system, values, sizes)

    def outputs(self) -> list[Array]:
        """Return the outputs of the call, like `evaluate`."""
        arrays = [
            np.zeros(self._shape(item.shape), np.int64 if item.kind == "ids" else self.dtype)
            for item in self.results.values()
        ]
        for b in self.sequences:
            evaluation = self.evaluation(self._values(b), self._sizes(b))
            for array, item in zip(arrays, self.results.values(), strict=True):
                self._gather(evaluation, item.name, item.shape, array, b)
        return arrays

    def gradients(self, cotangents: tuple[Array, ...]) -> dict[str, Array]:
        """Return the gradients of the call's float inputs, like `evaluate_gradient`."""
        if not self.op.gradient:
            raise SpecError(f"{self.op.name} has no equations for its gradient")
        found = {key: np.zeros(self.inputs[key].shape, self.dtype) for key in self.given}
        outputs = [item for item in self.results.values() if item.kind == "float"]
        cotangents = tuple(cotangent.astype(self.dtype) for cotangent in cotangents)
        for b in self.sequences:
            values = self._values(b)
            for output, cotangent in zip(outputs, cotangents, strict=True):
                values[gradient_of(output.name)] = self._of_sequence(cotangent, output.shape, b)
            evaluation = self.evaluation(values, self._sizes(b))
            for key, array in found.items():
                item = self.items[key]
                sliced = dict.fromkeys(item.rows, 0) or dict.fromkeys(self.system.gates if "G" in item.shape else ())
                if not sliced:
                    self._gather(evaluation, gradient_of(key), item.shape, array, b)
                axis = _row_axis(item) if sliced else 0
                for place, name in enumerate(sliced):
                    shape = (*item.shape[:axis], *item.shape[axis + 1 :])
                    one: tuple[Any, ...] = (*(slice(None),) * axis, place, ...)
                    self._gather(evaluation, gradient_of(f"{key}_{name}"), shape, array[one], b)
        return found

    def _batched(self) -> bool:
        return any(item.per_sequence for item in self.items.values())

    def _shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(int(axis) if axis.isdigit() else self.sizes[axis] for axis in axes)

    def _steps(self, b: int) -> list[int]:
        return [int(t) for t in np.flatnonzero(self.checked.valid[b])] if self.checked.valid is not None else []

    def _sizes(self, b: int) -> dict[str, int]:
        steps = {"n": len(self._steps(b))} if self.op.has_steps and not self.op.over_batch else {}
        return {**self.sizes, **steps}

    def _of_sequence(self, array: Array, shape: tuple[str, ...], b: int) -> Array:
        """Return sequence b of an array, at its valid steps only; parameters are unchanged."""
        if self.op.over_batch or shape[:1] != ("B",):
            return array
        if "T" in shape and self.op.has_steps:
            return np.asarray(array[b].take(self._steps(b), axis=shape.index("T") - 1))
        return np.asarray(array[b])

    def _values(self, b: int) -> dict[str, Array]:
        """Return the inputs of sequence b under the names that equations use."""
        values: dict[str, Array] = {}
        for key, array in self.inputs.items():
            item = self.items[key]
            values[key] = self._of_sequence(array, item.shape, b)
            if item.rows:
                axis = _row_axis(item)
                values.update({f"{key}_{row}": array.take(i, axis=axis) for i, row in enumerate(item.rows)})
            elif "G" in item.shape:
                axis = _row_axis(item)
                values.update({f"{key}_{g}": array.take(i, axis=axis) for i, g in enumerate(self.system.gates)})
        if self.checked.valid is not None:
            values["valid"] = self.checked.valid if self.op.over_batch else self.checked.valid[b]
            values["all_valid"] = self.checked.valid
        return values

    def _gather(self, evaluation: Evaluation, name: str, shape: tuple[str, ...], array: Array, b: int) -> None:
        """Evaluate a quantity at all its indices; write it to its array, or add it if sequences share the array."""
        indices = evaluation.count(name)
        own = shape[:1] == ("B",) and not self.op.over_batch
        axes = shape[1:] if own else shape
        ranges = [
            self._steps(b) if axis == "T" and self.op.has_steps and own else range(length)
            for axis, length in zip(axes[:indices], self._shape(axes[:indices]), strict=True)
        ]
        for place in itertools.product(*map(enumerate, ranges)):
            value = evaluation.value(name, *(rank for rank, _ in place))
            at = tuple(step for _, step in place)
            rest = axes[indices:]
            if own and "T" in rest and self.op.has_steps:
                spots: tuple[Any, ...] = (*(slice(None),) * rest.index("T"), self._steps(b))
                array[(b, *at)][spots] = value
            elif own:
                array[(b, *at)] = value
            elif self.op.over_batch or not self._batched():
                array[at] = value
            else:
                array[at] += value


def _row_axis(item: Input) -> int:
    """Return the axis whose entries have names: the gates, or the named rows.

    The axes of an operation around this one stand in front, and may have as many entries: two directions, two rows.
    """
    return len(item.shape) - 1 - item.shape[::-1].index(str(len(item.rows)) if item.rows else "G")


class Evaluation:
    """Memoised evaluation of a system's quantities for one sequence.

    `values` are the given arrays by name; those with steps have only the valid ones, on the first axis. `sizes` are the
    numbers that equations may name, such as n.
    """

    def __init__(self, rules: System, values: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        self.system = rules
        self.given = values
        self.sizes = sizes
        self.known: dict[Key, Any] = {}
        self.path: list[Key] = []
        self.above: list[Key] = []

    def count(self, name: str) -> int:
        """Return how many indices the equations give a name."""
        rules = self.system.rules.get(name, [])
        return len(rules[0].indices) if rules else 0

    def rule_of(self, name: str, index: tuple[int, ...]) -> Equation:
        """Return the equation that gives ``name[index]``."""
        rules = (rule for rule in self.system.rules.get(name, []) if len(rule.indices) == len(index))
        found = next((rule for rule in rules if self._match(rule, index) is not None), None)
        if found is None:
            raise SpecError(f"{self.system.name}: no equation gives {_text(name, index)}")
        return found

    def value(self, name: str, *index: int) -> Any:
        """Return the value of ``name`` or ``name[index]``; raise SpecError if no equation gives it.

        Python's stack does not hold a chain of definitions as long as the sequence. If a chain is too deep, the
        quantity at its end is evaluated first, and then the chain once more from its start.
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

    def _value(self, name: str, index: tuple[int, ...]) -> Any:
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
        last = max(self.sizes.values(), default=0)
        if any(not -1 <= one <= last for one in index):
            raise SpecError(f"{self.system.name}: {_text(name, index)} lies outside the places -1 .. {last}")
        if len(self.path) == _DEPTH:
            raise _TooDeepError(key, tuple(self.path))
        self.path.append(key)
        try:
            for rule in rules:
                if len(rule.indices) != len(index):
                    raise SpecError(f"{self.system.name}: {rule.left} is used as {_text(name, index)}")
                bound = self._match(rule, index)
                if bound is not None:
                    self.known[key] = self._expression(rule.value, bound)
                    return self.known[key]
        finally:
            self.path.pop()
        raise SpecError(f"{self.system.name}: no equation gives {_text(name, index)}")

    def _match(self, rule: Equation, index: tuple[int, ...]) -> dict[str, int] | None:
        """Return the letters' values if the rule holds at this index, else None."""
        bound: dict[str, int] = {}
        letters = rule.letters(self.system.sizes)
        for letter, one in zip(letters, index, strict=True):
            if letter is not None and bound.setdefault(letter, one) != one:
                return None
        for letter, wanted, one in zip(letters, rule.indices, index, strict=True):
            if letter is None and self._expression(wanted, bound) != one:
                return None
        return bound

    def _given(self, name: str, index: tuple[int, ...]) -> Any:
        if name == "inf":
            return np.inf
        if name not in self.given:
            raise SpecError(f"{self.system.name}: {_text(name, index)} is neither an input nor defined by an equation")
        array = self.given[name]
        for one, length in zip(index, array.shape, strict=False):
            if not 0 <= one < length:
                raise SpecError(f"{self.system.name}: {_text(name, index)} lies outside the places 0 .. {length - 1}")
        if len(index) > array.ndim:
            raise SpecError(f"{self.system.name}: {_text(name, index)} has more indices than its {array.ndim} axes")
        return array[index]

    def _expression(self, node: ast.expr, bound: Mapping[str, int]) -> Any:
        """Value of an expression; `bound` has the values of local names, such as the step or a sum's index."""
        match node:
            case ast.Constant(value=number):
                return number
            case ast.Name(id=name):
                if name in bound:
                    return bound[name]
                return self.sizes[name] if name in self.sizes else self._value(name, ())
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return self._value(name, tuple(self._whole(one, bound) for one in indices_of(index)))
            case ast.Attribute(value=value):
                return self._expression(value, bound).T
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._expression(operand, bound)
            case ast.UnaryOp(operand=operand):
                return -self._expression(operand, bound)
            case ast.BinOp(left=left, op=operator, right=right):
                return _OPERATE[type(operator)](self._expression(left, bound), self._expression(right, bound))
            case ast.IfExp(test=test, body=body, orelse=other):
                return self._expression(body if self._expression(test, bound) else other, bound)
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._expression(value, bound) for value in values)
            case ast.BoolOp(values=values):
                return any(self._expression(value, bound) for value in values)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                a, b = (np.real(self._expression(side, bound)) for side in (left, right))
                return bool(_COMPARE[type(operator)](a, b))
            case ast.Call(func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]):
                assert isinstance(loop.iter, ast.Call)
                assert isinstance(loop.target, ast.Name)
                over, ends = loop.target.id, [self._whole(end, bound) for end in loop.iter.args]
                terms = [self._expression(element, {**bound, over: step}) for step in range(*ends)]
                return REDUCERS[name](*(self._whole(one, bound) for one in leading), terms)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return VOCABULARY[name](*(self._expression(argument, bound) for argument in arguments))
        raise AssertionError(f"the parser let through {ast.dump(node)}")

    def _whole(self, node: ast.expr, bound: Mapping[str, int]) -> int:
        """Value of an expression that must be a whole number."""
        number = self._expression(node, bound)
        if np.ndim(number) != 0 or number != int(np.real(number)):
            expected = f"expected a whole number, got {ast.unparse(node)} = {number}"
            raise SpecError(f"{self.system.name}: {expected}")
        return int(np.real(number))


class _TooDeepError(Exception):
    """The quantity `key` is at the end of a `path` that is too deep to follow at once."""

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
    ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide,
}
_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


def _text(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name
