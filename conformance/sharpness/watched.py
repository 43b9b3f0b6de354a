"""An array whose elementary operations can be seen, and their results changed, one by one.

The reference runs on a `Watched` as on any other array, in the type of its numbers. Whatever it computes is shown to an
observer first: the result of each sum, product, quotient, transcendental function or matrix product. What moves
numbers and makes none, such as a selection or a maximum, is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Observer = Callable[[NDArray[Any]], None]
"""Is shown each result before it is used, and may change it in place."""

_MAKE_NO_NUMBER: Final = frozenset(
    {np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.sign, np.isfinite, np.isnan, np.isinf}
)
_ELEMENTARY: Final = frozenset({np.tensordot, np.dot, np.einsum, np.cumsum, np.linalg.svd})
"""Functions that compute without NumPy's elementwise functions, and so would do it unseen."""


class Watched(np.ndarray[Any, Any]):
    """An array, and what is made of it; all of them share one observer."""

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
        # An axis reduced away leaves a scalar, which would be lost sight of.
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
