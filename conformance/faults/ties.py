"""Faults of choices among equals, where the specification says which is taken."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.conformance.faults.encoder_decoder import Hypothesis, Writing
from rnnspec.conformance.faults.fault import Fault, planted
from rnnspec.spec.arrays import Array


class GreedyTiesToTheHighest(Writing):
    """Of tokens that are equally likely the highest is written, not the lowest."""

    def chosen(self, logits: Array) -> int:
        return len(logits) - 1 - int(np.argmax(logits[::-1]))


class BeamTiesToTheLast(Writing):
    """Of hypotheses that are equally likely the later ones are kept, not the earlier."""

    def candidates(self, found: list[Hypothesis]) -> list[Hypothesis]:
        return found[::-1]


FAULTS: tuple[Fault, ...] = (
    planted("greedy_decode", GreedyTiesToTheHighest),
    planted("beam_search", BeamTiesToTheLast),
)
