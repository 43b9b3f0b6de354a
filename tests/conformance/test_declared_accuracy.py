"""A backend that declares how coarse its functions and products are: its bounds, its verdict, and its faults."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from rnnspec.backends import Accuracy
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.judge.declared import declared_by, in_force, judged_as_declared
from rnnspec.conformance.judge.drift import Slopes
from rnnspec.conformance.judge.tolerance import expect
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import summarise
from rnnspec.conformance.run import PROFILES, Verdict, run_check
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

TABLE = 4096.0
"""Units of roundoff that a table of tanh of 256 entries a unit leaves, next to 0 too: 2.4e-4."""

SIZES = {"B": 3, "D": 4, "H": 5, "S": 5}
CASE = Case("rnn_cell", "float32", SIZES, operation("rnn_cell").defaults(), seed=3)


def cell(x: Array, W: Array, R: Array, b: Array, h: Array, off: float, bits: int = 24) -> tuple[Array, ...]:
    """The tanh cell, its tanh off by a factor, and its products of numbers rounded to some bits."""

    def rounded(array: Array) -> Array:
        mantissa, exponent = np.frexp(array.astype(np.float64))
        return np.ldexp(np.rint(mantissa * 2.0**bits) / 2.0**bits, exponent)

    a = rounded(x) @ rounded(W[0]).T + rounded(h) @ rounded(R[0]).T + b[0]
    return ((np.tanh(a) * (1 + off)).astype(x.dtype),)


class Coarse(NumpyBackend):
    """A cell whose tanh is a table."""

    name = "coarse"
    off: ClassVar[float] = 0.9 * TABLE * 2.0**-24
    bits: ClassVar[int] = 24

    def dtypes(self) -> tuple[str, ...]:
        return ("float32",)

    def rnn_cell(self, **call: Any) -> tuple[Array, ...]:
        b = call["b"] + call.get("b_R", 0)
        return cell(call["x"], call["W"], call["R"], b, call["h_prev"], self.off, self.bits)


class Declared(Coarse):
    """The same, which says so."""

    name = "declared"
    accuracy = Accuracy(transcendental=TABLE)


def ratio(backend: NumpyBackend, case: Case = CASE) -> float:
    """The error ratio of one case, as a validation judges it."""
    with judged_as_declared(backend):
        return Values().examine(backend, case.anew())


def test_a_table_conforms_only_if_it_is_declared() -> None:
    with pytest.raises(Violation):
        ratio(Coarse())
    assert 0.01 < ratio(Declared()) <= 1


def test_products_in_fewer_bits_are_declared_apart_from_functions() -> None:
    class Short(Coarse):
        """Products of numbers with 11 bits, as TF32 has them."""

        off, bits = 0.0, 11

    with pytest.raises(Violation):
        ratio(Short())
    Short.accuracy = Accuracy(product=2.0**13)
    assert 0.01 < ratio(Short()) <= 1


@pytest.mark.parametrize("times", [40, 400])
def test_more_than_the_declared_units_is_no_conformity(times: int) -> None:
    class Worse(Declared):
        """Off by more than is declared."""

        off = times * TABLE * 2.0**-24

    with pytest.raises(Violation):
        ratio(Worse())


def test_a_wrong_equation_is_found_all_the_same() -> None:
    class WithoutBias(Declared):
        """The bias is left out."""

        def rnn_cell(self, **call: Any) -> tuple[Array, ...]:
            return super().rnn_cell(**{**call, "b": 0 * call["b"]})

    with pytest.raises(Violation):
        ratio(WithoutBias())


def test_what_declares_nothing_is_judged_as_ever() -> None:
    call = CASE.call
    usual = expect(call, "float32").outputs["h"]
    with judged_as_declared(NumpyBackend()):
        again = expect(call, "float32").outputs["h"]
    np.testing.assert_array_equal(usual.bound, again.bound)
    with judged_as_declared(Declared()):
        wider = expect(call, "float32").outputs["h"]
        assert in_force("float32").transcendental == TABLE
    np.testing.assert_array_equal(wider.value, usual.value)
    # Only the last step of the cell is a table, whose spread is the units that are declared.
    assert (wider.bound > 20 * usual.bound).all()
    assert (wider.bound < 16 * TABLE * 2.0**-24).all()
    np.testing.assert_array_equal(expect(call, "float32").outputs["h"].bound, usual.bound)
    assert in_force("float32") == Accuracy()


def test_a_type_may_have_its_own() -> None:
    class Mixed(Coarse):
        """A table in float32 alone."""

        accuracy: ClassVar = {"float32": Accuracy(transcendental=TABLE)}

    with judged_as_declared(Mixed()):
        assert in_force("float32").transcendental == TABLE
        assert in_force("float64") == Accuracy()


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"transcendental": 3}, "transcendental: expected a number of units, at least 4, got 3"),
        ({"product": float("inf")}, "product: expected a number of units, at least 1, got inf"),
        ({"product": "many"}, "product: expected a number of units, at least 1, got 'many'"),
    ],
)
def test_what_is_no_accuracy_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Accuracy(**declared)


def test_another_declaration_is_refused_when_the_backend_is_opened() -> None:
    class Wrong(Coarse):
        """Declared as a number."""

        accuracy = 1e-3  # type: ignore[assignment]  # what is to be refused

    with pytest.raises(ValueError, match=r"backend coarse: accuracy: expected Accuracy\(…\)"):
        Wrong()


def test_the_verdict_shows_it() -> None:
    found = {}
    for backend in (Declared(), Coarse()):
        result = run_check(Values(), backend, "rnn_cell", "float32", PROFILES["quick"], only=CASE.anew())
        found[backend.name] = summarise(backend.name, {}, [result], accuracy=declared_by(backend))
    assert [one.verdict for one in found.values()] == [Verdict.CONFORMS, Verdict.VIOLATES]
    report, silent = (Report((one,)) for one in found.values())
    told = "judged by the accuracy that it declares: transcendental 4096 u, product 1 u in float32"
    assert told in str(report)
    assert "declares" not in str(silent)
    assert "conforms to the specification to within the accuracy that it declares" in report.sentences[0]
    assert report.to_json()["backends"][0]["accuracy"] == {"float32": "transcendental 4096 u, product 1 u"}
    assert Report.from_json(report.to_json()).backends[0].accuracy == report.backends[0].accuracy
    if importlib.util.find_spec("jinja2"):
        assert told in report.html()
        assert "that it declares" not in silent.html()


def test_drift_allows_the_same_table_in_every_call() -> None:
    slopes = []
    for backend in (NumpyBackend(), Declared()):
        with judged_as_declared(backend):
            slope = Slopes("float32")
            for seed in range(12):
                call = replace(CASE, seed=seed).call
                right = expect(call, "float32").outputs["h"]
                slope.add(right, (right.value * (1 + Declared.off)).astype(np.float32))
            finding = slope.finding("h")
            assert finding is not None
            slopes.append(finding.ratio)
    assert slopes[0] > 1 >= slopes[1]
