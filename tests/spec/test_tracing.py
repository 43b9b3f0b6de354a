"""Intermediate values of a call, against the equations worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.spec import SpecError, evaluate, evaluate_gradient, operations
from rnnspec.spec.arrays import NamedArrays
from rnnspec.spec.tracing import trace

INPUTS: NamedArrays = {
    "x": np.array([[[0.5], [-1.0]], [[2.0], [9.0]]]),
    "h0": np.array([[0.25], [0.0]]),
    "W": np.array([[[2.0]]]),
    "R": np.array([[[-1.0]]]),
    "b": np.array([[0.125]]),
    "lengths": np.array([2, 1]),
}


def values(**options: object) -> dict[str, float]:
    return {str(one): float(np.squeeze(one.value)) for one in trace("rnn", INPUTS, **options)}  # type: ignore[arg-type]


def test_every_step_is_there_in_order() -> None:
    found = values()
    first = np.tanh(2 * 0.5 - 0.25 + 0.125)
    second = np.tanh(-2.0 - first + 0.125)
    assert found["h[-1]"] == 0.25
    assert found["h[0]"] == pytest.approx(first)
    assert found["h[1]"] == pytest.approx(second)
    names = list(found)
    assert names.index("h[-1]") < names.index("h[0]") < names.index("h[1]")
    assert (found["y[1]"], found["h_n"]) == (found["h[1]"], found["h[1]"])


def test_padding_has_no_step() -> None:
    assert "h[0]" in values(sequence=1)
    assert "h[1]" not in values(sequence=1)


def test_gradients_follow_from_the_last_step_back() -> None:
    cotangents = (np.ones((2, 2, 1)), np.zeros((2, 1)))
    found = values(cotangents=cotangents)
    names = list(found)
    assert names.index("h[1]") < names.index("dh[1]") < names.index("dh[0]")
    assert found["dh[1]"] == 1.0
    whole = evaluate_gradient("rnn", INPUTS, cotangents)
    assert found["dx[0]"] == pytest.approx(whole["x"][0, 0, 0])


def test_a_sequence_that_is_not_there() -> None:
    with pytest.raises(SpecError, match="expected a sequence from 0 to 1, got 2"):
        trace("rnn", INPUTS, sequence=2)


def test_outputs_are_among_the_quantities() -> None:
    y, h_n = evaluate("rnn", INPUTS)
    found = values()
    assert (found["y[0]"], found["h_n"]) == (y[0, 0, 0], h_n[0, 0])
    assert "rnn" in operations()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("attention", "weights[0, 1]", "context[0]"),
        ("ctc_loss", "gap[1, 0]", "ended"),
        ("lstm", "c[1]", "h[1]"),
        ("gru", "h[0]", "z[1]"),
    ],
)
def test_a_value_stands_after_those_that_it_uses(name: str, before: str, after: str) -> None:
    from rnnspec.conformance.interface.tracing import trace as drawn

    found = [str(one) for one in drawn(name, sizes={"T": 2}, gradient=True)]
    assert found.index(before) < found.index(after)
