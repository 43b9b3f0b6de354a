"""Equations for people: the text reads back as the same tree, and the LaTeX groups as the tree does."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.spec import operation, operations, resolved, system
from rnnspec.spec.language import parse
from rnnspec.spec.latex import Typesetter
from rnnspec.spec.printing import (
    MEANINGS,
    equation_text,
    needed,
    notation,
    reading_order,
    to_text,
)
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

NAMES = st.sampled_from(["a", "h", "W_i", "dh_prev", "x", "n"])
REDUCERS_OF_ONE = ["max", "min", "argmax", "log_sum_exp", "all", "any", "vector"]
NUMBERS = st.one_of(st.integers(0, 99), st.floats(0, 1e6)).map(str)
INDICES = st.sampled_from(["t", "t - 1", "-1", "n - 1 - t", "2 * (t + 1)", "t, j", "l - 1, t % 2, 0", "k[t, 0], j"])


def compound(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An expression of such parts, every part in parentheses."""
    name = st.sampled_from(["tanh", "logistic_prime", "relu"])
    return st.one_of(
        st.builds("({}) {} ({})".format, part, st.sampled_from(["+", "-", "*", "/", "@", "**", "%", "//"]), part),
        st.builds("({}) {} ({})".format, part, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), part),
        st.builds("({}) {} ({})".format, part, st.sampled_from(["and", "or"]), part),
        st.builds("not ({})".format, part),
        st.builds("({}) if ({}) else ({})".format, part, part, part),
        st.builds("-({})".format, part),
        st.builds("({}).T".format, part),
        st.builds("{}({})".format, name, part),
        st.builds("{}({}, {})".format, st.sampled_from(["outer", "clipped"]), part, part),
        st.builds("sum({} for t in range({}))".format, part, part),
        st.builds("sum({} for s in range({}, {}))".format, part, part, part),
        st.builds("{}({} for s in range({}))".format, st.sampled_from(REDUCERS_OF_ONE), part, part),
        st.builds("top({}, ({} for s in range({})))".format, part, part, part),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, NUMBERS, st.builds("{}[{}]".format, NAMES, INDICES)), compound)


def tree(expression: str) -> ast.expr:
    (equation,) = parse(f"y = {expression}", "toy.toml")
    return equation.value


@given(EXPRESSIONS)
def test_text_reads_back_as_the_same_tree(expression: str) -> None:
    printed = to_text(tree(expression))
    assert ast.dump(tree(printed)) == ast.dump(tree(expression))


@given(EXPRESSIONS)
def test_latex_has_balanced_braces_and_delimiters(expression: str) -> None:
    printed = Typesetter().expression(tree(expression))
    depth = 0
    for character in printed:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert printed.count(r"\left(") == printed.count(r"\right)")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("(a + b) + c", "a + b + c"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a * b) @ c", "a * b @ c"),
        ("a * (b @ c)", "a * (b @ c)"),
        ("(-a) ** 2", "(-a) ** 2"),
        ("-(a ** 2)", "-a ** 2"),
        ("(W).T @ (x)", "W.T @ x"),
        ("sum((x[t]) for t in range(n))", "sum(x[t] for t in range(n))"),
        ("2 * sum(x[t] for t in range(1, n))", "2 * sum(x[t] for t in range(1, n))"),
        ("max((x[t]) for t in range(n)) - 1", "max(x[t] for t in range(n)) - 1"),
        ("top((j), (x[t] for t in range(1, n)))", "top(j, (x[t] for t in range(1, n)))"),
        ("vector(vector(a[i, j] for j in range(3)) for i in range(2))",) * 2,
        ("a[(t), (j - 1)]", "a[t, j - 1]"),
        ("a[k[t, 0], j]", "a[k[t, 0], j]"),
        ("(a % b) // c", "a % b // c"),
        ("a % (b // c)", "a % (b // c)"),
        ("a if (b < c) else (d if e else f)", "a if b < c else d if e else f"),
        ("(a if b else c) + d", "(a if b else c) + d"),
        ("not (a and (b or c))", "not (a and (b or c))"),
        ("(not a) and b or c", "not a and b or c"),
    ],
)
def test_text_has_the_parentheses_it_needs(expression: str, text: str) -> None:
    assert to_text(tree(expression)) == text


@pytest.mark.parametrize(
    ("expression", "latex"),
    [
        ("a + b * c", r"a + b \odot c"),
        ("(a + b) * c", r"\left(a + b\right) \odot c"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("(1 - z) * n", r"\left(1 - z\right) \odot n"),
        ("2 * a", r"2 \, a"),
        ("W @ x + b", "W x + b"),
        ("W @ (x + b)", r"W \left(x + b\right)"),
        ("W @ (x * y)", r"W \left(x \odot y\right)"),
        ("(W @ x) * y", r"W x \odot y"),
        ("R_i.T @ da_i", r"R_{\mathrm{i}}^\top \mathrm{d}a_{\mathrm{i}}"),
        ("(W @ R).T", r"\left(W R\right)^\top"),
        ("a / (b + c)", r"\frac{a}{b + c}"),
        ("(a / b) ** 2", r"\left(\frac{a}{b}\right)^{2}"),
        ("(a / b).T", r"\left(\frac{a}{b}\right)^\top"),
        ("a ** (b + 1)", "a^{b + 1}"),
        ("(a + b) ** 2", r"\left(a + b\right)^{2}"),
        ("-(a + b)", r"-\left(a + b\right)"),
        ("-a * b", r"-a \odot b"),
        ("logistic(a)", r"\sigma\left(a\right)"),
        ("tanh_prime(a)", r"\tanh'\left(a\right)"),
        ("clipped(a, 3)", r"\operatorname{clipped}\left(a, 3\right)"),
        ("outer(a + b, x)", r"\left(a + b\right) \, x^\top"),
        ("sum(x[t] for t in range(n))", r"\sum_{t=0}^{n-1} x_{t}"),
        ("sum(x[t] for t in range(1, n))", r"\sum_{t=1}^{n-1} x_{t}"),
        ("sum(x[t] + y[t] for t in range(n))", r"\sum_{t=0}^{n-1} \left(x_{t} + y_{t}\right)"),
        ("2 * sum(x[t] for t in range(n))", r"2 \, \left(\sum_{t=0}^{n-1} x_{t}\right)"),
        ("h[t - 1]", "h_{t-1}"),
        ("h[t, j - 1]", "h_{t,j-1}"),
        ("dC_i[l, t]", r"\mathrm{d}C_{\mathrm{i},l,t}"),
        ("x[k[t, 0], j]", "x_{k_{t,0},j}"),
        ("a % b", r"a \bmod b"),
        ("a // (b + c)", r"a \mathbin{/\!/} \left(b + c\right)"),
        ("max(x[t] for t in range(n))", r"\operatorname*{max}_{t=0..n-1}\left(x_{t}\right)"),
        ("argmax(x[t] for t in range(1, n))", r"\operatorname*{argmax}_{t=1..n-1}\left(x_{t}\right)"),
        ("log_sum_exp(x[j] for j in range(K))", r"\operatorname*{log\,sum\,exp}_{j=0..K-1}\left(x_{j}\right)"),
        ("top(j, (x[t] for t in range(n)))", r"\operatorname*{top}_{j;\,t=0..n-1}\left(x_{t}\right)"),
        ("a if t == 0 else b", r"\begin{cases}a & t = 0 \\ b & \text{else}\end{cases}"),
        ("2 * (a if b else c)", r"2 \, \begin{cases}a & b \\ c & \text{else}\end{cases}"),
        ("a < b", "a < b"),
        ("a <= b + 1", r"a \leq b + 1"),
        ("a > b", "a > b"),
        ("a >= b", r"a \geq b"),
        ("a != b", r"a \neq b"),
        ("(a < b) == c", r"\left(a < b\right) = c"),
        ("(a < b) * c", r"\left(a < b\right) \odot c"),
        ("-(a < b)", r"-\left(a < b\right)"),
        ("a < b and b < c", r"a < b \land b < c"),
        ("a and b or c and d", r"a \land b \lor c \land d"),
        ("(a or b) and c", r"\left(a \lor b\right) \land c"),
        ("a and (b or c)", r"a \land \left(b \lor c\right)"),
        ("not a", r"\lnot a"),
        ("not (a < b)", r"\lnot \left(a < b\right)"),
        ("not (a or b)", r"\lnot \left(a \lor b\right)"),
        ("a_i[t]", r"a_{\mathrm{i},t}"),
        ("h0", r"h_{0}"),
        ("dc_all[t]", r"\mathrm{d}c_{\mathrm{all},t}"),
        ("d", "d"),
        ("delta", r"\delta"),
        ("ddelta", r"\mathrm{d}\delta"),
    ],
)
def test_latex_reads_as_the_tree_groups(expression: str, latex: str) -> None:
    assert Typesetter().expression(tree(expression)) == latex


def test_an_equation_prints_with_its_target() -> None:
    equations = parse("h = a\nh[t] = x[t]\nh[n - 1] = 0\nC[t, 0] = C[t - 1, 0]", "toy.toml")
    assert [equation_text(e) for e in equations] == ["h = a", "h[t] = x[t]", "h[n - 1] = 0", "C[t, 0] = C[t - 1, 0]"]
    assert [Typesetter().equation(e) for e in equations] == [
        "h &= a",
        "h_{t} &= x_{t}",
        "h_{n-1} &= 0",
        "C_{t,0} &= C_{t-1,0}",
    ]


# Reading order and notation.


def ordered(*lines: str) -> list[str]:
    return [equation_text(equation) for equation in reading_order(parse("\n".join(lines), "toy.toml"))]


def test_what_is_used_stands_above_and_results_last() -> None:
    assert ordered("y[t] = h[t]", "h[t] = f[t] * c[t]", "c[t] = f[t]", "f[t] = x[t]") == [
        "f[t] = x[t]", "c[t] = f[t]", "h[t] = f[t] * c[t]", "y[t] = h[t]",
    ]  # fmt: skip


def test_a_neighbouring_step_closes_the_recurrence() -> None:
    assert ordered("h[t] = a[t] + h[t - 1]", "a[t] = x[t] + h[t - 1]", "h[-1] = h0", "y = h[n - 1]") == [
        "h[-1] = h0", "a[t] = x[t] + h[t - 1]", "h[t] = a[t] + h[t - 1]", "y = h[n - 1]",
    ]  # fmt: skip


def test_an_index_is_not_the_gate_of_the_same_name() -> None:
    assert ordered("y[i] = b[i]", "b[i] = x[i]", "z = sum(b[i] for i in range(n))", "c = i", "i = x") == [
        "b[i] = x[i]", "i = x", "y[i] = b[i]", "z = sum(b[i] for i in range(n))", "c = i",
    ]  # fmt: skip


def test_the_number_of_steps_is_not_the_gate_of_the_same_name() -> None:
    lines = ["n[t] = tanh(a[t])", "a[t] = u[t] + h[t - 1]", "h[t] = n[t]", "u[t] = read[t]", "read[t] = x[n - 1 - t]"]
    assert ordered(*lines) == ["read[t] = x[n - 1 - t]", "u[t] = read[t]", "a[t] = u[t] + h[t - 1]", *lines[:3:2]]
    assert ordered("h = (1 - z) * n", "n = tanh(a)")[0] == "n = tanh(a)", "of a cell, n alone is the gate"


def test_a_circle_within_a_step_is_printed_nevertheless() -> None:
    assert sorted(ordered("a = b", "b = a")) == ["a = b", "b = a"]


@pytest.mark.parametrize("name", operations())
def test_nothing_is_lost_in_reading_order(name: str) -> None:
    chosen = system(operation(name), operation(name).defaults())
    for equations in (chosen.forward, chosen.gradient):
        assert sorted(map(equation_text, reading_order(equations))) == sorted(map(equation_text, equations))


def test_needed_follows_what_outputs_are_made_of() -> None:
    equations = parse("y = a\na = b[0]\nb[t] = x\nunused = a", "toy.toml")
    assert [equation.target for equation in needed(equations, ("y",))] == ["y", "a", "b"]


def test_notation_lists_what_is_used_and_no_more() -> None:
    equations = parse("y = tanh(W @ x) + sum(a[t] for t in range(n))", "toy.toml")
    assert set(notation(equations)) == {"A @ b", "tanh(a)", "sum(… for i in range(n))"}


def test_every_word_of_the_language_has_a_meaning() -> None:
    assert set(VOCABULARY) | {f"{name}(…)" for name in REDUCERS} <= set(MEANINGS)


def test_a_name_that_begins_with_d_is_a_differential_unless_it_is_a_part_s() -> None:
    assert Typesetter().expression(tree("dh_n")).startswith("\\mathrm{d}h")
    of_a_part = Typesetter(words=frozenset({"decoder_h"}))
    assert of_a_part.expression(tree("decoder_h")).startswith("\\mathrm{decoder}")
    assert Typesetter().expression(tree("ddecoder_h")).startswith("\\mathrm{d}\\mathrm{decoder}")


def test_no_condition_is_printed_that_always_holds() -> None:
    for name in ("attention", "multi_head_attention"):
        op = operation(name)
        rules = system(resolved(op, op.defaults()), op.defaults())
        text = "\n".join(map(equation_text, rules.forward))
        assert " >= 0" not in text
        assert "exp(" in text
