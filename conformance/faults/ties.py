"""Faults of choices among equals, where the specification says which is taken.

They are no changed equations, as all checks before `ties` pass them: literal equations are slow at so many calls.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.conformance.faults.crf_loops import Chains, CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.variants import HighestFirst
from rnnspec.spec.arrays import Array


@plant("crf_viterbi")
class TiesToTheHighest(CrfLoops):
    """Among equal paths, the highest tag is taken (SHOULD: the lowest)."""

    def chosen(self, a: Array, axis: int) -> Array:
        return np.asarray(a.shape[axis] - 1 - np.argmax(np.flip(a, axis), axis=axis))


class _BestOfWays(CrfLoops):
    """The best score in the place of every log-sum."""

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        return np.asarray(a.max(axis=axis))


@plant("crf_viterbi")
class TagsChosenApart(CrfLoops):
    """Each step gets the tag of a best path, with no regard to which: of several, the lowest and highest by turns."""

    def crf_viterbi(self, **call: Any) -> tuple[Array, ...]:
        score, path = super().crf_viterbi(**call)
        for c in self.chains("crf_viterbi", call):
            possible = c.only(np.isfinite(score[c.places]))
            path[possible.cells] = self.apart(possible)
        return score, path

    def apart(self, c: Chains) -> Array:
        """The best tags of the steps, by the score of the best path through each."""
        through = _BestOfWays().alpha(c) + _BestOfWays().beta(c)
        best = through == through.max(axis=2, keepdims=True)
        lowest, highest = np.argmax(best, axis=2), c.emissions.shape[2] - 1 - np.argmax(best[..., ::-1], axis=2)
        return np.asarray(np.where(np.arange(c.steps) % 2, highest, lowest))


@plant("greedy_decode")
class GreedyTiesToTheHighest(HighestFirst):
    """The highest of equally likely tokens is written, not the lowest."""


@plant("beam_search")
class BeamTiesToTheLast(HighestFirst):
    """The later ones of equally likely hypotheses are kept, not the earlier."""
