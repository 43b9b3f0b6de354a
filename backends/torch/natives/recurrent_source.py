"""Calls of torch's cells and layers as source: the lines that the call needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import WIDEST, Lines, Script, counts, hidden, width
from rnnspec.backends.torch.natives.recurrent import Network

_X: Final = 't["x"]'


@dataclass(frozen=True)
class Several:
    """How a module of several layers or directions is made and fed.

    `option` is that of torch's module, `count` their number. `W` is the expression for the input weights of one of
    them, in a loop over the index i that `each` writes.
    """

    option: str
    count: int
    W: str
    each: str


def cell_source(kind: Network) -> Script:
    """Return what writes the calls of a kind's cell."""

    def lines(call: Call) -> Lines:
        before = [f't["{name}"]' for name in ("h_prev", "c_prev") if name in call.inputs]
        after = _called(_X, before)
        results = f"results = {after}" if len(before) > 1 else f"results = [{after}]"
        return Lines([*_weights(kind, call, None), results], (_module(kind, call, None, cell=True),))

    return lines


def layer_source(kind: Network) -> Script:
    """Return what writes the calls of a kind's layer."""
    return lambda call: layers_source(kind, call, None)


def layers_source(kind: Network, call: Call, several: Several | None) -> Lines:
    """Write a call of one layer, or of several that are one module of torch; packed where the batch is ragged."""
    names = [name.replace("0", "_n") for name in kind.states]
    reverse = call.attributes.get("direction") == "reverse"
    lengths = counts(call)
    lines = [*_weights(kind, call, several), *_before(kind, call, several)]
    if lengths is None:
        x, y = (f"{_X}.flip(1)", "y.flip(1)") if reverse else (_X, "y")
        lines.append(f"y, {_tupled(names)} = {_called(x, kind.states)}")
    else:
        y = "y"
        lines += _ragged(kind, call, lengths.tolist(), names, reverse)
    if call.attributes.get("output") == "last":
        y = f"{names[0]}[0]"
        if lengths is not None and not lengths.all():
            y += '.where(torch.tensor(n, device=t["x"].device)[:, None] > 0, 0)'
    after = [f"{name}[0]" if several is None else f"{name}.transpose(0, 1)" for name in names]
    merged = {
        "none": "*y.chunk(2, -1)",
        "sum": "sum(y.chunk(2, -1))",
        "mul": "torch.mul(*y.chunk(2, -1))",
        "ave": "torch.add(*y.chunk(2, -1)) / 2",
    }.get(str(call.attributes.get("merge")), y)
    return Lines([*lines, f"results = [{', '.join([merged, *after])}]"], (_module(kind, call, several),))


def _module(kind: Network, call: Call, several: Several | None, *, cell: bool = False) -> str:
    """Build torch's module."""
    chosen = kind.options(**call.inputs, **call.attributes)
    options = [str(call.inputs["W"].shape[-1]), str(hidden(call))]
    options += [f"{name}={value!r}" for name, value in chosen.items()]
    if several is not None:
        options.append(several.option)
    if not cell:
        options.append("batch_first=True")
    return f"layer = torch.nn.{kind.name}{'Cell' if cell else ''}({', '.join(options)})"


def _weights(kind: Network, call: Call, several: Several | None) -> list[str]:
    """Put the specification's arrays in place of the module's own weights, of each layer and direction in turn."""
    W, place = ('t["W"]', "") if several is None else (several.W, "[i]")
    gates = kind.gates(call, W, f't["R"]{place}', f't["b"]{place}', place)
    of_one = [f"{gates.W}.flatten(0, 1)", f"{gates.R}.flatten(0, 1)", gates.bias_ih, gates.bias_hh]
    if "P" in call.inputs:
        of_one.append(f't["P"]{place}')
    first, second = ", ".join(of_one[:2]), ", ".join(of_one[2:])
    if several is not None:
        flat = [f"flat = [w{several.each} for w in [", f"    {first},", f"    {second}]]"]
    else:
        flat = [f"flat = [{first}, {second}]"]
        if len(flat[0]) > WIDEST:
            flat = [f"flat = [{first},", f"    {second}]"]
    return [*gates.lines, *flat, "weights = dict(zip(dict(layer.named_parameters()), flat))"]


def _before(kind: Network, call: Call, several: Several | None) -> list[str]:
    """Set the initial states in torch's shape; those that are absent are 0."""
    values, batch = [], len(call.inputs["x"])
    count, form = (1, "[None]") if several is None else (several.count, ".transpose(0, 1).contiguous()")
    for name, size in zip(kind.states, (width(call), hidden(call)), strict=False):
        zeros = f"torch.zeros({count}, {batch}, {size}).to({_X})"
        values.append(f't["{name}"]{form}' if name in call.inputs else zeros)
    return [f"{', '.join(kind.states)} = {', '.join(values)}"]


def _ragged(kind: Network, call: Call, lengths: list[int], names: Sequence[str], reverse: bool) -> list[str]:
    """Call the layer on the sequences that have steps, each in its own length and in the order of reading."""
    rows = [row for row, length in enumerate(lengths) if length]
    empty = len(rows) < len(lengths) or not lengths
    before = list(kind.states)
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
        copied = (f"{state}.index_copy(1, rows, {name})" for state, name in zip(kind.states, names, strict=True))
        lines.append(f"{', '.join(names)} = {', '.join(copied)}")
    if reverse and rows:
        lines.append("y = torch.stack([torch.cat([z[:k].flip(0), z[k:]]) for z, k in zip(y, n)])")
    return lines


def _called(x: str, before: Sequence[str]) -> str:
    return f"torch.func.functional_call(layer, weights, ({x}, {_tupled(before)}))"


def _tupled(names: Sequence[str]) -> str:
    """Torch's LSTM takes and gives a pair of states, the others one."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
