"""``rnnspec show --model``: a model in full: what a batch holds, its stages, parameters, loss, and a diagram."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_json
from rnnspec.spec.models import Model, Read, Stage, mermaid, model, shapes


def show_model(name: str, json_file: Path | None) -> None:
    """Print a model as text and as a diagram in Mermaid's language."""
    found = model(name)
    _print(open_console(), found)
    if json_file:
        write_json(json_file, model_json(found))


def model_json(found: Model) -> dict[str, Any]:
    """Return a model as plain data."""
    known = shapes(found)
    return {
        "name": found.name,
        "title": found.title,
        "summary": found.summary,
        "sources": found.sources,
        "sizes": dict(found.sizes),
        "data": [
            {"name": item.name, "kind": item.kind, "shape": known.data[item.name], "about": item.about}
            for item in found.data.values()
        ],
        "stages": [
            {
                "name": stage.name,
                "operation": stage.operation.name,
                "attributes": _set(stage),
                "reads": {name: {"of": read.sources, "as": read.view} for name, read in stage.reads.items()},
                "parameters": {name: stage.parameter(name) for name in stage.parameters},
            }
            for stage in found.stages
        ],
        "parameters": [{"name": one.name, "shape": one.shape} for one in known.parameters.values()],
        "loss": [{"of": part.of, "weight": part.weight, "over": part.over} for part in found.losses],
        "clipping": None
        if found.clipping is None
        else {"operation": found.clipping.operation.name, "attributes": dict(found.clipping.attributes)},
        "optimizer": {"operation": found.optimizer.operation.name, "attributes": dict(found.optimizer.attributes)},
        "carries": dict(found.carries),
        "diagram": mermaid(found),
    }


def _print(console: Console, found: Model) -> None:
    known = shapes(found)
    console.print(Text.assemble((found.name, "bold"), f": {found.title}"))
    console.print(Padding(Text(found.summary), (0, 0, 1, 2)))
    table = titled("What a batch holds", ("", "kind", "shape", ""))
    for item in found.data.values():
        table.add_row(item.name, item.kind, f"{' '.join(item.shape)} = {_shape(known.data[item.name])}", item.about)
    console.print(table)
    table = titled("Stages", ("stage", "operation", "reads", "parameters"))
    for stage in found.stages:
        told = ", ".join(f"{name} = {value}" for name, value in _set(stage).items())
        operation = stage.operation.name + (f" ({told})" if told else "")
        reads = "\n".join(f"{name}: {_read(read)}" for name, read in stage.reads.items())
        parameters = "\n".join(
            f"{name} {_shape(known.parameters[stage.parameter(name)].shape)}"
            + (f" = {stage.shares[name]}" if name in stage.shares else "")
            for name in stage.parameters
        )
        table.add_row(stage.name, operation, reads, parameters)
    console.print(table)
    count = sum(prod(one.shape) for one in known.parameters.values())
    console.print(Text(f"{len(known.parameters)} parameters of {count:,} numbers"))
    losses = " + ".join(
        f"{part.weight:g} × {part.of}" + (f" / {part.over}" if part.over else "") for part in found.losses
    )
    console.print(Text(f"Loss: {losses}"), soft_wrap=True)
    for about, step in (("Clipping", found.clipping), ("Optimizer", found.optimizer)):
        if step is not None:
            console.print(Text(f"{about}: {step.operation.name}({_settings(step.attributes)})"), soft_wrap=True)
    if found.schedule is not None:
        schedule = found.schedule
        console.print(Text(f"Learning rate: times {schedule.factor:g} after every {schedule.every} steps"))
    for name, source in found.carries.items():
        console.print(Text(f"Carried: {source} of a batch is {name} of the next"))
    console.print()
    console.print(Text("Diagram, in Mermaid's language", "bold"))
    console.print(Text(mermaid(found)), soft_wrap=True)
    console.print()
    console.print(Text("Sources", "bold"))
    for source in found.sources:
        console.print(Padding(Text(source), (0, 0, 0, 2)))


def _set(stage: Stage) -> dict[str, Any]:
    """The attributes that a stage sets: all that differ from their defaults."""
    defaults = stage.operation.defaults()
    return {name: value for name, value in stage.attributes.items() if value != defaults[name]}


def _settings(attributes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in attributes.items())


def _read(read: Read) -> str:
    return ", ".join(read.sources) + (f" as {' '.join(read.view)}" if read.view else "")


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "1"
