"""Errors of a few times what is seen: they are caught, and were bounds twice as wide, some would not be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rnnspec.conformance.faults.near_the_bound import CHECK_OF, SLIGHT, Slight, read
from rnnspec.conformance.faults.score import score_fault
from rnnspec.conformance.judge import tolerance
from rnnspec.conformance.judge.tolerance import KAPPA, forget
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import FLOAT_TYPES, SpecError, operation, operations

SEEDS = range(5)
each_slight = pytest.mark.parametrize("slight", SLIGHT, ids=lambda slight: f"{slight.fault.name}-{slight.dtype}")


def caught(slight: Slight, seed: int) -> bool:
    """Whether the check of its part catches it with a seed."""
    return score_fault(slight.fault, PROFILES["quick"], (CHECK_OF[slight.part],), shrink=False, seed=seed).caught


@contextmanager
def bounds_wider(times: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every bound be so many times as wide."""
    with monkeypatch.context() as patch:
        forget()
        patch.setattr(tolerance, "KAPPA", times * KAPPA)
        yield
    forget()


@each_slight
def test_a_slight_error_is_caught_with_every_seed(slight: Slight) -> None:
    assert [seed for seed in SEEDS if not caught(slight, seed)] == []


@each_slight
def test_bounds_of_twice_the_width_miss_it_with_a_seed(slight: Slight, monkeypatch: pytest.MonkeyPatch) -> None:
    with bounds_wider(2, monkeypatch):
        assert not all(caught(slight, seed) for seed in SEEDS)


@each_slight
def test_without_the_error_nothing_is_wrong(slight: Slight) -> None:
    assert not caught(slight.with_units(0.0), 0)


def test_every_family_and_every_type_has_some() -> None:
    families = {op.family for op in operations().values()}
    assert {operation(slight.operation).family for slight in SLIGHT} == families
    assert {slight.dtype for slight in SLIGHT} == set(FLOAT_TYPES)
    # Scores that are whole numbers are exact: an error of one unit in a CRF's value is seen with bounds of any width.
    assert {(operation(slight.operation).family, slight.part) for slight in SLIGHT} >= {
        (op.family, part)
        for op in operations().values()
        for part in CHECK_OF
        if (op.family, part) != ("crf", "values") and (part == "values" or op.differentiable)
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            "about = 'It is wrong.'",
            r"some\.toml: \[wrong\]: expected dtype, operation, part, quantity, units, got about",
        ),
        ("part = 'value'", r"some\.toml: \[wrong\]: 'part' expects one of values, gradients, got 'value'"),
    ],
)
def test_what_is_wrong_with_a_slight_error_is_told(changed: str, message: str) -> None:
    right = {"operation": "'gru'", "dtype": "'float32'", "part": "'values'", "quantity": "'gru.py: x'", "units": "7"}
    key, _, value = changed.partition(" = ")
    lines = [f"{name} = {text}" for name, text in {**right, key: value}.items()]
    with pytest.raises(SpecError, match=message):
        list(read("\n".join(["[wrong]", *lines]), "some.toml"))
