"""A wrong contender of a workload is found, whether all of its sequences are judged or some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Unsupported
from rnnspec.conformance.bench import conformity
from rnnspec.conformance.bench.conformity import NotConformingError, must_conform, standard_of
from rnnspec.conformance.bench.workload import Workload
from rnnspec.conformance.cases import Case

SIZES = {"B": 9, "T": 4, "D": 2, "H": 5}


@pytest.fixture(params=["all", "some"])
def case(request: pytest.FixtureRequest, tiny: Callable[..., Workload], monkeypatch: pytest.MonkeyPatch) -> Case:
    """An LSTM's case, of which all sequences are judged, or some."""
    if request.param == "some":
        monkeypatch.setattr(conformity, "WORK", 1.0)
    (case,) = tiny(sizes=SIZES, lengths=True).cases("gradient", "float32")
    return case


def test_some_sequences_are_judged_where_the_work_is_large(
    tiny: Callable[..., Workload], monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = tiny(sizes=SIZES, lengths=True).cases("forward", "float32")
    assert standard_of(case, gradient=False).judged == (1, 1)
    monkeypatch.setattr(conformity, "WORK", 1.0)
    standard = standard_of(case, gradient=False)
    assert standard.judged == (2, 9)
    assert case.valid.sum(axis=1).argmax() in np.asarray(standard.rows)
    (whole,) = tiny("clip_by_value", {"N": 50}).cases("forward", "float32")
    assert standard_of(whole, gradient=False).judged == (1, 1)


def test_who_is_right_conforms(case: Case, contender: Callable[..., Any]) -> None:
    ratio = must_conform(contender("right"), [standard_of(case, gradient=True)])
    assert 0 < ratio < 1


def test_who_is_wrong_does_not(case: Case, contender: Callable[..., Any], wrong: Any) -> None:
    with pytest.raises(NotConformingError, match=r"does not conform: .*expected .* in lstm float32"):
        must_conform(contender("wrong", lstm=wrong), [standard_of(case, gradient=False)])


def _vjp(spoil: Callable[[dict[str, Any]], None]) -> Callable[..., Any]:
    def lstm_vjp(**arguments: Any) -> Any:
        outputs, vjp = reference.lstm_vjp(**arguments)

        def spoilt(*cotangents: Any) -> dict[str, Any]:
            gradients = dict(vjp(*cotangents))
            spoil(gradients)
            return gradients

        return outputs, spoilt

    return lstm_vjp


def _wrong_parameter(gradients: dict[str, Any]) -> None:
    gradients["R"] = gradients["R"] * np.float32(1.01)


def _missing(gradients: dict[str, Any]) -> None:
    del gradients["b"]


def _other_shape(gradients: dict[str, Any]) -> None:
    gradients["x"] = gradients["x"][:-1]


@pytest.mark.parametrize("spoil", [_wrong_parameter, _missing, _other_shape])
def test_a_wrong_gradient_is_found(spoil: Any, case: Case, contender: Callable[..., Any]) -> None:
    backend = contender("wrong", lstm_vjp=_vjp(spoil))
    must_conform(backend, [standard_of(case, gradient=False)])
    with pytest.raises(NotConformingError, match="does not conform"):
        must_conform(backend, [standard_of(case, gradient=True)])


def test_gradients_that_flow_into_other_sequences_are_found(
    tiny: Callable[..., Workload], contender: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformity, "WORK", 1.0)
    (case,) = tiny(sizes=SIZES).cases("gradient", "float32")
    standard = standard_of(case, gradient=True)
    other = next(row for row in range(9) if row not in np.asarray(standard.rows))

    def spoil(gradients: dict[str, Any]) -> None:
        gradients["x"][other, 0, 0] = 1e-20

    with pytest.raises(NotConformingError, match="expected 0 for sequences whose cotangents are 0"):
        must_conform(contender("wrong", lstm_vjp=_vjp(spoil)), [standard])


def test_one_wrong_number_of_a_judged_sequence_is_found(case: Case, contender: Callable[..., Any]) -> None:
    standard = standard_of(case, gradient=False)
    row = 0 if standard.rows is None else int(standard.rows[0])

    def lstm(**arguments: Any) -> Any:
        y, h_n, c_n = reference.lstm(**arguments)
        c_n = c_n.copy()
        c_n[row, 2] += 0.01
        return y, h_n, c_n

    with pytest.raises(NotConformingError, match=r"c_n\["):
        must_conform(contender("wrong", lstm=lstm), [standard])


def test_refusals_and_crashes_are_told(case: Case, contender: Callable[..., Any]) -> None:
    def refuses(**_: Any) -> Any:
        raise Unsupported("no lengths here")

    def crashes(**_: Any) -> Any:
        raise RuntimeError("GPU on fire\nand more")

    standard = standard_of(case, gradient=False)
    with pytest.raises(NotConformingError, match="refused: no lengths here"):
        must_conform(contender("refuses", lstm=refuses), [standard])
    with pytest.raises(NotConformingError, match=r"crashed: RuntimeError: GPU on fire$"):
        must_conform(contender("crashes", lstm=crashes), [standard])


def test_results_outside_of_the_type_judge_nobody(tiny: Callable[..., Workload]) -> None:
    sizes = {"B": 2, "T": 3000, "D": 1, "H": 1}
    (case,) = tiny("rnn", sizes, attributes={"activation": "relu"}).cases("forward", "float16")
    standard_of(case, gradient=False)
    (sums,) = tiny("mean_absolute_error", {"B": 90, "T": 90, "D": 90}, attributes={"reduction": "sum"}).cases(
        "forward", "float16"
    )
    with pytest.raises(NotConformingError, match="lie outside float16's range"):
        standard_of(sums, gradient=False)
