"""Check ``layouts``: how arrays lie in memory, and whether they may be written to, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.check import Array, Check, Violation, compare_both, usual_case

Layout = Callable[[Array], Array]


def _fortran(array: Array) -> Array:
    """The first axis runs fastest."""
    return np.array(array, order="F")


def _gaps(array: Array) -> Array:
    """Every second element of a larger array, along each axis."""
    return _in_larger(array, tuple(2 * size for size in array.shape), (slice(None, None, 2),) * array.ndim)


def _reversed(array: Array) -> Array:
    """A view of an array that has its elements from the last to the first, along each axis."""
    turned = (slice(None, None, -1),) * array.ndim
    return np.array(array[turned], order="C")[turned]


def _read_only(array: Array) -> Array:
    """As memory that is mapped from a file, or that another library owns."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def _slice(array: Array) -> Array:
    """From the second element of a larger array on, along each axis."""
    return _in_larger(array, tuple(size + 2 for size in array.shape), (slice(1, -1),) * array.ndim)


def _unaligned(array: Array) -> Array:
    """At an address that is no multiple of the element's size, as a field of a record in a file may be."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    laid = memory[1:].view(array.dtype).reshape(array.shape)
    laid[...] = array
    return laid


def _in_larger(array: Array, shape: tuple[int, ...], place: tuple[slice, ...]) -> Array:
    """The array at a place of a larger one; what lies around it is not what anyone should read."""
    larger = np.empty(shape, array.dtype)
    larger.fill({"f": np.nan, "V": np.nan, "i": -(1 << 40), "b": True}[array.dtype.kind])
    larger[place] = array
    return larger[place] if place else larger


LAYOUTS: Final[Mapping[str, Layout]] = {
    "in Fortran order": _fortran,
    "with gaps": _gaps,
    "reversed in memory": _reversed,
    "read-only": _read_only,
    "slices of larger arrays": _slice,
    "unaligned": _unaligned,
}
"""Ways in which users' arrays lie in memory; "mixed" gives each array another of them."""

_NAMES: Final = (*LAYOUTS, "mixed")


class Layouts(Check):
    """The same numbers, lying elsewhere and otherwise."""

    id = "layouts"
    about = (
        "inputs and cotangents in Fortran order, with gaps, with an offset, reversed, unaligned or read-only give "
        "the same results"
    )
    why = "users pass slices, transposes and mapped files, and kernels take a bare pointer"
    calls = 10

    def forced(self, scope: Scope) -> Sequence[Any]:
        """Each layout, all attributes at their defaults."""
        return [(usual_case(scope), name) for name in _NAMES]

    def of(self, case: Case, scope: Scope) -> tuple[Case, str]:
        """A case and how its arrays lie."""
        return case, _NAMES[int(stream(case.seed, "layout").integers(len(_NAMES)))]

    def examine(self, backend: Backend, example: tuple[Case, str]) -> float:
        """Lay the arrays out anew, and run and differentiate."""
        case, name = example
        layouts = list(LAYOUTS.values()) if name == "mixed" else [LAYOUTS[name]]
        arrays = [*case.call.inputs.values(), *case.cotangents]
        laid = [layout(array) for layout, array in zip(islice(cycle(layouts), len(arrays)), arrays, strict=True)]
        inputs = dict(zip(case.call.inputs, laid, strict=False))
        call = Call(case.operation, inputs, case.call.attributes)
        try:
            return compare_both(backend, case, call, tuple(laid[len(inputs) :]))
        except Violation as violation:
            violation.message = f"with arrays {name}: {violation.message}"
            raise
