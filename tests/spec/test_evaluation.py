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


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [("max", 7), ("min", -4), ("argmax", 1), ("log_sum_exp", np.log(np.exp([3, 7, -4, 7]).sum()))],
)
def test_a_reducer_runs_over_a_range(solve: Solve, reducer: str, expected: float) -> None:
    x = [3, 7, -4, 7]
    assert solve(f"r = {reducer}(x[t] for t in range(n))", "r", n=4, x=x) == pytest.approx(expected, rel=1e-15)
    assert solve(f"r = {reducer}(x[t] for t in range(2, 3))", "r", n=4, x=x) == (0 if reducer == "argmax" else -4)


def test_argmax_counts_from_the_start_of_its_range_and_takes_the_first_of_equals(solve: Solve) -> None:
    assert solve("k = argmax(x[t] for t in range(1, n))", "k", n=5, x=[9, 3, 7, 7, 1]) == 1
    assert solve("k = argmax(x[t] for t in range(n))", "k", n=3, x=[2, 2, 2]) == 0


def test_max_and_min_are_the_terms_themselves_chosen_by_their_real_part(solve: Solve) -> None:
    x = np.array([1 + 5j, 2 - 1j, 2 + 1j, -3 + 2j])
    assert solve("m = max(x[t] for t in range(n))", "m", n=4, x=x) == 2 - 1j
    assert solve("m = min(x[t] for t in range(n))", "m", n=4, x=x) == -3 + 2j


def test_top_is_the_place_of_the_term_of_that_rank_the_first_of_equals_before_the_others(solve: Solve) -> None:
    x = [3, 7, -4, 7, 5]
    ranks = [solve(f"k = top({rank}, (x[t] for t in range(n)))", "k", n=5, x=x) for rank in range(5)]
    assert ranks == [1, 3, 4, 0, 2]
    assert solve("k[r] = top(r, (x[t] for t in range(n)))", "k", 2, n=5, x=x) == 4


def test_log_sum_exp_is_safe_at_both_ends(solve: Solve) -> None:
    system = "r = log_sum_exp(x[t] for t in range(n))"
    assert solve(system, "r", n=2, x=[1000, 1000]) == pytest.approx(1000 + np.log(2), rel=1e-15)
    assert solve(system, "r", n=2, x=[-np.inf, 3]) == 3
    assert solve(system, "r", n=2, x=[-np.inf, -np.inf]) == -np.inf
    assert solve(system, "r", n=0, x=[]) == -np.inf
    assert solve("r = log_sum_exp(0 for t in range(3))", "r") == pytest.approx(np.log(3), rel=1e-15)
    assert solve("r = log_sum_exp(x)", "r", x=[-1000, -1000]) == pytest.approx(-1000 + np.log(2), rel=1e-15)


def test_all_and_any_of_conditions(solve: Solve) -> None:
    for reducer, expected in [("all", [True, False, False]), ("any", [True, True, False])]:
        system = f"r = {reducer}(x[t] > 0 for t in range(n))"
        assert [solve(system, "r", n=2, x=x) for x in ([1, 1], [0, 1], [0, 0])] == expected
        assert solve(system, "r", n=0, x=[]) is (reducer == "all")


def test_a_vector_is_made_of_its_terms_numbers_or_vectors(solve: Solve) -> None:
    assert solve("v = vector(2 * x[t] for t in range(n))", "v", n=3, x=[1, 2, 3]).tolist() == [2, 4, 6]
    rows = "v = vector(x * x[t] for t in range(2))"
    assert solve(rows, "v", x=[2, 3]).tolist() == [[4, 6], [6, 9]]
    nested = "v = vector(vector(10 * i + j for j in range(3)) for i in range(2))"
    assert solve(nested, "v").tolist() == [[0, 1, 2], [10, 11, 12]]


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


def test_functions_of_vectors_and_of_matrices(solve: Solve) -> None:
    x, y, W = [3, -1, 2], [0, 5, 2], [[3, 0], [0, -4]]
    assert solve("v = softmax(x)", "v", x=[0, np.log(3)]).tolist() == pytest.approx([0.25, 0.75])
    assert solve("v = softmax(x)", "v", x=[1e4, 1e4]).tolist() == [0.5, 0.5]
    assert solve("v = log(x)", "v", x=[1, 0]).tolist() == [0, -np.inf]
    assert solve("v = abs(x)", "v", x=x).tolist() == [3, 1, 2]
    assert solve("v = sign(x - 2)", "v", x=x).tolist() == [1, -1, 0]
    assert solve("v = maximum(x, y)", "v", x=x, y=y).tolist() == [3, 5, 2]
    assert solve("v = floor(x / 2)", "v", x=x).tolist() == [1, -1, 1]
    assert solve("v = mean(x) + 10 * total(x)", "v", x=[1, 2, 6]) == 93
    assert solve("v = total(W)", "v", W=W) == -1
    assert solve("v = norm(W)", "v", W=W) == 5
    assert solve("v = norm(x)", "v", x=[3e200, 4e200]) == pytest.approx(5e200)
    assert solve("v = norm(x)", "v", x=[0, 0]) == 0
    assert solve("v = concat(x, y)", "v", x=x, y=y).tolist() == [3, -1, 2, 0, 5, 2]
    assert solve("v = one_hot(2, 4)", "v").tolist() == [0, 0, 1, 0]
    assert solve("v = one_hot(4, 4)", "v").tolist() == [0, 0, 0, 0]
    assert solve("v = zeros(n)", "v", n=2).tolist() == [0, 0]
    assert solve("v = identity_matrix(2) + power(W, 3)", "v", W=W).tolist() == [[28, 0], [0, -63]]
    assert solve("v = ordered(W)", "v", W=W).tolist() == [-4, 0, 0, 3]
    assert solve("v = singular_values(W)", "v", W=W).tolist() == pytest.approx([4, 3])
    assert solve("v = spectral_norm(W)", "v", W=W) == pytest.approx(4)


# Conditions.


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("a < b", (True, False, False)),
        ("a <= b", (True, True, False)),
        ("a == b", (False, True, False)),
        ("a != b", (True, False, True)),
        ("a >= b", (False, True, True)),
        ("a > b", (False, False, True)),
        ("not a < b", (False, True, True)),
        ("a <= b and a >= b", (False, True, False)),
        ("a < b or a > b", (True, False, True)),
        ("not (a < b or a > b) and 1 == 1", (False, True, False)),
    ],
)
def test_a_condition_chooses(solve: Solve, condition: str, wanted: tuple[bool, ...]) -> None:
    for a, expected in zip((1, 2, 3), wanted, strict=True):
        assert solve(f"v = {condition}", "v", a=a, b=2) is expected
        assert solve(f"v = 10 if {condition} else 20", "v", a=a, b=2) == (10 if expected else 20)


def test_a_comparison_is_one_of_real_parts(solve: Solve) -> None:
    assert solve("v = 1 if a > b else 0", "v", a=np.array(1 + 1e-30j), b=np.array(1 - 1j)) == 0
    assert solve("v = 1 if a >= b else 0", "v", a=np.array(1 + 1e-30j), b=np.array(1 - 1j)) == 1


def test_the_branch_that_is_not_chosen_is_not_evaluated(solve: Solve) -> None:
    system = "h[t] = x[t] if t == 0 else h[t - 1] + x[t]"  # without the choice, x[-1] or h[-2]
    assert [solve(system, "h", t, n=3, x=[1, 20, 300]) for t in range(3)] == [1, 21, 321]
    assert solve("v = missing if n > 0 else 5", "v", n=0) == 5
    assert solve("v = v if n > 0 else 5", "v", n=0) == 5
    assert solve("v = 1 if n > 0 and x[n - 1] > 2 else 0", "v", n=0, x=[]) == 0
    assert solve("v = 1 if n == 0 or x[n - 1] > 2 else 0", "v", n=0, x=[]) == 1
    with pytest.raises(SpecError, match="missing is neither"):
        solve("v = missing if n > 0 else 5", "v", n=1)


def test_remainders_and_whole_quotients_round_down(solve: Solve) -> None:
    assert [solve("v[t] = t % 3", "v", t, n=5) for t in range(-1, 5)] == [2, 0, 1, 2, 0, 1]
    assert [solve("v[t] = t // 3", "v", t, n=5) for t in range(-1, 5)] == [-1, 0, 0, 0, 1, 1]
    assert solve("v = x[n // 2]", "v", n=3, x=[1, 2, 3]) == 2


# Several indices.

PASCAL = """
C[t, j] = C[t - 1, j] + C[t - 1, j - 1]
C[t, 0] = 1
C[0, j] = 0
C[0, 0] = 1
"""


def test_a_recurrence_may_run_in_two_indices_rules_for_fixed_places_first(solve: Solve) -> None:
    assert [solve(PASCAL, "C", 4, j, n=5) for j in range(6)] == [1, 4, 6, 4, 1, 0]
    backwards = "\n".join(reversed(PASCAL.splitlines()))
    assert [solve(backwards, "C", 4, j, n=5) for j in range(6)] == [1, 4, 6, 4, 1, 0]


def test_a_fixed_place_may_depend_on_the_other_index_or_be_a_size(solve: Solve) -> None:
    system = """
    a[t, j] = 0
    a[n - 1, K] = 4
    a[n - 1, j] = 2
    a[t, K] = 3
    a[t, t + 1] = 5
    a[t, t] = 1
    """
    found = [[solve(system, "a", t, j, n=3, sizes={"K": 3}) for j in range(4)] for t in range(3)]
    assert found == [[1, 5, 0, 3], [0, 1, 5, 3], [2, 2, 2, 4]]


def test_given_arrays_take_several_indices_and_rows_of_defined_ones_do_not(solve: Solve) -> None:
    W = [[1, 2], [3, 4]]
    assert solve("v = W[1, 0]", "v", W=W) == 3
    assert solve("v = W[1]", "v", W=W).tolist() == [3, 4]
    assert solve("v = W[i[0], i[1]]", "v", W=W, i=np.array([1, 1])) == 4


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("h[t, j] = 1\na = h[0]", "h[t, j] is used as h[0]"),
        ("h[t, j] = 1\na = h", "h[t, j] is used as h"),
        ("h[t] = 1\na = h[0, 1]", "h[t] is used as h[0, 1]"),
        ("a = W[0, 2]", "W[0, 2] lies outside the places 0 .. 1"),
        ("a = W[2, 0]", "W[2, 0] lies outside the places 0 .. 1"),
        ("a = W[0, 0, 0]", "W[0, 0, 0] has more indices than its 2 axes"),
        ("h[t, j] = h[t, j - 1]\na = h[0, 0]", "h[0, -2] lies outside the places -1 .. 2"),
        ("h[t, 0] = 1\na = h[0, 1]", "no equation gives h[0, 1]"),
        ("h[t, j] = h[j, t]\na = h[0, 1]", "circular definition: h[0, 1] -> h[1, 0] -> h[0, 1]"),
        ("h[t, j] = 1\na = h[0, x[0] / 4]", "expected a whole number, got x[0] / 4 = 0.25"),
    ],
)
def test_wrong_indices_are_an_error(solve: Solve, system: str, reason: str) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, "a", n=2, x=[1, 2], W=[[1, 2], [3, 4]])
    assert str(error.value) == f"toy: {reason}"


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("a", [-30.0, -1.5, -0.1, 0.1, 2.0, 30.0])
def test_prime_is_the_derivative(solve: Solve, name: str, a: float) -> None:
    prime = solve(f"v = {name}_prime(a)", "v", a=a)
    derivative = np.imag(VOCABULARY[name](np.complex128(a + 1e-30j))) / 1e-30
    assert prime == pytest.approx(derivative, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize(
    ("system", "name", "index", "cycle"),
    [
        ("a = a + 1", "a", (), "a -> a"),
        ("a = b\nb = c\nc = 2 * a", "a", (), "a -> b -> c -> a"),
        ("a = b\nb = c\nc = b", "a", (), "b -> c -> b"),
        ("h[t] = h[t]", "h", (0,), "h[0] -> h[0]"),
        (
            "h[t] = g[t]\ng[t] = h[t + 1] * h[t - 1]\nh[2] = h[0]",
            "h",
            (0,),
            "h[0] -> g[0] -> h[1] -> g[1] -> h[2] -> h[0]",
        ),
        ("s = sum(h[t] for t in range(n))\nh[t] = s", "s", (), "s -> h[0] -> s"),
    ],
)
def test_a_circular_definition_is_an_error_that_names_the_cycle(
    solve: Solve, system: str, name: str, index: tuple[int, ...], cycle: str
) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, name, *index, n=3)
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
        ("a = b", "a", (), "b is neither an input nor defined by an equation"),
        ("a = 1", "c", (), "c is neither an input nor defined by an equation"),
        ("a = b[0]", "a", (), "b[0] is neither an input nor defined by an equation"),
        ("a = __class__", "a", (), "__class__ is neither an input nor defined by an equation"),
        ("a = t", "a", (), "t is neither an input nor defined by an equation"),
        ("a = x[2]", "a", (), "x[2] lies outside the places 0 .. 1"),
        ("a = x[-1]", "a", (), "x[-1] lies outside the places 0 .. 1"),
        ("h[t] = h[t - 1]", "h", (1,), "h[-2] lies outside the places -1 .. 2"),
        ("h[t] = h[t + 1]", "h", (1,), "h[3] lies outside the places -1 .. 2"),
        ("h[0] = 1", "h", (1,), "no equation gives h[1]"),
        ("h[t] = 1\na = h", "a", (), "h[t] is used as h"),
        ("h = 1\na = h[0]", "a", (), "h is used as h[0]"),
        ("h[t] = 1\na = h[n / 4]", "a", (), "expected a whole number, got n / 4 = 0.5"),
        ("a = sum(1 for t in range(n / 4))", "a", (), "expected a whole number, got n / 4 = 0.5"),
    ],
)
def test_what_nothing_defines_is_an_error(
    solve: Solve, system: str, name: str, index: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, name, *index, n=2, x=[1, 2])
    assert str(error.value) == f"toy: {reason}"


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("h = 1\nh = 2", "toy.toml, line 2: 'h = 2': toy defines h twice"),
        ("h[t] = 1\nh[t] = 2", "toy.toml, line 2: 'h[t] = 2': toy defines h[t] twice"),
        ("h[t, 0] = 1\nh[t, 0] = 2", "toy.toml, line 2: 'h[t, 0] = 2': toy defines h[t, 0] twice"),
        (
            "h[t] = 1\nh[t, j] = 2",
            "toy.toml, line 2: 'h[t, j] = 2': h is defined with different numbers of indices",
        ),
        ("h = 1\nh[t] = 2", "toy.toml, line 2: 'h[t] = 2': h is defined with different numbers of indices"),
    ],
)
def test_two_equations_for_one_quantity_are_an_error(solve: Solve, system: str, reason: str) -> None:
    with pytest.raises(SpecError) as error:
        solve(system, "h", n=1)
    assert str(error.value) == reason


def test_every_quantity_is_evaluated_once(solve: Solve) -> None:
    doubling = "h[-1] = 1\nh[t] = h[t - 1] + h[t - 1]"  # 2**60 evaluations without a memory
    assert solve(doubling, "h", 59, n=60) == 2.0**60
