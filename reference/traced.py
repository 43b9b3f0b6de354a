"""Reverse-mode differentiation of NumPy code: an array that remembers what it was computed from.

The reference runs unchanged on a `Traced`. Its hand-written vector-Jacobian product, run on traced inputs, is therefore
differentiable itself and gives second-order gradients. There is no step size: each derivative is that of an elementary
operation. The values are arrays of NumPy, or of any type that the reference computes with. The order is that of
frameworks, backwards through the forward and the backward pass, since rounding errors depend on the order. The
derivative of the gradients along a direction would be the same number, but more exact.

Where a value decides (a comparison, a maximum, a choice), it decides for the derivative too. At a kink, the slope is
that of the reference's gradients: 0 for relu, |x| and √x at 0, hence for norms of zero vectors. The greatest of several
numbers, by which the reference shifts and scales to avoid overflow, is a constant, as in frameworks: no result depends
on it.

A write in place makes a new value, since the backward pass needs the old one. A view knows its array and passes writes
on to it. A write to the array after a view was taken leaves the view unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, Final

import numpy as np

Pull = Callable[[Any], Any]
"""A function from the gradient of a result to its contribution to the gradient of an operand."""


class Node:
    """One result of the computation, with the operands that its gradient flows to."""

    __slots__ = ("number", "origins")
    _numbers = count()

    def __init__(self, origins: Sequence[tuple[Node, Pull]] = ()) -> None:
        self.number = next(Node._numbers)
        self.origins = origins


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that remembers its operands; `node` is None if it depends on no variable."""

    __slots__ = ("_base", "node", "value")

    def __init__(self, value: Any, node: Node | None = None, base: tuple[Traced, Any] | None = None) -> None:
        self.value = value
        self.node = node
        self._base = base

    @classmethod
    def variable(cls, value: Any) -> Traced:
        """Wrap an array as a variable, whose gradient is wanted."""
        return cls(value, Node())

    # Methods of arrays that the reference uses.

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes of the array."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.value.size)

    @property
    def T(self) -> Traced:
        """The array with reversed axes."""
        return self.transpose(*reversed(range(self.ndim)))

    def __len__(self) -> int:
        return self.shape[0]

    def transpose(self, *axes: int) -> Traced:
        """Return the array with its axes in another order."""
        order = [axis % self.ndim for axis in axes]
        back = sorted(range(self.ndim), key=order.__getitem__)
        return _made(self.value.transpose(*order), (self, lambda g: g.transpose(*back)))

    def reshape(self, *shape: Any) -> Traced:
        """Return the array in another shape."""
        return _made(self.value.reshape(*shape), (self, lambda g: g.reshape(self.shape)))

    def copy(self) -> Traced:
        """Return a copy."""
        return Traced(self.value, self.node)

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        """Return the array in another type; whole numbers and booleans have no gradient."""
        return Traced(self.value.astype(dtype), self.node if np.dtype(dtype).kind in "fV" else None)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return the sum over axes."""
        total = self.value.sum(axis=axis, keepdims=keepdims)
        return _made(total, (self, lambda g: np.broadcast_to(_with_axes(g, self.ndim, axis, keepdims), self.shape)))

    def max(self, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Traced:
        """Return the greatest along axes as a constant (see the module)."""
        return Traced(
            np.max(self.value, axis=axis, keepdims=keepdims, **({} if initial is None else {"initial": initial}))
        )

    def argmax(self, axis: int) -> Traced:
        """Return the place of the greatest along an axis."""
        return Traced(np.argmax(self.value, axis=axis))

    def __getitem__(self, index: Any) -> Traced:
        part = _made(self.value[index], (self, lambda g: _put(np.zeros_like(self.value), index, g)))
        part._base = (self, index)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        shape = self.value[index].shape
        new = _put(self.value, index, _value(value))
        self._become(
            _made(
                new,
                (self, lambda g: _put(g, index, 0.0)),
                (value, lambda g: _summed_to(g[index], value.shape) if shape != value.shape else g[index]),
            )
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method == "at" and ufunc is np.add:
            return _add_at(*operands)
        if method != "__call__":
            return NotImplemented
        out = options.pop("out", (None,))[0]
        if options:
            raise TypeError(f"{ufunc.__name__} of a Traced: unknown options {', '.join(options)}")
        result = _elementary(ufunc, operands)
        return result if out is None else out._become(result)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        handler = _FUNCTIONS.get(function)
        return NotImplemented if handler is None else handler(*arguments, **options)

    def _become(self, new: Traced) -> Traced:
        """Take over another value and node; a view passes them on to its array."""
        value = new.value if new.shape == self.shape else np.broadcast_to(new.value, self.shape)
        self.value, self.node = value, new.node
        if self._base is not None:
            base, index = self._base
            base[index] = Traced(value, new.node)
        return self


def gradients(results: Iterable[tuple[Traced, Any]], variables: Sequence[Traced]) -> list[Any]:
    """Return the gradients of the variables from those of results; None for a variable that no result depends on."""
    found: dict[Node, Any] = {}
    for result, seed in results:
        if result.node is not None:
            _add(found, result.node, seed)
    wanted = {variable.node for variable in variables}
    waiting = set(found)
    while waiting:
        node = max(waiting, key=lambda one: one.number)
        waiting.remove(node)
        gradient = found[node] if node in wanted else found.pop(node)
        for origin, pull in node.origins:
            _add(found, origin, pull(gradient))
            waiting.add(origin)
    return [found.get(variable.node) if variable.node else None for variable in variables]


def _add(found: dict[Node, Any], node: Node, gradient: Any) -> None:
    found[node] = found[node] + gradient if node in found else gradient


def _made(value: Any, *origins: tuple[Any, Pull]) -> Traced:
    """A result with its operands, each with the function that returns the operand's gradient."""
    traced = [(operand.node, pull) for operand, pull in origins if isinstance(operand, Traced) and operand.node]
    return Traced(value, Node(traced) if traced else None)


def _value(operand: Any) -> Any:
    return operand.value if isinstance(operand, Traced) else operand


def _put(array: Any, index: Any, value: Any) -> Any:
    """A copy of the array with a value written to an index; values at repeated places are summed."""
    new = array.copy()
    if any(isinstance(part, np.ndarray) and part.dtype != np.bool_ for part in _parts(index)):
        np.add.at(new, index, value)
    else:
        new[index] = value
    return new


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _summed_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Gradient of an operand of this shape that was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    spread = [axis + extra for axis, size in enumerate(shape) if size == 1 and g.shape[axis + extra] != 1]
    return g.sum(axis=(*range(extra), *spread), keepdims=True).reshape(shape)


def _with_axes(g: Any, ndim: int, axis: Any, keepdims: bool) -> Any:
    """Gradient of a reduction, with the reduced axes restored."""
    if keepdims:
        return g
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    gone = {one % ndim for one in axes}
    kept = iter(g.shape)
    return g.reshape(tuple(1 if one in gone else next(kept) for one in range(ndim)))


# Backward passes of elementary functions of one argument: the slope at x, where the value is y.

_SLOPES: Final[dict[np.ufunc, Callable[[Any, Any], Any]]] = {
    np.tanh: lambda x, y: 1 - y * y,
    np.exp: lambda x, y: y,
    np.expm1: lambda x, y: y + 1,
    np.log: lambda x, y: 1 / x,
    np.log1p: lambda x, y: 1 / (1 + x),
    np.sqrt: lambda x, y: np.where(y == 0, 0.0, 0.5 / np.where(y == 0, 1.0, y)),
    np.square: lambda x, y: 2 * x,
    np.reciprocal: lambda x, y: -(y * y),
    np.absolute: lambda x, y: np.sign(x),
    np.negative: lambda x, y: -1,
    np.positive: lambda x, y: 1,
}

# Backward passes of elementary functions of a and b, from the gradient g of the value y.

_WAYS_BACK: Final[dict[np.ufunc, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    np.add: (lambda g, a, b, y: g, lambda g, a, b, y: g),
    np.subtract: (lambda g, a, b, y: g, lambda g, a, b, y: -g),
    np.multiply: (lambda g, a, b, y: g * b, lambda g, a, b, y: a * g),
    np.divide: (lambda g, a, b, y: g / b, lambda g, a, b, y: -(g * y) / b),
    np.maximum: (lambda g, a, b, y: np.where(a > b, g, 0.0), lambda g, a, b, y: np.where(a > b, 0.0, g)),
    np.minimum: (lambda g, a, b, y: np.where(a < b, g, 0.0), lambda g, a, b, y: np.where(a < b, 0.0, g)),
    np.matmul: (lambda g, a, b, y: g @ _turned(b), lambda g, a, b, y: _turned(a) @ g),
}

_WITHOUT_GRADIENT: Final = {
    np.sign, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_not, np.bitwise_and, np.bitwise_or, np.invert,
    np.isfinite, np.isnan, np.isinf,
}  # fmt: skip


def _turned(matrices: Any) -> Any:
    """Transpose the matrices on the last two axes."""
    *batch, rows, columns = range(matrices.ndim)
    return matrices.transpose(*batch, columns, rows)


def _elementary(ufunc: np.ufunc, operands: Sequence[Any]) -> Traced:
    values = [_value(operand) for operand in operands]
    y = ufunc(*values)
    if ufunc in _WITHOUT_GRADIENT or not any(isinstance(one, Traced) and one.node for one in operands):
        return Traced(y)
    if ufunc in _SLOPES:
        return _made(y, (operands[0], lambda g: g * _SLOPES[ufunc](values[0], y)))
    if ufunc not in _WAYS_BACK:
        raise TypeError(f"no derivative of {ufunc.__name__}")

    def way_back(place: int) -> Pull:
        shape = values[place].shape if isinstance(operands[place], Traced) else ()
        return lambda g: _summed_to(_WAYS_BACK[ufunc][place](g, *values, y), shape)

    return _made(y, *((operand, way_back(place)) for place, operand in enumerate(operands)))


def _add_at(array: Traced, index: Any, values: Any) -> None:
    new = array.value.copy()
    np.add.at(new, index, _value(values))
    array._become(_made(new, (array, lambda g: g), (values, lambda g: g[index])))


def _where(condition: Any, yes: Any, no: Any) -> Traced:
    condition = _value(condition)
    return _made(
        np.where(condition, _value(yes), _value(no)),
        (yes, lambda g: _summed_to(np.where(condition, g, 0.0), yes.shape)),
        (no, lambda g: _summed_to(np.where(condition, 0.0, g), no.shape)),
    )


def _stack(arrays: Sequence[Any], axis: int = 0) -> Traced:
    def back(place: int) -> Pull:
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (place,)]

    value = np.stack([_value(array) for array in arrays], axis=axis)
    return _made(value, *((array, back(place)) for place, array in enumerate(arrays)))


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Traced:
    def back(first: int, last: int) -> Pull:
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (slice(first, last),)]

    ends = np.cumsum([array.shape[axis] for array in arrays]).tolist()
    value = np.concatenate([_value(array) for array in arrays], axis=axis)
    return _made(value, *((a, back(end - a.shape[axis], end)) for a, end in zip(arrays, ends, strict=True)))


def _take_along_axis(array: Any, indices: Any, axis: int) -> Traced:
    places = _value(indices)
    axis %= len(array.shape)

    def back(g: Any) -> Any:
        # Contributions to all places at once, since perturbed versions may choose different places.
        every = np.arange(array.shape[axis]).reshape(-1, *(1,) * (len(array.shape) - axis))
        chosen = np.expand_dims(places, axis) == every
        return np.where(chosen, np.expand_dims(g, axis), 0.0).sum(axis=axis + 1)

    return _made(np.take_along_axis(_value(array), places, axis), (array, back))


def _broadcast_to(array: Traced, shape: tuple[int, ...]) -> Traced:
    return _made(np.broadcast_to(array.value, shape), (array, lambda g: _summed_to(g, array.shape)))


def _expand_dims(array: Traced, axis: int) -> Traced:
    return _made(np.expand_dims(array.value, axis), (array, lambda g: g.reshape(array.shape)))


def _of_the_value(function: Callable[..., Any]) -> Callable[..., Traced]:
    return lambda array, *arguments, **options: Traced(function(array.value, *arguments, **options))


_FUNCTIONS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    np.where: _where,
    np.sum: lambda array, axis=None, keepdims=False, **_: array.sum(axis, keepdims),
    np.max: lambda array, axis=None, keepdims=False, **_: array.max(axis, keepdims),
    np.any: _of_the_value(np.any),
    np.all: _of_the_value(np.all),
    np.argmax: _of_the_value(np.argmax),
    np.isneginf: _of_the_value(np.isneginf),
    np.empty_like: _of_the_value(np.empty_like),
    np.zeros_like: _of_the_value(np.zeros_like),
    np.ones_like: _of_the_value(np.ones_like),
    np.take_along_axis: _take_along_axis,
    np.broadcast_to: _broadcast_to,
    np.expand_dims: _expand_dims,
    np.stack: _stack,
    np.concatenate: _concatenate,
}
