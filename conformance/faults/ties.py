"""Faults of choices among equals, where the specification says which is taken."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.conformance.faults.encoder_decoder import Hypothesis, Writing
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array


@plant("greedy_decode")
class GreedyTiesToTheHighest(Writing):
    """Of tokens that are equally likely the highest is written, not the lowest."""

    def chosen(self, logits: Array) -> int:
        return len(logits) - 1 - int(np.argmax(logits[::-1]))


@plant("beam_search")
class BeamTiesToTheLast(Writing):
    """Of hypotheses that are equally likely the later ones are kept, not the earlier."""

    def candidates(self, found: list[Hypothesis]) -> list[Hypothesis]:
        return found[::-1]
