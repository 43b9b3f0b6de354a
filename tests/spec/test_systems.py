"""The systems of the specification: what unrolling and specialising make of its text, for every attribute."""

import ast
import itertools
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rnnspec.conformance.cases import Case
from rnnspec.spec import (
    Operation,
    System,
    check_call,
    evaluate,
    evaluate_gradient,
    operation,
    operations,
    resolved,
    system,
)
from rnnspec.spec.language import parse
from rnnspec.spec.latex import Typesetter
from rnnspec.spec.operation import WHOLE, Attribute, holds
from rnnspec.spec.printing import equation_text
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

OPERATIONS = list(operations())

LSTM = [
    "a_i[t] = W_i @ u[t] + R_i @ h_prev[t] + b_i + b_R_i",
    "a_f[t] = W_f @ u[t] + R_f @ h_prev[t] + b_f + b_R_f",
    "a_g[t] = W_g @ u[t] + R_g @ h_prev[t] + b_g + b_R_g",
    "a_o[t] = W_o @ u[t] + R_o @ h_prev[t] + b_o + b_R_o",
    "i[t] = logistic(a_i[t])",
    "f[t] = logistic(a_f[t])",
    "g[t] = tanh(a_g[t])",
    "o[t] = logistic(a_o[t])",
    "c[t] = f[t] * c_prev[t] + i[t] * g[t]",
    "m[t] = o[t] * tanh(c[t])",
    "h[t] = m[t]",
    "h[-1] = h0",
    "h_n = h[n - 1]",
    "c[-1] = c0",
    "c_n = c[n - 1]",
    "u[t] = x[t]",
    "h_prev[t] = h[t - 1]",
    "c_prev[t] = c[t - 1]",
    "y[t] = h[t]",
]


def _tried(attribute: Attribute) -> list[Any]:
    """Numbers from a range, at sizes of 2."""
    low, high = attribute.ends(dict.fromkeys(string.ascii_uppercase, 2))
    return [low, *attribute.usual, (low + high) // 2 if isinstance(low, int) else (low + high) / 2, high]


def attribute_combinations(op: Operation, at_random: int = 20) -> Iterator[dict[str, Any]]:
    """The defaults, every value of every attribute alone (with what gives it a meaning), and some at random."""
    choices: dict[str, list[Any]] = {}
    for key, attribute in op.attributes.items():
        if attribute.is_tuple:
            choices[key] = list(itertools.product(attribute.values, repeat=len(attribute.functions)))
        else:
            choices[key] = list(
                dict.fromkeys((attribute.default, *(_tried(attribute) if attribute.range else attribute.values)))
            )
    wanted = [op.defaults()]
    for key, attribute in op.attributes.items():
        needed = {
            name: value[0] if isinstance(value, (list, tuple)) else value for name, value in attribute.when.items()
        }
        for name, value in needed.items():
            if value == "number":
                needed[name] = 1 if op.attributes[name].domain in WHOLE else 0.5
        values = choices[key][:: max(1, len(choices[key]) // 9)]
        wanted += [{**op.defaults(), **needed, key: value} for value in values]
    random = np.random.default_rng(1)
    wanted += [{key: c[random.integers(len(c))] for key, c in choices.items()} for _ in range(at_random)]
    seen = []
    for attributes in wanted:
        meant = {
            key: value if holds(op.attributes[key].when, attributes) else op.attributes[key].default
            for key, value in attributes.items()
        }
        if meant not in seen:
            seen.append(meant)
            yield meant


def systems(op: Operation) -> Iterator[tuple[dict[str, Any], Operation, System]]:
    for attributes in attribute_combinations(op):
        yield attributes, resolved(op, attributes), system(op, attributes)


def test_lstm_unrolled() -> None:
    op = operation("lstm")
    assert [equation_text(equation) for equation in system(op, op.defaults()).forward] == LSTM


@pytest.mark.parametrize(
    ("name", "attributes", "line"),
    [
        ("lstm", {}, "dc_all[t] = dc[t] + dm[t] * o[t] * tanh_prime(c[t])"),
        ("lstm", {}, "da_f[t] = df[t] * logistic_prime(a_f[t])"),
        ("lstm", {}, "dh[t] = dy[t] + dh_after[t]"),
        ("lstm", {}, "dh_after[t] = dh_prev[t + 1]"),
        ("lstm", {}, "dh_after[n - 1] = dh_n"),
        ("lstm", {}, "dc0 = dc_after[-1]"),
        ("lstm", {}, "dR_f = sum(outer(da_f[t], h_prev[t]) for t in range(n))"),
        ("lstm", {}, "dh_prev[t] = R_i.T @ da_i[t] + R_f.T @ da_f[t] + R_g.T @ da_g[t] + R_o.T @ da_o[t]"),
        ("lstm", {"coupled": True}, "f[t] = 1 - i[t]"),
        ("lstm", {"coupled": True}, "di[t] = dc_all[t] * (g[t] - c_prev[t])"),
        ("lstm", {"coupled": True}, "du[t] = W_i.T @ da_i[t] + W_g.T @ da_g[t] + W_o.T @ da_o[t]"),
        ("lstm", {"projection": True}, "h[t] = P @ m[t]"),
        ("lstm", {"projection": True}, "dP = sum(outer(dh[t], m[t]) for t in range(n))"),
        ("lstm", {"clip": 2.5}, "m[t] = o[t] * tanh(clipped(c[t], 2.5))"),
        (
            "lstm",
            {"clip": 2.5},
            "dc_all[t] = dc[t] + dm[t] * o[t] * tanh_prime(clipped(c[t], 2.5)) * inside(c[t], 2.5)",
        ),
        ("lstm", {"activations": ("relu", "logistic", "tanh")}, "g[t] = logistic(a_g[t])"),
        ("lstm", {"direction": "reverse"}, "y[t] = h[n - 1 - t]"),
        ("lstm", {"direction": "reverse"}, "dh[t] = dy[n - 1 - t] + dh_after[t]"),
        ("gru", {}, "dh_prev[t] = dh_kept[t] + R_r.T @ da_r[t] + R_z.T @ da_z[t] + R_n.T @ dq[t]"),
        ("gru", {}, "db_rn = sum(dq[t] for t in range(n))"),
        ("gru", {}, "a_n[t] = W_n @ u[t] + b_n + r[t] * q[t]"),
        ("gru", {"reset": "before"}, "a_n[t] = W_n @ u[t] + R_n @ s[t] + b_n + b_R_n"),
        ("gru", {"update": "admits"}, "h[t] = (1 - z[t]) * h_prev[t] + z[t] * n[t]"),
        ("rnn", {"activation": "relu"}, "h[t] = relu(a[t])"),
        ("rnn", {}, "da[t] = dh[t] * tanh_prime(a[t])"),
        ("rnn", {"truncate": 2}, "dh_after[t] = 0 if t >= 0 and (t + 1) % 2 == 0 else dh_prev[t + 1]"),
        ("rnn", {"recurrent_dropout": 0.5}, "h_prev[t] = h[t - 1] * recurrent_keep / (1 - 0.5)"),
        ("lstm", {"gradient": "cell_only"}, "dh_prev[t] = 0 * h_prev[t]"),
        ("stacked", {}, "a_f[l, t] = w_f[l] @ u[l, t] + R_f[l] @ h_prev[l, t] + b_f[l] + b_R_f[l]"),
        ("stacked", {}, "u[l, t] = below[l, t]"),
        ("stacked", {"dropout": 0.25}, "below[l, t] = above[l - 1, t] * keep[l - 1, t] / (1 - 0.25)"),
        ("bidirectional", {"layer": "gru"}, "h[d, t] = (1 - z[d, t]) * n[d, t] + z[d, t] * h_prev[d, t]"),
        ("bidirectional", {}, "y[t] = concat(shown[0, t], shown[1, n - 1 - t])"),
        ("one_to_many", {"layer": "rnn", "steps": 5}, "h_n = h[N - 1]"),
    ],
)
def test_the_system_has_this_line(name: str, attributes: dict[str, Any], line: str) -> None:
    op = operation(name)
    found = system(op, {**op.defaults(), **attributes})
    assert line in [equation_text(equation) for equation in (*found.forward, *found.gradient)]


def rows_of(op: Operation, found: System, attributes: dict[str, Any], key: str) -> list[str]:
    """The names that equations give the slices of an input; its own where it is not sliced."""
    item = op.inputs_for(attributes)[key]
    rows = item.rows or (found.gates if "G" in item.shape else ())
    return [f"{key}_{row}" for row in rows] or [key]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_name_in_an_equation_is_defined_and_every_function_is_in_the_vocabulary(name: str) -> None:
    for attributes, op, found in systems(operation(name)):
        equations = (*found.forward, *found.gradient)
        defined = {equation.target for equation in equations} | {f"d{output}" for output in op.outputs} | {"inf", "n"}
        defined |= set(op.inputs_for(attributes)) | set(op.sizes) | ({"valid", "all_valid"} if op.has_steps else set())
        defined |= {row for key in op.inputs_for(attributes) for row in rows_of(op, found, attributes, key)}
        for equation in equations:
            nodes = list(ast.walk(equation.value))
            functions = {
                node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert functions <= {*VOCABULARY, *REDUCERS, "range"}, equation.place
            letters = {letter for letter in equation.letters(found.sizes) if letter}
            letters |= {node.target.id for node in nodes if isinstance(node, ast.comprehension)}  # type: ignore[attr-defined]
            names = {node.id for node in nodes if isinstance(node, ast.Name)} - functions
            assert names <= defined | letters, f"{equation.place}: {equation_text(equation)}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_output_and_every_gradient_is_defined(name: str) -> None:
    for attributes, op, found in systems(operation(name)):
        wanted = set(op.outputs_for(attributes))
        if op.differentiable and found.gradient:
            for key, item in op.inputs_for(attributes).items():
                if item.kind == "float":
                    wanted |= {f"d{row}" for row in rows_of(op, found, attributes, key)}
        assert wanted <= set(found.rules), attributes


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_system_prints(name: str) -> None:
    for _, _, found in systems(operation(name)):
        for equation in (*found.forward, *found.gradient):
            text, latex = equation_text(equation), Typesetter().equation(equation)
            assert "\n" not in text + latex
            assert latex.count("{") == latex.count("}")
            assert latex.count(r"\left(") == latex.count(r"\right)")
            assert "prime" not in latex
            assert "None" not in text
            (again,) = parse(text, "printed")
            assert ast.dump(again.value) == ast.dump(parse(equation_text(again), "again")[0].value)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_system_evaluates(name: str) -> None:
    for attributes in attribute_combinations(operation(name), at_random=4):
        case = Case(name, "float64", {"B": 1, "T": 2, "D": 1, "H": 2, "S": 3, "N": 2}, attributes)
        inputs = case.call.inputs
        check_call(name, inputs, attributes)
        outputs = evaluate(name, inputs, attributes)
        lengths = case.lengths_of
        assert [output.shape for output in outputs] == [
            tuple(int(axis) if axis.isdigit() else lengths[axis] for axis in item.shape)
            for item in case.results.values()
        ]
        for array, item in zip(outputs, case.results.values(), strict=True):
            assert (np.isfinite(array) | (array == item.impossible if item.kind == "float" else False)).all()
        if case.spec.differentiable and system(case.spec, attributes).gradient:
            gradients = evaluate_gradient(name, inputs, case.cotangents, attributes)
            floats = {key: array.shape for key, array in case.call.float_inputs.items()}
            assert {key: array.shape for key, array in gradients.items()} == floats
            assert all(np.isfinite(array).all() for array in gradients.values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_cost_models_are_expressions_in_the_sizes(name: str) -> None:
    op = operation(name)
    known = set(resolved(op, op.defaults()).sizes)
    for formula in op.cost.values():
        names = {node.id for node in ast.walk(ast.parse(formula, mode="eval")) if isinstance(node, ast.Name)}
        assert names <= known
