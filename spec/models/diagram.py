"""A model as a diagram, in Mermaid's language of flow charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnspec.spec.models.model import Model
from rnnspec.spec.models.shapes import shapes


def mermaid(model: Model, sizes: Mapping[str, int] | None = None) -> str:
    """Return the diagram: data, stages with their operations, what flows between them with its shape, and the loss."""
    return "\n".join(["flowchart TD", *(f"  {line}" for line in _lines(model, sizes))])


def _lines(model: Model, sizes: Mapping[str, int] | None) -> Iterator[str]:
    found = shapes(model, sizes)
    known = {**found.data, **found.outputs}
    used = {source for stage in model.stages for read in stage.reads.values() for source in read.sources}
    for name in model.data:
        if name in used:
            yield f'{_id(name)}(["{name}"])'
    for stage in model.stages:
        yield f'{_id(stage.name)}["{stage.name}: {stage.operation.name}"]'
    for stage in model.stages:
        for name, read in stage.reads.items():
            for source in read.sources:
                shape = " × ".join(map(str, known[source])) or "1"
                yield f'{_id(source.partition(".")[0])} -->|"{name}: {shape}"| {_id(stage.name)}'
        for name, shared in stage.shares.items():
            yield f'{_id(shared.partition(".")[0])} -.->|"shares {shared} as {name}"| {_id(stage.name)}'
    yield f'loss{{{{"loss, {model.optimizer.operation.name}"}}}}'
    for part in model.losses:
        yield f"{_id(part.of.partition('.')[0])} --> loss"
    for name, source in model.carries.items():
        yield f'{_id(source.partition(".")[0])} -.->|"next batch"| {_id(name)}'


def _id(name: str) -> str:
    """A name that Mermaid takes, and that is none of its words."""
    return "n_" + name.replace("-", "_")
