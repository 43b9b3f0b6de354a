"""Layers in both directions, stacks of layers, and layers that are given one vector, by torch.nn's layers."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.layouts.gates import Update
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


def _refuse_without_steps(**arguments: Any) -> None:
    refuse_kind(**arguments)
    refuse_unrolling(**arguments)


@native("torch.nn.RNN, LSTM, GRU", _refuse_without_steps)
def one_to_many(*, x: Tensor, feed: str, steps: int, **arguments: Any) -> Outputs:
    """Return the state after each step and the final states."""
    fed = x[:, None].expand(-1, steps, -1) if feed == "every" else functional.pad(x[:, None], (0, 0, 0, steps - 1))
    part = {name: arguments.pop(name) for name in PARAMETERS if name in arguments}
    before = {name: arguments.pop(name)[:, None] for name in ("h0", "c0") if name in arguments}
    y, finals = _run([part], x=fed, **before, **arguments)
    return (y, *(final[:, 0] for final in finals))


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


@native("torch.nn.RNN, LSTM, GRU (num_layers=L; with dropout, one on another)", _refuse)
def stacked(*, dropout: float | None, **arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all."""
    if dropout is not None:  # torch's own dropout between layers draws its masks itself
        return _one_on_another(dropout=dropout, **arguments)
    parts = _layers(**arguments)
    y, finals = _run(parts, num_layers=len(parts), **arguments)
    return (y, *finals)


@native("torch.nn.RNN, LSTM, GRU, one on another", _refuse)
def alternating_stack(**arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all."""
    return _one_on_another(alternating=True, **arguments)


def _layers(*, W: Tensor, W_above: Tensor, **others: Any) -> list[dict[str, Tensor]]:
    """Parameters of each layer of a stack."""
    shared = {name: others[name].unbind() for name in PARAMETERS if name in others}
    return [
        {"W": inward} | {name: layers[index] for name, layers in shared.items()}
        for index, inward in enumerate((W, *W_above.unbind()))
    ]


def _one_on_another(
    *,
    x: Tensor,
    dropout: float | None,
    keep: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    alternating: bool = False,
    **arguments: Any,
) -> Outputs:
    """Run a stack as a layer of torch for each, with the masks of dropout between them."""
    finals: list[States] = []
    for index, part in enumerate(_layers(**arguments)):
        if index and keep is not None and dropout is not None:
            x = x * keep[:, index - 1] / (1 - dropout)
        before: dict[str, Any] = {"h0": h0, "c0": c0}
        before = {name: None if state is None else state[:, index : index + 1] for name, state in before.items()}
        x, after = _run([part], x=x, reverse=alternating and index % 2 == 1, **before, **arguments)
        finals.append(after)
    return (x, *(torch.cat(states, 1) for states in zip(*finals, strict=True)))


def _run(
    parts: list[dict[str, Tensor]],
    *,
    layer: str,
    x: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    update: Update,
    activation: str,
    reverse: bool = False,
    bidirectional: bool = False,
    num_layers: int = 1,
    **others: Any,
) -> tuple[Tensor, States]:
    options: dict[str, Any] = {"bidirectional": True} if bidirectional else {"num_layers": num_layers}
    if layer == "rnn":
        options["nonlinearity"] = activation
    states = [others.get(name) for name in STATES[layer]]
    lengths = lengths if mask is None else mask.sum(1)
    y, finals = run_module(layer, x, parts, states, lengths, update=update, reverse=reverse, **options)
    return y, tuple(final.transpose(0, 1) for final in finals)
