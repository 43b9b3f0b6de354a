"""Every planted fault."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.conformance.faults import (
    attention,
    blocks,
    callers,
    clipping,
    conduct,
    confusions,
    crf,
    derivatives,
    drift,
    encoder_decoder,
    equations,
    gates,
    general,
    habits,
    kinds_of_steps,
    layers,
    losses,
    masking,
    near_the_bound,
    ranges,
    relations,
    remembering,
    sequences,
    sizes,
    ties,
)
from rnnspec.conformance.faults.fault import Fault, planted_in
from rnnspec.spec import operation

FAULTS: tuple[Fault, ...] = (
    *equations.FAULTS,
    *gates.FAULTS,
    *near_the_bound.FAULTS,
    *planted_in(
        general,
        sequences,
        remembering,
        blocks,
        losses,
        layers,
        clipping,
        crf,
        attention,
        encoder_decoder,
        relations,
        derivatives,
        conduct,
        sizes,
        confusions,
        ranges,
        kinds_of_steps,
        masking,
        ties,
        habits,
        drift,
        callers,
    ),
)
"""Every planted fault, those of the tables first; names are unique."""


def faults(operations: Sequence[str] = ()) -> tuple[Fault, ...]:
    """The faults planted in these operations, or in all; an operation that there is not raises."""
    for name in operations:
        operation(name)
    return tuple(fault for fault in FAULTS if not operations or fault.operation in operations)
