"""Check ``shift``: a constant added to all scores shifts their sums, and no probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.pairs import Bounds, Pair, hold, unchanged
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array

_CHAIN: Final = {"emissions": 2, "transitions": 0, "start": 0, "end": 0}
SHIFTED: Final[Mapping[str, Mapping[str, int]]] = {
    "softmax": {"x": 1},
    "log_softmax": {"x": 1},
    "attention_weights": {"scores": 2},
    "cross_entropy": {"logits": 2},
    "perplexity": {"logits": 2},
    "ctc_loss": {"logits": 2},
    "framewise_log_likelihood": {"emissions": 2},
    **dict.fromkeys(
        (
            "crf_score", "crf_log_partition", "crf_log_likelihood", "crf_marginals", "crf_viterbi", "crf_best_paths",
            "crf_entropy",
        ),
        _CHAIN,
    ),
}  # fmt: skip
"""Inputs of scores, and how many of their first axes have a shift of their own for each place."""

_SUMMED: Final = {
    "crf_score": "score", "crf_log_partition": "log_partition", "crf_viterbi": "score", "crf_best_paths": "score",
}  # fmt: skip
"""Outputs to which scores add up; no other output, and no gradient, sees a shift."""

_GRID: Final = 8
"""Scores are multiples of 1/8 between -8 and 8, and so are shifts: every type then holds their sum exactly."""


class Shift(Check):
    """One kind of score, shifted."""

    id = "shift"
    about = "a constant added to scores shifts the score of every path by as much, and no probability or gradient"
    why = "scores have no zero of their own, and a normaliser that is missing shows here"
    law = "shift"
    calls = 4

    def examine(self, backend: Backend, example: Case) -> float:
        """Shift one of the inputs, and compare the results with those without."""
        rng = np.random.default_rng(example.seed)
        first = {
            name: _coarse(array) if name in SHIFTED[example.operation] else array
            for name, array in example.call.inputs.items()
        }
        name = str(rng.choice([name for name in SHIFTED[example.operation] if name in first]))
        scores = first[name]
        axes = SHIFTED[example.operation][name]
        shift = rng.integers(-8 * _GRID, 8 * _GRID + 1, scores.shape[:axes]) / _GRID
        over_the_rest = shift.reshape(*shift.shape, *(1 for _ in scores.shape[axes:]))
        second = {**first, name: (scores.astype(np.float64) + over_the_rest).astype(scores.dtype)}
        summed = _SUMMED.get(example.operation, "")

        def outputs(results: Bounds) -> Bounds:
            if not summed:
                return results
            of_paths = results[summed]
            along = _along_a_path(example, name, shift)
            each = along.reshape(along.shape + (1,) * (of_paths.value.ndim - along.ndim))
            return {**results, summed: Bounded(of_paths.value + each, of_paths.bound)}

        attributes = example.call.attributes
        pair = Pair(
            f"a constant added to {name} {f'shifts {summed} by as much' if summed else 'changes nothing'}",
            Call(example.operation, first, attributes),
            Call(example.operation, second, attributes),
            outputs,
            unchanged,
            example.cotangents,
            example.cotangents,
        )
        return hold(backend, example, pair)


def _coarse(scores: Array) -> Array:
    wide = scores.astype(np.float64)
    coarse = np.where(np.isfinite(wide), np.clip(np.rint(wide * _GRID) / _GRID, -8, 8), wide)
    return coarse.astype(scores.dtype)


def _along_a_path(case: Case, name: str, shift: Array) -> Array:
    """The sum of the shift along every path of each sequence, (B,)."""
    steps = case.valid.sum(axis=1)
    times = {"transitions": np.maximum(steps - 1, 0), "start": np.minimum(steps, 1), "end": np.minimum(steps, 1)}
    if name in times:
        return np.asarray(times[name] * shift)
    return np.asarray(np.where(case.valid, shift, 0.0).sum(axis=1))
