"""``rnnspec convert``: carry the weights of recurrent layers from one framework's layout to another's."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Layout, family_of, write_layers
from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.weights.files import layout_for, read_weights, write_weights
from rnnspec.conformance.weights.parity import Parity, Ran, parities


def convert_weights(source: Path, target: Path, to: Layout | None, json_file: Path | None, check: bool = False) -> int:
    """Convert a file, print what became of every layer, and perhaps run both sides; return the exit status."""
    to = layout_for(target, to)
    found = read_weights(source)
    own = write_layers(NumpyShaping(), to, found.layers)
    names, model = write_weights(target, to, own, found.layers)
    report = [
        {
            "layer": place.grouped_name(""),
            "family": family_of(NumpyShaping(), parameters),
            "name": names[place],
            "notes": [*found.notes.get(place, ()), *_notes(found.layout, to, parameters)],
        }
        for place, parameters in found.layers.items()
    ]
    chosen = len({place.path for place in found.layers}) > 1
    _print(found.layout, to, target, report, found.left_out, model, chosen)
    data = {"from": found.layout, "to": to, "layers": report, "left_out": found.left_out, "model": model}
    agrees = True
    if check:
        sides = list(parities(found, read_weights(target)))  # the target as it stands in its file
        agrees = all(one.agrees is not False for one in sides)
        _print_parity(found.layout, to, sides)
        data["parity"] = [one.to_json() for one in sides]
    if json_file:
        write_json(json_file, data)
    return 0 if agrees else 1


def _notes(layout: Layout, to: Layout, parameters: Mapping[str, Any]) -> list[str]:
    """Warnings of properties that the numbers alone do not carry over."""
    notes = []
    gates = parameters["R"].shape[0]
    if "b_R" in parameters and to == "keras":
        if "b_rn" not in parameters and parameters["b_R"].any():
            notes.append("its two biases were added up: Keras has one")
    elif to in ("torch", "onnx") and "b_R" not in parameters and "b_rn" not in parameters:
        notes.append("the bias stands beside the input's product; the other one is 0")
    if gates == 1:
        notes.append("the activation is none of the weights: see that both sides have the same")
    if gates == 3 and to == "keras":
        notes.append(f"reset_after={'b_rn' in parameters}")
    return notes


def _print(
    layout: Layout, to: Layout, target: Path, report: list[dict[str, Any]], others: list[str], model: str, chosen: bool
) -> None:
    console = open_console(sys.stdout)
    console.print(Text(f"{layout} to {to}: {target}", style="italic"), soft_wrap=True)  # no name is cut to the table
    table = titled("", ("layer", "family", "in the file"))
    notes: dict[str, list[str]] = {}
    for row in report:
        layer = row["layer"] or "(top)"
        table.add_row(layer, row["family"], row["name"] or "(top)")
        for note in row["notes"]:
            notes.setdefault(note, []).append(layer)
    console.print(table)
    lines = [f"{', '.join(layers)}: {note}" for note, layers in notes.items()]
    if model:
        lines.append(f"the file's layers, in this order: {model}")
        if chosen:
            lines.append("the order is that of the source's names: weights do not say which layer reads which")
    for line in (*lines, *(f"left out: {name}, of no recurrent layer" for name in others)):
        console.print(Text(line), soft_wrap=True)


def _print_parity(layout: Layout, to: Layout, sides: list[Parity]) -> None:
    console = open_console(sys.stdout)
    source, target = _side(layout, (one.source for one in sides)), _side(to, (one.target for one in sides))
    title = f"{source} and {target} on the same random input: error ratios, at most 1 where right"
    console.print(Text(title, style="italic"), soft_wrap=True)
    table = titled("", ("layer", "verdict"), (layout, to if to != layout else f"{to} again", "largest difference"))
    for one in sides:
        table.add_row(
            one.place.grouped_name("") or "(top)", one.in_words, one.source.in_words, one.target.in_words,
            _number(one.difference),
        )  # fmt: skip
    console.print(table)
    for why in dict.fromkeys(ran.by for one in sides for ran in (one.source, one.target) if not ran.outputs):
        console.print(Text(why), soft_wrap=True)
    for one in sides:
        if one.unjudged:
            name = one.place.grouped_name("") or "(top)"
            console.print(Text(f"{name}: its outputs cannot be judged: {one.unjudged}"), soft_wrap=True)


def _number(difference: float | None) -> str:
    if difference is None:
        return ""
    if math.isfinite(difference):
        return f"{difference:.1e}"
    return "NaN" if math.isnan(difference) else "infinite"


def _side(layout: Layout, every: Iterable[Ran]) -> str:
    """What ran the layers of a side."""
    return " and ".join(dict.fromkeys(one.by for one in every if one.outputs)) or layout
