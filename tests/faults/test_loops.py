"""The right loops, in float64, against the specification's literal equations."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.conformance.cases import RandomChoices, Scope, draw_case
from rnnspec.conformance.faults.variants import LOOPS
from rnnspec.spec import evaluate, evaluate_gradient, operations


@pytest.mark.parametrize("operation", [name for name in operations() if name.removesuffix("_cell") in LOOPS])
def test_loops_agree_with_the_literal_equations(operation: str) -> None:
    loops = LOOPS[operation.removesuffix("_cell")]()
    choices = RandomChoices(np.random.default_rng(0))
    for _ in range(40):
        case = draw_case(choices, Scope(operation, "float64"))
        call = case.call
        expected = evaluate(operation, call.inputs, call.attributes)
        for right, got in zip(expected, loops.run(call), strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-9, err_msg=str(case))
        gradients = evaluate_gradient(operation, call.inputs, case.cotangents, call.attributes)
        came = loops.gradients(call, case.cotangents)
        assert set(came) == set(gradients)
        for name, right in gradients.items():
            scale = max(1.0, float(np.abs(right).max(initial=0)))
            np.testing.assert_allclose(came[name], right, rtol=1e-9, atol=1e-9 * scale, err_msg=f"d{name} in {case}")
