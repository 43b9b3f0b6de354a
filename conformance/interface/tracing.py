"""``rnnspec.trace``: every intermediate value of a call, in Python."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from rnnspec.conformance import kinds
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.trace import drawn, print_trace, to_json, value_text
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.reading import shown
from rnnspec.spec import Operation, check_attributes, operation, resolved
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.printing import equation_text
from rnnspec.spec.tracing import Quantity
from rnnspec.spec.tracing import trace as traced

WIDTH = 100
"""Columns of a trace as text."""
_LEFT = '"text-align:left;font-family:monospace"'


@dataclass(frozen=True)
class Trace(Sequence[Quantity]):
    """The quantities of a call in the order in which the equations are read, and the call itself."""

    operation: Operation
    attributes: Mapping[str, Any]
    inputs: NamedArrays
    quantities: tuple[Quantity, ...]

    def __len__(self) -> int:
        return len(self.quantities)

    @overload
    def __getitem__(self, place: int) -> Quantity: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Quantity]: ...
    def __getitem__(self, place: int | slice) -> Quantity | Sequence[Quantity]:
        return self.quantities[place]

    def __iter__(self) -> Iterator[Quantity]:
        return iter(self.quantities)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, in the form of ``rnnspec trace --json``."""
        return to_json(self.operation, dict(self.attributes), self.inputs, self.quantities)

    def __str__(self) -> str:
        text = io.StringIO()
        print_trace(open_console(text, width=WIDTH, color_system=None), self.operation, self.inputs, self.quantities)
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<rnnspec.Trace: {len(self)} quantities of {self.operation.name}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            _row("td", f"{one}", value_text(one.value), equation_text(one.equation)) for one in self.quantities
        )
        heads = _row("th", "quantity", "value", "equation")
        return f"<table><thead>{heads}</thead><tbody>{rows}</tbody></table>"


def _row(kind: str, *cells: str) -> str:
    return f"<tr>{''.join(f'<{kind} style={_LEFT}>{html.escape(cell)}</{kind}>' for cell in cells)}</tr>"


def _cotangents(op: Operation, attributes: Mapping[str, Any], given: object) -> tuple[Array, ...]:
    """The cotangents, as many as there are float outputs."""
    due = [item.name for item in resolved(op, attributes).outputs_for(attributes).values() if item.kind == "float"]
    arrays = tuple(given) if isinstance(given, Sequence) else (given,)
    if len(arrays) != len(due) or not all(isinstance(one, np.ndarray) for one in arrays):
        raise PlanError(f"cotangents: expected an array for each of {', '.join(due)}, got {shown(given)}")
    return arrays


def trace(
    name: str,
    inputs: NamedArrays | None = None,
    *,
    attributes: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    cotangents: Sequence[Array] | None = None,
    gradient: bool = False,
    sequence: int = 0,
) -> Trace:
    """Evaluate a call by the literal equations, and return every intermediate value.

    Parameters
    ----------
    name
        The operation.
    inputs
        Arrays by the names that the specification has for them; by default, a call of numbers drawn at random.
    attributes
        Attributes other than the defaults.
    sizes, seed
        Of a drawn call: the sizes other than 1, and the seed of its numbers.
    cotangents
        With `inputs`, one for each float output: then the gradient's quantities follow those of the outputs.
    gradient
        Whether a drawn call has cotangents.
    sequence
        Sequence of the batch, from 0.

    Returns
    -------
    Trace
        The quantities, each with its name, index, value and equation.

    Raises
    ------
    UnknownOperationError, CallError, SpecError, PlanError
        If the call breaks the specification.
    """
    op = operation(kinds.words("expected an operation's name", name))
    chosen = check_attributes(op, kinds.mapping("attributes", attributes, "{'reset': 'before'}"))
    sequence = kinds.whole("sequence", sequence, 0)
    if inputs is None:
        whole = kinds.mapping("sizes", sizes, "{'T': 3}")
        wanted_sizes = {symbol: kinds.whole(f"sizes: {symbol}", size, 0) for symbol, size in whole.items()}
        call, at_random = drawn(op, chosen, wanted_sizes, kinds.whole("seed", seed, 0))
        wanted = at_random if gradient else None
    else:
        call = dict(kinds.mapping("inputs", inputs, "{'x': array}"))
        if gradient and cotangents is None:
            raise PlanError("gradient: expected cotangents beside inputs of your own, an array for each float output")
        wanted = None if cotangents is None else _cotangents(op, chosen, cotangents)
    return Trace(op, chosen, call, tuple(traced(name, call, chosen, cotangents=wanted, sequence=sequence)))
