"""The outputs that layers return, against the outputs of all steps: picked, or held, one sequence at a time."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.spec import operations
from rnnspec.spec.arrays import Array

MASK = np.array([[1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], np.bool_)
LAYERS = [name for name, op in operations().items() if op.unrolls]


def inputs_of(layer: str) -> dict[str, Array]:
    """Inputs of a layer for the mask above, initial states among them."""
    random, op = np.random.default_rng(2), operations()[layer]
    sizes = {"B": 4, "T": 4, "D": 2, "H": 3, "S": 3, "N": 1, "M": 2, "G": len(op.gates)}
    floats = {key: item for key, item in op.inputs_for(op.defaults()).items() if item.kind == "float"}
    return {key: random.standard_normal([sizes.get(a) or int(a) for a in item.shape]) for key, item in floats.items()}


def read(valid: Array, direction: str) -> list[int]:
    """The valid steps of one sequence in the order of reading."""
    steps = [int(t) for t in np.flatnonzero(valid)]
    return steps if direction == "forward" else steps[::-1]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_last_output_is_that_of_the_step_read_last_and_0_without_one(layer: str, direction: str) -> None:
    inputs, run = inputs_of(layer), getattr(reference, layer)
    every, *states = run(**inputs, mask=MASK, direction=direction)
    last, *same_states = run(**inputs, mask=MASK, direction=direction, output="last")
    for b, valid in enumerate(MASK):
        steps = read(valid, direction)
        np.testing.assert_array_equal(last[b], every[b, steps[-1]] if steps else np.zeros_like(last[b]))
    assert states[0][2].any()  # the initial state, which is no output
    for state, same in zip(states, same_states, strict=True):
        np.testing.assert_array_equal(state, same)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("layer", LAYERS)
def test_an_output_is_held_until_the_next_step_that_is_read(layer: str, direction: str) -> None:
    inputs, run = inputs_of(layer), getattr(reference, layer)
    every, *_ = run(**inputs, mask=MASK, direction=direction)
    held, *_ = run(**inputs, mask=MASK, direction=direction, output="held")
    for b, valid in enumerate(MASK):
        for t in range(4):
            before = [s for s in read(valid, direction) if (s <= t if direction == "forward" else s >= t)]
            np.testing.assert_array_equal(held[b, t], every[b, before[-1]] if before else np.zeros_like(held[b, t]))


@pytest.mark.parametrize("output", ["last", "held"])
def test_steps_taken_out_are_not_read(output: str) -> None:
    inputs = inputs_of("gru")
    spoilt = {**inputs, "x": np.where(MASK[:, :, np.newaxis], inputs["x"], np.nan)}
    (y, _), vjp = reference.gru_vjp(**spoilt, mask=MASK, output=output)
    np.testing.assert_array_equal(y, reference.gru(**inputs, mask=MASK, output=output)[0])
    gradients = vjp(np.ones_like(y), np.ones((4, 3)))
    assert not gradients["x"][~MASK].any()
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_where_all_steps_are_valid_nothing_is_held() -> None:
    inputs = inputs_of("lstm")
    np.testing.assert_array_equal(reference.lstm(**inputs, output="held")[0], reference.lstm(**inputs)[0])
    np.testing.assert_array_equal(reference.lstm(**inputs, output="last")[0], reference.lstm(**inputs)[0][:, -1])
