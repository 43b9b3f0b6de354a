"""The equation language: what it reads, and that it refuses the rest with the line and the reason."""

import pytest

from rnnspec.spec import SpecError
from rnnspec.spec.language import differentiated, parse


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("h = a", "h"),
        ("h[t] = a", "h[t]"),
        ("h[-1] = a", "h[-1]"),
        ("h[n - 1] = a", "h[n - 1]"),
        ("h[t, j] = a", "h[t, j]"),
        ("h[l, n - 1,  0] = a", "h[l, n - 1, 0]"),
        ("arg(a) = clipped(a, clip)", "arg(a)"),
        ("mix(a, b) = a * b", "mix(a, b)"),
    ],
)
def test_a_target_is_a_name_an_indexed_name_or_a_function(line: str, left: str) -> None:
    (equation,) = parse(line, "toy.toml")
    assert equation.left == left


def test_a_letter_makes_an_equation_general_and_a_number_or_a_size_does_not() -> None:
    def letters(target: str) -> tuple[str | None, ...]:
        (equation,) = parse(f"{target} = a", "toy.toml")
        return equation.letters({"n", "K"})

    assert letters("h[t]") == ("t",)
    assert letters("h[0]") == letters("h[n]") == letters("h[n - 1]") == letters("h[t + 1]") == (None,)
    assert letters("h") == ()
    assert letters("h[t, j]") == ("t", "j")
    assert letters("h[t, K]") == ("t", None)
    assert letters("h[0, j]") == (None, "j")


def test_a_definition_has_parameters_and_no_index() -> None:
    (definition,) = parse("mix(a, b) = a * b", "toy.toml")
    assert definition.parameters == ("a", "b")
    assert definition.indices == ()


@pytest.mark.parametrize(
    "expression",
    [
        "1",
        "2.5",
        "1e-3",
        "-a",
        "a + b - c * d / e",
        "W @ x",
        "a ** 2",
        "R.T @ da",
        "(W @ R).T",
        "h[t - 1]",
        "x[2 * t + 1]",
        "tanh(a)",
        "outer(a, b)",
        "sum(x[t] for t in range(n))",
        "sum(x[t] for t in range(1, n))",
        "sum(W_k.T @ da_k for k in gates)",
        "sum(sum(x[s] for s in range(t)) for t in range(n))",
        "a % b // 2",
        "a[0, 1]",
        "a[t, j - 1, k]",
        "x[ids[t], 2 * j]",
        "a < b",
        "a == b",
        "a != b",
        "a >= 0 and a <= 1 or not b",
        "a if b else c",
        "a if t == 0 else b if t == 1 else c",
        "max(x[t] for t in range(n))",
        "min(x[t] for t in range(1, n))",
        "argmax(x[t, j] for j in range(K))",
        "log_sum_exp(x[j] for j in range(K))",
        "log_sum_exp(x)",
        "all(valid[t] for t in range(n))",
        "any(x[t] > 0 for t in range(n))",
        "vector(x[t] for t in range(n))",
        "top(0, (x[t] for t in range(n)))",
        "top(j + 1, (x[t] for t in range(n)))",
    ],
)
def test_expressions_in_the_language_are_read(expression: str) -> None:
    (equation,) = parse(f"h = {expression}", "toy.toml")
    assert equation.target == "h"


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("dh", "h"),
        ("dh_prev", "h_prev"),
        ("dc_all", "c_all"),
        ("dW_i", "W_i"),
        ("dd", "d"),
        ("ddecay", "decay"),
        ("d", None),
        ("decay", None),
        ("delta", None),
        ("delta_all", None),
        ("h", None),
        ("turned", None),
    ],
)
def test_a_gradient_is_one_of_a_quantity_that_there_is(name: str, of: str | None) -> None:
    assert differentiated(name, {"h", "h_prev", "c", "W_i", "d", "decay"}) == of


def test_blank_lines_and_comments_are_no_equations_but_count_as_lines() -> None:
    equations = parse("\n# the state\nh = a\n\nc = b", "toy.toml")
    assert [equation.left for equation in equations] == ["h", "c"]
    assert [equation.place for equation in equations] == ["toy.toml, line 3: 'h = a'", "toy.toml, line 5: 'c = b'"]


NOT_IN_LANGUAGE = "is not in the equation language"
NOT_EXPRESSION = "not an expression"
BAD_TARGET = "expected a target like"
REAL = "expected a real number"
SUM_FORM = "expected sum(… for t in range(…))"
REDUCER = "expected one of sum, max, min, argmax, log_sum_exp, all, any, vector, top, got"
ONE_FOR = "expected one 'for' with one name and no 'if'"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        # Not an equation
        ("h", "got no '='"),
        ("h == a", "got no '='"),
        ("h <= a", "got no '='"),
        ("import os", "got no '='"),
        ("del h", "got no '='"),
        ("h :=", NOT_EXPRESSION),
        ("h += a", NOT_EXPRESSION),
        ("h =", NOT_EXPRESSION),
        ("= a", NOT_EXPRESSION),
        ("h = a = b", NOT_EXPRESSION),
        ("h = a; c = b", NOT_EXPRESSION),
        ("h = (a", NOT_EXPRESSION),
        ("h = a b", NOT_EXPRESSION),
        ("h = import os", NOT_EXPRESSION),
        ("h = a\0", NOT_EXPRESSION),
        ("h: float = a", NOT_EXPRESSION),
        # Bad targets
        ("1 = a", BAD_TARGET),
        ("h.T = a", BAD_TARGET),
        ("h.x = a", BAD_TARGET),
        ("-h = a", BAD_TARGET),
        ("h, c = a", BAD_TARGET),
        ("(h + c) = a", BAD_TARGET),
        ("h[t][t] = a", BAD_TARGET),
        ("f() = a", BAD_TARGET),
        ("f(1) = a", BAD_TARGET),
        ("f(a)(b) = a", BAD_TARGET),
        ("f(*a) = a", BAD_TARGET),
        ("h[0:1] = a", NOT_IN_LANGUAGE),
        ("h[t, 0:1] = a", NOT_IN_LANGUAGE),
        ("h[()] = a", BAD_TARGET),
        ("h[t, (j, k)] = a", NOT_IN_LANGUAGE),
        ("h[t, j.real] = a", "the only attribute in the language is .T, got '.real'"),
        ("h if a else c = a", BAD_TARGET),
        # Attributes
        ("h = a.shape", "the only attribute in the language is .T, got '.shape'"),
        ("h = a.t", "the only attribute in the language is .T, got '.t'"),
        ("h = a.__class__", "the only attribute in the language is .T, got '.__class__'"),
        ("h = a.T.__class__", "the only attribute in the language is .T, got '.__class__'"),
        ("h = tanh(a.real)", "the only attribute in the language is .T, got '.real'"),
        ("h = a.sum()", NOT_IN_LANGUAGE),
        ("h = a.T()", NOT_IN_LANGUAGE),
        # Numbers only
        ("h = 'a'", REAL),
        ("h = b'a'", REAL),
        ("h = None", REAL),
        ("h = True", REAL),
        ("h = 1j", REAL),
        ("h = ...", REAL),
        # Operators
        ("h = a & b", "expected one of + - * / @ ** % //, got 'a & b'"),
        ("h = a | b", "expected one of + - * / @ ** % //"),
        ("h = a ^ b", "expected one of + - * / @ ** % //"),
        ("h = a << 2", "expected one of + - * / @ ** % //"),
        ("h = +a", NOT_IN_LANGUAGE),
        ("h = ~a", NOT_IN_LANGUAGE),
        ("h = not a.real", "the only attribute in the language is .T"),
        ("h = a < b < c", NOT_IN_LANGUAGE),
        ("h = a in b", NOT_IN_LANGUAGE),
        ("h = a is b", NOT_IN_LANGUAGE),
        ("h = a < b.real", "the only attribute in the language is .T"),
        ("h = a.real < b", "the only attribute in the language is .T"),
        ("h = a and b.real", "the only attribute in the language is .T"),
        ("h = a.real or b", "the only attribute in the language is .T"),
        ("h = a.real if b else c", "the only attribute in the language is .T"),
        ("h = a if b.real else c", "the only attribute in the language is .T"),
        ("h = a if b else c.real", "the only attribute in the language is .T"),
        ("h = a if b", NOT_EXPRESSION),
        ("h = a if b else None", REAL),
        # Indices
        ("h = (a + b)[t]", "only a name can be indexed"),
        ("h = a[t][t]", "only a name can be indexed"),
        ("h = tanh(a)[0]", "only a name can be indexed"),
        ("h = a[0, 0:1]", NOT_IN_LANGUAGE),
        ("h = a[*b]", NOT_IN_LANGUAGE),
        ("h = a[()]", "only a name can be indexed, by one index or more"),
        ("h = a[t, 'j']", REAL),
        ("h = a[0:1]", NOT_IN_LANGUAGE),
        ("h = a['t']", REAL),
        # Calls
        ("h = clipped(a, limit=1)", NOT_IN_LANGUAGE),
        ("h = tanh(*a)", NOT_IN_LANGUAGE),
        ("h = tanh(**a)", NOT_IN_LANGUAGE),
        ("h = f(a)(b)", NOT_IN_LANGUAGE),
        ("h = (lambda a: a)(b)", NOT_IN_LANGUAGE),
        # Sums
        ("h = sum(a)", SUM_FORM),
        ("h = sum(a, b)", SUM_FORM),
        ("h = sum([a[t] for t in range(n)])", SUM_FORM),
        ("h = sum((a[t] for t in range(n)), start=1)", SUM_FORM),
        ("h = sum(1, (a[t] for t in range(n)))", REDUCER),
        ("h = sum((a[t] for t in range(n)), 1)", SUM_FORM),
        ("h = sum(a[t] for t in range(n) for s in range(n))", ONE_FOR),
        ("h = sum(a[t] for t in range(n) if t)", ONE_FOR),
        ("h = sum(a[t] for t, s in range(n))", ONE_FOR),
        ("h = sum(a[t] async for t in range(n))", ONE_FOR),
        ("h = sum(a[t] for t in x)", "a sum runs over range(…) or gates, got 'x'"),
        ("h = sum(a[t] for t in range())", "a sum runs over range(…) or gates"),
        ("h = sum(a[t] for t in range(0, n, 2))", "a sum runs over range(…) or gates"),
        ("h = sum(a[t] for t in zip(n))", "a sum runs over range(…) or gates"),
        ("h = sum(a[t] for t[0] in range(n))", ONE_FOR),
        # Other reducers
        ("h = max(a)", "expected max(… for t in range(…))"),
        ("h = max(a, b)", "expected max(… for t in range(…))"),
        ("h = vector(1, 2)", "expected vector(… for t in range(…))"),
        ("h = top(1)", "expected top(j, (… for t in range(…)))"),
        ("h = top((a[t] for t in range(n)))", REDUCER),
        ("h = top(0, 1, (a[t] for t in range(n)))", REDUCER),
        ("h = max(0, (a[t] for t in range(n)))", REDUCER),
        ("h = max(W_k for k in gates)", "a max runs over range(…), got 'gates'"),
        ("h = vector(a[t] for t in x)", "a vector runs over range(…), got 'x'"),
        ("h = any(a[t] for t in range(n) if t)", ONE_FOR),
        ("h = all(a.real for t in range(n))", "the only attribute in the language is .T"),
        ("h = top(j.real, (a[t] for t in range(n)))", "the only attribute in the language is .T"),
        ("h = mean(a[t] for t in range(n))", REDUCER),
        ("h = sum(a[t] for t in range(n.real))", "the only attribute in the language is .T"),
        ("h = sum(a.real for t in range(n))", "the only attribute in the language is .T"),
        ("h = tanh(a for a in range(n))", REDUCER),
        # Other syntax
        ("h = lambda a: a", NOT_IN_LANGUAGE),
        ("h = (a := 1)", NOT_IN_LANGUAGE),
        ("h = [a]", NOT_IN_LANGUAGE),
        ("h = (a, b)", NOT_IN_LANGUAGE),
        ("h = {a}", NOT_IN_LANGUAGE),
        ("h = {a: b}", NOT_IN_LANGUAGE),
        ("h = [a for a in b]", NOT_IN_LANGUAGE),
        ("h = f'{a}'", NOT_IN_LANGUAGE),
        ("h = await a", NOT_IN_LANGUAGE),
        ("h = (yield a)", NOT_IN_LANGUAGE),
        ("h = tanh(a + b['c'])", REAL),
    ],
)
def test_whatever_is_not_in_the_language_is_refused_with_the_line_and_the_reason(line: str, reason: str) -> None:
    with pytest.raises(SpecError) as refusal:
        parse(f"c = a\n{line}", "toy.toml: [[toy.equations]] 1")
    message = str(refusal.value)
    assert message.startswith(f"toy.toml: [[toy.equations]] 1, line 2: {line!r}: ")
    assert reason in message
    assert "\n" not in message
