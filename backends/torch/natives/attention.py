"""Attention by torch's scaled_dot_product_attention and MultiheadAttention, and its weights by torch's softmax."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.func import functional_call
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


_MOST_KEYS: Final = 4_096
"""Keys up to which weights are read: a matrix of as many rows and columns does it."""


def _refuse(*, q: Tensor, k: Tensor, score: str, **others: Any) -> None:
    if k.shape[1] > _MOST_KEYS:
        raise Unsupported(f"no weights of more than {_MOST_KEYS:,} keys are read from scaled_dot_product_attention")
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


def _refuse_heads(
    *,
    q: Tensor,
    k: Tensor,
    W_q: Tensor,
    W_v: Tensor,
    W_o: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool,
    **others: Any,
) -> None:
    heads, units, features = W_q.shape
    if not features == heads * units == W_o.shape[1] or W_v.shape[1] != units:
        raise Unsupported("torch's heads divide the features of the query among them, and the output has as many")
    if 0 in (*q.shape, *k.shape):
        raise Unsupported("torch's MultiheadAttention is called with a query and a key at least")
    valid = valid_steps(k.shape[1], lengths, mask)
    first = valid if valid is None or not causal else valid[:, :1]
    if first is not None and not first.any(1).all():
        raise Unsupported("torch's MultiheadAttention gives NaN for a query that sees no key")


@native("torch.nn.MultiheadAttention", _refuse_heads)
def multi_head_attention(
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    W_o: Tensor,
    b_o: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool,
    averaged: bool,
    **arguments: Any,
) -> Outputs:
    """Return the outputs and the weights."""
    weights = [arguments[f"W_{name}"].flatten(0, 1) for name in "qkv"]
    biases = [arguments.get(f"b_{name}") for name in "qkv"]
    has_bias = any(b is not None for b in (*biases, b_o))
    parameters = {"out_proj.weight": W_o.permute(1, 0, 2).flatten(1)}
    if len({array.shape[1] for array in weights}) == 1:
        parameters["in_proj_weight"] = torch.cat(weights)
    else:
        parameters |= {f"{name}_proj_weight": array for name, array in zip("qkv", weights, strict=True)}
    if has_bias:
        flat = [q.new_zeros(q.shape[2]) if b is None else b.flatten() for b in (*biases, b_o)]
        parameters |= {"in_proj_bias": torch.cat(flat[:3]), "out_proj.bias": flat[3]}
    valid = valid_steps(k.shape[1], lengths, mask)
    if valid is not None:
        k, values = (array.where(valid[..., None], 0) for array in (k, values))
    hidden = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device).triu(1) if causal else None
    options = {
        "key_padding_mask": None if valid is None else ~valid,
        "attn_mask": hidden,
        "average_attn_weights": averaged,
    }
    module = _heads(q.shape[2], len(arguments["W_q"]), has_bias, k.shape[2], values.shape[2])
    y, shown = functional_call(module, parameters, (q, k, values), options)
    return y, shown


@lru_cache(maxsize=64)
def _heads(features: int, heads: int, bias: bool, keys: int, values: int) -> nn.MultiheadAttention:
    """Return torch's module, without data: each call brings the parameters."""
    return nn.MultiheadAttention(features, heads, bias=bias, kdim=keys, vdim=values, batch_first=True, device="meta")


def _heads_source(call: Call) -> Lines:
    valid = valid_source(call, 't["k"].shape[1]')
    features, keys, read = (call.inputs[name].shape[2] for name in ("q", "k", "values"))
    zeros = f't["q"].new_zeros({features})'
    given = [f't["b_{name}"].flatten()' if f"b_{name}" in call.inputs else zeros for name in "qkvo"]
    bias = any(f"b_{name}" in call.inputs for name in "qkvo")
    names = '["in_proj_weight"]' if features == keys == read else '[f"{n}_proj_weight" for n in "qkv"]'
    each = 'flat = [t[f"W_{name}"].flatten(0, 1) for name in "qkv"]'
    lines = [each, f"weights = dict(zip({names}, {'[torch.cat(flat)]' if features == keys == read else 'flat'}))"]
    lines.append('weights["out_proj.weight"] = t["W_o"].permute(1, 0, 2).flatten(1)')
    if bias:
        lines += [f"biases = [{', '.join(given[:2])},", f"    {', '.join(given[2:])}]"]
        lines.append('weights |= {"in_proj_bias": torch.cat(biases[:3]), "out_proj.bias": biases[3]}')
    causal = call.attributes["causal"]
    hidden = f"torch.ones({call.inputs['q'].shape[1]}, {call.inputs['k'].shape[1]}, dtype=torch.bool).triu(1)"
    take = '(t[name].where(valid[..., None], 0) for name in ("k", "values"))' if valid else '(t["k"], t["values"])'
    lines += [
        *valid,
        f"k, v = {take}",
        f"hidden = {hidden + '.to(k.device)' if causal else None}",
        f"options = dict(key_padding_mask={'~valid' if valid else None}, attn_mask=hidden)",
        f'options["average_attn_weights"] = {call.attributes["averaged"]}',
        'results = torch.func.functional_call(layer, weights, (t["q"], k, v), options)',
    ]
    made = f"{features}, {len(call.inputs['W_q'])}, bias={bias}, kdim={keys}, vdim={read}, batch_first=True"
    return Lines(lines, (f"layer = torch.nn.MultiheadAttention({made})",))


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


NATIVES: Final[Mapping[str, Native]] = {
    "attention_weights": attention_weights,
    "attention": attention,
    "multi_head_attention": multi_head_attention,
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "attention_weights": _source,
    "attention": _attention_source,
    "multi_head_attention": _heads_source,
}
