"""Every planted fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    habits,
    kinds_of_steps,
    layers,
    losses,
    masking,
    near_the_bound,
    ranges,
    relations,
    sizes,
    ties,
)
from rnnspec.conformance.faults.fault import Fault, plant
from rnnspec.conformance.faults.general import STEP_FAULTS, ComputedInFloat32
from rnnspec.conformance.faults.remembering import REMEMBERING_FAULTS
from rnnspec.conformance.faults.sequences import LAYER_FAULTS
from rnnspec.conformance.faults.variants import LOOPS
from rnnspec.spec import operation


def _of_family(family: str) -> Iterator[Fault]:
    loops = LOOPS[family]
    for fault in STEP_FAULTS:
        yield plant(f"{family}_cell", fault, loops)
    yield plant(f"{family}_cell", ComputedInFloat32, loops, dtype="float64")
    for fault in (*LAYER_FAULTS, *REMEMBERING_FAULTS):
        yield plant(family, fault, loops)


_OTHERS = (
    equations,
    gates,
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
    near_the_bound,
    sizes,
    confusions,
    ranges,
    kinds_of_steps,
    masking,
    ties,
    habits,
    drift,
    callers,
)

FAULTS: tuple[Fault, ...] = (
    *(fault for family in LOOPS for fault in _of_family(family)),
    *(fault for module in _OTHERS for fault in module.FAULTS),
    *crf.TIES,
)
"""Every planted fault; names are unique."""


def faults(operations: Sequence[str] = ()) -> tuple[Fault, ...]:
    """The faults planted in these operations, or in all; an operation that there is not raises."""
    for name in operations:
        operation(name)
    return tuple(fault for fault in FAULTS if not operations or fault.operation in operations)
