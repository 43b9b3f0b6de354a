"""Check ``layouts``: how arrays lie in memory, and whether they may be written to, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice, pairwise
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.case import Steps
from rnnspec.conformance.cases.equal import evened
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked, blamed_on
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.conformance.checks.right import expected_from
from rnnspec.spec.arrays import Array

Rearrangement = Callable[[Array], Array]


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
    """The array at a place of a larger one, whose other numbers nobody should read."""
    larger = np.empty(shape, array.dtype)
    larger.fill({"f": np.nan, "V": np.nan, "i": -(1 << 40), "b": True}[array.dtype.kind])
    larger[place] = array
    return larger[place] if place else larger


def _swapped(place: int, array: Array) -> Array:
    """Two neighbouring axes have changed places in memory, as in a time-major batch that is seen batch-first."""
    if array.ndim < 2:
        return _gaps(array)
    first = place % (array.ndim - 1)
    return np.array(array.swapaxes(first, first + 1), order="C").swapaxes(first, first + 1)


def _flipped(place: int, array: Array) -> Array:
    """One axis runs backwards in memory, and the others forwards."""
    if array.ndim == 0:
        return np.array(array)
    axis = place % array.ndim
    return np.flip(np.array(np.flip(array, axis), order="C"), axis)


def repeated(place: int, array: Array) -> Array:
    """The first entry along one axis, seen again and again: by a stride of 0, as of `expand` or `broadcast_to`."""
    if array.ndim == 0:
        return np.array(array)
    axis = place % array.ndim
    return np.broadcast_to(array[(slice(None),) * axis + (slice(0, 1),)], array.shape) if array.size else array.copy()


_AXES: Final = ("first", "second", "third", "fourth")
LAYOUTS: Final[Mapping[str, Rearrangement]] = {
    "in Fortran order": _fortran,
    "with gaps": _gaps,
    "reversed in memory": _reversed,
    "read-only": _read_only,
    "slices of larger arrays": _slice,
    "unaligned": _unaligned,
    **{
        f"with {one} and {other} axes swapped in memory": partial(_swapped, place)
        for place, (one, other) in enumerate(pairwise(_AXES))
    },
    **{f"with the {axis} axis backwards in memory": partial(_flipped, place) for place, axis in enumerate(_AXES)},
}
"""Ways in which users' arrays lie in memory; "mixed" gives each array another of them.

Arrays that lack the axes that a name tells of have others swapped, or turned, in their place.
"""

REPEATED: Final[Mapping[str, Rearrangement]] = {
    f"that repeat themselves along the {axis} axis": partial(repeated, place) for place, axis in enumerate(_AXES)
}
"""Ways in which arrays repeat themselves: a call of such arrays has numbers of its own."""


def _parts_of_one(arrays: Sequence[Array]) -> list[Array]:
    """Arrays that follow on each other in one array of their type, as the parameters of a model often do."""
    laid = list(arrays)
    for dtype in {array.dtype for array in arrays}:
        places = [place for place, array in enumerate(arrays) if array.dtype == dtype]
        whole = np.concatenate([arrays[place].ravel() for place in places])
        begin = 0
        for place in places:
            end = begin + arrays[place].size
            laid[place], begin = whole[begin:end].reshape(arrays[place].shape), end
    return laid


def _slabs_of_one(arrays: Sequence[Array]) -> list[Array]:
    """Arrays of one shape as entries of one array, the last one first, as projections that are stored together."""
    laid = list(arrays)
    for places in _of_one_form(arrays):
        whole = np.stack([arrays[place] for place in reversed(places)])
        for number, place in enumerate(reversed(places)):
            laid[place] = whole[number]
    return laid


def _windows_of_one(arrays: Sequence[Array]) -> list[Array]:
    """Arrays of one shape that overlap in memory, each one number further on, as a sequence and the next steps."""
    laid = list(arrays)
    for places in _of_one_form(arrays):
        first = arrays[places[0]]
        whole = np.concatenate([first.ravel(), *(arrays[place].ravel()[-1:] for place in places[1:])])
        for number, place in enumerate(places):
            laid[place] = whole[number : number + first.size].reshape(first.shape)
    return laid


def _of_one_form(arrays: Sequence[Array]) -> list[list[int]]:
    """Places of the arrays that have one shape and one type of numbers, where there are several."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for place, array in enumerate(arrays):
        if array.size and array.dtype.kind not in "biu":
            found.setdefault((array.dtype, array.shape), []).append(place)
    return [places for places in found.values() if len(places) > 1]


TOGETHER: Final[Mapping[str, Callable[[Sequence[Array]], list[Array]]]] = {
    "that are parts of one array": _parts_of_one,
    "that are slabs of one array": _slabs_of_one,
}
"""Ways in which all arrays of a call lie in one; sizes are equal, so that shapes are."""

WINDOWS: Final = "that are overlapping windows of one array"
_NAMES: Final = (*LAYOUTS, "mixed", *TOGETHER, WINDOWS, *REPEATED)
_OF_OTHER_NUMBERS: Final = frozenset((*REPEATED, WINDOWS))
"""Layouts in which a call has numbers of its own."""
_OF_ONE_ARRAY: Final = frozenset((*TOGETHER, WINDOWS))
_SWAPPED: Final = frozenset(name for name in LAYOUTS if "swapped" in name)
_EQUAL: Final = 3
"""All sizes of a call whose arrays lie in one."""


def _fitting(case: Case) -> list[str]:
    """Names of the layouts of which none tells of an axis that no array of the case has."""
    axes = max(array.ndim for array in case.call.inputs.values())
    return [name for name in _NAMES if not any(axis in name for axis in _AXES[max(axes, 1) :])]


def _laid_together(case: Case, name: str) -> list[Case]:
    """The case, or those of equal sizes where arrays of one shape are to lie in one."""
    return evened(case, _EQUAL) if name in _OF_ONE_ARRAY else [case]


def _in_windows(case: Case, arrays: Sequence[Array]) -> list[Array]:
    """The arrays of a call, of which its inputs overlap that may have any numbers."""
    laid = list(arrays)
    free = [place for place, key in enumerate(case.call.inputs) if not case.items[key].domain]
    for place, array in zip(free, _windows_of_one([arrays[place] for place in free]), strict=True):
        laid[place] = array
    return laid


class Layouts(Check):
    """The same numbers, lying elsewhere and otherwise."""

    id = "layouts"
    about = (
        "inputs and cotangents in Fortran order, with axes swapped or backwards in memory, with gaps, with an offset, "
        "unaligned, read-only, as parts or overlapping windows of one array, or repeated by a stride of 0 give the "
        "results that their numbers have"
    )
    why = "users pass slices, transposes, expanded arrays and mapped files, and kernels take a bare pointer"
    calls = 10

    def forced(self, scope: Scope) -> Sequence[Any]:
        """Each layout, all attributes at their defaults, with lengths that differ and with a mask."""
        usual = usual_case(scope)
        wanted: tuple[tuple[Steps, ...], ...] = (("unsorted", usual.steps), ("mask", "right_mask"))
        found = [[kind for kind in each if kind in scope.supported.steps] for each in wanted]
        cases = [replace(usual, steps=each[0]) for each in found if each]
        evenly = [evened(case, _EQUAL)[0] for case in cases[:1]]  # whose strides alone say which axis is which
        return [
            *((laid, name) for case in cases for name in _fitting(case) for laid in _laid_together(case, name)),
            *((case, name) for case in evenly for name in _fitting(case) if name in _SWAPPED),
        ]

    def of(self, case: Case, scope: Scope) -> tuple[Case, str]:
        """A case and how its arrays lie; of ordinary numbers, where others come in the place of some."""
        names = _fitting(case)
        name = names[int(stream(case.seed, "layout").integers(len(names)))]
        ordinary = replace(case, regime="generic") if name in _OF_OTHER_NUMBERS else case
        return _laid_together(ordinary, name)[0], name

    def examine(self, backend: Backend, example: tuple[Case, str]) -> float:
        """Lay the arrays out anew, and run and differentiate."""
        case, name = example
        arrays = [*case.call.inputs.values(), *case.cotangents]
        if name in TOGETHER:
            laid = TOGETHER[name](arrays)
        elif name == WINDOWS:
            laid = _in_windows(case, arrays)
        else:
            layouts = list(LAYOUTS.values()) if name == "mixed" else [{**LAYOUTS, **REPEATED}[name]]
            laid = [layout(array) for layout, array in zip(islice(cycle(layouts), len(arrays)), arrays, strict=True)]
        inputs = dict(zip(case.call.inputs, laid, strict=False))
        asked = Asked(case, Call(case.operation, inputs, case.call.attributes), tuple(laid[len(inputs) :]))
        with blamed_on(f"with arrays {name}: ", backend, case):
            return asked.compare_all(backend, None if name in _OF_OTHER_NUMBERS else expected_from(backend, case))
