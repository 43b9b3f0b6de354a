"""The cell of the minimal gated unit."""

from __future__ import annotations

from rnnspec.backends.composed.gru import GRU


class MGU(GRU):
    """One gate mixes the state before with a candidate, and the candidate sees that state through it."""

    gates = layout = "fn"
