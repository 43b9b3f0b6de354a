"""All cells by the name of their operation, and the operations of one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rnnspec import spec
from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import Cell
from rnnspec.backends.composed.gru import GRU
from rnnspec.backends.composed.layer_norm_lstm import LayerNormLSTM
from rnnspec.backends.composed.lstm import LSTM, LSTM1997, ForgetOnlyLSTM
from rnnspec.backends.composed.mgu import MGU
from rnnspec.backends.composed.nested_lstm import NestedLSTM
from rnnspec.backends.composed.peephole_lstm import PeepholeLSTM
from rnnspec.backends.composed.rnn import RNN

CELLS: Final[Mapping[str, Callable[..., Cell]]] = {
    "rnn_cell": RNN,
    "lstm_cell": LSTM,
    "lstm_1997_cell": LSTM1997,
    "forget_only_lstm_cell": ForgetOnlyLSTM,
    "peephole_lstm_cell": PeepholeLSTM,
    "layer_norm_lstm_cell": LayerNormLSTM,
    "gru_cell": GRU,
    "mgu_cell": MGU,
    "nested_lstm_cell": NestedLSTM,
}

# Looked up here, once: traced or compiled code must not read the specification.
_OPERATIONS: Final[Mapping[str, spec.Operation]] = {name: spec.operation(name) for name in CELLS}
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {name: op.parameters for name, op in _OPERATIONS.items()}
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {name: tuple(op.attributes) for name, op in _OPERATIONS.items()}


def make_cell(xp: ArrayNamespace, name: str, arguments: Mapping[str, Any]) -> Cell:
    """Make the cell of this name (``lstm_cell``) or of the layer of this name (``lstm``).

    Its parameters and attributes are those of `arguments` with their names in the specification; there may be others.
    """
    own = (*_PARAMETERS[_cell(name)], *_ATTRIBUTES[_cell(name)])
    return CELLS[_cell(name)](xp, **{key: arguments[key] for key in own if key in arguments})


def make_cells(xp: ArrayNamespace, name: str, arguments: Mapping[str, Any], **given: Sequence[Tensor]) -> list[Cell]:
    """Make cells of one kind, each with its own entry along axis 0 of every parameter; some may be `given` apart."""
    return [make_cell(xp, name, {**arguments, **own}) for own in _each(xp, name, arguments, given)]


def make_both(xp: ArrayNamespace, name: str, arguments: Mapping[str, Any]) -> list[Cell]:
    """Make the cells of both directions, of which that in reverse may have another function."""
    in_reverse = spec.with_function(_OPERATIONS[_cell(name)], arguments, arguments["reverse_activation"])
    both = zip((arguments, in_reverse), _each(xp, name, arguments, {}), strict=True)
    return [make_cell(xp, name, {**attributes, **own}) for attributes, own in both]


def _each(
    xp: ArrayNamespace, name: str, arguments: Mapping[str, Any], given: Mapping[str, Sequence[Tensor]]
) -> Iterator[dict[str, Tensor]]:
    """Yield the parameters of each cell, entries along axis 0 of the common ones; some may be `given` apart."""
    own = {key: xp.unstack(arguments[key]) for key in parameters_of(name) if key in arguments} | dict(given)
    return (dict(zip(own, entries, strict=True)) for entries in zip(*own.values(), strict=True))


def parameters_of(name: str) -> tuple[str, ...]:
    """Names of the parameters of a cell or of its layer."""
    return _PARAMETERS[_cell(name)]


def _cell(name: str) -> str:
    return name if name in CELLS else f"{name}_cell"


def cell_operation(name: str) -> Callable[..., Many]:
    """Return the operation that is one step of this cell."""

    def one_step(
        xp: ArrayNamespace, *, x: Tensor, h_prev: Tensor, c_prev: Tensor | None = None, **arguments: Any
    ) -> Many:
        cell = make_cell(xp, name, arguments)
        return cell.states(cell.step(cell.enter(x), cell.first(xp.shape(x)[0], h=h_prev, c=c_prev)))

    return one_step
