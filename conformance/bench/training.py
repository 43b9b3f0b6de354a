"""Contests of training: a model's whole step, its parts and its stages, with data that flows from stage to stage.

A backend is judged first: two steps of training at the model's sizes, of a batch of at most `JUDGED` sequences, are
held against the reference as ``rnnspec train`` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, Final

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.bench.conformity import NotConformingError
from rnnspec.conformance.bench.contender import Contender, reason, violates
from rnnspec.conformance.bench.cost import BYTES_OF_A_GRADIENT, FLOPS_OF_A_GRADIENT, Cost
from rnnspec.conformance.bench.engine import Engine, Setting, WarmContender
from rnnspec.conformance.bench.outcome import Contest
from rnnspec.conformance.bench.timing import Run
from rnnspec.conformance.bench.workload import Mode, Workload
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.training.drawing import Batches, drawn_examples, first_parameters
from rnnspec.conformance.training.engine import Back, FlowingEngine
from rnnspec.conformance.training.judging import Training, judge
from rnnspec.conformance.training.trainer import Trainer
from rnnspec.spec.language import parse_size, size_of
from rnnspec.spec.models import Model, model, shapes
from rnnspec.spec.operation import Operation

PARTS: Final[tuple[Mode, ...]] = ("step", "forward", "backward", "update")
"""A whole step, and its parts."""

PARTS_OF_A_STAGE: Final[tuple[Mode, ...]] = ("forward", "backward")

JUDGED: Final = 8
"""Sequences of a batch that is judged; the reference in all its versions takes long for more."""

STEPS_JUDGED: Final = 2


@dataclass(frozen=True, kw_only=True)
class TrainingWorkload(Workload):
    """The training of a model or, with a `part`, that stage of it; `stages` is empty."""

    model: Model
    given: Mapping[str, int] = field(default_factory=dict)
    """Sizes in place of the model's own."""

    @property
    def judged_in_part(self) -> str:
        """What is done before a batch is timed of which not all is judged, in words."""
        return f"{STEPS_JUDGED} steps of training were judged, on some sequences of a batch"

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Parts of a step; a stage has no update."""
        return PARTS_OF_A_STAGE if self.part else PARTS


def trainings(name: str, given: Mapping[str, int], label: str, *, stages: bool) -> Iterator[TrainingWorkload]:
    """Yield the training of a model and, if asked, of each of its stages; raise SpecError for sizes that do not fit."""
    found = model(name)
    shapes(found, given)
    parts = ["", *(stage.name for stage in found.stages)] if stages else [""]
    for part in parts:
        words = " ".join(filter(None, (name, label, part)))
        yield TrainingWorkload(words, found.title, found.at(given), (), part=part, model=found, given=given)


def work_of(plain: Mapping[str, Any]) -> TrainingWorkload:
    """Return the training that plain data of `TrainingEngine.to_measure` names."""
    found, given = model(plain["model"]), plain["sizes"]
    return TrainingWorkload(found.name, found.title, found.at(given), (), part=plain["stage"], model=found, given=given)


class _Listening(FlowingEngine):
    """An engine that keeps each recorded call: its inputs, its way back, and the cotangents that came."""

    def __init__(self, backend: Backend, dtype: str) -> None:
        super().__init__(backend, dtype, format_of(dtype))
        self.calls: list[_Kept] = []

    def recorded(
        self, op: Operation, inputs: Mapping[str, Any], attributes: Mapping[str, Any], wanted: Collection[str]
    ) -> tuple[dict[str, Any], Back]:
        """Return the outputs of a call and the way back, and keep both."""
        outputs, back = super().recorded(op, inputs, attributes, wanted)
        kept = _Kept(op, dict(inputs), dict(attributes), list(wanted), back)
        self.calls.append(kept)
        return outputs, kept.go_back


@dataclass
class _Kept:
    op: Operation
    inputs: Mapping[str, Any]
    attributes: Mapping[str, Any]
    wanted: Collection[str]
    back: Back
    cotangents: Mapping[str, Any] | None = None

    def go_back(self, cotangents: Mapping[str, Any]) -> Mapping[str, Any]:
        self.cotangents = dict(cotangents)
        return self.back(cotangents)


def run_of(backend: Backend, work: TrainingWorkload, mode: Mode, dtype: str) -> Run:
    """Put a batch and the parameters on the device, and return the part of a step to time, which waits for its end.

    Raises
    ------
    Unsupported
        If the backend's arrays cannot flow from stage to stage.
    """
    engine = _Listening(backend, dtype) if work.part else FlowingEngine(backend, dtype, format_of(dtype))
    batches = _batches(work, work.given)
    trainer = Trainer(work.model, engine, first_parameters(work.model, work.given, 0), work.given, answers=False)
    batch = {name: engine.array(array) for name, array in next(iter(batches)).items()}
    part = _stage(trainer, engine, batch, work, mode) if isinstance(engine, _Listening) else _part(trainer, batch, mode)

    def run() -> None:
        part()
        backend.synchronise()

    return run


def _part(trainer: Trainer, batch: dict[str, Any], mode: Mode) -> Callable[[], object]:
    if mode == "step":
        return lambda: trainer.move(batch)
    if mode == "forward":
        return lambda: trainer.go_through(batch)
    done = trainer.go_through(batch)
    if mode == "backward":
        return lambda: trainer.gradients(done)
    gradients = trainer.gradients(done)
    trainer.step = 1  # the optimizer counts steps from 1
    return lambda: trainer.update(trainer.clipped(gradients))


def _stage(
    trainer: Trainer, engine: _Listening, batch: dict[str, Any], work: TrainingWorkload, mode: Mode
) -> Callable[[], object]:
    """One stage on what comes to it in a step: its outputs, or its way back."""
    trainer.gradients(trainer.go_through(batch))
    kept = engine.calls[[stage.name for stage in work.model.stages].index(work.part)]
    if mode == "forward":
        return lambda: FlowingEngine.recorded(engine, kept.op, kept.inputs, kept.attributes, kept.wanted)
    if kept.cotangents is None:
        raise Unsupported(f"no gradient goes through stage {work.part}")
    cotangents = kept.cotangents
    return lambda: kept.back(cotangents)


def _batches(work: TrainingWorkload, sizes: Mapping[str, int]) -> Batches:
    return Batches(work.model, sizes, drawn_examples(work.model, sizes, 0, batches=1))


class TrainingEngine(Engine):
    """Contests of training."""

    def __init__(self, contests: Sequence[Contest], setting: Setting) -> None:
        super().__init__(contests, setting)
        self._judged: dict[Hashable, float | NotConformingError] = {}
        """Worst error ratios, or refusals."""

    def admit_all(
        self, contest: Contest
    ) -> tuple[dict[str, WarmContender], dict[str, NotConformingError], tuple[tuple[int, int], ...]]:
        """Return contenders whose training conforms, refusals by contender, and the sequences judged."""
        work, mode, dtype = _training(contest), contest.mode, contest.dtype
        admitted: dict[str, WarmContender] = {}
        refusals: dict[str, NotConformingError] = {}
        for one in self.setting.contenders:
            try:
                run, warmed = self.warmed_up(one, partial(run_of, one.backend, work, mode, dtype))
                admitted[one.name] = WarmContender(one, self._ratio(one, work, dtype), run, warmed)
            except NotConformingError as refusal:
                refusals[one.name] = refusal
        batch = work.sizes["B"]
        return admitted, refusals, ((min(JUDGED, batch), batch),)

    def cost(self, contest: Contest) -> Cost:
        """Return the least work of a part of a step."""
        return cost_of_training(_training(contest), contest.mode, contest.dtype)

    def to_measure(self, contest: Contest) -> Mapping[str, Any]:
        """Return a contest's training as plain data."""
        work = _training(contest)
        return {
            "model": work.model.name,
            "sizes": dict(work.given),
            "stage": work.part,
            "mode": contest.mode,
            "dtype": contest.dtype,
        }

    def _ratio(self, contender: Contender, work: TrainingWorkload, dtype: str) -> float:
        """Worst error ratio of a contender's training, which is judged once for all parts."""
        key = (contender.name, work.model.name, tuple(work.given.items()), dtype)
        if key not in self._judged:
            self._judged[key] = _judged(contender, work, dtype)
        found = self._judged[key]
        if isinstance(found, NotConformingError):
            raise found
        return found


def _training(contest: Contest) -> TrainingWorkload:
    assert isinstance(contest.workload, TrainingWorkload)
    return contest.workload


def _judged(contender: Contender, work: TrainingWorkload, dtype: str) -> float | NotConformingError:
    sizes = {**work.given, "B": min(JUDGED, work.sizes["B"])}
    request = Training(work.model, sizes, STEPS_JUDGED, _batches(work, sizes), dtype)
    try:
        (outcome,) = judge(request, {contender.name: contender.backend}, engine=FlowingEngine).outcomes
    except Unsupported as refusal:
        return NotConformingError(f"refused: {reason(refusal)}")
    except Exception as error:  # a backend may fail in any way at all
        return NotConformingError(f"crashed: {reason(error)}", violates=violates(error))
    if outcome.verdict == "refused":
        return NotConformingError(f"refused: {outcome.reason}")
    if outcome.verdict == "crashed":
        return NotConformingError(f"crashed: {outcome.reason.splitlines()[0]}", violates=True)
    if outcome.verdict == "violates":
        told = f"does not conform: step {outcome.step}, {outcome.quantity}, error ratio {outcome.ratio:.3g}"
        return NotConformingError(told, violates=True)
    return outcome.worst


def cost_of_training(work: TrainingWorkload, mode: Mode, dtype: str) -> Cost:
    """Return the cost of a part of a step: of the stages, forward and backward, and of the optimizer."""
    found, bytes_each = shapes(work.model, work.given), format_of(dtype).dtype.itemsize
    stages = [stage for stage in work.model.stages if work.part in ("", stage.name)]
    forward = sum((_cost(stage.operation, found.sizes[stage.name], bytes_each) for stage in stages), Cost())
    backward = Cost((FLOPS_OF_A_GRADIENT - 1) * forward.flops, (BYTES_OF_A_GRADIENT - 1) * forward.bytes)
    numbers = sum(prod(parameter.shape) for parameter in found.parameters.values())
    update = _cost(work.model.optimizer.operation, {"N": numbers}, bytes_each)
    parts = {"forward": forward, "backward": backward, "update": update}
    return parts[mode] if mode in parts else forward + backward + update


def _cost(op: Operation, sizes: Mapping[str, int], bytes_each: int) -> Cost:
    flops, elements = (size_of(parse_size(op.cost[key], f"{op.name}, cost"), sizes) for key in ("flops", "elements"))
    return Cost(flops, elements * bytes_each)
