"""An array whose operations are seen computes what any other does, and an error is planted where it should be."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.sharpness.places import CodePlace, innermost, instructions
from rnnspec.conformance.sharpness.planting import Places, RelativeError, RoundedToType, WatchedReference
from rnnspec.conformance.sharpness.watched import Watched, watch
from rnnspec.spec import FLOAT_TYPES, operations

CELL = Case("rnn_cell", "float64", {"B": 3, "D": 2, "H": 4}, {"activation": "tanh"}, absent=("b_R",), seed=5)


def named(places: Places, expression: str) -> CodePlace:
    (place,) = (one for one in places.found.values() if one.name.endswith(f": {expression}"))
    return place


def places_of(case: Case) -> Places:
    places = Places()
    WatchedReference(places).run(case.call)
    return places


def planted(case: Case, expression: str, error: float) -> np.ndarray:
    (h,) = WatchedReference(RelativeError(named(places_of(case), expression), error)).run(case.call)
    return h


@pytest.mark.parametrize("operation", operations())
@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_to_be_watched_changes_nothing(operation: str, dtype: str) -> None:
    choices = RandomChoices(np.random.default_rng(1))
    backend = WatchedReference(lambda result: None)
    for _ in range(3):
        case = draw_case(choices, Scope(operation, dtype))
        with np.errstate(all="ignore"):
            for got, right in zip(backend.run(case.call), NumpyBackend().run(case.call), strict=True):
                np.testing.assert_array_equal(got, right, strict=True)
            if not operations()[operation].differentiable:
                continue
            gradients = NumpyBackend().gradients(case.call, case.cotangents)
            for name, got in backend.way_back(case.call, case.cotangents).items():
                np.testing.assert_array_equal(got, gradients[name], strict=True)


@pytest.mark.parametrize("error", [0.5, 2.0**-20, -0.25])
@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("self.W @ x", lambda W, R, b, x, h, e: np.tanh(W @ x * (1 + e) + R @ h + b)),
        ("self.R @ h_prev", lambda W, R, b, x, h, e: np.tanh(W @ x + R @ h * (1 + e) + b)),
        ("a += self.R @ h_prev", lambda W, R, b, x, h, e: np.tanh((W @ x + R @ h) * (1 + e) + b)),
        ("a += self.b", lambda W, R, b, x, h, e: np.tanh((W @ x + R @ h + b) * (1 + e))),
        ("np.tanh(a, out=out)", lambda W, R, b, x, h, e: np.tanh(W @ x + R @ h + b) * (1 + e)),
    ],
)
def test_the_error_is_in_that_quantity_and_no_other(expression: str, wrong: object, error: float) -> None:
    inputs = CELL.call.inputs
    W, R, b = inputs["W"][0], inputs["R"][0], inputs["b"][0][:, np.newaxis]
    by_hand = wrong(W, R, b, inputs["x"].T, inputs["h_prev"].T, error).T
    np.testing.assert_allclose(planted(CELL, expression, error), by_hand, rtol=1e-14)


def test_every_elementary_operation_of_the_cell_is_a_quantity() -> None:
    found = [place.name.partition(": ")[2] for place in places_of(CELL).found.values()]
    assert found == ["self.W @ x", "self.R @ h_prev", "a += self.R @ h_prev", "a += self.b", "np.tanh(a, out=out)"]


def test_one_gate_is_another_place_than_the_next_and_all_steps_are_one() -> None:
    case = Case("lstm", "float64", {"B": 2, "T": 4, "D": 2, "H": 3, "S": 3}, operations()["lstm"].defaults(), seed=1)
    places = places_of(case)
    tanhs = [place.name for place in places.found.values() if "np.tanh(v, out=v)" in place.name]
    assert len(tanhs) == len(set(tanhs)) == 2  # of i and f together, and of o
    seen: list[int] = []
    products = named(places, "f * c_prev").instructions

    def count(result: np.ndarray) -> None:
        frame = innermost()
        assert frame is not None
        if instructions(frame) == products:
            seen.append(result.size)

    WatchedReference(count).run(case.call)
    assert seen == [6] * 4


def test_of_gradients_the_way_back_alone_is_seen() -> None:
    forward, back = places_of(CELL), Places()
    WatchedReference(back).way_back(CELL.call, CELL.cotangents)
    assert back.found
    assert not forward.found.keys() & back.found.keys()


def test_an_error_on_the_way_back_leaves_the_others_as_they_are() -> None:
    back = Places()
    right = WatchedReference(back).way_back(CELL.call, CELL.cotangents)
    wrong = WatchedReference(RelativeError(named(back, "self.W.T @ da"), 0.5)).way_back(CELL.call, CELL.cotangents)
    np.testing.assert_allclose(wrong["x"], 1.5 * right["x"], rtol=1e-15)
    assert all(np.array_equal(wrong[name], right[name]) for name in right if name != "x")


def test_rounded_step_by_step() -> None:
    case = Case("dense", "bfloat16", {"B": 3, "D": 4, "H": 2}, {"activation": "identity"}, seed=2)
    x, W, b = (case.call.inputs[name].astype(np.float32) for name in ("x", "W", "b"))
    bfloat16 = case.call.inputs["x"].dtype
    products = (x @ W.T).astype(bfloat16).astype(np.float32)
    (y,) = WatchedReference(RoundedToType("bfloat16")).run(case.call)
    np.testing.assert_array_equal(y, (products + b).astype(bfloat16))
    assert not np.array_equal(y, reference.dense(**case.call.inputs)[0])


def test_what_is_made_of_a_watched_array_is_watched() -> None:
    array = watch(np.arange(6.0).reshape(2, 3), lambda result: None)
    made = (
        array[0], array.T, array.sum(), array.sum(axis=1), np.max(array, axis=0), array @ array.T, array.astype("f4"),
        np.where(array > 1, array, 0), np.concatenate([array, array]), np.stack([array, array]), np.zeros_like(array),
        np.broadcast_to(array, (4, 2, 3)), np.take_along_axis(array, array.argmax(axis=1)[:, np.newaxis], axis=1),
    )  # fmt: skip
    assert [type(one) for one in made] == [Watched] * len(made)


def test_selections_make_no_number_and_are_not_seen() -> None:
    seen: list[np.ndarray] = []
    array = watch(np.arange(-2.0, 2.0), seen.append)
    moved = np.maximum(array, 0), -array, abs(array), np.where(array > 0, array, 0), array.max(), array[1:], array > 0
    assert (len(moved), len(seen)) == (7, 0)
    np.add.at(array, [0, 0], 1.0)
    made = array + 1, np.exp(array), array.sum(), np.tensordot(array, array, 1)
    assert len(seen) == 1 + len(made)
