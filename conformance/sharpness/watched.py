"""An array whose elementary operations an observer sees one by one, and whose results it can change.

The reference runs on a `Watched` as on any other array, in the type of its numbers. The observer sees the result of
each sum, product, quotient, transcendental function or matrix product before it is used. It does not see operations
that only move numbers, such as a selection or a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Observer = Callable[[NDArray[Any]], None]
"""A function that sees each result before it is used, and may change it in place."""

_MAKE_NO_NUMBER: Final = frozenset(
    {np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.sign, np.isfinite, np.isnan, np.isinf}
)
_ELEMENTARY: Final = frozenset({np.tensordot, np.dot, np.einsum, np.cumsum, np.linalg.svd})
"""Functions that compute without NumPy's elementwise functions, and are therefore shown as a whole."""


class Watched(np.ndarray[Any, Any]):
    """An array that shares its observer with all arrays computed from it."""

    observer: Observer

    def __array_finalize__(self, origin: Any) -> None:
        if isinstance(origin, Watched):
            self.observer = origin.observer

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(_plain(array) for array in out)
        result = getattr(ufunc, method)(*map(_plain, operands), **options)
        if method == "at":  # in place
            self.observer(_plain(operands[0]))
            return None
        # A reduction may leave a scalar, which would not be watched.
        array = np.asarray(result)
        if array.dtype.kind != "f":
            return result
        if ufunc not in _MAKE_NO_NUMBER:
            self.observer(array)
        return out[0] if out is not None else watch(array, self.observer)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Iterable[Any], options: Mapping[str, Any]
    ) -> Any:
        if function in _ELEMENTARY:
            result = function(*map(_plain, arguments), **options)
            self.observer(result)
        else:
            result = super().__array_function__(function, types, arguments, options)
        # Selections return plain arrays.
        if type(result) is np.ndarray and result.dtype.kind in "fV":
            return watch(result, self.observer)
        return result


def watch(array: NDArray[Any], observer: Observer) -> Watched:
    """Return a view of an array whose operations the observer sees."""
    view = array.view(Watched)
    view.observer = observer
    return view


def _plain(operand: Any) -> Any:
    return operand.view(np.ndarray) if isinstance(operand, Watched) else operand
