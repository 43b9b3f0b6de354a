"""Checks ``best_path`` and ``ties``: decoders return a best path, and a certain one of several best ones.

The values of a path are not compared where rounding could have chosen another: there, any path will do whose score is
the greatest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

import numpy as np
from hypothesis import strategies as st

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope, simpler_cases
from rnnspec.conformance.cases.regimes import gives_ids
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_of
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array


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
        """Score the returned path, and compare it with the best score."""
        asked = Asked(example, example.call)
        outputs = backend.run(example.call)
        expected = expected_of(example).outputs
        worst = asked.compare(expected, outputs)
        wide, moves = _wide(example.call), {"masked_moves": example.attributes["masked_moves"]}
        if "possible" in wide:
            wide["emissions"] = np.where(wide.pop("possible"), wide["emissions"], -np.inf)
        tags = np.where(example.valid, outputs[1], 0)
        if np.any((tags < 0) | (tags >= example.lengths_of["K"])):
            raise asked.violation("path: expected tags below K", "path")
        score: Callable[..., tuple[Array, ...]] = reference.crf_score
        scored = score(tags=tags, **wide, **moves)[0]
        best = expected["score"]
        with np.errstate(invalid="ignore"):
            short = np.asarray(np.where(scored == best.value, 0.0, best.value - scored) > best.bound)
        if short.any():
            b = int(np.argmax(short))
            message = f"path[{b}]: expected a path of score {best.value[b]:.9g}, got one of {scored[b]:.9g}"
            raise asked.violation(message, "path")
        return worst


class Ties(Check):
    """Whole numbers, with which many choices are equally good, in every type exactly."""

    id = "ties"
    level: ClassVar[Literal["MUST", "SHOULD"]] = "SHOULD"
    about = "the lowest of the best tokens is returned, and the best path that has the lowest tags, the last tag first"
    why = "decoders that break ties in different ways cannot be compared choice by choice"

    def applies_to(self, op: Operation) -> bool:
        """The choosing operations."""
        return gives_ids(op)

    def of(self, case: Case, scope: Scope) -> Case:
        """A case in which choices are equally good."""
        return _tied(case)

    def simpler(self, example: Case) -> st.SearchStrategy[Case]:
        """Cases that are simpler, and tied as well."""
        return simpler_cases(example).map(_tied)

    def examine(self, backend: Backend, example: Case) -> float:
        """Compare the ids with the lowest of the best."""
        call = _exact(example)
        outputs = backend.run(call)
        best = getattr(reference, call.operation)(**_wide(call), **call.attributes)
        asked = Asked(example, call)
        asked.named({name: due.shape for name, due in zip(example.results, best, strict=True)}, outputs)
        for (name, output), got, due in zip(example.results.items(), outputs, best, strict=True):
            if output.kind == "ids" and not np.array_equal(got, due):
                b = int(np.argmax((got != due).reshape(len(due), -1).any(axis=1)))
                message = f"{name}[{b}]: expected the lowest of the best, {due[b]}, got {got[b]}"
                raise asked.violation(message, name)
        return 0.0


_APART: Final = 64.0
"""By how much logits differ: beside the greatest probability, all others are 0."""
_MOST: Final = {"D": 3, "H": 3, "S": 3}
"""Sizes up to which whole numbers stay exact in every type."""


def _tied(case: Case) -> Case:
    """Small whole numbers; and where tokens are written, in pairs that are alike, by a cell that keeps numbers whole.

    With two pairs or one, the best token's probability is a half or a fourth, of which every logarithm is right.
    """
    if "cell" not in case.attributes:
        return replace(case, regime="integers")
    sizes = {symbol: min(size, _MOST.get(symbol, size)) for symbol, size in case.sizes.items()}
    sizes["K"] = 4 if sizes["K"] > 2 else 2
    chosen: dict[str, Any] = {"cell": "rnn_cell", "activation": "relu", "embedding": "table"}
    if "feedback" in case.attributes:
        chosen["feedback"] = "token"
    if "width" in case.attributes:
        # The mean of three equal numbers may be another; without an end, all means are of as many.
        chosen |= {"end": None, "width": min(case.attributes["width"], sizes["K"] ** case.attributes["steps"])}
    return replace(case.with_attributes(**chosen), regime="ties", sizes=sizes)


def _exact(case: Case) -> Call:
    """The case's call; where tokens are written, with logits far apart that do not grow from step to step."""
    inputs = dict(case.call.inputs)
    if "cell" in case.attributes:
        inputs |= {"R": np.zeros_like(inputs["R"])}
        inputs |= {name: inputs[name] * inputs[name].dtype.type(_APART) for name in ("V", "c")}
    return replace(case.call, inputs=inputs)


def _wide(call: Call) -> dict[str, Array]:
    floats = call.float_inputs
    return {name: array.astype(np.float64) if name in floats else array for name, array in call.inputs.items()}
