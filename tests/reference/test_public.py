"""The public functions are what the specification says: signature, documentation, types, and what they refuse."""

import inspect

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.conformance.cases import RandomChoices, Scope, draw_case
from rnnspec.reference.call import answer
from rnnspec.reference.parts import of_cell
from rnnspec.reference.stub import FILE, stub
from rnnspec.spec import CallError, operation, operations
from rnnspec.spec.composition import possible_inputs, possible_outputs, resolved
from rnnspec.spec.operation import holds

R = np.random.default_rng(0)
X, W, RECURRENT, B = R.normal(size=(2, 3, 2)), R.normal(size=(1, 4, 2)), R.normal(size=(1, 4, 4)), R.normal(size=(1, 4))


def test_there_is_a_function_for_every_operation_and_one_for_every_gradient():
    expected = set(operations()) | {f"{name}_vjp" for name, op in operations().items() if op.differentiable}
    assert set(reference.__all__) == expected
    for name in expected:
        function = getattr(reference, name)
        assert (function.__module__, function.__name__, function.__qualname__) == ("rnnspec.reference", name, name)


def test_the_stub_is_the_one_that_the_specification_makes():
    assert FILE.read_text(encoding="utf-8") == stub(), "write it anew: python -m rnnspec.reference.stub"


@pytest.mark.parametrize("name", operations())
def test_parameters_stand_in_the_order_of_the_specification(name):
    op = operation(name)
    parameters = inspect.signature(getattr(reference, name)).parameters
    items = possible_inputs(op)
    always = [key for key, item in items.items() if not item.optional and not item.when]
    others = [key for key in items if key not in always and key not in ("lengths", "mask")]
    steps = [key for key in ("lengths", "mask") if key in items]
    assert list(parameters) == [*always, *others, *steps, *op.attributes]
    for key, parameter in parameters.items():
        by_name = key in (*steps, *op.attributes)
        assert parameter.kind is (parameter.KEYWORD_ONLY if by_name else parameter.POSITIONAL_OR_KEYWORD)
        default = parameter.empty if key in always else op.attributes[key].default if key in op.attributes else None
        assert parameter.default == default


@pytest.mark.parametrize("name", operations())
def test_the_documentation_names_everything(name):
    op = operation(name)
    text = inspect.getdoc(getattr(reference, name))
    head, returned = text.split("\nReturns\n-------\n")
    for section in ("Parameters\n----------\n", "Raises\n------\nrnnspec.spec.CallError\n"):
        assert section in text
    for key, item in possible_inputs(op).items():
        assert f"\n{key} : " in head
        assert " ".join(item.about[1:].split()) in " ".join(head.split())
    for key in op.attributes:
        assert f"\n{key}\n" in head
    for key in possible_outputs(op):
        assert f"{key} : " in returned
    for source in op.sources:
        assert source in " ".join(text.split())
    assert all(len(line) <= 100 for line in text.splitlines() if " " in line.strip())


@pytest.mark.parametrize("name", operations())
def test_possible_inputs_and_outputs_are_those_of_all_calls(name):
    op = operation(name)
    choices = RandomChoices(np.random.default_rng(3))
    for _ in range(40):
        attributes = draw_case(choices, Scope(name, "float64")).attributes
        chosen = resolved(op, attributes)
        for possible, there in (
            (possible_inputs(op), chosen.inputs_for(attributes)),
            (possible_outputs(op), chosen.outputs_for(attributes)),
        ):
            assert set(there) <= set(possible)
            for key, item in possible.items():
                if not item.when:
                    assert key in there
                elif key in there:
                    assert holds(item.when, attributes)


def test_inputs_may_be_given_by_their_place():
    by_name = reference.rnn(x=X, W=W, R=RECURRENT, b=B)
    for by_place in (reference.rnn(X, W, RECURRENT, B), reference.rnn(X, W, b=B, R=RECURRENT, h0=None)):
        for actual, expected in zip(by_place, by_name, strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: reference.rnn(X, W, RECURRENT), CallError, r"rnn: b is missing: expected an array of shape \(G, H\)"),
        (
            lambda: reference.rnn(X, W, RECURRENT, B, c0=B),
            CallError,
            "rnn: unknown input 'c0': expected x, h0, W, R, b",
        ),
        (
            lambda: reference.rnn(X, W, RECURRENT, B, W=W),
            TypeError,
            "rnn: W: expected once, got by its place and by its",
        ),
        (lambda: reference.rnn(*[X] * 8), TypeError, "rnn: expected at most 7 inputs without a name, got 8"),
        (lambda: reference.rnn(X, W, RECURRENT, B, activation="sin"), CallError, "rnn: activation: expected one of"),
        (lambda: reference.stacked(x=X, gain=B), CallError, "stacked: unknown input 'gain'"),
    ],
)
def test_what_is_no_call_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_call_that_was_not_recorded_has_no_way_back():
    inputs = {"x": X, "W": W, "R": RECURRENT, "b": B}
    (y, h), vjp = answer("rnn", of_cell("rnn"), inputs, {}, record=False)
    with pytest.raises(RuntimeError, match="no way back"):
        vjp(y, h)
