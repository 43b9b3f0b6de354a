"""Implementations of Keras and TensorFlow, a file for each family: functions that run and script an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Script
from rnnspec.backends.tensorflow.natives import (
    attention,
    blocks,
    clipping,
    ctc,
    gru,
    losses,
    lstm,
    optimizers,
    rnn,
    stacks,
)

_FAMILIES: Final = (blocks, losses, rnn, lstm, gru, stacks, clipping, optimizers, ctc, attention)

NATIVES: Final[Mapping[str, Native]] = {name: one for family in _FAMILIES for name, one in family.NATIVES.items()}
DRAWING: Final[Mapping[str, Native]] = {**blocks.DRAWING, **rnn.DRAWING, **stacks.DRAWING}
"""Those of them that draw the masks of their dropout."""
SCRIPTS: Final[Mapping[str, Script]] = {name: one for family in _FAMILIES for name, one in family.SCRIPTS.items()}
