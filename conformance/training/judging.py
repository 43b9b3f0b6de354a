"""Training of a backend beside the reference in all its perturbed versions: which quantity leaves its bound, and when.

The perturbed versions are trained too. Where training amplifies rounding, they part, and the bound grows with them. A
quantity tells something as long as its bound is below its own size; once none does, nothing more is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np

from rnnspec.backends import Backend, Unsupported
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.training import Program
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.hosting.guard import BackendCrashError, GuestLostError
from rnnspec.conformance.hosting.guest import place_of
from rnnspec.conformance.judge.formats import Format, format_of
from rnnspec.conformance.judge.tolerance import FEW_TERMS, Bounded, bounded, noise_of
from rnnspec.conformance.training.drawing import Batches, first_parameters
from rnnspec.conformance.training.engine import ArrayEngine, BackendEngine, ReferenceEngine
from rnnspec.conformance.training.programs import ProgramTrainer
from rnnspec.conformance.training.trainer import StepRecord, Trainer
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model


@dataclass(frozen=True)
class Training:
    """The training of a model: its sizes, how many steps, from which seed, in which type."""

    model: Model
    sizes: Mapping[str, int]
    steps: int
    batches: Batches
    dtype: str = "float32"
    seed: int = 0


class Trains(Protocol):
    """Makes steps, and shows what each gives."""

    def do(self, batch: Mapping[str, Array]) -> StepRecord:
        """Make one step with a batch."""


Make = Callable[[Training, ArrayEngine, NamedArrays], Trainer]
"""From what is trained, an engine and first parameters to a trainer."""


def right_trainer(request: Training, engine: ArrayEngine, parameters: NamedArrays) -> Trainer:
    """Return a trainer without a fault."""
    return Trainer(request.model, engine, parameters, request.sizes)


@dataclass(frozen=True)
class Due:
    """The right results of a step: each quantity with its bound, in the order in which a step computes them."""

    step: int
    quantities: Mapping[str, Bounded]
    seconds: float
    """How long the reference took for it in all its versions."""

    @property
    def loss(self) -> Bounded:
        """The loss and its bound."""
        return self.quantities["loss"]

    @property
    def told(self) -> int:
        """Number of quantities that tell something: their bounds are below their own size."""
        return sum(_tells(quantity) for quantity in self.quantities.values())


@dataclass
class TrainingOutcome:
    """The outcome of one backend's training."""

    name: str
    versions: Mapping[str, str]
    verdict: str = "conforms"
    reason: str = ""
    step: int = 0
    """First step at which a quantity left its bound; 0 if none did."""

    quantity: str = ""
    """The first such quantity of that step."""

    ratio: float = 0.0
    """Its error over its bound."""

    worst: float = 0.0
    """Largest error over bound of the steps before."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each step took, without its judgement."""

    def forget_after(self, step: int) -> None:
        """Leave out what belongs to later steps, which were not done for all."""
        if self.step > step:
            self.verdict, self.step, self.quantity, self.reason = "conforms", 0, "", ""
        for told in (self.losses, self.norms, self.ratios, self.seconds):
            del told[step:]


@dataclass(frozen=True)
class Judged:
    """The whole: what the reference gave at each step, and each backend's outcome."""

    request: Training
    due: tuple[Due, ...]
    outcomes: tuple[TrainingOutcome, ...]

    @property
    def silent_from(self) -> int:
        """First step at which nothing could be told any more; 0 if there was none."""
        return self.due[-1].step if self.due and not self.due[-1].told else 0


_GRADIENT: Final = "gradient of {}"
_CLIPPED: Final = "clipped gradient of {}"
_STATE: Final = "optimizer's {} of {}"
_UPDATE: Final = "update of {}"


def judge(
    request: Training,
    backends: Mapping[str, Backend | Program],
    make: Make = right_trainer,
    advanced: Callable[[int], None] = lambda step: None,
    engine: Callable[[Backend, str, Format], ArrayEngine] = BackendEngine,
    ending: AbstractContextManager[Any, bool | None] | None = None,
) -> Judged:
    """Train a model on backends, and hold every step against the reference.

    Parameters
    ----------
    request
        What is trained, and for how long.
    backends
        Backends, and programs of frameworks, by the names that they are told by.
    make
        Makes the backends' trainers; a planted fault makes others.
    advanced
        Is told each step that is done.
    engine
        Makes the engine of a backend in a type.
    ending
        A block that the steps run in; where it ends them early, the steps that are done are the result.
    """
    form = format_of(request.dtype)
    parameters = first_parameters(request.model, request.sizes, request.seed)
    noise = noise_of(form, request.seed, whole=False, adds_many=request.steps > FEW_TERMS)
    right = right_trainer(request, ReferenceEngine(form, noise), parameters)
    outcomes = {name: TrainingOutcome(name, backend.versions()) for name, backend in backends.items()}
    trainers: dict[str, Trains] = {}
    for name, backend in backends.items():
        try:
            if isinstance(backend, Program):
                trainers[name] = ProgramTrainer(backend.begin(request.model, request.sizes, parameters, request.dtype))
            else:
                trainers[name] = make(request, engine(backend, request.dtype, form), parameters)
        except Unsupported as error:
            outcomes[name].verdict, outcomes[name].reason = "refused", words_of(error)
    due: list[Due] = []
    done = 0
    with ending or nullcontext():
        for step, batch in enumerate(islice(request.batches, request.steps), start=1):
            began = time.perf_counter()
            with np.errstate(all="ignore"):
                record = right.do(batch)
            bounds = dict(_bounds(record, _loudest(parameters, batch), form))
            now = Due(step, bounds, time.perf_counter() - began)
            if now.told:
                for name, trainer in trainers.items():
                    if outcomes[name].verdict == "conforms":
                        _judge_step(outcomes[name], trainer, batch, now, form)
            due.append(now)
            done = step
            advanced(step)
            if not now.told or all(outcome.verdict != "conforms" for outcome in outcomes.values()):
                break
    for outcome in outcomes.values():
        outcome.forget_after(done)
    return Judged(request, tuple(due), tuple(outcomes.values()))


def _judge_step(outcome: TrainingOutcome, trainer: Trains, batch: NamedArrays, due: Due, form: Format) -> None:
    """Make a backend's step, and note the first quantity that leaves its bound."""
    try:
        _hold(outcome, trainer, batch, due, form)
    except Unsupported as error:
        outcome.verdict, outcome.reason, outcome.step = "refused", words_of(error), due.step
    except Interrupted:
        raise
    except BaseException as error:  # a backend may fail in any way at all, and give what fits nowhere
        lost = isinstance(error, BackendCrashError | GuestLostError)
        reason = words_of(error) if lost else f"{kind_of(error)}: {words_of(error)}, at {place_of(error)}"
        outcome.verdict, outcome.reason, outcome.step = "crashed", reason, due.step


def _hold(outcome: TrainingOutcome, trainer: Trains, batch: NamedArrays, due: Due, form: Format) -> None:
    """Make a step, and hold its quantities against their bounds."""
    began = time.perf_counter()
    with np.errstate(all="ignore"):
        got = trainer.do(batch)
    outcome.seconds.append(time.perf_counter() - began)
    worst = 0.0
    shown = dict(quantities(got))
    for name in sorted(shown, key=[*due.quantities].index):  # the first one that is wrong makes others wrong
        ratio = _ratio(due.quantities[name], np.asarray(shown[name]), form)
        if ratio > 1 and not outcome.step:
            outcome.verdict, outcome.step, outcome.quantity, outcome.ratio = "violates", due.step, name, ratio
        worst = max(worst, ratio)
    outcome.losses.append(float(got.loss))
    outcome.norms.append(np.nan if got.norm is None else float(got.norm))
    outcome.ratios.append(worst)
    if outcome.verdict == "conforms":
        outcome.worst = max(outcome.worst, worst)


def quantities(record: StepRecord) -> Iterator[tuple[str, Any]]:
    """Yield what a step gives, by name, in the order of its computation: what is wrong first, makes the rest wrong."""
    yield "loss", record.loss
    for name, gradient in record.gradients.items():
        yield _GRADIENT.format(name), gradient
    if record.norm is not None:
        yield "norm of all gradients", record.norm
    for name, gradient in record.clipped.items():
        yield _CLIPPED.format(name), gradient
    for (name, key), state in record.states.items():
        yield _STATE.format(key, name), state
    for name, parameter in record.parameters.items():
        yield _UPDATE.format(name), parameter
    if record.answer is not None:
        yield "answer without dropout", record.answer


def _bounds(record: StepRecord, loudest: float, form: Format) -> Iterator[tuple[str, Bounded]]:
    for name, value in quantities(record):
        yield name, bounded(value, form, loudest)


def _ratio(due: Bounded, got: Any, form: Format) -> float:
    """Largest error over bound; what is beyond the type's range is not judged."""
    if got.shape != due.value.shape:
        return np.inf
    judged = ~np.isnan(due.bound)
    ratios = due.error_ratios(got, form.largest)
    return float(ratios[judged].max(initial=0.0))


def _tells(quantity: Bounded) -> bool:
    """Whether the bound is below the quantity's own size."""
    bound = np.where(np.isfinite(quantity.bound), quantity.bound, np.inf)
    return bool(bound.max(initial=0.0) < np.abs(quantity.value).max(initial=0.0))


def _loudest(*groups: NamedArrays) -> float:
    """The largest magnitude among numbers that a step starts from."""
    floats = [array for group in groups for array in group.values() if array.dtype.kind == "f"]
    return max((float(np.abs(array).max(initial=0.0)) for array in floats), default=0.0)
