"""Layers in both directions, stacks of layers, and layers that are given one vector, by torch.nn's layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.gru import GRU
from rnnspec.backends.torch.natives.lstm import LSTM
from rnnspec.backends.torch.natives.recurrent import (
    Network,
    parameters,
    refuse_unrolling,
    refusing_layer,
    run_module,
)
from rnnspec.backends.torch.natives.recurrent_source import Several, layers_source
from rnnspec.backends.torch.natives.rnn import RNN
from rnnspec.backends.torch.sequences import States
from rnnspec.spec.operation import SAME

NETWORKS: Final[Mapping[str, Network]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def _refuse_kind(*, layer: str, reverse_activation: str = SAME, **arguments: Any) -> None:
    if layer not in NETWORKS:
        raise Unsupported("torch has no layer but the RNN, the LSTM and the GRU")
    if reverse_activation != SAME:
        raise Unsupported("torch's layers have the same functions in both directions")
    NETWORKS[layer].refuse(**arguments)


def _refuse_without_steps(**arguments: Any) -> None:
    _refuse_kind(**arguments)
    refuse_unrolling(**arguments)


_refuse: Final = refusing_layer(_refuse_kind)


@native("torch.nn.RNN, LSTM, GRU", _refuse_without_steps)
def one_to_many(*, x: Tensor, feed: str, steps: int, **arguments: Any) -> Outputs:
    """Return the state after each step and the final states."""
    fed = x[:, None].expand(-1, steps, -1) if feed == "every" else functional.pad(x[:, None], (0, 0, 0, steps - 1))
    before = {name: arguments.pop(name)[:, None] for name in ("h0", "c0") if name in arguments}
    y, finals = _run([parameters(arguments)], x=fed, **before, **arguments)
    return (y, *(final[:, 0] for final in finals))


@native("torch.nn.RNN, LSTM, GRU (bidirectional=True)", _refuse)
def bidirectional(*, merge: str, **arguments: Any) -> Outputs:
    """Return the merged outputs and the final states; torch's own outputs are joined."""
    y, finals = _run(_directions(parameters(arguments)), module={"bidirectional": True}, **arguments)
    return (*_merged(y, merge), *finals)


@native("torch.nn.RNN, LSTM, GRU (bidirectional=True, num_layers=L; with dropout or merged, one on another)", _refuse)
def bidirectional_stack(*, merge: str, dropout: float | None, **arguments: Any) -> Outputs:
    """Return the merged outputs of the last layer and the final states of all, (B, L, 2, …)."""
    if merge == "concat" and dropout is None:
        return _one_module_both_ways({}, **arguments)
    layers = [_directions(both) for both in _layers(**arguments)]
    x, keep = arguments.pop("x"), arguments.pop("keep", None)
    states = {name: arguments.pop(name) for name in ("h0", "c0") if name in arguments}
    each: list[States] = []
    for index, both in enumerate(layers):
        if index and keep is not None and dropout is not None:
            x = x * keep[:, index - 1] / (1 - dropout)
        before = {name: state[:, index] for name, state in states.items()}
        y, finals = _run(both, x=x, module={"bidirectional": True}, **before, **arguments)
        (x,) = _merged(y, merge)
        each.append(finals)
    return (x, *(torch.stack(finals, 1) for finals in zip(*each, strict=True)))


def _one_module_both_ways(module: Mapping[str, Any], **arguments: Any) -> Outputs:
    """Run layers in both directions, their outputs joined, as one module of torch with these options of its own."""
    layers = [_directions(both) for both in _layers(**arguments)]
    states = {name: arguments.pop(name).flatten(1, 2) for name in ("h0", "c0") if name in arguments}
    parts = [direction for both in layers for direction in both]
    options = {"bidirectional": True, "num_layers": len(layers), **module}
    y, finals = _run(parts, module=options, **arguments, **states)
    return (y, *(torch.unflatten(final, 1, (len(layers), 2)) for final in finals))


def _directions(both: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Parameters of each direction of a layer."""
    return [{name: directions[d] for name, directions in both.items()} for d in (0, 1)]


def _merged(y: Tensor, merge: str) -> Outputs:
    """The outputs of both directions, merged; torch's own are joined."""
    if merge == "concat":
        return (y,)
    forward, reverse = y.chunk(2, -1)
    if merge == "none":
        return (forward, reverse)
    if merge == "mul":
        return (forward * reverse,)
    total = forward + reverse
    return (total / 2 if merge == "ave" else total,)


@native("torch.nn.RNN, LSTM, GRU (num_layers=L; with dropout, one on another)", _refuse)
def stacked(*, dropout: float | None, **arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all."""
    if dropout is not None:  # torch's own dropout between layers draws its masks itself
        return _one_on_another(dropout=dropout, **arguments)
    parts = _layers(**arguments)
    y, finals = _run(parts, module={"num_layers": len(parts)}, **arguments)
    return (y, *finals)


def _refuse_drawing(*, shared_over: str, **arguments: Any) -> None:
    if shared_over != "none":
        raise Unsupported("torch's layers draw a mask for each step")
    if arguments.get("merge", "concat") != "concat":
        raise Unsupported("torch's layers join the outputs of both directions")
    _refuse(**arguments)


@native("torch.nn.RNN, LSTM, GRU (num_layers=L, dropout=rate)", _refuse_drawing)
def drawn_stacked(*, rate: float, training: bool, shared_over: str, **arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all, with dropout that torch draws."""
    parts = _layers(**arguments)
    y, finals = _run(parts, module={"num_layers": len(parts), "dropout": rate, "training": training}, **arguments)
    return (y, *finals)


@native("torch.nn.RNN, LSTM, GRU (bidirectional=True, num_layers=L, dropout=rate)", _refuse_drawing)
def drawn_bidirectional_stack(
    *, rate: float, training: bool, shared_over: str, merge: str, **arguments: Any
) -> Outputs:
    """Return the joined outputs of the last layer and the final states of all, with dropout that torch draws."""
    return _one_module_both_ways({"dropout": rate, "training": training}, **arguments)


@native("torch.nn.RNN, LSTM, GRU, one on another", _refuse)
def alternating_stack(**arguments: Any) -> Outputs:
    """Return the outputs of the last layer and the final states of all."""
    return _one_on_another(alternating=True, **arguments)


def _layers(*, W: Tensor, W_above: Tensor, **others: Any) -> list[dict[str, Tensor]]:
    """Parameters of each layer of a stack."""
    shared = {name: array.unbind() for name, array in parameters(others).items()}
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
    reverse: bool = False,
    module: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> tuple[Tensor, States]:
    """Run one module of torch, with these options of its own; states are (B, layers and directions, …)."""
    kind = NETWORKS[layer]
    states = [arguments.get(name) for name in kind.states]
    lengths = lengths if mask is None else mask.sum(1)
    y, finals = run_module(kind, x, parts, states, lengths, arguments, reverse=reverse, **(module or {}))
    return y, tuple(final.transpose(0, 1) for final in finals)


def _bidirectional_source(call: Call) -> Lines:
    several = Several("bidirectional=True", 2, 't["W"][i]', " for i in (0, 1)")
    return layers_source(NETWORKS[call.attributes["layer"]], call, several)


def _stacked_source(call: Call) -> Lines | None:
    """One module; None where dropout makes several of it."""
    if call.attributes["dropout"] is not None:
        return None
    layers = len(call.inputs["R"])
    several = Several(f"num_layers={layers}", layers, "W", ' for i, W in enumerate([t["W"], *t["W_above"]])')
    return layers_source(NETWORKS[call.attributes["layer"]], call, several)


NATIVES: Final[Mapping[str, Native]] = {
    "one_to_many": one_to_many,
    "bidirectional": bidirectional,
    "bidirectional_stack": bidirectional_stack,
    "stacked": stacked,
    "alternating_stack": alternating_stack,
}
DRAWING: Final[Mapping[str, Native]] = {"stacked": drawn_stacked, "bidirectional_stack": drawn_bidirectional_stack}
SCRIPTS: Final[Mapping[str, Script]] = {"bidirectional": _bidirectional_source, "stacked": _stacked_source}
"""An operation that makes several calls of torch's layers has none: a script of one layer shows which is at fault."""
