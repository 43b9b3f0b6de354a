"""Reading of models: a TOML file each. Every error names the file and the place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from rnnspec.spec.call import check_attributes
from rnnspec.spec.composition import resolved
from rnnspec.spec.errors import CallError, SpecError, one_of
from rnnspec.spec.loading import UnknownOperationError, operation, operations
from rnnspec.spec.models.model import KINDS, Data, Loss, Model, Read, Schedule, Stage, Step
from rnnspec.spec.models.shapes import shapes
from rnnspec.spec.operation import Operation
from rnnspec.spec.table import TableReader, document

_CLIPPINGS: Final = ("clip_by_value", "clip_by_norm", "clip_by_global_norm")


class UnknownModelError(LookupError):
    """There is no model of that name; the message lists the known ones."""


@cache
def models() -> dict[str, Model]:
    """Return every model of the specification by name."""
    return load_models(files("rnnspec.spec.models"))


def model(name: str) -> Model:
    """Return the model of this name; raise UnknownModelError if there is none."""
    known = models()
    if name not in known:
        raise UnknownModelError(f"unknown model {name!r}: {one_of(name, known)}")
    return known[name]


def load_models(folder: Traversable) -> dict[str, Model]:
    """Read every ``*.toml`` of a folder: a model each, by the name of its file; raise SpecError if one is malformed."""
    found = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {name: _read(found[name]) for name in sorted(found)}


def _read(file: Traversable) -> Model:
    return _ModelReader(file.name, "").model(document(file))


class _ModelReader(TableReader):
    """Reader of one model's file."""

    def model(self, table: dict[str, Any]) -> Model:
        entries = self.take(
            table, "",
            title=str, summary=str, sources=list, sizes=dict, small=dict, data=dict, stages=list, loss=list,
            optimizer=dict, clipping=dict, schedule=dict, carries=dict, predicts=str,
        )  # fmt: skip
        self.need(entries, "", "title", "summary", "sources", "sizes", "data", "stages", "loss", "optimizer")
        sizes = self.sizes(entries["sizes"], "sizes")
        small = self.sizes(entries.get("small", {}), "small")
        for name in small:
            self.among(sizes, name, "small")
        data = {name: self.data(name, item) for name, item in entries["data"].items()}
        stages = self.stages(entries["stages"], data)
        outputs = {f"{stage.name}.{name}": stage for stage in stages for name in self.outputs_of(stage)}
        carries = dict(entries.get("carries", {}))
        for name, source in carries.items():
            self.among(data, name, "carries")
            self.among(outputs, source, f"carries.{name}")
        found = Model(
            name=self.file.removesuffix(".toml"),
            title=entries["title"],
            summary=" ".join(entries["summary"].split()),
            sources=self.words(entries["sources"], "sources"),
            sizes=sizes,
            small=small,
            data=data,
            stages=stages,
            losses=tuple(self.loss(item, outputs, sizes) for item in entries["loss"]),
            optimizer=self.step(entries["optimizer"], "optimizer", self.optimizers()),
            clipping=self.step(entries["clipping"], "clipping", _CLIPPINGS) if "clipping" in entries else None,
            schedule=self.schedule(entries["schedule"]) if "schedule" in entries else None,
            carries=carries,
            predicts=self.among(outputs, entries["predicts"], "predicts") if "predicts" in entries else "",
        )
        if not found.losses:
            raise self.fail("loss", "one output at least", [])
        self.check_parameters(found)
        for chosen in ({}, small):
            shapes(found, chosen)
        return found

    def sizes(self, table: Mapping[str, Any], where: str) -> dict[str, int]:
        for name, size in table.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise self.fail(f"{where}.{name}", "a whole number, at least 1", size)
        return dict(table)

    def data(self, name: str, item: Any) -> Data:
        where = f"data.{name}"
        entries = self.take(
            item, where, shape=str, kind=str, about=str, below=str, drops=(int, float), probability=bool,
            padding=str,
        )  # fmt: skip
        self.need(entries, where, "shape", "about")
        kind = self.among(KINDS, entries.get("kind", "float"), f"{where}.kind")
        if kind in ("ids", "lengths"):
            self.need(entries, where, "below")
        if "padding" in entries:
            self.among([entries.get("below", "")], entries["padding"], f"{where}.padding")
        drops = entries.get("drops", 0.0)
        if not 0 <= drops < 1:
            raise self.fail(f"{where}.drops", "a probability, 0 to below 1", drops)
        return Data(
            name,
            tuple(entries["shape"].split()),
            kind,  # type: ignore[arg-type]  # checked
            entries["about"],
            entries.get("below", ""),
            float(drops),
            entries.get("probability", False),
            entries.get("padding", ""),
        )

    def stages(self, items: list[Any], data: Mapping[str, Data]) -> tuple[Stage, ...]:
        """Return the stages, each after those that it reads from."""
        waiting: dict[str, Stage] = {}
        for number, item in enumerate(items, start=1):
            stage = self.stage(item, number)
            if stage.name in waiting or stage.name in data:
                raise self.fail(f"stages.{stage.name}", "a new name", stage.name)
            waiting[stage.name] = stage
        known = [*data, *(f"{stage.name}.{name}" for stage in waiting.values() for name in self.outputs_of(stage))]
        for stage in waiting.values():
            for name, read in stage.reads.items():
                for source in read.sources:
                    self.among(known, source, f"stages.{stage.name}.reads.{name}")
        done: dict[str, Stage] = {}
        while waiting:
            ready = [stage for stage in waiting.values() if self.read_stages(stage, data) <= set(done)]
            if not ready:
                raise self.fail(
                    "stages", "an order in which each reads from those before it", self.cycle(waiting, data)
                )
            done |= {stage.name: stage for stage in ready}
            waiting = {name: stage for name, stage in waiting.items() if name not in done}
        return tuple(done.values())

    def stage(self, item: Any, number: int) -> Stage:
        entries = self.take(
            item, f"stages.{number}",
            name=str, operation=str, reads=dict, sizes=dict, attributes=dict, shares=dict, optional=list, initial=dict,
        )  # fmt: skip
        self.need(entries, f"stages.{number}", "name", "operation", "reads")
        where = f"stages.{entries['name']}"
        op = self.known(entries["operation"], f"{where}.operation")
        attributes = self.attributes(op, entries.get("attributes", {}), f"{where}.attributes")
        op = resolved(op, attributes)
        inputs = op.inputs_for(attributes)
        reads = {
            self.among(inputs, name, f"{where}.reads"): self.read(read, f"{where}.reads.{name}")
            for name, read in entries["reads"].items()
        }
        for name, needed in inputs.items():
            if name not in reads and not needed.optional and (needed.per_sequence or needed.kind != "float"):
                raise self.fail(f"{where}.reads", f"the input {name} ({needed.about})", list(reads))
        optional = self.words(entries.get("optional", ()), f"{where}.optional")
        for name in optional:
            self.among([k for k, i in inputs.items() if i.optional and not i.per_sequence], name, f"{where}.optional")
        stage = Stage(
            entries["name"],
            op,
            attributes,
            reads,
            {self.among(op.sizes, k, f"{where}.sizes"): str(v) for k, v in entries.get("sizes", {}).items()},
            dict(entries.get("shares", {})),
            optional,
            {name: float(value) for name, value in entries.get("initial", {}).items()},
        )
        for name in stage.shares:
            self.among(stage.parameters, name, f"{where}.shares")
        gates = op.gates_for(attributes)
        allowed = [*stage.parameters, *(f"{name}_{gate}" for name in stage.parameters for gate in gates)]
        for name in stage.initial:
            self.among(allowed, name, f"{where}.initial")
        return stage

    def read(self, item: Any, where: str) -> Read:
        if isinstance(item, dict):
            entries = self.take(item, where, of=(str, list), **{"as": str})
            self.need(entries, where, "of", "as")
            return Read(self.read(entries["of"], where).sources, tuple(entries["as"].split()))
        sources = self.words([item] if isinstance(item, str) else item, where)
        if not sources:
            raise self.fail(where, "data or a stage's output", item)
        return Read(sources)

    def loss(self, item: Any, outputs: Mapping[str, Stage], sizes: Mapping[str, int]) -> Loss:
        entries = self.take(item, "loss", of=str, weight=(int, float), over=str)
        self.need(entries, "loss", "of")
        if "over" in entries:
            self.among(sizes, entries["over"], "loss.over")
        return Loss(
            self.among(outputs, entries["of"], "loss.of"), float(entries.get("weight", 1.0)), entries.get("over", "")
        )

    def step(self, item: Any, where: str, among: tuple[str, ...]) -> Step:
        entries = self.take(item, where, operation=str, attributes=dict)
        self.need(entries, where, "operation")
        op = self.known(self.among(among, entries["operation"], f"{where}.operation"), where)
        return Step(op, self.attributes(op, entries.get("attributes", {}), f"{where}.attributes"))

    def schedule(self, item: Any) -> Schedule:
        entries = self.take(item, "schedule", factor=(int, float), every=int)
        self.need(entries, "schedule", "factor", "every")
        if entries["every"] < 1 or entries["factor"] <= 0:
            raise self.fail("schedule", "a positive factor, and every so many steps, at least 1", item)
        return Schedule(float(entries["factor"]), entries["every"])

    def known(self, name: str, where: str) -> Operation:
        try:
            return operation(name)
        except UnknownOperationError as error:
            raise SpecError(f"{self.file}: [{where}]: {error}") from error

    def attributes(self, op: Operation, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        try:
            return check_attributes(op, {name: None if value == "none" else value for name, value in given.items()})
        except CallError as error:
            raise SpecError(f"{self.file}: [{where}]: {error}") from error

    def check_parameters(self, found: Model) -> None:
        """Refuse a shared parameter that no stage has of its own."""
        own = {stage.parameter(k) for stage in found.stages for k in stage.parameters if k not in stage.shares}
        for stage in found.stages:
            for name, shared in stage.shares.items():
                self.among(own, shared, f"stages.{stage.name}.shares.{name}")

    @staticmethod
    def optimizers() -> tuple[str, ...]:
        """Return the names of the operations that are an optimizer's step."""
        return tuple(name for name, op in operations().items() if op.family == "optimizers")

    @staticmethod
    def outputs_of(stage: Stage) -> tuple[str, ...]:
        return tuple(stage.operation.outputs_for(stage.attributes))

    @staticmethod
    def read_stages(stage: Stage, data: Mapping[str, Data]) -> set[str]:
        sources = {source for read in stage.reads.values() for source in read.sources}
        return {source.partition(".")[0] for source in sources if source not in data}

    def cycle(self, waiting: Mapping[str, Stage], data: Mapping[str, Data]) -> str:
        """Return stages that read from each other in a circle, in words."""
        path = [next(iter(waiting))]
        while path[-1] not in path[:-1]:
            path.append(next(name for name in sorted(self.read_stages(waiting[path[-1]], data)) if name in waiting))
        return " reads from ".join(path[path.index(path[-1]) :])
