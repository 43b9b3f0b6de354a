"""Calls of torch's cells and layers as source: what is written is what the call needs, and no more."""

from __future__ import annotations

from typing import Final

import numpy as np

from rnnspec.backends.contract import Array, Call

CLASSES: Final = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
RECURRENT: Final = ("rnn_cell", "lstm_cell", "gru_cell", "rnn", "lstm", "gru", "bidirectional", "stacked")


def recurrent_lines(call: Call) -> list[str]:
    """Return lines that set ``results`` by torch's module."""
    lines = _weights(call)
    return [*lines, *(_cell_call(call) if call.operation.endswith("_cell") else _layer_call(call))]


def _weights(call: Call) -> list[str]:
    """Build torch's module, without its own weights, and the weights by torch's names."""
    attributes, inputs = call.attributes, call.inputs
    options = [str(inputs["W"].shape[-1]), str(_hidden(call))]
    if _family(call) == "rnn" and attributes["activation"] != "tanh":
        options.append(f"nonlinearity={attributes['activation']!r}")
    if call.operation == "stacked":
        options.append(f"num_layers={len(inputs['R'])}")
    if call.operation == "bidirectional":
        options.append("bidirectional=True")
    if "P" in inputs:
        options.append(f"proj_size={_width(call)}")
    cell = "Cell" if call.operation.endswith("_cell") else ""
    options += [] if cell else ["batch_first=True"]
    lines = [f"layer = torch.nn.{CLASSES[_family(call)]}{cell}({', '.join(options)})", "weights = {}"]
    gates, bias = "{}.flatten(0, 1)", "{}.flatten()"
    if attributes.get("update") == "admits" and _family(call) == "gru":
        lines.append('sign = torch.tensor([1.0, -1.0, 1.0]).to(t["W"])[:, None]  # torch\'s z is 1 - z here')
        gates, bias = "({} * sign[:, :, None]).flatten(0, 1)", "({} * sign).flatten()"
    for suffix, W, place in _parts(call):
        R, b = f't["R"]{place}', f't["b"]{place}'
        second = f"torch.zeros_like({b}).flatten()"
        if "b_rn" in inputs:
            second = f't["b_rn"]{place}'
            second = f"torch.cat([torch.zeros(2 * {_hidden(call)}).to({second}), {second}])"
        lines += [
            f'weights["weight_ih{suffix}"] = {gates.format(W)}',
            f'weights["weight_hh{suffix}"] = {gates.format(R)}',
            f'weights["bias_ih{suffix}"] = {bias.format(b)}',
            f'weights["bias_hh{suffix}"] = {second}',
        ]
        if "P" in inputs:
            lines.append(f'weights["weight_hr{suffix}"] = t["P"]{place}')
    return lines


def _parts(call: Call) -> list[tuple[str, str, str]]:
    """Of each layer and direction the end of torch's names, W, and the place in the specification's other arrays."""
    match call.operation:
        case "bidirectional":
            return [(suffix, f't["W"][{d}]', f"[{d}]") for d, suffix in enumerate(("_l0", "_l0_reverse"))]
        case "stacked":
            inward = ['t["W"]', *(f't["W_above"][{a}]' for a in range(len(call.inputs["R"]) - 1))]
            return [(f"_l{index}", W, f"[{index}]") for index, W in enumerate(inward)]
    return [("" if call.operation.endswith("_cell") else "_l0", 't["W"]', "")]


def _cell_call(call: Call) -> list[str]:
    if "c_prev" in call.inputs:
        return ['results = torch.func.functional_call(layer, weights, (t["x"], (t["h_prev"], t["c_prev"])))']
    return ['results = [torch.func.functional_call(layer, weights, (t["x"], t["h_prev"]))]']


def _layer_call(call: Call) -> list[str]:
    """Call the layer, on packed sequences and reversed where the call is ragged or in reverse."""
    several = call.operation in ("bidirectional", "stacked")
    states = ("h0", "c0") if _family(call) == "lstm" else ("h0",)
    finals = [name.replace("0", "_n") for name in states]
    reverse = call.attributes.get("direction") == "reverse"
    batch, steps, _ = call.inputs["x"].shape
    counts = _counts(call)
    lines = []
    for name, size in zip(states, (_width(call), _hidden(call)), strict=False):
        if name not in call.inputs:
            lines.append(f'{name} = torch.zeros({len(_parts(call))}, {batch}, {size}).to(t["x"])')
        else:
            form = ".transpose(0, 1).contiguous()" if several else "[None]"
            lines.append(f'{name} = t["{name}"]{form}')
    run = "torch.func.functional_call(layer, weights, ({}, {}))"
    x, y, before = 't["x"]', "y", _tupled(states)
    if counts is None:
        x, y = (f"{x}.flip(1)", "y.flip(1)") if reverse else (x, y)
        lines.append(f"y, {_tupled(finals)} = {run.format(x, before)}")
    else:
        lines.append(f"n = torch.tensor({counts.tolist()}, dtype=torch.int64)")
        if reverse:
            lines += [
                f"step = torch.arange({steps})",
                f"order = torch.where(step < n[:, None], n[:, None] - 1 - step, step)[:, :, None].to({x}.device)",
                f"u = torch.take_along_dim({x}, order, 1)  # each sequence reversed in its place",
            ]
            x, y = "u", "torch.take_along_dim(y, order, 1)"
        length = "n"
        if (counts == 0).any() or not len(counts):
            lines.append(f"rows = n.nonzero()[:, 0].to({x}.device)  # the sequences that have steps")
            before = _tupled([f"{name}[:, rows]" for name in states])
            x, length = f"{x}[rows]", "n[n > 0]"
        if (counts > 0).any():
            lines += [
                f"packed = torch.nn.utils.rnn.pack_padded_sequence({x}, {length}, True, enforce_sorted=False)",
                f"packed, {_tupled(finals)} = {run.format('packed', before)}",
                f"y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, True, total_length={steps})",
            ]
        else:
            lines.append(f"y, {_tupled(finals)} = {run.format(x, before)}")
        if length != "n":
            lines.append("y = y.new_zeros(len(n), *y.shape[1:]).index_copy(0, rows, y)")
            lines += [
                f"{final} = {state}.index_copy(1, rows, {final})" for state, final in zip(states, finals, strict=True)
            ]
    merged = [y]
    match call.attributes.get("merge"):
        case "none":
            merged = ["*y.chunk(2, -1)"]
        case "sum" | "mul" | "ave" as merge:
            lines.append("forward, reverse = y.chunk(2, -1)")
            both = "forward * reverse" if merge == "mul" else "forward + reverse"
            merged = [f"({both}) / 2" if merge == "ave" else both]
    after = [f"{name}.transpose(0, 1)" if several else f"{name}[0]" for name in finals]
    return [*lines, f"results = [{', '.join([*merged, *after])}]"]


def _family(call: Call) -> str:
    return str(call.attributes.get("layer", call.operation.removesuffix("_cell")))


def _hidden(call: Call) -> int:
    return int(call.inputs["W"].shape[-2])


def _width(call: Call) -> int:
    return int(call.inputs["R"].shape[-1])


def _counts(call: Call) -> Array | None:
    """Steps in each sequence; None where all are full."""
    if "mask" in call.inputs:
        return np.asarray(call.inputs["mask"].sum(1))
    return call.inputs.get("lengths")


def _tupled(names: tuple[str, ...] | list[str]) -> str:
    """Torch's LSTM takes and gives a pair of states, the others one."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
