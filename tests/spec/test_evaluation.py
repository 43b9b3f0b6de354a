"""Recurrence relations, evaluated: the meaning of a system of equations."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.spec import SpecError
from rnnspec.spec.vocabulary import VOCABULARY

Solve = Callable[..., Any]

FIBONACCI = """
F[0] = 0
F[1] = 1
F[t] = F[t - 1] + F[t - 2]
"""


def test_a_recurrence_runs_forward_from_its_fixed_values(solve: Solve) -> None:
    assert [solve(FIBONACCI, "F", t, n=9) for t in range(10)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


def test_a_recurrence_runs_backward_from_its_end(solve: Solve) -> None:
    suffix = """
    s[t] = x[t] + s[t + 1]
    s[n] = 0
    """
    assert [solve(suffix, "s", t, n=3, x=[1, 20, 300]) for t in range(4)] == [321, 320, 300, 0]


def test_forward_and_backward_recurrences_may_feed_each_other(solve: Solve) -> None:
    system = """
    before[-1] = 0
    before[t] = before[t - 1] + x[t]
    after[n] = before[n - 1]
    after[t] = after[t + 1] * x[t]
    """
    assert solve(system, "after", 0, n=3, x=[1, 2, 3]) == 36


def test_the_order_of_the_lines_does_not_matter(solve: Solve) -> None:
    lines = ["h[-1] = h0", "h[t] = a[t] * 2", "a[t] = h[t - 1] + x[t]", "last = h[n - 1]"]
    values = {float(solve("\n".join(order), "last", n=3, x=[1, 2, 3], h0=1)) for order in itertools.permutations(lines)}
    assert values == {30}


@pytest.mark.parametrize("lines", ["h[1] = 7\nh[t] = x[t]", "h[t] = x[t]\nh[1] = 7"])
def test_a_rule_for_one_step_goes_before_the_general_rule(solve: Solve, lines: str) -> None:
    assert [solve(lines, "h", t, n=3, x=[1, 2, 3]) for t in range(3)] == [1, 7, 3]


def test_a_rule_for_one_step_may_reckon_from_the_end(solve: Solve) -> None:
    system = "h[t] = 1\nh[n - 1] = 2"
    assert [solve(system, "h", t, n=3) for t in range(3)] == [1, 1, 2]


def test_a_sum_runs_over_a_range(solve: Solve) -> None:
    assert solve("s = sum(x[t] for t in range(n))", "s", n=4, x=[1, 2, 3, 4]) == 10
    assert solve("s = sum(x[t] for t in range(1, n - 1))", "s", n=4, x=[1, 2, 3, 4]) == 5


def test_a_sum_over_nothing_is_zero(solve: Solve) -> None:
    assert solve("s = sum(x[t] for t in range(n))", "s", n=0, x=[]) == 0


def test_a_sum_may_depend_on_the_step_and_on_another_sum(solve: Solve) -> None:
    assert solve("p[t] = sum(x[s] for s in range(t + 1))", "p", 2, n=4, x=[1, 2, 3, 4]) == 6
    double = "s = sum(sum(x[i] * x[j] for i in range(j)) for j in range(n))"
    assert solve(double, "s", n=3, x=[2, 3, 5]) == 2 * 3 + 2 * 5 + 3 * 5


def test_operators_and_functions_mean_what_they_say(solve: Solve) -> None:
    W, x, y = [[1, 2], [3, 4]], [5, 6], [7, 8]
    assert solve("v = W @ x", "v", W=W, x=x).tolist() == [17, 39]
    assert solve("v = W.T @ x", "v", W=W, x=x).tolist() == [23, 34]
    assert solve("v = x * y - x", "v", x=x, y=y).tolist() == [30, 42]
    assert solve("v = -x ** 2 / 2", "v", x=x).tolist() == [-12.5, -18]
    assert solve("v = outer(x, y)", "v", x=x, y=y).tolist() == [[35, 40], [42, 48]]
    assert solve("v = clipped(x, 5.5)", "v", x=x).tolist() == [5, 5.5]
    assert solve("v = inside(x, 5.5)", "v", x=x).tolist() == [1, 0]
    assert solve("v = relu(x - 5.5)", "v", x=x).tolist() == [0, 0.5]
    assert solve("v = logistic(x - x)", "v", x=x).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("a", [-30.0, -1.5, -0.1, 0.1, 2.0, 30.0])
def test_prime_is_the_derivative(solve: Solve, name: str, a: float) -> None:
    prime = solve(f"v = {name}_prime(a)", "v", a=a)
    derivative = np.imag(VOCABULARY[name](np.complex128(a + 1e-30j))) / 1e-30
    assert prime == pytest.approx(derivative, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize(
    ("system", "name", "index", "cycle"),
    [
        ("a = a + 1", "a", None, "a -> a"),
        ("a = b\nb = c\nc = 2 * a", "a", None, "a -> b -> c -> a"),
        ("a = b\nb = c\nc = b", "a", None, "b -> c -> b"),
        ("h[t] = h[t]", "h", 0, "h[0] -> h[0]"),
        (
            "h[t] = g[t]\ng[t] = h[t + 1] * h[t - 1]\nh[2] = h[0]",
            "h",
            0,
            "h[0] -> g[0] -> h[1] -> g[1] -> h[2] -> h[0]",
        ),
        ("s = sum(h[t] for t in range(n))\nh[t] = s", "s", None, "s -> h[0] -> s"),
    ],
)
def test_a_circular_definition_is_an_error_that_names_the_cycle(
    solve: Solve, system: str, name: str, index: int | None, cycle: str
) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, name, index, n=3)
    assert str(error.value) == f"toy: circular definition: {cycle}"


def test_a_long_cycle_is_named_whole(solve: Solve) -> None:
    names = [f"a{i}" for i in range(300)]
    system = "\n".join(f"{name} = {after}" for name, after in zip(names, [*names[1:], names[0]], strict=True))
    with pytest.raises(SpecError) as error:
        solve(f"start = a0\n{system}", "start")
    assert str(error.value) == f"toy: circular definition: {' -> '.join([*names, 'a0'])}"


@pytest.mark.parametrize(
    ("system", "last"),
    [("h[-1] = 0\nh[t] = g[t] + x[t]\ng[t] = h[t - 1]", 1999), ("h[n] = 0\nh[t] = g[t] + x[t]\ng[t] = h[t + 1]", 0)],
)
def test_a_sequence_may_be_longer_than_pythons_stack_is_deep(solve: Solve, system: str, last: int) -> None:
    assert solve(system, "h", last, n=2000, x=np.ones(2000)) == 2000


@pytest.mark.parametrize(
    ("system", "name", "index", "reason"),
    [
        ("a = b", "a", None, "b is neither an input nor defined by an equation"),
        ("a = 1", "c", None, "c is neither an input nor defined by an equation"),
        ("a = b[0]", "a", None, "b[0] is neither an input nor defined by an equation"),
        ("a = __class__", "a", None, "__class__ is neither an input nor defined by an equation"),
        ("a = t", "a", None, "t is neither an input nor defined by an equation"),
        ("a = x[2]", "a", None, "x[2] lies outside the steps 0 .. 1"),
        ("a = x[-1]", "a", None, "x[-1] lies outside the steps 0 .. 1"),
        ("h[t] = h[t - 1]", "h", 1, "h[-2] lies outside the steps -1 .. 2"),
        ("h[t] = h[t + 1]", "h", 1, "h[3] lies outside the steps -1 .. 2"),
        ("h[0] = 1", "h", 1, "no equation gives h[1]"),
        ("h[t] = 1\na = h", "a", None, "h[t] is used as h"),
        ("h = 1\na = h[0]", "a", None, "h is used as h[0]"),
        ("h[t] = 1\na = h[n / 4]", "a", None, "expected a whole number, got n / 4 = 0.5"),
        ("a = sum(1 for t in range(n / 4))", "a", None, "expected a whole number, got n / 4 = 0.5"),
    ],
)
def test_what_nothing_defines_is_an_error(solve: Solve, system: str, name: str, index: int | None, reason: str) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, name, index, n=2, x=[1, 2])
    assert str(error.value) == f"toy: {reason}"


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("h = 1\nh = 2", "toy.toml, line 2: 'h = 2': toy defines h twice"),
        ("h[t] = 1\nh[t] = 2", "toy.toml, line 2: 'h[t] = 2': toy defines h[t] twice"),
        ("h = 1\nh[t] = 2", "toy.toml, line 2: 'h[t] = 2': h is defined both with and without an index"),
    ],
)
def test_two_equations_for_one_quantity_are_an_error(solve: Solve, system: str, reason: str) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, "h", n=1)
    assert str(error.value) == reason


def test_every_quantity_is_evaluated_once(solve: Solve) -> None:
    doubling = "h[-1] = 1\nh[t] = h[t - 1] + h[t - 1]"  # 2**60 evaluations without a memory
    assert solve(doubling, "h", 59, n=60) == 2.0**60
