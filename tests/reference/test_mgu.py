"""The minimal gated unit against Flax's cell and the paper's, each written down by itself as its source has it."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.reference import forget_only_lstm_cell, mgu, mgu_cell
from rnnspec.spec.arrays import Array

B, T, D, H = 3, 4, 2, 5


def sigmoid(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def flax_cell(h: Array, x: Array, kernels: dict[str, Array], biases: dict[str, Array], *, reset_gate: bool) -> Array:
    """flax.linen.MGUCell: a Dense named after what it reads, i or h, and what it is for, f or n."""

    def dense(name: str, array: Array) -> Array:
        return array @ kernels[name] + biases.get(name, 0)

    f = sigmoid(dense("if", x) + dense("hf", h))
    recurrent = dense("hn", h)
    n = np.tanh(dense("in", x) + (f * recurrent if reset_gate else recurrent))
    return np.asarray((1.0 - f) * n + f * h)


def paper_cell(h: Array, x: Array, W_f: Array, b_f: Array, W_h: Array, b_h: Array) -> Array:
    """Zhou et al. (2016): one matrix for the state and the input, joined."""
    f = sigmoid(np.concatenate([h, x], axis=1) @ W_f.T + b_f)
    short_term = np.tanh(np.concatenate([f * h, x], axis=1) @ W_h.T + b_h)
    return np.asarray((1 - f) * h + f * short_term)


@pytest.fixture
def inputs() -> dict[str, Array]:
    random = np.random.default_rng(11)
    shapes = {"x": (B, T, D), "h0": (B, H), "W": (2, H, D), "R": (2, H, H), "b": (2, H), "b_rn": (H,)}
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def flax_parameters(inputs: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    (W_f, W_n), (R_f, R_n), (b_f, b_n) = inputs["W"], inputs["R"], inputs["b"]
    return {"if": W_f.T, "in": W_n.T, "hf": R_f.T, "hn": R_n.T}, {"if": b_f, "in": b_n, "hn": inputs["b_rn"]}


def test_by_default_it_is_flax_s_cell(inputs: dict[str, Array]) -> None:
    kernels, biases = flax_parameters(inputs)
    y, final = mgu(**inputs)
    h = inputs["h0"]
    for t in range(T):
        h = flax_cell(h, inputs["x"][:, t], kernels, biases, reset_gate=True)
        np.testing.assert_allclose(y[:, t], h, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(final, y[:, -1])


def test_before_and_admits_is_the_paper_s_cell(inputs: dict[str, Array]) -> None:
    del inputs["b_rn"]
    (W_f, W_n), (R_f, R_n), (b_f, b_n) = inputs["W"], inputs["R"], inputs["b"]
    joined_f, joined_n = np.concatenate([R_f, W_f], axis=1), np.concatenate([R_n, W_n], axis=1)
    y, _ = mgu(**inputs, reset="before", update="admits")
    h = inputs["h0"]
    for t in range(T):
        h = paper_cell(h, inputs["x"][:, t], joined_f, b_f, joined_n, b_n)
        np.testing.assert_allclose(y[:, t], h, rtol=1e-13, atol=1e-14)


def test_flax_s_cell_without_its_reset_is_the_forget_only_lstm(inputs: dict[str, Array]) -> None:
    kernels, biases = flax_parameters(inputs)
    del biases["hn"], inputs["b_rn"]
    x, h = inputs.pop("x")[:, 0], inputs.pop("h0")
    wanted = flax_cell(h, x, kernels, biases, reset_gate=False)
    np.testing.assert_allclose(forget_only_lstm_cell(x, h, **inputs)[0], wanted, rtol=1e-13, atol=1e-14)
    (other,) = mgu_cell(x, h, **inputs, b_rn=np.zeros(H))
    assert not np.allclose(other, wanted)
