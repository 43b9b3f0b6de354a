"""Libraries as contenders: each conforms in what it offers, refuses the rest, and is timed as its users call it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import LayoutError
from rnnspec.backends.layouts.onnx import from_spec
from rnnspec.conformance.bench.catalogue import at_scale
from rnnspec.conformance.bench.conformity import NotConformingError, must_conform, standard_of
from rnnspec.conformance.bench.contender import Contender, open_contender
from rnnspec.conformance.bench.workload import Mode
from rnnspec.conformance.cases import Case

NEEDS = {
    "torch_modules:TorchModules": "torch",
    "torch_loops:LinearForEachGate": "torch",
    "torch_loops:LinearForAllGates": "torch",
    "pytorch_crf:PytorchCrf": "torchcrf",
    "torch_struct:TorchStruct": "torch_struct",
    "onnx_reference:OnnxReference": "onnx",
    "onnx_runtime:OnnxRuntime": "onnxruntime",
}

_SINCE = {"onnx_reference:OnnxReference": "1.23"}
"""The version since which a library does all that is asked of it: before, its LSTM had no last memory."""


@pytest.fixture(params=NEEDS)
def library(request: pytest.FixtureRequest) -> Contender:
    pytest.importorskip(NEEDS[request.param], minversion=_SINCE.get(request.param))
    return open_contender("rnnspec.conformance.bench.contenders." + request.param)


def case_of(name: str, mode: Mode, dtype: str, *inputs: str, lengths: bool = False) -> Case:
    workload = at_scale(name, "small")
    stage = replace(workload.stages[0], inputs=inputs, lengths=lengths)
    (case,) = replace(workload, stages=(stage,)).with_sizes(B=3, T=9).cases(mode, dtype)
    return case


def test_a_contender_conforms_in_what_it_offers(library: Contender) -> None:
    judged = set()
    for name in library.backend.operations():
        inputs = ("start", "end") if name.startswith("crf") else ()
        for mode in at_scale(name, "small").modes:
            for dtype in library.backend.dtypes():
                case = case_of(name, mode, dtype, *inputs)
                gradient = mode == "gradient"
                if not library.missing([case], mode):
                    assert must_conform(library, [standard_of(case, gradient=gradient)]) < 1
                    library.prepare([case], mode)()
                    judged.add((name, gradient))
                elif gradient:
                    with pytest.raises(Unsupported, match="has no gradient"):
                        library.prepare([case], mode)
    assert {name for name, _ in judged} == set(library.backend.operations())


def test_a_contender_with_a_fault_would_be_found(library: Contender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own results are judged: with changed results it no longer conforms."""
    backend: Any = library.backend
    make = backend.make

    def spoilt(call: Call) -> Any:
        made = make(call)

        def outputs(found: Any) -> tuple[Any, ...]:
            first, *others = made.outputs(found)
            return (first * 1.01, *others)

        return replace(made, outputs=outputs)

    monkeypatch.setattr(backend, "make", spoilt)
    name = backend.operations()[0]
    case = case_of(name, at_scale(name, "small").modes[0], "float32")
    with pytest.raises(NotConformingError, match="does not conform"):
        must_conform(library, [standard_of(case, gradient=False)])


def test_what_is_not_mapped_is_refused(library: Contender) -> None:
    name = library.backend.operations()[0]
    case = case_of(name, at_scale(name, "small").modes[0], "float32")
    masked = replace(case, steps="mask")
    with pytest.raises(Unsupported, match="mask is not mapped to the library"):
        library.backend.run(masked.call)
    if "truncate" in case.attributes:
        with pytest.raises(Unsupported, match="truncate = 2: only None is mapped"):
            library.backend.run(case.with_attributes(truncate=2).call)


def test_lengths_are_mapped_where_the_library_has_them() -> None:
    pytest.importorskip("torchcrf")
    library = open_contender("rnnspec.conformance.bench.contenders.pytorch_crf:PytorchCrf")
    case = case_of("crf_viterbi", "decode", "float32", lengths=True)
    inputs = {**case.call.inputs, "lengths": np.array([9, 4, 1])}
    score, path = library.backend.run(replace(case.call, inputs=inputs))
    assert score.shape == (3,)
    assert not path[1, 4:].any()
    with pytest.raises(Unsupported, match="no steps"):
        library.backend.run(replace(case.call, inputs={**inputs, "lengths": np.array([9, 4, 0])}))


def test_of_the_outputs_those_with_a_cotangent_are_differentiated() -> None:
    pytest.importorskip("torch")
    backend = open_contender("rnnspec.conformance.bench.contenders.torch_modules:TorchModules").backend
    case = case_of("lstm", "gradient", "float64")
    dy, dh, dc = case.cotangents
    both = backend.gradients(case.call, (dy, dh, np.zeros_like(dc)))
    without = backend.gradients(case.call, (dy, dh, None), ("x", "R"))
    assert set(without) == {"x", "R"}
    for name, gradient in without.items():
        np.testing.assert_allclose(gradient, both[name], rtol=1e-12)


LAYOUTS = {"rnn": "h", "lstm": "iofc", "gru": "zrh"}
OURS = {"rnn": "h", "lstm": "ifco", "gru": "rzh"}


@pytest.mark.parametrize("family", LAYOUTS)
def test_onnx_has_its_own_order_of_gates(family: Any) -> None:
    gates, hidden, features = len(LAYOUTS[family]), 2, 3
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=shape)
        for name, shape in {"W": (gates, hidden, features), "R": (gates, hidden, hidden), "b": (gates, hidden)}.items()
    }
    laid_out = from_spec(NumpyShaping(), family, **arrays)
    of_x, of_h = np.split(laid_out["B"][0], 2)
    assert not of_h.any()
    for place, gate in enumerate(LAYOUTS[family]):
        ours, rows = OURS[family].index(gate), slice(place * hidden, (place + 1) * hidden)
        np.testing.assert_array_equal(laid_out["W"][0, rows], arrays["W"][ours])
        np.testing.assert_array_equal(laid_out["R"][0, rows], arrays["R"][ours])
        np.testing.assert_array_equal(of_x[rows], arrays["b"][ours])


def test_the_candidates_recurrent_bias_is_onnxs_last() -> None:
    W, R, b, b_rn = np.ones((3, 2, 4)), np.ones((3, 2, 2)), np.ones((3, 2)), np.array([5.0, 6.0])
    laid_out = from_spec(NumpyShaping(), "gru", W, R, b, b_rn, update="admits")
    np.testing.assert_array_equal(laid_out["B"], [[-1, -1, 1, 1, 1, 1, 0, 0, 0, 0, 5, 6]])
    with pytest.raises(LayoutError, match=r"R: expected shape \(G = 3, H = 2, S = 2\)"):
        from_spec(NumpyShaping(), "gru", W, R[:, :, :1], b)
