"""Checks ``sums_to_one`` and ``partition``: the laws of probabilities and their normaliser."""

from __future__ import annotations

from typing import Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked, prefixed_by, shapes_of
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.pairs import results_of
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.judge.tolerance import Bounded

SHARES: Final = {
    "softmax": ("y", "T"),
    "attention_weights": ("weights", "T"),
    "bahdanau_decoder": ("weights", "T"),
    "luong_decoder": ("weights", "T"),
    "crf_marginals": ("marginals", "K"),
}
"""Outputs that share out a whole, and the axis over which they do."""


class SumsToOne(Check):
    """Weights and marginals.

    The bound on a sum is the sum of its terms' bounds. So where a single call's sum is wrong, a term is wrong by more
    than its own bound, and ``values``, which runs before, catches every such fault first; this check tells which law it
    breaks.
    """

    id = "sums_to_one"
    about = "weights and probabilities add up to 1 wherever there is anything to choose from, and are never negative"
    why = "a share that is lost or counted twice shows in no single number"
    law = "sums_to_one"
    calls = 4

    def examine(self, backend: Backend, example: Case) -> float:
        """Add up; where there is nothing to choose from, every share is 0."""
        name, axis = SHARES[example.operation]
        expected = expected_of(example).outputs
        asked = Asked(example, example.call)
        shares = expected[name]
        found = asked.named(shapes_of(expected), asked.of(backend))[name].astype(np.float64)
        worst = asked.judge(name, Bounded(np.maximum(found, 0), shares.bound), found)
        place = example.results[name].shape.index(axis)
        total = Bounded(np.any(shares.value > 0, axis=place).astype(np.float64), shares.bound.sum(axis=place))
        return max(worst, asked.judge(f"sum of {name} over {axis}", total, found.sum(axis=place)))


class PathSums(Check):
    """The sum over all paths, and the greatest of its terms."""

    id = "partition"
    about = "log Z is at least the best path's score, and at most n log K more, as of K^n paths that good"
    why = "a path that is lost or counted twice moves log Z beyond these bounds"
    law = "partition"
    calls = 4

    def examine(self, backend: Backend, example: Case) -> float:
        """Hold log Z between the two."""
        call = example.call
        z = results_of(backend, example, call).outputs["log_partition"]
        best = results_of(backend, example, Call("crf_viterbi", call.inputs, call.attributes)).outputs["score"]
        bound = z.bound + best.bound
        most = best.value + example.valid.sum(axis=1) * np.log(example.lengths_of["K"])
        with np.errstate(invalid="ignore"):
            held = np.clip(z.value, best.value, most)
        with prefixed_by(f"{self.about}, but "):
            return Asked(example, call).judge("log_partition", Bounded(held, bound), z.value)
