"""Errors, cost and laws are described as the specification's checks treat them."""

from __future__ import annotations

import pytest

from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.report.implications import cost, laws, refused
from rnnspec.spec import CallError, Operation, check_call, operation, operations, resolved


def lines(name: str, **attributes: object) -> list[str]:
    op = operation(name)
    chosen = {**op.defaults(), **attributes}
    return list(refused(resolved(op, chosen), chosen))


def test_ids_and_padding_labels() -> None:
    assert "an entry of tags below 0 or not below K" in lines("crf_score")
    assert "an entry of tags below 0 or above K (K itself marks padding)" in lines("crf_score", padding="label")
    assert "an entry of predicted below 0" in lines("token_accuracy")
    assert "tags in a type other than int64" in lines("crf_score")


def test_probabilities_bits_and_sizes() -> None:
    assert "an entry of target below 0 or above 1, or NaN" in lines("binary_cross_entropy")
    assert "keep in a type other than bool" in lines("dropout")
    assert "A other than L - 1" in lines("stacked")
    assert "D, H and L below 1" in lines("gate_once_stack")


def test_what_an_operation_has_not_is_not_spoken_of() -> None:
    text = " ".join(lines("clip_by_value"))
    assert "length" not in text
    assert "int64" not in text
    assert "attribute" not in " ".join(lines("embedding"))


@pytest.mark.parametrize(
    ("name", "symbol"), [("dense", "D"), ("lstm", "H"), ("attention_scores", "U"), ("stacked", "D")]
)
def test_sizes_below_the_least_are_refused(name: str, symbol: str) -> None:
    (line,) = (line for line in lines(name) if line.endswith(" below 1"))
    assert symbol in line.replace(",", "").split()
    empty = Case(name, "float32", {"B": 2, "T": 3, symbol: 0}, operation(name).defaults())
    with pytest.raises(CallError, match=symbol):
        check_call(name, empty.call.inputs, empty.attributes)


@pytest.mark.parametrize("op", operations().values(), ids=operations())
def test_every_law_is_checked(op: Operation) -> None:
    says = dict(laws(op))
    assert {check.id for check in CHECKS if check.law in op.laws and check.law} <= set(says)
    assert set(op.laws) <= {check.law for check in CHECKS}


def test_bytes_are_elements_times_the_size_of_one() -> None:
    op = operation("lstm")
    sizes = {"B": 2, "T": 3, "D": 4, "H": 5, "S": 5, "G": 4}
    values = {name: eval(text, {}, sizes) for name, text in cost(op)["bytes"].items()}
    elements = eval(op.cost["elements"], {}, sizes)
    assert values == {
        name: elements * size for name, size in (("float16", 2), ("bfloat16", 2), ("float32", 4), ("float64", 8))
    }
