"""Attention by torch's scaled_dot_product_attention, and its weights by torch's softmax."""

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
from rnnspec.backends.torch.natives.padding import (
    functional_lines,
    over_valid,
    over_valid_source,
    valid_source,
    valid_steps,
)


@native("torch.nn.functional.softmax")
def attention_weights(*, scores: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return the weights."""
    valid = valid_steps(scores.shape[2], lengths, mask)
    return (over_valid(functional.softmax, scores, None if valid is None else valid[:, None]),)


def _refuse(*, q: Tensor, k: Tensor, score: str, **others: Any) -> None:
    if score not in ("dot", "scaled_dot"):
        raise Unsupported(f"torch's scaled_dot_product_attention has no score {score}")
    if 0 in (*q.shape, *k.shape):
        raise Unsupported("torch's scaled_dot_product_attention is called with a query and a key at least")


@native("torch.nn.functional.scaled_dot_product_attention", _refuse)
def attention(
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    query_mask: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    score: str,
    scale: float | None,
    causal: bool,
    **attributes: Any,
) -> Outputs:
    """Return the contexts and the weights, which are contexts of values that are a key each."""
    valid = valid_steps(k.shape[1], lengths, mask)
    seen = None
    if valid is not None:
        k, values = (array.where(valid[..., None], 0) for array in (k, values))
        seen = valid[:, None].expand(len(q), q.shape[1], -1)
        seen = seen.tril() if causal else seen
    factor = (1.0 if scale is None else scale) * (q.shape[2] ** -0.5 if score == "scaled_dot" else 1.0)
    each = torch.eye(k.shape[1], dtype=k.dtype, device=k.device).expand(len(k), -1, -1)
    context, weights = (
        functional.scaled_dot_product_attention(
            q, k, read, attn_mask=seen, is_causal=causal and seen is None, scale=factor
        )
        for read in (values, each)
    )
    if query_mask is None:
        return context, weights
    return context.where(query_mask[..., None], 0), weights.where(query_mask[..., None], 0)


def _attention_source(call: Call) -> Lines:
    valid = valid_source(call, 't["k"].shape[1]')
    factor = call.attributes["scale"] or 1.0
    if call.attributes["score"] == "scaled_dot":
        factor *= call.inputs["q"].shape[2] ** -0.5
    causal = call.attributes["causal"]
    seen = f"seen = valid[:, None].expand(-1, {call.inputs['q'].shape[1]}, -1){'.tril()' if causal else ''}"
    read = 'k, v = t["k"], t["values"]'
    if valid:
        read = 'k, v = (t[name].where(valid[..., None], 0) for name in ("k", "values"))'
    options = f"attn_mask=seen, is_causal={causal and not valid}, scale={factor!r}"
    shown = '[y.where(t["query_mask"][..., None], 0) for y in results]'
    return functional_lines(
        [
            *valid,
            read,
            seen if valid else "seen = None",
            "each = torch.eye(k.shape[1]).to(k).expand(len(k), -1, -1)",
            "attend = functional.scaled_dot_product_attention",
            f'results = [attend(t["q"], k, read, {options}) for read in (v, each)]',
            *([f"results = {shown}"] if "query_mask" in call.inputs else []),
        ]
    )


def _source(call: Call) -> Lines:
    valid = valid_source(call, 't["scores"].shape[-1]')
    return over_valid_source("softmax", 't["scores"]', [*valid, "valid = valid[:, None]"] if valid else [])


NATIVES: Final[Mapping[str, Native]] = {"attention_weights": attention_weights, "attention": attention}
SCRIPTS: Final[Mapping[str, Script]] = {"attention_weights": _source, "attention": _attention_source}
