"""Faults that are changed equations: how they are read, and what a change of equations computes."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.edits.changing import changed
from rnnspec.conformance.edits.compiled import CompiledCall
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.equations import changed_equations, read
from rnnspec.conformance.faults.fault import Fault
from rnnspec.spec import SpecError, evaluate, evaluate_gradient, operation, operations
from rnnspec.spec.operation import Block

FAULT = """
[gru-wrong]
operation = "gru_cell"
about = "It is wrong."
"""


def faults_of(text: str) -> list[Fault]:
    return [one.fault for one in read(text, "some.toml")]


def lines(text: str, **block: object) -> Block:
    return Block(text, "here", **block)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            'text = "hh = n"',
            r"some\.toml: \[gru-wrong\]: no equation of gru_cell has the left side hh: expected one of",
        ),
        ('text = "tanh(a) = tanh(a)"', r"\[gru-wrong\]: the line changes nothing: tanh"),
        ('each = "MEMORY"\ntext = "MEMORY = 0"', r"\[gru-wrong\]: 'each' is MEMORY, and gru_cell has none"),
        ('text = "n = f(arg(a_n))"', r"some\.toml: \[gru-wrong\]: the line changes nothing of gru_cell: n = f"),
        (
            'text = "h = (1 - z) * n + z * h_prev"\nwhen = { update = "keeps" }',
            r"\[gru-wrong\]: the line changes nothing of gru_cell when update is keeps: h = \(1 - z\)",
        ),
        (
            'text = "q = 0 * h_prev"\nwhen = { reset = "before" }',
            r"\[gru-wrong\]: the line changes nothing of gru_cell when reset is before: q = 0",
        ),
        ('text = "n = a_n"\nwhen = { rest = "after" }', r"\[gru-wrong\]: 'when' names rest, which is no attribute"),
        ('text = "n = a_n +"', r"some\.toml: \[gru-wrong\], line 1: 'n = a_n \+': not an expression"),
        ('taken = { reset = "behind" }', r"\[gru-wrong\]: 'taken' expects attributes of gru_cell"),
        ('gates = ["r", "z", "n"]', r"\[gru-wrong\]: 'gates' expects another order of r, z, n, got r, z, n"),
        ('text = "n = a_n"\ngradients = "wrong"', r"\[gru-wrong\]: 'gradients' expects 'right', got 'wrong'"),
        ('lines = "n = a_n"', r"\[gru-wrong\]: unknown key 'lines': expected about, blocks"),
        ("", r"\[gru-wrong\]: expected 'text', 'blocks', 'taken' or 'gates': a fault changes something"),
    ],
)
def test_what_is_wrong_with_a_fault_is_told(keys: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        list(read(FAULT + keys, "some.toml"))


def test_a_fault_of_several_operations_has_each_family_s_name() -> None:
    text = '["*-wrong"]\noperation = ["lstm_cell", "rnn_cell"]\nabout = "Wrong."\ntext = "tanh(a) = relu(a)"'
    assert [(fault.name, fault.operation) for fault in faults_of(text)] == [
        ("lstm-wrong", "lstm_cell"),
        ("rnn-wrong", "rnn_cell"),
    ]


def test_a_function_may_be_defined_anew_under_some_attributes() -> None:
    (fault,) = faults_of(FAULT + 'text = "tanh(a) = relu(a)"\nwhen = { reset = "before" }')
    call = case_of("gru_cell", reset="before")
    right = NumpyBackend().run(call)[0]
    assert not np.array_equal(fault.implementation().run(call)[0], right)


def test_every_file_has_faults() -> None:
    assert len(changed_equations()) >= 100


def case_of(name: str, seed: int = 0, **attributes: object) -> Call:
    call = draw_case(RandomChoices(np.random.default_rng(seed)), Scope(name, "float64")).call
    return Call(name, call.inputs, {**call.attributes, **attributes})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 0 / 0 and the like, on both sides
@pytest.mark.parametrize("name", [name for name, op in operations().items() if op.differentiable])
def test_translated_equations_give_the_same_numbers(name: str) -> None:
    for seed in range(3):
        case = draw_case(RandomChoices(np.random.default_rng(seed)), Scope(name, "float64"))
        literal = CompiledCall(operation(name), case.call.inputs, case.call.attributes)
        literal.programs = {}
        for right, got in zip(
            evaluate(name, case.call.inputs, case.call.attributes), literal.outputs(), strict=True
        ):  # fmt: skip
            np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-12)
        if operation(name).gradient:
            right = evaluate_gradient(name, case.call.inputs, case.cotangents, case.call.attributes)
            for key, got in literal.gradients(case.cotangents).items():
                np.testing.assert_allclose(got, right[key], rtol=1e-12, atol=1e-12)


def test_a_line_of_the_cell_holds_in_the_layer_that_unrolls_it() -> None:
    call = case_of("gru", update="keeps")
    backend = backend_of(changed(operation("gru"), [lines("h = 0 * n")]))()
    assert not backend.run(call)[0].any()


def test_where_nothing_is_changed_it_is_the_reference() -> None:
    backend = backend_of(changed(operation("gru_cell"), [lines("h = 0 * n", when={"update": "admits"})]))()
    call = case_of("gru_cell", update="keeps")
    np.testing.assert_array_equal(backend.run(call)[0], NumpyBackend().run(call)[0])
    assert not backend.run(case_of("gru_cell", update="admits"))[0].any()


def test_a_function_of_the_vocabulary_is_defined_anew_by_the_others() -> None:
    op = changed(operation("rnn_cell"), [lines("tanh(a) = relu(a)\nrelu(a) = tanh(a)")])
    call = case_of("rnn_cell", activation="tanh")
    expected = evaluate("rnn_cell", call.inputs, {**call.attributes, "activation": "relu"})
    np.testing.assert_allclose(backend_of(op)().run(call)[0], expected[0])


def test_an_operation_without_equations_of_its_gradient_is_differentiated_by_steps() -> None:
    op = changed(operation("crf_score"), [lines("score = 2 * path")])
    # Of a path that is possible: what is changed leaves out that the impossible one is a constant.
    call = Case("crf_score", "float64", {"B": 3, "T": 4, "K": 4}, operation("crf_score").defaults(), seed=1).call
    assert not operation("crf_score").gradient
    got = backend_of(op)().gradients(call, (np.ones(len(call.inputs["emissions"])),))
    right = backend_of(operation("crf_score"))().gradients(call, (np.ones(len(call.inputs["emissions"])),))
    for name, gradient in right.items():
        np.testing.assert_allclose(got[name], 2 * gradient)


def test_with_right_gradients_the_values_alone_are_wrong() -> None:
    (fault,) = faults_of(FAULT + 'text = "h = 0 * n"\ngradients = "right"')
    call, backend = case_of("gru_cell"), fault.implementation()
    cotangents = (np.ones_like(call.inputs["h_prev"]),)
    assert not backend.run(call)[0].any()
    for name, right in NumpyBackend().gradients(call, cotangents).items():
        np.testing.assert_array_equal(backend.gradients(call, cotangents)[name], right)
