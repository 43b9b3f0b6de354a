"""Check ``partial_gradients``: cotangents of some outputs only, and gradients of some inputs only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np

from rnnspec.backends import Backend, Cotangents
from rnnspec.conformance.cases import Case, Deck, Scope
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array

STEPS: Final = ("T", "T_all", "N", "U")
"""Second axes of outputs that have an entry for each step."""


@dataclass(frozen=True)
class Partial:
    """Which outputs are used, at which step where only one is, and the inputs that gradients are asked of."""

    used: tuple[str, ...]
    inputs: tuple[str, ...]
    step: int | None = None

    def cotangents(self, case: Case) -> Cotangents:
        """The case's, without those of unused outputs, and with zeros at unused steps."""
        outputs = [output for output in case.results.values() if output.kind == "float"]
        return tuple(
            self._at_the_step(dy, output.shape) if output.name in self.used else None
            for dy, output in zip(case.cotangents, outputs, strict=True)
        )

    def fits(self, case: Case) -> bool:
        """Whether a case has these outputs and inputs, and the step."""
        shapes = [case.shape_of(case.results[name].shape) for name in self.used if name in case.results]
        steps = [shape[1] for shape in shapes if len(shape) > 1]
        return (
            len(shapes) == len(self.used)
            and set(self.inputs) <= set(case.call.float_inputs)
            and (self.step is None or self.step < min(steps, default=0))
        )

    def _at_the_step(self, dy: Array, shape: tuple[str, ...]) -> Array:
        if self.step is None or not has_steps(shape):
            return dy
        alone = np.zeros_like(dy)
        alone[:, self.step] = dy[:, self.step]
        return alone

    @classmethod
    def of(cls, case: Case) -> Partial:
        """A part of the case's gradients, mostly of one output or one input; the case's seed says which.

        So it takes no choices of its own, and the cases are those that other checks draw.
        """
        rng = np.random.default_rng(case.seed)
        outputs = [output for output in case.results.values() if output.kind == "float"]
        used = _some_of([output.name for output in outputs], rng)
        steps = min(
            (dy.shape[1] for dy, y in zip(case.cotangents, outputs, strict=True) if has_steps(y.shape)), default=0
        )
        inputs = _some_of(list(case.call.float_inputs), rng)
        return cls(used, inputs, int(rng.integers(steps)) if steps and rng.random() < 0.4 else None)

    @classmethod
    def turn(cls, case: Case, number: int) -> Partial:
        """One part after another: each output alone and all, each input alone and all, each end of the steps alone."""
        outputs = [output.name for output in case.results.values() if output.kind == "float"]
        inputs = list(case.call.float_inputs)
        used = [*((name,) for name in outputs), tuple(outputs)]
        wanted = [*((name,) for name in inputs), tuple(inputs)]
        one = used[number % len(used)]
        shapes = [case.results[name].shape for name in one if has_steps(case.results[name].shape)]
        last = min((case.shape_of(shape)[1] for shape in shapes), default=0) - 1
        masked = case.spec.has_steps and any(shape[1] == "T" for shape in shapes) and case.valid.any()
        first = int(case.valid.any(axis=0).argmax()) if masked else 0
        steps = (first, None, last) if last >= 0 else (None,)
        # Each round of one choice begins the next one elsewhere, so that all meet.
        return cls(one, wanted[(number + number // len(wanted)) % len(wanted)], steps[number // len(used) % len(steps)])

    def __str__(self) -> str:
        step = "" if self.step is None else f", of step {self.step} alone"
        return f"cotangents of {', '.join(self.used)}{step}, gradients of {', '.join(self.inputs)}"


class PartialGradients(Check):
    """A loss on the final state alone, on one step alone; gradients of one parameter, of the initial state alone."""

    id = "partial_gradients"
    needs_gradients = True
    calls = 2
    about = (
        "with cotangents of some outputs only, or of one step, and gradients of some inputs only, each gradient is as"
        " if the other cotangents were 0 and all gradients asked for"
    )
    why = "outputs that a loss leaves out and weights that are frozen are the rule in training"

    def applies_to(self, op: Operation) -> bool:
        """Operations that have a gradient."""
        return op.differentiable

    def forced(self, scope: Scope) -> Sequence[tuple[Case, Partial]]:
        """Each output alone, of sequences that end before the last step: a loss of a padded batch's final states."""
        usual = usual_case(scope)
        cases = [
            replace(usual, steps=kind, seed=seed).with_at_least(B=3, T=4)
            for kind in ("shorter", "right_mask")
            if kind in scope.supported.steps
            for seed in (1, 2)
        ]
        outputs = [name for name, output in usual.results.items() if output.kind == "float"]
        return [(case, Partial((name,), tuple(case.call.float_inputs))) for case in cases for name in outputs]

    def planned(self, deck: Deck, count: int) -> Iterator[tuple[Case, Partial]]:
        """Cases of a deck, each with the next part in turn."""
        cases = (case for case in deck.spread() if case.call.float_inputs)
        return ((case, Partial.turn(case, number)) for number, case in enumerate(islice(cases, count)))

    def examine(self, backend: Backend, example: Case | tuple[Case, Partial]) -> float:
        """Differentiate in part, and compare the results with that part of the reference's gradients."""
        case, part = example if isinstance(example, tuple) else (example, Partial.of(example))
        if not part.fits(case):
            part = Partial.of(case)
        asked = Asked(case, case.call, part.cotangents(case), part.inputs, part=str(part))
        got = asked.of(backend)
        right = asked.right().gradients
        return asked.compare({name: right[name] for name in part.inputs}, got)


def has_steps(shape: tuple[str, ...]) -> bool:
    """Whether an output of this shape has an entry for each step."""
    return shape[:1] == ("B",) and shape[1:2] != () and shape[1] in STEPS


def _some_of(names: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """One name, or several, or all, in their order."""
    chosen = rng.random(len(names)) < (0.5 if rng.random() < 0.4 else 0.0)
    chosen[rng.integers(len(names))] = True
    return tuple(name for name, taken in zip(names, chosen, strict=True) if taken)
