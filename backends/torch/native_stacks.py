"""Layers in both directions, and stacks of layers, by torch.nn's layers."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import native
from rnnspec.backends.torch.kinds import refuse_kind, refuse_unrolling
from rnnspec.backends.torch.modules import run_module
from rnnspec.backends.torch.sequences import States, refuse_sequences

Outputs = tuple[Tensor, ...]

PARAMETERS: Final[tuple[str, ...]] = ("W", "R", "b", "b_rn", "P")
STATES: Final = {"rnn": ("h0",), "lstm": ("h0", "c0"), "gru": ("h0",)}


def _refuse(**arguments: Any) -> None:
    refuse_kind(**arguments)
    refuse_unrolling(**arguments)
    refuse_sequences(**arguments)


def _refuse_stacked(*, dropout: float | None, **arguments: Any) -> None:
    _refuse(**arguments)
    if dropout is not None:
        raise Unsupported("torch's dropout between layers draws its masks itself")


@native("torch.nn.RNN, LSTM, GRU (bidirectional=True)", _refuse)
def bidirectional(*, merge: str, **arguments: Any) -> Outputs:
    """Return the merged outputs and the final states; torch's own outputs are joined."""
    parts = [{name: arguments[name][d] for name in PARAMETERS if name in arguments} for d in (0, 1)]
    y, finals = _run(parts, bidirectional=True, **arguments)
    if merge == "concat":
        return (y, *finals)
    forward, reverse = y.chunk(2, -1)
    if merge == "none":
        return (forward, reverse, *finals)
    if merge == "mul":
        return (forward * reverse, *finals)
    total = forward + reverse
    return (total / 2 if merge == "ave" else total, *finals)


@native("torch.nn.RNN, LSTM, GRU (num_layers=L)", _refuse_stacked)
def stacked(*, W: Tensor, W_above: Tensor, **arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all."""
    inward = (W, *W_above.unbind())
    shared = {name: arguments[name].unbind() for name in PARAMETERS if name in arguments}
    parts = [{"W": w} | {name: layers[index] for name, layers in shared.items()} for index, w in enumerate(inward)]
    y, finals = _run(parts, num_layers=len(parts), **arguments)
    return (y, *finals)


def _run(
    parts: list[dict[str, Tensor]],
    *,
    layer: str,
    x: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    update: str,
    activation: str,
    bidirectional: bool = False,
    num_layers: int = 1,
    **others: Any,
) -> tuple[Tensor, States]:
    options: dict[str, Any] = {"bidirectional": True} if bidirectional else {"num_layers": num_layers}
    if layer == "rnn":
        options["nonlinearity"] = activation
    states = [others.get(name) for name in STATES[layer]]
    lengths = lengths if mask is None else mask.sum(1)
    return run_module(layer, x, parts, states, lengths, update=update, **options)
