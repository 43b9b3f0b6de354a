"""Building blocks, by torch.nn.functional: linear maps, rows of a table, the softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.padding import (
    functional_lines,
    over_valid,
    over_valid_source,
    valid_source,
    valid_steps,
)

ELEMENTWISE: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
}


@native("torch.nn.functional.linear")
def dense(*, x: Tensor, W: Tensor, b: Tensor, activation: str) -> Outputs:
    """Return y."""
    a = functional.linear(x, W, b)
    if activation == "identity":
        return (a,)
    return (functional.softmax(a, -1) if activation == "softmax" else ELEMENTWISE[activation](a),)


def _refuse_no_last(*, h: Tensor, at: str, **others: Any) -> None:
    if at == "last" and h.shape[1] == 0:
        raise Unsupported("there is no last of no steps (T = 0)")


@native("torch.nn.functional.linear", _refuse_no_last)
def output_projection(
    *, h: Tensor, V: Tensor, c: Tensor, at: str, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Outputs:
    """Return y."""
    valid = valid_steps(h.shape[1], lengths, mask)
    if at == "every":
        if valid is None:
            return (functional.linear(h, V, c),)
        there = valid[:, :, None]
        return (functional.linear(h.where(there, 0), V, c).where(there, 0),)
    if valid is None:
        return (functional.linear(h[:, -1], V, c),)
    last = (torch.arange(h.shape[1], device=h.device) * valid).amax(1)
    final = h.take_along_dim(last[:, None, None], 1)[:, 0]
    some = valid.any(1)[:, None]
    return (functional.linear(final.where(some, 0), V, c).where(some, 0),)


@native("torch.nn.functional.embedding")
def embedding(*, ids: Tensor, E: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    valid = valid_steps(ids.shape[1], lengths, mask)
    if valid is None:
        return (functional.embedding(ids, E),)
    return (functional.embedding(ids.where(valid, 0), E).where(valid[:, :, None], 0),)


@native("torch.nn.functional.softmax")
def softmax(*, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    return (over_valid(functional.softmax, x, valid_steps(x.shape[1], lengths, mask)),)


@native("torch.nn.functional.log_softmax")
def log_softmax(*, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    return (over_valid(functional.log_softmax, x, valid_steps(x.shape[1], lengths, mask)),)


@native("torch.nn.Dropout, Dropout1d")
def drawn_dropout(
    *,
    x: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    shared_over: str,
    rate: float,
    training: bool,
) -> Outputs:
    """Return y, with dropout that torch draws; a Dropout1d drops whole channels, and its steps come last."""
    if shared_over == "time":
        y = nn.Dropout1d(rate).train(training)(x.transpose(1, 2)).transpose(1, 2)
    else:
        y = nn.Dropout(rate).train(training)(x)
    valid = valid_steps(x.shape[1], lengths, mask)
    return (y if valid is None else y.where(valid[:, :, None], 0),)


def _dense_source(call: Call) -> Lines:
    linear = 'functional.linear(t["x"], t["W"], t["b"])'
    activation = {
        "identity": "{}",
        "softmax": "functional.softmax({}, -1)",
        "tanh": "torch.tanh({})",
        "logistic": "torch.sigmoid({})",
        "relu": "torch.relu({})",
    }
    return functional_lines([f"results = [{activation[call.attributes['activation']].format(linear)}]"])


def _output_projection_source(call: Call) -> Lines:
    valid = valid_source(call, 't["h"].shape[1]')
    if call.attributes["at"] == "every":
        if not valid:
            return functional_lines(['results = [functional.linear(t["h"], t["V"], t["c"])]'])
        there = "valid[:, :, None]"
        projected = f'functional.linear(t["h"].where({there}, 0), t["V"], t["c"])'
        return functional_lines([*valid, f"results = [{projected}.where({there}, 0)]"])
    if not valid:
        return functional_lines(['results = [functional.linear(t["h"][:, -1], t["V"], t["c"])]'])
    return functional_lines(
        [
            *valid,
            "last = (torch.arange(valid.shape[1], device=valid.device) * valid).amax(1)",
            'h, some = t["h"].take_along_dim(last[:, None, None], 1)[:, 0], valid.any(1)[:, None]',
            'results = [functional.linear(h.where(some, 0), t["V"], t["c"]).where(some, 0)]',
        ]
    )


def _embedding_source(call: Call) -> Lines:
    valid = valid_source(call, 't["ids"].shape[1]')
    if not valid:
        return functional_lines(['results = [functional.embedding(t["ids"], t["E"])]'])
    found = 'functional.embedding(t["ids"].where(valid, 0), t["E"])'
    return functional_lines([*valid, f"results = [{found}.where(valid[:, :, None], 0)]"])


def _softmax_source(function: str) -> Script:
    x = 't["x"]'
    return lambda call: over_valid_source(function, x, valid_source(call, f"{x}.shape[-1]"))


NATIVES: Final[Mapping[str, Native]] = {
    "dense": dense,
    "embedding": embedding,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "output_projection": output_projection,
}
DRAWING: Final[Mapping[str, Native]] = {"dropout": drawn_dropout}
SCRIPTS: Final[Mapping[str, Script]] = {
    "dense": _dense_source,
    "embedding": _embedding_source,
    "softmax": _softmax_source("softmax"),
    "log_softmax": _softmax_source("log_softmax"),
    "output_projection": _output_projection_source,
}
