"""Every planted fault."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.conformance.faults import (  # noqa: F401  (each module plants its faults as it is imported)
    attention,
    axes,
    batches,
    blocks,
    crf,
    derivatives,
    drawn,
    drift,
    encoder_decoder,
    equations,
    forms,
    gates,
    kinds_of_steps,
    layers,
    layouts,
    losses,
    many_calls,
    minus_infinity,
    nan,
    near_the_bound,
    one_array_twice,
    optimizers,
    outputs,
    padding,
    precision,
    ranges,
    relations,
    remembering,
    sizes,
    small_numbers,
    spans,
    spectrum,
    threads,
    ties,
    unchecked,
    written_arrays,
)
from rnnspec.conformance.faults.fault import Fault, planted
from rnnspec.spec import operation


def faults(operations: Sequence[str] = ()) -> tuple[Fault, ...]:
    """The faults planted in these operations, or in all; an operation that there is not raises.

    Those of the tables come first; names are unique.
    """
    for name in operations:
        operation(name)
    changed = tuple(one.fault for one in equations.changed_equations(operations))
    others = (*gates.FAULTS, *near_the_bound.FAULTS, *planted())
    return changed + tuple(fault for fault in others if not operations or fault.operation in operations)
