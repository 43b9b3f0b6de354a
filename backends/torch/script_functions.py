"""Calls of torch's functions as source: building blocks, losses and clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.native_losses import IGNORED

_F: Final = "functional"
_MAKE: Final = ("from torch.nn import functional",)


def _functional(compute: list[str]) -> Lines:
    return Lines(compute, _MAKE)


def _valid(call: Call, steps: str) -> list[str]:
    """Lines that set ``valid`` (B, T), the steps that are there; none if all are."""
    if "mask" in call.inputs:
        return ['valid = t["mask"]']
    if "lengths" in call.inputs:
        return [f'valid = torch.arange({steps}, device=t["lengths"].device) < t["lengths"][:, None]']
    return []


def _dense(call: Call) -> Lines:
    linear = f'{_F}.linear(t["x"], t["W"], t["b"])'
    activation = {
        "identity": "{}",
        "softmax": f"{_F}.softmax({{}}, -1)",
        "tanh": "torch.tanh({})",
        "logistic": "torch.sigmoid({})",
        "relu": "torch.relu({})",
    }
    return _functional([f"results = [{activation[call.attributes['activation']].format(linear)}]"])


def _output_projection(call: Call) -> Lines:
    valid = _valid(call, 't["h"].shape[1]')
    if call.attributes["at"] == "every":
        if not valid:
            return _functional([f'results = [{_F}.linear(t["h"], t["V"], t["c"])]'])
        there = "valid[:, :, None]"
        projected = f'{_F}.linear(t["h"].where({there}, 0), t["V"], t["c"])'
        return _functional([*valid, f"results = [{projected}.where({there}, 0)]"])
    if not valid:
        return _functional([f'results = [{_F}.linear(t["h"][:, -1], t["V"], t["c"])]'])
    return _functional(
        [
            *valid,
            "last = (torch.arange(valid.shape[1], device=valid.device) * valid).amax(1)",
            'h, some = t["h"].take_along_dim(last[:, None, None], 1)[:, 0], valid.any(1)[:, None]',
            f'results = [{_F}.linear(h.where(some, 0), t["V"], t["c"]).where(some, 0)]',
        ]
    )


def _embedding(call: Call) -> Lines:
    valid = _valid(call, 't["ids"].shape[1]')
    if not valid:
        return _functional([f'results = [{_F}.embedding(t["ids"], t["E"])]'])
    found = f'{_F}.embedding(t["ids"].where(valid, 0), t["E"])'
    return _functional([*valid, f"results = [{found}.where(valid[:, :, None], 0)]"])


def _over_valid(function: str, x: str) -> Script:
    """A softmax, or its logarithm, over the last axis where it is valid."""

    def lines(call: Call) -> Lines:
        valid = _valid(call, f"{x}.shape[-1]")
        if not valid:
            return _functional([f"results = [{_F}.{function}({x}, -1)]"])
        return _functional(
            [
                *valid,
                *(["valid = valid[:, None]"] if call.operation == "attention_weights" else []),
                f"out = torch.where(valid.any(-1, keepdim=True), -torch.inf, 0.0).to({x})",
                f"results = [{_F}.{function}(torch.where(valid, {x}, out), -1).where(valid, 0)]",
            ]
        )

    return lines


def _over_features(function: str) -> Script:
    """A loss of which each step's own is a mean over its features."""

    def lines(call: Call) -> Lines:
        valid, reduction = _valid(call, 't["target"].shape[1]'), call.attributes["reduction"]
        if not valid and reduction == "mean":
            return _functional([f'results = [{_F}.{function}(t["prediction"], t["target"])]'])
        there = ".where(valid[:, :, None], 0)" if valid else ""
        given = [f'prediction, target = t["prediction"]{there}, t["target"]{there}']
        own = f'own = {_F}.{function}(prediction, target, reduction="none").mean(-1)'
        return _functional([*valid, *given, own, *_reduced(reduction, masked=bool(valid))])

    return lines


def _binary_cross_entropy(call: Call) -> Lines:
    function, reduction = f"{_F}.binary_cross_entropy_with_logits", call.attributes["reduction"]
    valid = _valid(call, 't["target"].shape[1]')
    if not valid:
        return _functional([f'results = [{function}(t["logits"], t["target"], reduction={reduction!r})]'])
    given = 'logits, target = t["logits"].where(valid, 0), t["target"].where(valid, 0)'
    own = f'own = {function}(logits, target, reduction="none")'
    return _functional([*valid, given, own, *_reduced(reduction, masked=True)])


def _cross_entropy(call: Call) -> Lines:
    function, reduction = f"{_F}.cross_entropy", call.attributes["reduction"]
    valid = _valid(call, 't["logits"].shape[1]')
    there = ".where(valid[:, :, None], 0)" if valid else ""
    rows = f'rows = t["logits"]{there}.flatten(0, 1)'
    if "target" in call.inputs:
        target = f'target = t["target"]{there}.flatten(0, 1)'
        given = [*valid, rows, target]
        if not valid and reduction != "none":
            return _functional([*given, f"results = [{function}(rows, target, reduction={reduction!r})]"])
        own = f'own = {function}(rows, target, reduction="none").reshape(t["logits"].shape[:2])'
        return _functional([*given, own, *_reduced(reduction, masked=bool(valid))])
    ids = f't["ids"].where(valid, {IGNORED})' if valid else 't["ids"]'
    result = "loss"
    if reduction == "none":
        result = 'loss.reshape(t["ids"].shape)'
    elif reduction == "mean" and valid:
        result = "loss.where(valid.any(), 0)"
    return _functional(
        [
            *valid,
            rows,
            f"ids = {ids}.flatten()",
            f"loss = {function}(rows, ids, reduction={reduction!r}, ignore_index={IGNORED})",
            f"results = [{result}]",
        ]
    )


def _reduced(reduction: str, *, masked: bool) -> list[str]:
    """Lines that make the result of the steps' ``own`` losses."""
    own = "own.where(valid, 0)" if masked else "own"
    if reduction == "none":
        return [f"results = [{own}]"]
    total = f"total = {own}.sum(dtype=torch.promote_types(own.dtype, torch.float32))"
    mean = " / valid.sum().clamp(min=1)" if reduction == "mean" and masked else ""
    return [total, f"results = [(total{mean}).to(own.dtype)]"]


def _clipping(call: Call) -> Lines:
    """Torch clips the gradients of parameters, in place."""
    name = "clip_grad_value_" if call.operation == "clip_by_value" else "clip_grad_norm_"
    lines = [
        f"parameters = [torch.nn.Parameter(t[k]) for k in {list(call.inputs)}]",
        "for p in parameters:",
        "    p.grad = p.detach().clone()",
        f"norm = torch.nn.utils.{name}(parameters, {call.attributes['threshold']!r})",
    ]
    norm = ", norm" if call.operation == "clip_by_global_norm" else ""
    return Lines([*lines, f"results = [*(p.grad for p in parameters){norm}]"])


FUNCTIONS: Final[Mapping[str, Script]] = {
    "dense": _dense,
    "output_projection": _output_projection,
    "embedding": _embedding,
    "softmax": _over_valid("softmax", 't["x"]'),
    "log_softmax": _over_valid("log_softmax", 't["x"]'),
    "attention_weights": _over_valid("softmax", 't["scores"]'),
    "mean_absolute_error": _over_features("l1_loss"),
    "mean_squared_error": _over_features("mse_loss"),
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
    "clip_by_value": _clipping,
    "clip_by_norm": _clipping,
    "clip_by_global_norm": _clipping,
}
"""Operations that functions of torch do."""
