"""Calls of torch's cells and layers as source: what is written is what the call needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import RECURRENT, WIDEST, Lines, Script, counts, family, hidden, states, width

_CLASSES: Final = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
_X: Final = 't["x"]'


def _recurrent(call: Call) -> Lines:
    own = _cell_call(call) if call.operation.endswith("_cell") else _layer_call(call)
    return Lines([*_weights(call), *own], (_layer(call),))


def _layer(call: Call) -> str:
    """Build torch's module."""
    attributes, inputs = call.attributes, call.inputs
    cell = call.operation.endswith("_cell")
    options = [str(inputs["W"].shape[-1]), str(hidden(call))]
    if family(call) == "rnn" and attributes["activation"] != "tanh":
        options.append(f"nonlinearity={attributes['activation']!r}")
    if call.operation == "stacked":
        options.append(f"num_layers={len(inputs['R'])}")
    if call.operation == "bidirectional":
        options.append("bidirectional=True")
    if "P" in inputs:
        options.append(f"proj_size={width(call)}")
    if not cell:
        options.append("batch_first=True")
    return f"layer = torch.nn.{_CLASSES[family(call)]}{'Cell' if cell else ''}({', '.join(options)})"


def _weights(call: Call) -> list[str]:
    """Put the specification's arrays in place of the module's own weights, of each layer and direction in turn."""
    W, place, each = 't["W"]', "", ""
    if call.operation == "bidirectional":
        W, place, each = 't["W"][i]', "[i]", " for i in (0, 1)"
    elif call.operation == "stacked":
        W, place, each = "W", "[i]", ' for i, W in enumerate([t["W"], *t["W_above"]])'
    R, b = f't["R"]{place}', f't["b"]{place}'
    first, second = f"{b}.flatten()", f"torch.zeros_like({b}).flatten()"
    lines = []
    if family(call) == "gru":
        second = f'torch.nn.functional.pad(t["b_rn"]{place}, ({2 * hidden(call)}, 0))'
        if call.attributes["update"] == "admits":
            lines.append('sign = torch.tensor([[1], [-1], [1]]).to(t["W"])  # torch\'s z keeps')
            W, R, first = f"({W} * sign[:, None])", f"({R} * sign[:, None])", f"({b} * sign).flatten()"
    of_one = [f"{W}.flatten(0, 1)", f"{R}.flatten(0, 1)", first, second]
    if "P" in call.inputs:
        of_one.append(f't["P"]{place}')
    if each:
        flat = [f"flat = [w{each} for w in [", f"    {', '.join(of_one[:2])},", f"    {', '.join(of_one[2:])}]]"]
    else:
        flat = [f"flat = [{', '.join(of_one)}]"]
        if len(flat[0]) > WIDEST:
            flat = [f"flat = [{', '.join(of_one[:2])},", f"    {', '.join(of_one[2:])}]"]
    return [*lines, *flat, "weights = dict(zip(dict(layer.named_parameters()), flat))"]


def _cell_call(call: Call) -> list[str]:
    before = [f't["{name}"]' for name in ("h_prev", "c_prev") if name in call.inputs]
    after = _called(_X, before)
    return [f"results = {after}" if len(before) > 1 else f"results = [{after}]"]


def _layer_call(call: Call) -> list[str]:
    """Call the layer, on packed sequences where the batch is ragged."""
    names = [name.replace("0", "_n") for name in states(call)]
    several = call.operation in ("bidirectional", "stacked")
    reverse = call.attributes.get("direction") == "reverse"
    lengths = counts(call)
    lines = _before(call, several)
    if lengths is None:
        x, y = (f"{_X}.flip(1)", "y.flip(1)") if reverse else (_X, "y")
        lines.append(f"y, {_tupled(names)} = {_called(x, states(call))}")
    else:
        y = "y"
        lines += _ragged(call, lengths.tolist(), names, reverse)
    after = [f"{name}.transpose(0, 1)" if several else f"{name}[0]" for name in names]
    merged = {
        "none": "*y.chunk(2, -1)",
        "sum": "sum(y.chunk(2, -1))",
        "mul": "torch.mul(*y.chunk(2, -1))",
        "ave": "torch.add(*y.chunk(2, -1)) / 2",
    }.get(str(call.attributes.get("merge")), y)
    return [*lines, f"results = [{', '.join([merged, *after])}]"]


def _before(call: Call, several: bool) -> list[str]:
    """Set the initial states in torch's shape; those that are absent are 0."""
    values, batch = [], len(call.inputs["x"])
    of_all = {"bidirectional": 2, "stacked": call.inputs["R"].shape[0]}.get(call.operation, 1)
    for name, size in zip(states(call), (width(call), hidden(call)), strict=False):
        form = ".transpose(0, 1).contiguous()" if several else "[None]"
        zeros = f"torch.zeros({of_all}, {batch}, {size}).to({_X})"
        values.append(f't["{name}"]{form}' if name in call.inputs else zeros)
    return [f"{', '.join(states(call))} = {', '.join(values)}"]


def _ragged(call: Call, lengths: list[int], names: Sequence[str], reverse: bool) -> list[str]:
    """Call the layer on the sequences that have steps, each in its own length and in the order of reading."""
    rows = [row for row, length in enumerate(lengths) if length]
    empty = len(rows) < len(lengths) or not lengths
    before = list(states(call))
    lines = [f"n = {lengths}  # steps of each sequence"]
    if empty:  # torch's packed sequences have a step at least
        lines.append(f'rows = torch.tensor({rows}, dtype=torch.int64, device=t["x"].device)')
        before = [f"{name}[:, rows]" for name in before]
    if rows:
        turned = ".flip(0)" if reverse else ""
        lines += [
            f'sequences = [x[:k]{turned} for x, k in zip(t["x"], n) if k]',
            "packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)",
            f"packed, {_tupled(names)} = {_called('packed', before)}",
            f"y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, True, total_length={call.inputs['x'].shape[1]})",
        ]
    else:
        lines.append(f"y, {_tupled(names)} = {_called(f'{_X}[rows]', before)}")
    if empty:
        lines.append("y = y.new_zeros(len(n), *y.shape[1:]).index_copy(0, rows, y)")
        copied = (f"{state}.index_copy(1, rows, {name})" for state, name in zip(states(call), names, strict=True))
        lines.append(f"{', '.join(names)} = {', '.join(copied)}")
    if reverse and rows:
        lines.append("y = torch.stack([torch.cat([z[:k].flip(0), z[k:]]) for z, k in zip(y, n)])")
    return lines


def _called(x: str, before: Sequence[str]) -> str:
    return f"torch.func.functional_call(layer, weights, ({x}, {_tupled(before)}))"


def _tupled(names: Sequence[str]) -> str:
    """Torch's LSTM takes and gives a pair of states, the others one."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


LAYERS: Final[Mapping[str, Script]] = dict.fromkeys(RECURRENT, _recurrent)
"""Operations that a module of torch does."""
