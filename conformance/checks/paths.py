"""Checks ``best_path`` and ``ties``: a decoded path is a best one, and of several best ones a certain one.

The values of a path are not compared where rounding could have chosen another: there, any path will do whose score is
the greatest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.check import Array, Check, Violation, compare_outputs, expected_of


class BestPath(Check):
    """The path's own score."""

    id = "best_path"
    about = "the score of the path that is returned is the greatest of all paths, to within rounding"
    why = "back-pointers that mix two good paths give a bad one"
    law = "best_path"

    def of(self, case: Case, scope: Scope) -> Case:
        """Mostly cases of small whole numbers: several paths are then the best, and a mixture of them is none."""
        whole = replace(case, regime="integers")
        return (case, whole, whole.with_at_least(T=2, K=2))[case.seed % 3]

    def examine(self, backend: Backend, example: Case) -> float:
        """Score the returned path, and hold it against the best score."""
        outputs = backend.run(example.call)
        expected = expected_of(example).outputs
        worst = compare_outputs(example, example.call, expected, outputs)
        wide = _wide(example)
        tags = np.where(example.valid, outputs[1], 0)
        if np.any((tags < 0) | (tags >= example.lengths_of["K"])):
            raise Violation("path: expected tags below K", str(example), example.call, quantity="path")
        score: Callable[..., tuple[Array, ...]] = reference.crf_score
        scored = score(tags=tags, **wide)[0]
        best = expected["score"]
        with np.errstate(invalid="ignore"):
            short = np.asarray(np.where(scored == best.value, 0.0, best.value - scored) > best.bound)
        if short.any():
            b = int(np.argmax(short))
            message = f"path[{b}]: expected a path of score {best.value[b]:.9g}, got one of {scored[b]:.9g}"
            raise Violation(message, str(example), example.call, quantity="path")
        return worst


class Ties(Check):
    """Whole numbers, with which many paths are equally good, in every type exactly."""

    id = "ties"
    level: ClassVar[Literal["MUST", "SHOULD"]] = "SHOULD"
    about = "of several best paths, the one with the lowest last tag, and before it the lowest each time, is returned"
    why = "decoders that break ties in different ways cannot be compared tag by tag"
    law = "best_path"

    def of(self, case: Case, scope: Scope) -> Case:
        """Cases of small whole numbers."""
        return replace(case, regime="integers")

    def examine(self, backend: Backend, example: Case) -> float:
        """Hold the path against that of the lowest tags."""
        path = backend.run(example.call)[1]
        lowest = reference.crf_viterbi(**_wide(example))[1]
        if not np.array_equal(path, lowest):
            b = int(np.argmax(np.any(path != lowest, axis=1)))
            message = f"path[{b}]: expected the lowest tags of the best paths, {lowest[b]}, got {path[b]}"
            raise Violation(message, str(example), example.call, quantity="path")
        return 0.0


def _wide(case: Case) -> dict[str, Array]:
    floats = case.call.float_inputs
    return {name: array.astype(np.float64) if name in floats else array for name, array in case.call.inputs.items()}
