"""Is this call one that the specification defines? Bad input gets a clear error, never a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.errors import CallError
from rnnspec.spec.operation import Attribute, Input, Operation, operation

FLOAT_TYPES = ("float16", "bfloat16", "float32", "float64")
"""The number types of the specification. complex64 and complex128 pass too: a complex step is how derivatives are
checked."""


@dataclass(frozen=True)
class Checked:
    """What the checks found: complete attributes, every size, and which steps are valid (None: there are no steps)."""

    attributes: dict[str, Any]
    sizes: dict[str, int]
    valid: NDArray[np.bool_] | None


def check_call(name: str, inputs: Mapping[str, Any], attributes: Mapping[str, Any] | None = None) -> Checked:
    """Hold a call against the specification.

    Parameters
    ----------
    name
        The operation.
    inputs
        Arrays by name, anything with ``shape`` and ``dtype``; optional ones are left out or None.
    attributes
        Those that differ from the default.

    Raises
    ------
    CallError
        Naming the operation and the argument, what was expected, what came and how to mend it.
    UnknownOperationError
        If there is no such operation.
    """
    op = operation(name)
    complete = check_attributes(op, attributes or {})
    present = {key: array for key, array in inputs.items() if array is not None}
    expected = op.inputs_for(complete)
    for key in present:
        if key not in op.inputs:
            raise CallError(f"{name}: unknown input {key!r}: expected {', '.join(expected)}; leave it out")
        if key not in expected:
            when = op.inputs[key].when
            came = _settings({attribute: complete[attribute] for attribute in when})
            raise CallError(f"{name}: {key}: expected with {_settings(when)} only, got {came}; leave it out")
    for key, item in expected.items():
        if key not in present and not item.optional:
            given = f", with {_settings(item.when)}" if item.when else ""
            raise CallError(
                f"{name}: {key} is missing: expected an array of shape {_symbols(item)}{given} ({item.about})"
            )
    sizes = _check_shapes(op, complete, {key: expected[key] for key in present}, present)
    _check_types(name, {key: expected[key] for key in present}, present)
    return Checked(complete, sizes, _valid_steps(op, sizes, present))


def check_attributes(op: Operation, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return every attribute of `op`, defaults filled in; raise CallError for unknown ones and wrong values."""
    for key in attributes:
        if key not in op.attributes:
            raise CallError(
                f"{op.name}: unknown attribute {key!r}: expected {', '.join(op.attributes) or 'none'}; leave it out"
            )
    return {key: _check_value(op.name, item, attributes.get(key, item.default)) for key, item in op.attributes.items()}


def _check_value(name: str, attribute: Attribute, value: Any) -> Any:
    if attribute.is_tuple and isinstance(value, list):
        value = tuple(value)
    if attribute.domain == "positive":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = value is None or (number and 0 < value < float("inf"))
    elif attribute.is_tuple:
        fits = isinstance(value, tuple) and len(value) == len(attribute.functions)
        good = fits and all(entry in attribute.values for entry in value)
    else:
        good = any(type(value) is type(allowed) and value == allowed for allowed in attribute.values)
    if not good:
        raise CallError(f"{name}: {attribute.name}: expected {attribute.expected()}, got {value!r}")
    return value


def _check_shapes(
    op: Operation, attributes: Mapping[str, Any], expected: Mapping[str, Input], inputs: Mapping[str, Any]
) -> dict[str, int]:
    """Solve the symbolic shapes for the sizes; the first array to name a size sets it."""
    same = op.same_sizes_for(attributes)
    gates = op.gates_for(attributes)
    sizes: dict[str, int] = {"G": len(gates)} if gates else {}
    set_by = {"G": f"G = {len(gates)}: the gates are {', '.join(gates)}"}
    for key, item in expected.items():
        array = inputs[key]
        shape = getattr(array, "shape", None)
        if shape is None or not hasattr(array, "dtype"):
            got = type(array).__name__
            raise CallError(f"{op.name}: {key}: expected an array of shape {_symbols(item)}, got {got}")
        if len(shape) != len(item.shape):
            raise CallError(
                f"{op.name}: {key}: expected {len(item.shape)} {'axis' if len(item.shape) == 1 else 'axes'}, "
                f"{_symbols(item)}, "
                f"got {len(shape)}: shape {tuple(shape)}"
            )
        for axis, length in zip(item.shape, shape, strict=True):
            symbol = same.get(axis, axis)
            if symbol not in sizes:
                sizes[symbol] = int(length)
                set_by[symbol] = f"{symbol} = {length} from {key}"
            elif sizes[symbol] != length:
                wanted = _axes(sizes.get(same.get(a, a), a) for a in item.shape)
                raise CallError(
                    f"{op.name}: {key}: expected shape {_symbols(item)} = {wanted}, got {tuple(shape)}; "
                    f"{set_by[symbol]}"
                )
    for axis, symbol in same.items():
        sizes[axis], set_by[axis] = sizes[symbol], set_by[symbol]
    for symbol, length in sizes.items():
        if symbol not in ("B", "T") and length < 1:
            about = op.sizes[symbol]
            raise CallError(f"{op.name}: {symbol} ({about}): expected at least 1, got {set_by[symbol]}")
    return sizes


def _check_types(name: str, expected: Mapping[str, Input], inputs: Mapping[str, Any]) -> None:
    first = ""
    for key, item in expected.items():
        dtype = inputs[key].dtype
        if item.kind == "lengths" and dtype != np.int64:
            raise CallError(f"{name}: {key}: expected int64, got {dtype}; use {key}.astype('int64')")
        if item.kind == "mask" and dtype != np.bool_:
            raise CallError(f"{name}: {key}: expected bool, got {dtype}; use {key} != 0 if it marks valid steps")
        if item.kind == "float":
            if dtype.name not in (*FLOAT_TYPES, "complex64", "complex128"):
                raise CallError(f"{name}: {key}: expected one of {', '.join(FLOAT_TYPES)}, got {dtype}")
            if first and dtype != inputs[first].dtype:
                raise CallError(
                    f"{name}: {key}: expected {inputs[first].dtype} like {first}, got {dtype}; "
                    f"all float inputs have one type"
                )
            first = first or key


def _valid_steps(op: Operation, sizes: Mapping[str, int], inputs: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    if not op.has_steps:
        return None
    batch, steps = sizes["B"], sizes["T"]
    if "lengths" in inputs and "mask" in inputs:
        raise CallError(f"{op.name}: expected lengths or mask, got both; leave one out")
    if "mask" in inputs:
        mask: NDArray[np.bool_] = inputs["mask"]
        return mask
    if "lengths" in inputs:
        lengths = inputs["lengths"]
        for b, length in enumerate(lengths):
            if not 0 <= length <= steps:
                raise CallError(f"{op.name}: lengths[{b}]: expected 0 .. {steps} (the steps of x), got {length}")
        valid: NDArray[np.bool_] = np.arange(steps) < lengths[:, None]
        return valid
    return np.ones((batch, steps), np.bool_)


def _settings(attributes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in attributes.items())


def _symbols(item: Input) -> str:
    return _axes(item.shape)


def _axes(entries: Iterable[Any]) -> str:
    texts = [str(entry) for entry in entries]
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
