"""Layers made of cells: ``unrolling.toml`` has the entries that every layer adds to its cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rnnspec.spec.language import before, initial
from rnnspec.spec.operation import Attribute, Axes, Block, Input, Item, Operation, Output, Part, When


@dataclass(frozen=True)
class Unrolling:
    """Entries that every layer adds to its cell; ``unrolling.toml`` says what its words in capitals stand for."""

    sizes: Mapping[str, str]
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    attributes: Mapping[str, Attribute]
    alone: tuple[str, ...]
    """Attributes that a layer has by itself alone: as a part of another operation it has their defaults."""

    same_size: tuple[tuple[When, Mapping[str, str]], ...]
    equations: tuple[Block, ...]
    gradient: tuple[Block, ...]


def unrolled(layer: Operation, cell: Operation, unrolling: Unrolling) -> Operation:
    """Return a layer with its cell's inputs, outputs and attributes, and with the equations that join the steps."""
    first = cell.states[0]
    inputs = _written_out(unrolling.inputs, cell)
    floats = {name: item for name, item in inputs.items() if item.kind == "float"}
    parameters = {name: cell.inputs[name] for name in cell.parameters}
    place = f"{layer.family}.toml: [{layer.name}], unrolled"

    def joining(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(replace(block, text=block.text.replace("FIRST", first), place=place) for block in blocks)

    return replace(
        layer,
        sizes={**cell.sizes, **unrolling.sizes, **layer.sizes},
        inputs={**floats, **parameters, **inputs, **layer.inputs},
        outputs={**_written_out(unrolling.outputs, cell), **layer.outputs},
        attributes={**cell.attributes, **unrolling.attributes, **layer.attributes},
        equations=(*joining(unrolling.equations), *layer.equations),
        gradient=(*joining(unrolling.gradient), *layer.gradient),
        gates=cell.gates,
        gate_variants=cell.gate_variants,
        memory_gate=cell.memory_gate,
        same_size=(*cell.same_size, *unrolling.same_size),
        at_least=cell.at_least,
        carries={initial(state): f"{state}_n" for state in cell.states},
        parts=(
            Part(
                cell.name, ("t",), ("n",), reads={"x": "u"}, states=False, gives=False, choices={cell.name: cell},
            ),
        ),
    )  # fmt: skip


def _written_out(items: Mapping[str, Item], cell: Operation) -> dict[str, Item]:
    """Return inputs or outputs with the cell's states and sizes in place of the words in capitals."""
    return {item.name: item for template in items.values() for item in _each(template, cell)}


def _each(template: Item, cell: Operation) -> Iterator[Item]:
    axes = {"INPUT": cell.inputs["x"].shape[1:], "FIRST": cell.outputs[cell.states[0]].shape[1:]}
    for state in cell.states if "STATE" in template.name else cell.states[:1]:
        words = {**axes, "STATE": cell.outputs[state].shape[1:]}
        about = cell.inputs[before(state)].about.replace(" before", "")
        yield replace(
            template,
            name=template.name.replace("STATE", state),
            shape=_with_axes(template.shape, words),
            about=template.about.replace("ABOUT", about),
            shapes=tuple((when, _with_axes(shape, words)) for when, shape in template.shapes),
        )


def _with_axes(shape: Axes, words: Mapping[str, Axes]) -> Axes:
    return tuple(axis for word in shape for axis in words.get(word, (word,)))
