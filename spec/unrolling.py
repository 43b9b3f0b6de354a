"""Layers made of cells: ``unrolling.toml`` has the entries that every layer adds to its cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rnnspec.spec.language import before, initial
from rnnspec.spec.operation import Attribute, Block, Input, Operation, Output, Part, When


@dataclass(frozen=True)
class Unrolling:
    """Entries that every layer adds to its cell; ``FIRST`` in the equations is the cell's first state."""

    sizes: Mapping[str, str]
    attributes: Mapping[str, Attribute]
    alone: tuple[str, ...]
    """Attributes that a layer has by itself alone: as a part of another operation it has their defaults."""

    same_size: tuple[tuple[When, Mapping[str, str]], ...]
    equations: tuple[Block, ...]
    gradient: tuple[Block, ...]


def unrolled(layer: Operation, cell: Operation, unrolling: Unrolling) -> Operation:
    """Return a layer with its cell's inputs, outputs and attributes, and with the equations that join the steps."""
    states = cell.states
    first = cell.inputs[before(states[0])].shape
    x = cell.inputs["x"].shape
    inputs = {"x": Input("x", ("B", "T", *x[1:]), "input sequence")}
    for state in states:
        name, taken = initial(state), cell.inputs[before(state)]
        about = taken.about.replace(" before", "").strip()
        inputs[name] = Input(name, taken.shape, f"initial {about}; zero if absent", optional=True)
    inputs.update((name, cell.inputs[name]) for name in cell.parameters)
    inputs["recurrent_keep"] = Input(
        "recurrent_keep",
        first,
        "which units of the state before every step sees",
        "bits",
        when={"recurrent_dropout": "number"},
    )
    outputs = {
        "y": Output(
            "y",
            ("B", "T", *first[1:]),
            "state after each step; 0 at steps taken out",
            shapes=(({"output": "held"}, ("B", "T_all", *first[1:])), ({"output": "last"}, first)),
        )
    }
    for state in states:
        about = cell.outputs[state].about.replace(" after", "").strip()
        outputs[f"{state}_n"] = Output(f"{state}_n", cell.outputs[state].shape, f"{about} after the last step read")
    place = f"{layer.family}.toml: [{layer.name}], unrolled"

    def joining(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(replace(block, text=block.text.replace("FIRST", states[0]), place=place) for block in blocks)

    return replace(
        layer,
        sizes={**cell.sizes, **unrolling.sizes, **layer.sizes},
        inputs={**inputs, **layer.inputs},
        outputs={**outputs, **layer.outputs},
        attributes={**cell.attributes, **unrolling.attributes, **layer.attributes},
        equations=(*joining(unrolling.equations), *layer.equations),
        gradient=(*joining(unrolling.gradient), *layer.gradient),
        gates=cell.gates,
        gate_variants=cell.gate_variants,
        memory_gate=cell.memory_gate,
        same_size=(*cell.same_size, *unrolling.same_size),
        at_least=cell.at_least,
        carries={initial(state): f"{state}_n" for state in states},
        parts=(
            Part(
                cell.name, ("t",), ("n",), reads={"x": "u"}, states=False, gives=False, choices={cell.name: cell},
            ),
        ),
    )  # fmt: skip
