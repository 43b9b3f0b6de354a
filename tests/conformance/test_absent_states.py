"""A backend that leaves out the product with an absent state is right, though the reference has 0 times NaN there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.check import usual_case
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.special_values import SpecialValues, demanded, place_of, spreads
from rnnspec.conformance.hosting.guard import Guarded
from rnnspec.spec import operation, operations
from rnnspec.spec.arrays import Array

CHECK = SpecialValues()
ASKED = [op.name for op in operations().values() if CHECK.applies_to(op)]
WITH_STATES = [
    "rnn", "lstm", "gru", "peephole_lstm", "lstm_1997", "nested_lstm", "layer_norm_lstm", "forget_only_lstm",
    "bidirectional", "stacked", "alternating_stack", "seq2seq",
]  # fmt: skip


class Skipping(np.ndarray):  # type: ignore[type-arg]  # an array of whatever type
    """An array whose zeros make zero of whatever they meet in a product."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **more: Any) -> Any:
        plain = [_plain(array) for array in inputs]
        outs = None if out is None else tuple(_plain(array) for array in out)
        if method == "__call__" and ufunc is np.multiply:
            a, b = plain
            result = np.where(np.equal(a, 0) | np.equal(b, 0), np.zeros((), np.result_type(a, b)), np.multiply(a, b))
        elif method == "__call__" and ufunc is np.matmul and any(np.isnan(array).any() for array in plain):
            a, b = plain
            spoilt = np.isnan(a).astype(float) @ (b != 0) + (a != 0).astype(float) @ np.isnan(b) > 0
            result = np.nan_to_num(a) @ np.nan_to_num(b)
            result[spoilt] = np.nan
        else:
            return _skipping(getattr(ufunc, method)(*plain, **({} if outs is None else {"out": outs}), **more))
        if outs is None:
            return _skipping(result)
        outs[0][...] = result
        return _skipping(outs[0])

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        return _skipping(func(*_all_plain(args), **{key: _plain(value) for key, value in kwargs.items()}))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Skipping) else value


def _all_plain(values: Any) -> Any:
    return type(values)(_all_plain(v) if isinstance(v, (tuple, list)) else _plain(v) for v in values)


def _skipping(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_skipping(one) for one in value)
    return value.view(Skipping) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


class Skips(NumpyBackend):
    """The reference, with no product with 0."""

    name = "skips"

    def run(self, call: Call) -> tuple[Array, ...]:
        inputs = {name: _skipping(array) for name, array in call.inputs.items()}
        with np.errstate(all="ignore"):
            outputs = getattr(self, call.operation)(**inputs, **call.attributes)
        return tuple(_plain(output) for output in outputs)


class Fills(Skips):
    """A skipped product leaves another number behind."""

    name = "fills"

    def run(self, call: Call) -> tuple[Array, ...]:
        nan = NumpyBackend.run(self, call)
        return tuple(
            np.where(np.isnan(right) & ~np.isnan(other), other + other.dtype.type(1), other)
            for right, other in zip(nan, super().run(call), strict=True)
        )


def examples(name: str, absent: bool) -> Iterator[tuple[Case, str]]:
    """Cases with few and with many steps, and each input that NaN may stand in."""
    usual = usual_case(Scope(name, "float32"))
    optional = tuple(key for key, item in usual.items.items() if absent and item.optional and item.kind == "float")
    for steps in (1, 3):
        sizes = {**usual.sizes, **({"T": steps} if "T" in usual.sizes else {})}
        for seed in range(3):
            case = replace(usual, sizes=sizes, absent=optional, seed=seed)
            if case.spec.has_steps and not case.valid.any():
                continue
            yield from ((case, key) for key in case.call.float_inputs if case.items[key].domain != "probability")


def freed(case: Case, wanted: str) -> bool:
    """Whether skipping leaves a number where the reference has NaN."""
    name, place = place_of(case, "nan", wanted)
    array = case.call.inputs[name].copy()
    array[place] = np.nan
    call = replace(case.call, inputs={**case.call.inputs, name: array})
    pairs = zip(NumpyBackend().run(call), Skips().run(call), strict=True)
    return any(bool((np.isnan(right) & ~np.isnan(other)).any()) for right, other in pairs)


@pytest.mark.parametrize("absent", [False, True], ids=["present", "absent"])
@pytest.mark.parametrize("name", ASKED)
def test_who_skips_products_with_zero_conforms(name: str, absent: bool) -> None:
    met = 0
    for case, wanted in examples(name, absent):
        try:
            assert CHECK.examine(Guarded(Skips()), (case, "nan", wanted)) <= 1
        except OutOfRangeError:
            continue
        met += spreads(case) and freed(case, wanted)
    assert met or not absent or name not in WITH_STATES


@pytest.mark.parametrize("name", WITH_STATES)
def test_another_number_in_the_place_of_nan_is_wrong(name: str) -> None:
    caught = 0
    for case, wanted in examples(name, absent=True):
        if not spreads(case) or not freed(case, wanted):
            continue
        with pytest.raises(Violation, match="expected"):
            CHECK.examine(Guarded(Fills()), (case, "nan", wanted))
        caught += 1
    assert caught


def test_what_depends_on_the_value_must_be_nan() -> None:
    """The first state does not depend on R, as there is none before it; the second does."""
    case = Case("rnn", "float32", {"B": 2, "T": 2, "D": 2, "H": 3}, operation("rnn").defaults(), absent=("h0",))
    array = case.call.inputs["R"].copy()
    array[0, 1, 2] = np.nan
    call = replace(case.call, inputs={**case.call.inputs, "R": array})
    due, free = demanded(case, call, "R", (0, 1, 2))["y"]
    np.testing.assert_array_equal(due[:, 0], np.zeros((2, 3), bool))
    np.testing.assert_array_equal(due[:, 1], [[False, True, False]] * 2)
    np.testing.assert_array_equal(free, ~due)
