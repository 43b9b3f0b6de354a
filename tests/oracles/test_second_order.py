"""Gradients of gradients: the reference's, differentiated, against derivatives that are found in other ways."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks.second_order import differentiated_in_full
from rnnspec.reference.traced import Traced
from rnnspec.spec import SpecError, evaluate_gradient, operations

Fixture = Callable[..., Any]
DIFFERENTIABLE = [name for name, op in operations().items() if op.differentiable]
WITHOUT_EQUATIONS = {
    "crf_score", "crf_marginals", "bahdanau_decoder", "luong_decoder", "seq2seq", "greedy_decode", "beam_search",
}  # fmt: skip
FLOOR = 1e-2


def case_of(name: str, seed: int) -> Case:
    """A case of generic numbers, which stand at no kink, and small sizes, whether drawn or given by an attribute."""
    choices = RandomChoices(np.random.default_rng([seed, zlib.crc32(name.encode())]))
    while True:
        case = draw_case(choices, Scope(name, "float64"))
        counted = (case.lengths_of[item.size] for item in case.spec.attributes.values() if item.size)
        if max((*case.sizes.values(), *counted)) <= 4:
            return differentiated_in_full(replace(case, regime="generic"))


def along(case: Case, step: complex) -> Call:
    """The call with its float inputs moved along the case's directions."""
    floats = case.call.float_inputs
    inputs = {
        name: array + step * case.directions[name] if name in floats else array
        for name, array in case.call.inputs.items()
    }
    return replace(case.call, inputs=inputs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_as_by_a_complex_step_through_the_literal_gradient(assert_agree: Fixture, name: str, seed: int) -> None:
    case, step = case_of(name, seed), 1e-30
    moved = along(case, step * 1j)
    try:
        gradients = evaluate_gradient(name, moved.inputs, case.cotangents, case.attributes)
    except SpecError:
        assert name in WITHOUT_EQUATIONS
        return
    expected = {key: np.imag(gradient) / step for key, gradient in gradients.items()}
    got = NumpyBackend().second_order(case.call, case.cotangents, case.directions)
    assert_agree(got, {key: expected[key] for key in got}, 1e-11, FLOOR)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(WITHOUT_EQUATIONS))
def test_as_by_central_differences(assert_agree: Fixture, name: str, seed: int) -> None:
    case, step = case_of(name, seed), 1e-6
    backend = NumpyBackend()
    after, before = (backend.gradients(along(case, sign * step), case.cotangents) for sign in (1, -1))
    expected = {key: (after[key] - before[key]) / (2 * step) for key in after}
    assert_agree(backend.second_order(case.call, case.cotangents, case.directions), expected, 1e-6, 1.0)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_the_hessian_is_symmetric(name: str) -> None:
    case, backend = case_of(name, 5), NumpyBackend()
    u, v = case.directions, replace(case, seed=case.seed + 1).directions
    v = {key: v[key] if v[key].shape == u[key].shape else np.roll(u[key], 1) for key in u}
    Hu, Hv = (backend.second_order(case.call, case.cotangents, d) for d in (u, v))
    vHu, uHv = (sum(float(np.sum(d[key] * H[key])) for key in u) for d, H in ((v, Hu), (u, Hv)))
    assert vHu == pytest.approx(uHv, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_the_first_gradients_are_the_references_to_the_last_bit(name: str) -> None:
    case = case_of(name, 1)
    vjp_of = getattr(reference, f"{name}_vjp")
    plain = vjp_of(**case.call.inputs, **case.attributes)[1](*case.cotangents)
    variables = {key: Traced.variable(array) for key, array in case.call.float_inputs.items()}
    traced = vjp_of(**{**case.call.inputs, **variables}, **case.attributes)[1](*map(Traced, case.cotangents))
    assert set(traced) == set(plain)
    for key, gradient in plain.items():
        np.testing.assert_array_equal(traced[key].value, gradient, strict=True)
