"""Checks of calls: bad input gets a clear error, never a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.composition import resolved
from rnnspec.spec.errors import CallError, one_of, shown
from rnnspec.spec.language import parse_size, size_of
from rnnspec.spec.loading import operation
from rnnspec.spec.operation import (
    RANGED,
    Attribute,
    Input,
    Operation,
    Settings,
    attributes_of,
    holds,
    lies_in,
    settings_of,
    when_text,
)

FLOAT_TYPES = ("float16", "bfloat16", "float32", "float64")
"""The number types of the specification. complex64 and complex128 pass too, since complex steps check derivatives."""

_COMPUTED = frozenset((*FLOAT_TYPES, "complex64", "complex128"))


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    return dtype.name  # NumPy computes it anew each time


@dataclass(frozen=True)
class Checked:
    """Result of the checks: attributes, given inputs, sizes, and valid steps ``(B, T)``; None without steps."""

    attributes: dict[str, Any]
    inputs: dict[str, Input]
    """Specifications of the given inputs."""

    sizes: dict[str, int]
    valid: NDArray[np.bool_] | None


def check_call(name: str, inputs: Mapping[str, Any], attributes: Mapping[str, Any] | None = None) -> Checked:
    """Check a call by the specification.

    Parameters
    ----------
    name
        Name of the operation.
    inputs
        Arrays by name, any objects with ``shape`` and ``dtype``; optional ones may be absent or None.
    attributes
        Attributes that differ from their defaults.

    Raises
    ------
    CallError
        If the call breaks the specification; the message names operation and argument, the expected form, the given
        one, and the remedy. UnknownOperationError
        If there is no such operation.
    """
    op = operation(name)
    complete = check_attributes(op, attributes or {})
    op = resolved(op, complete)
    present = {key: array for key, array in inputs.items() if array is not None}
    expected = op.inputs_for(complete)
    for key in present:
        if key not in op.inputs:
            raise CallError(f"{name}: unknown input {shown(key)}: expected {', '.join(expected)}; leave it out")
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
    sizes = _check_shapes(op, complete, {key: expected[key] for key in expected if key in present}, present)
    items = {key: expected[key] for key in present}
    _check_types(name, items, present)
    valid = _valid_steps(op, complete, sizes, present)
    _check_numbers(op, complete, items, present, sizes, valid)
    return Checked(complete, items, sizes, valid)


def check_attributes(op: Operation, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return every attribute of `op`, defaults filled in; raise CallError for unknown ones and wrong values.

    A number or a word of NumPy's counts as Python's.
    """
    attributes = {name: _plain(value) for name, value in attributes.items()}
    try:
        return dict(_complete(op, tuple((name, type(value), value) for name, value in attributes.items())))
    except TypeError:  # a list in place of a tuple is no key
        return _completed(op, attributes)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value
    return value.item() if isinstance(value, np.generic) else value


@lru_cache(maxsize=4096)
def _complete(op: Operation, settings: Settings) -> dict[str, Any]:
    return _completed(op, attributes_of(settings))


def _completed(op: Operation, attributes: Mapping[str, Any]) -> dict[str, Any]:
    for key in attributes:
        if key not in op.attributes:
            raise CallError(f"{op.name}: unknown attribute {shown(key)}: {one_of(key, op.attributes)}; leave it out")
    complete = {
        key: _check_value(op.name, item, attributes.get(key, item.default)) for key, item in op.attributes.items()
    }
    for key, item in op.attributes.items():
        if not holds(item.when, complete) and complete[key] != item.default:
            needed, came = when_text(item.when), shown(complete[key])
            raise CallError(f"{op.name}: {key}: expected with {needed} only, got {came}; leave it out")
    return complete


def _check_value(name: str, attribute: Attribute, value: Any) -> Any:
    if attribute.is_tuple and isinstance(value, list):
        value = tuple(value)
    if attribute.domain:
        good = value is None if attribute.default is None else False
        good = good or lies_in(attribute.domain, value)
    elif attribute.is_tuple:
        fits = isinstance(value, tuple) and len(value) == len(attribute.functions)
        good = fits and all(map(attribute.allows, value))
    else:
        good = attribute.allows(value)
    if not good:
        raise CallError(f"{name}: {attribute.name}: expected {attribute.expected()}, got {shown(value)}")
    return value


def _check_shapes(
    op: Operation, attributes: Mapping[str, Any], expected: Mapping[str, Input], inputs: Mapping[str, Any]
) -> dict[str, int]:
    """Solve the symbolic shapes for the sizes; the first array with a size sets it."""
    for key, item in expected.items():
        if not hasattr(inputs[key], "shape") or not hasattr(inputs[key], "dtype"):
            got = type(inputs[key]).__name__
            raise CallError(f"{op.name}: {key}: expected an array of shape {_symbols(item)}, got {got}")
    shapes = tuple((key, tuple(inputs[key].shape)) for key in expected)
    return dict(_sizes(op, settings_of(attributes), shapes))


@lru_cache(maxsize=4096)
def _sizes(op: Operation, settings: Settings, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, int]:
    """Sizes of inputs of these shapes; CallError if the shapes disagree."""
    attributes = attributes_of(settings)
    expected = op.inputs_for(attributes)
    same = op.same_sizes_for(attributes)
    aliases = {symbol: other for symbol, other in same.items() if other.isidentifier()}
    gates = op.gates_for(attributes)
    sizes: dict[str, int] = {"G": len(gates)} if gates else {}
    set_by = {"G": f"G = {len(gates)}: the gates are {', '.join(gates)}"}
    for key, attribute in op.attributes.items():
        if attribute.size:
            sizes[attribute.size] = attributes[key]
            set_by[attribute.size] = f"{attribute.size} = {attributes[key]}, the attribute {key}"
    for key, shape in shapes:
        item = expected[key]
        if len(shape) != len(item.shape):
            raise CallError(
                f"{op.name}: {key}: expected {len(item.shape)} {'axis' if len(item.shape) == 1 else 'axes'}, "
                f"{_symbols(item)}, got {len(shape)}: shape {shape}"
            )
        for axis, length in zip(item.shape, shape, strict=True):
            symbol = aliases.get(axis, axis)
            if symbol.isdigit():
                sizes[symbol] = int(symbol)
                set_by[symbol] = f"this axis always has {symbol}"
            if symbol not in sizes:
                sizes[symbol] = int(length)
                set_by[symbol] = f"{symbol} = {length} from {key}"
            elif sizes[symbol] != length:
                wanted = _axes(sizes.get(aliases.get(a, a), a) for a in item.shape)
                raise CallError(
                    f"{op.name}: {key}: expected shape {_symbols(item)} = {wanted}, got {shape}; {set_by[symbol]}"
                )
    _derive_sizes(op, same, sizes, set_by)
    for symbol, length in sizes.items():
        least = op.at_least.get(symbol, 0 if symbol in ("B", "T", "n") or symbol in same else 1)
        if not symbol.isdigit() and length < least:
            about = op.sizes[symbol]
            raise CallError(f"{op.name}: {symbol} ({about}): expected at least {least}, got {set_by[symbol]}")
    return {symbol: length for symbol, length in sizes.items() if not symbol.isdigit()}


def complete_sizes(op: Operation, attributes: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return `sizes` with all sizes that follow from them, the gates and the attributes; `op` must be resolved."""
    found = {**sizes, "G": len(op.gates_for(attributes))}
    found |= {item.size: attributes[key] for key, item in op.attributes.items() if item.size}
    same = op.same_sizes_for(attributes)
    found = {symbol: length for symbol, length in found.items() if symbol not in same}
    _derive_sizes(op, same, found, {})
    return found


def _derive_sizes(op: Operation, same: Mapping[str, str], sizes: dict[str, int], set_by: dict[str, str]) -> None:
    """Add the sizes that follow from known sizes; raise CallError for arrays that have others."""
    for _ in same:  # a size may depend on one after it
        for symbol, text in same.items():
            try:
                expected = size_of(parse_size(text, f"{op.name}, size {symbol}"), sizes)
            except KeyError:
                continue
            if symbol not in sizes:
                sizes[symbol], set_by[symbol] = expected, f"{symbol} = {text} = {expected}"
            elif sizes[symbol] != expected:
                others = "; ".join(set_by[name] for name in set_by if re.search(rf"\b{name}\b", text))
                about = f"{symbol} ({op.sizes[symbol]})"
                raise CallError(f"{op.name}: {about}: expected {text} = {expected}, got {set_by[symbol]}; {others}")


def _check_types(name: str, expected: Mapping[str, Input], inputs: Mapping[str, Any]) -> None:
    first = ""
    for key, item in expected.items():
        dtype = inputs[key].dtype
        if item.kind in ("lengths", "ids") and dtype != np.int64:
            raise CallError(f"{name}: {key}: expected int64, got {dtype}; use {key}.astype('int64')")
        if item.kind in ("mask", "bits") and dtype != np.bool_:
            marks = "valid steps" if item.kind == "mask" else "kept elements"
            raise CallError(f"{name}: {key}: expected bool, got {dtype}; use {key} != 0 if it marks {marks}")
        if item.kind == "float":
            if _name_of(dtype) not in _COMPUTED:
                raise CallError(f"{name}: {key}: expected one of {', '.join(FLOAT_TYPES)}, got {dtype}")
            if first and dtype != inputs[first].dtype:
                raise CallError(
                    f"{name}: {key}: expected {inputs[first].dtype} like {first}, got {dtype}; "
                    f"all float inputs have one type"
                )
            first = first or key


def _check_numbers(
    op: Operation,
    attributes: Mapping[str, Any],
    expected: Mapping[str, Input],
    inputs: Mapping[str, Any],
    sizes: Mapping[str, int],
    valid: NDArray[np.bool_] | None,
) -> None:
    """Refuse ids, probabilities and squares outside their range at the valid steps."""
    label = op.padding_label
    for key, item in expected.items():
        if item.kind != "ids" and item.domain not in ("probability", "square"):
            continue
        if label is not None and label[0] == key and holds(label[2], attributes):
            continue  # `_labelled_steps` has checked these ids, padding labels included
        numbers = inputs[key]
        if not isinstance(numbers, np.ndarray):
            continue  # other array types wrap plain numbers that were checked before
        read = numbers[valid] if valid is not None and item.shape[:2] == ("B", "T") else numbers
        if item.kind == "ids":
            above = sizes[item.below] if item.below else np.iinfo(np.int64).max
            allowed = f"0 .. {above - 1} ({item.below} = {above})" if item.below else "at least 0"
            wrong = read[(read < 0) | (read >= above)]
        else:
            allowed = RANGED[item.domain]
            real = np.real(read).astype(np.float64)
            wrong = read[real < 0 if item.domain == "square" else ~((real >= 0) & (real <= 1))]
        if wrong.size:
            raise CallError(f"{op.name}: {key}: expected {allowed}, got {wrong.flat[0]}")


def _valid_steps(
    op: Operation, attributes: Mapping[str, Any], sizes: Mapping[str, int], inputs: Mapping[str, Any]
) -> NDArray[np.bool_] | None:
    if not op.has_steps:
        return None
    batch, steps = sizes["B"], sizes["T"]
    if op.padding_label is not None and holds(op.padding_label[2], attributes):
        return _labelled_steps(op, op.padding_label[0], op.padding_label[1], sizes, inputs)
    if "lengths" in inputs and "mask" in inputs:
        raise CallError(f"{op.name}: expected lengths or mask, got both; leave one out")
    if "mask" in inputs:
        mask: NDArray[np.bool_] = inputs["mask"]
        return mask
    if "lengths" in inputs:
        lengths = inputs["lengths"]
        for b in np.flatnonzero((lengths < 0) | (lengths > steps))[:1]:
            raise CallError(f"{op.name}: lengths[{b}]: expected 0 .. {steps} (the steps of x), got {lengths[b]}")
        valid: NDArray[np.bool_] = np.arange(steps) < lengths[:, None]
        return valid
    return np.ones((batch, steps), np.bool_)


def _labelled_steps(
    op: Operation, name: str, symbol: str, sizes: Mapping[str, int], inputs: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """Return the steps that do not have the label of the padding."""
    for key in ("lengths", "mask"):
        if key in inputs:
            raise CallError(f"{op.name}: {key}: the padding is marked in {name}; leave {key} out")
    labels, label = inputs[name], sizes[symbol]
    wrong = labels[(labels < 0) | (labels > label)]
    if wrong.size:
        raise CallError(f"{op.name}: {name}: expected 0 .. {label} ({label} marks padding), got {wrong.flat[0]}")
    valid: NDArray[np.bool_] = labels != label
    return valid


def _settings(attributes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in attributes.items())


def _symbols(item: Input) -> str:
    return _axes(item.shape)


def _axes(entries: Iterable[Any]) -> str:
    texts = [str(entry) for entry in entries]
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
