"""The systems of the specification: what unrolling and specialising make of its text, for every attribute."""

import ast
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rnnspec.spec import Operation, System, check_call, evaluate, evaluate_gradient, operation, operations, system
from rnnspec.spec.printing import equation_latex, equation_text
from rnnspec.spec.vocabulary import VOCABULARY

OPERATIONS = ["rnn_cell", "rnn", "lstm_cell", "lstm", "gru_cell", "gru"]

LSTM = [
    "a_i[t] = W_i @ u[t] + R_i @ h[t - 1] + b_i",
    "a_f[t] = W_f @ u[t] + R_f @ h[t - 1] + b_f",
    "a_g[t] = W_g @ u[t] + R_g @ h[t - 1] + b_g",
    "a_o[t] = W_o @ u[t] + R_o @ h[t - 1] + b_o",
    "i[t] = logistic(a_i[t])",
    "f[t] = logistic(a_f[t])",
    "g[t] = tanh(a_g[t])",
    "o[t] = logistic(a_o[t])",
    "c[t] = f[t] * c[t - 1] + i[t] * g[t]",
    "m[t] = o[t] * tanh(c[t])",
    "h[t] = m[t]",
    "h[-1] = h0",
    "c[-1] = c0",
    "h_n = h[n - 1]",
    "c_n = c[n - 1]",
    "u[t] = x[t]",
    "y[t] = h[t]",
]


def attribute_combinations(op: Operation) -> Iterator[dict[str, Any]]:
    choices = []
    for attribute in op.attributes.values():
        if attribute.domain:
            choices.append([None, 0.5])
        elif attribute.is_tuple:
            choices.append(list(itertools.product(attribute.values, repeat=len(attribute.functions))))
        else:
            choices.append(list(attribute.values))
    for values in itertools.product(*choices):
        yield dict(zip(op.attributes, values, strict=True))


def systems(op: Operation) -> Iterator[tuple[dict[str, Any], System]]:
    for attributes in attribute_combinations(op):
        yield attributes, system(op, attributes)


def test_every_operation_is_tested_here() -> None:
    assert set(OPERATIONS) == set(operations())


def test_lstm_unrolled() -> None:
    op = operation("lstm")
    assert [equation_text(equation) for equation in system(op, op.defaults()).forward] == LSTM


@pytest.mark.parametrize(
    ("name", "attributes", "line"),
    [
        ("lstm", {}, "dc_all[t] = dc[t] + dm[t] * o[t] * tanh_prime(c[t])"),
        ("lstm", {}, "da_f[t] = df[t] * logistic_prime(a_f[t])"),
        ("lstm", {}, "dh[t] = dy[t] + dh_prev[t + 1]"),
        ("lstm", {}, "dR_f = sum(outer(da_f[t], h[t - 1]) for t in range(n))"),
        ("lstm", {}, "dh_prev[t] = R_i.T @ da_i[t] + R_f.T @ da_f[t] + R_g.T @ da_g[t] + R_o.T @ da_o[t]"),
        ("lstm", {"coupled": True}, "f[t] = 1 - i[t]"),
        ("lstm", {"coupled": True}, "di[t] = dc_all[t] * (g[t] - c[t - 1])"),
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
        ("lstm", {"direction": "reverse"}, "dh[t] = dy[n - 1 - t] + dh_prev[t + 1]"),
        ("gru", {}, "dh_prev[t] = dh_kept[t] + R_r.T @ da_r[t] + R_z.T @ da_z[t] + R_n.T @ dq[t]"),
        ("gru", {}, "db_rn = sum(dq[t] for t in range(n))"),
        ("gru", {}, "a_n[t] = W_n @ u[t] + b_n + r[t] * q[t]"),
        ("gru", {"reset": "before"}, "a_n[t] = W_n @ u[t] + R_n @ s[t] + b_n"),
        ("gru", {"update": "admits"}, "h[t] = (1 - z[t]) * h[t - 1] + z[t] * n[t]"),
        ("rnn", {"activation": "relu"}, "h[t] = relu(a[t])"),
        ("rnn", {}, "da[t] = dh[t] * tanh_prime(a[t])"),
    ],
)
def test_the_system_has_this_line(name: str, attributes: dict[str, Any], line: str) -> None:
    op = operation(name)
    found = system(op, {**op.defaults(), **attributes})
    assert line in [equation_text(equation) for equation in (*found.forward, *found.gradient)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_name_in_an_equation_is_defined_and_every_function_is_in_the_vocabulary(name: str) -> None:
    op = operation(name)
    for attributes, found in systems(op):
        equations = (*found.forward, *found.gradient)
        inputs = op.inputs_for(attributes)
        defined = {equation.target for equation in equations} | set(inputs) | {f"d{output}" for output in op.outputs}
        defined |= {f"{key}_{gate}" for key, item in inputs.items() if "G" in item.shape for gate in found.gates}
        defined |= {"n", "t"} if op.has_steps else set()
        for equation in equations:
            functions = set()
            for node in ast.walk(equation.value):
                if isinstance(node, ast.Call):
                    assert isinstance(node.func, ast.Name)
                    functions.add(node.func.id)
            assert functions <= {*VOCABULARY, "sum", "range"}, equation.place
            names = {node.id for node in ast.walk(equation.value) if isinstance(node, ast.Name)} - functions
            assert names <= defined, equation.place


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_output_and_every_gradient_is_defined(name: str) -> None:
    op = operation(name)
    for attributes, found in systems(op):
        wanted = set(op.outputs)
        for key, item in op.inputs_for(attributes).items():
            if item.kind == "float":
                wanted |= {f"d{key}_{gate}" for gate in found.gates} if "G" in item.shape else {f"d{key}"}
        assert wanted <= set(found.rules), attributes


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_system_prints(name: str) -> None:
    for _, found in systems(operation(name)):
        for equation in (*found.forward, *found.gradient):
            text, latex = equation_text(equation), equation_latex(equation)
            assert "\n" not in text + latex
            assert latex.count("{") == latex.count("}")
            assert latex.count(r"\left(") == latex.count(r"\right)")
            assert "prime" not in latex
            assert "None" not in text


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_system_evaluates(name: str) -> None:
    op = operation(name)
    random = np.random.default_rng(1)
    sizes = {"B": 1, "T": 2, "D": 1, "H": 2}
    for attributes in attribute_combinations(op):
        sizes |= {"G": len(op.gates_for(attributes)), "S": 3 if attributes.get("projection") else 2}
        inputs = {
            key: random.standard_normal([sizes[axis] for axis in item.shape])
            for key, item in op.inputs_for(attributes).items()
            if item.kind == "float"
        }
        check_call(name, inputs, attributes)
        outputs = evaluate(name, inputs, attributes)
        gradients = evaluate_gradient(name, inputs, outputs, attributes)
        assert [output.shape for output in outputs] == [
            tuple(sizes[axis] for axis in output.shape) for output in op.outputs.values()
        ]
        assert {key: array.shape for key, array in gradients.items()} == {k: v.shape for k, v in inputs.items()}
        assert all(np.isfinite(array).all() for array in (*outputs, *gradients.values()))


def test_cost_models_are_expressions_in_the_sizes() -> None:
    for op in operations().values():
        for formula in op.cost.values():
            names = {node.id for node in ast.walk(ast.parse(formula, mode="eval")) if isinstance(node, ast.Name)}
            assert names <= set(op.sizes), op.name
