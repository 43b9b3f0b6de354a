"""An implementation of changed equations, beside the reference of everything else."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.edits.changing import touches_values
from rnnspec.conformance.edits.compiled import CompiledCall, Programs, by_steps
from rnnspec.reference.call import split_arguments
from rnnspec.spec import Operation, operation, resolved, system
from rnnspec.spec.arrays import Array, Vjp
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Settings, settings_of
from rnnspec.spec.tree import alike, transform


@dataclass(frozen=True)
class _Known:
    """The known properties of a system: whether its values and its gradients differ, and its translated equations."""

    values: bool
    gradients: bool
    programs: Programs = field(default_factory=dict)


def backend_of(
    op: Operation, taken: Mapping[str, Any] = MappingProxyType({}), *, right_gradients: bool = False
) -> type[Backend]:
    """Return a backend that has `op` by its own equations, and every other operation by the reference.

    It computes in float64 and rounds once. Its gradient is that of the gradient's equations, which see the values of
    the changed ones: where a value's equation alone is changed, the gradient is that of the right equation at the wrong
    values. An operation without equations of its gradient has that of its values, by complex steps. Under attributes
    for which nothing is changed it is the reference, and so are its values where the gradient alone is changed.

    Parameters
    ----------
    op
        An operation of the specification, with equations of its own (`changing.changed`).
    taken
        Attributes that the equations take to have these values, whatever a call says.
    right_gradients
        Whether the gradient is the reference's, at the right values: only the values are wrong.
    """
    values_too = bool(taken) or op.gates != operation(op.name).gates or touches_values(op)
    right = getattr(reference, op.name)
    right_vjp = getattr(reference, f"{op.name}_vjp", None)

    def called(self: Backend, arguments: Mapping[str, Any]) -> tuple[CompiledCall, _Known]:
        assert isinstance(self, _Changed)
        call = CompiledCall(op, *split_arguments(op.name, arguments), taken)
        key = settings_of(call.attributes)
        if key not in self.known:
            self.known[key] = _compared(op, call)
        call.programs = self.known[key].programs
        return call, self.known[key]

    def values(self: Backend, **arguments: Any) -> tuple[Array, ...]:
        if not values_too:
            given: tuple[Array, ...] = right(**arguments)
            return given
        call, changed = called(self, arguments)
        outputs: tuple[Array, ...] = _outputs(call, arguments) if changed.values else right(**arguments)
        return outputs

    def with_vjp(self: Backend, **arguments: Any) -> tuple[tuple[Array, ...], Vjp]:
        if right_gradients:
            assert right_vjp is not None
            return values(self, **arguments), right_vjp(**arguments)[1]
        call, changed = called(self, arguments)
        if not changed.values and not changed.gradients:
            assert right_vjp is not None
            both: tuple[tuple[Array, ...], Vjp] = right_vjp(**arguments)
            return both

        def vjp(*cotangents: Array) -> dict[str, Array]:
            with np.errstate(all="ignore"):
                found = call.gradients(cotangents) if call.op.gradient else by_steps(call, cotangents)
                return {name: d.astype(arguments[name].dtype) for name, d in found.items()}

        return (_outputs(call, arguments) if changed.values else right(**arguments)), vjp

    methods = {op.name: values, f"{op.name}_vjp": with_vjp} if op.differentiable else {op.name: values}
    return type("Changed", (_Changed,), methods)


class _Changed(NumpyBackend):
    name = "changed"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        # The systems of a backend that nobody uses any more are not kept: of hundreds of faults they take gigabytes.
        self.known: dict[Settings, _Known] = {}

    def refuses(self, call: Call) -> str | None:
        """None: it takes what the reference takes."""
        return None


def _compared(op: Operation, call: CompiledCall) -> _Known:
    """The changes under the attributes of a call."""
    own = system(resolved(operation(op.name), call.attributes), call.attributes)
    return _Known(
        values=call.system.gates != own.gates or not _same(_value(call.system.forward), _value(own.forward)),
        gradients=not all(
            _same(mine, right)
            for mine, right in ((call.system.forward, own.forward), (call.system.gradient, own.gradient))
        ),
    )


def _same(some: Sequence[Equation], others: Sequence[Equation]) -> bool:
    return len(some) == len(others) and all(
        one.left == other.left and alike(one.value, other.value) for one, other in zip(some, others, strict=True)
    )


def _value(equations: Iterable[Equation]) -> list[Equation]:
    """The equations by which values are compared: a constant has the value that a variable has."""

    def visit(node: ast.expr) -> ast.expr:
        match node:
            case ast.Call(func=ast.Name(id="constant"), args=[a]):
                return a
        return node

    return [replace(equation, value=transform(equation.value, visit)) for equation in equations]


def _outputs(call: CompiledCall, arguments: Mapping[str, Any]) -> tuple[Array, ...]:
    # A call without float inputs has results in float64.
    dtype = next((arguments[name].dtype for name in call.given), np.dtype(np.float64))
    with np.errstate(all="ignore"):
        return tuple(array if array.dtype == np.int64 else array.astype(dtype) for array in call.outputs())
