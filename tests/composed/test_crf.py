"""The two forms of the CRF's recursion: where each is exact, and which is taken.

The suite draws scores up to a few hundred; here they go to the ends of what each form claims for itself.
"""

from __future__ import annotations

from itertools import pairwise, product

import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends.composed import crf_recursion  # noqa: E402 - it is torch that may be missing
from rnnspec.backends.composed.crf import crf_log_likelihood, crf_log_partition, crf_marginals  # noqa: E402
from rnnspec.backends.torch.arrays import TorchArrays  # noqa: E402

INF = float("inf")
XP = TorchArrays("cpu")


def normal(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bio(kinds=3):
    """Which moves the tags O, B-x, I-x … allow: I-x follows B-x and I-x only."""
    tags = 1 + 2 * kinds
    moves = torch.zeros(tags, tags)
    for kind in range(kinds):
        inside = 2 + 2 * kind
        moves[:, inside] = -INF
        moves[inside - 1 : inside + 1, inside] = 0.0
    return moves


def over_all_paths(emissions, transitions, start, end):
    """Log Z of one sequence by its definition."""
    steps, tags = emissions.shape
    scores = []
    for path in product(range(tags), repeat=steps):
        score = start[path[0]] + sum(emissions[t, tag] for t, tag in enumerate(path)) + end[path[-1]]
        scores.append(score + sum(transitions[i, j] for i, j in pairwise(path)))
    return torch.logsumexp(torch.stack(scores), 0)


def log_partition_and_gradients(recursion, scores, transitions):
    leaves = [array.clone().requires_grad_() for array in (scores, transitions)]
    value = recursion(XP, *leaves).log_totals[-1]
    return [value.detach(), *torch.autograd.grad(value.sum(), leaves)]


def suffices(emissions, transitions):
    return bool(crf_recursion.exponentials_suffice(XP, emissions, emissions, transitions))


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("forbid", [False, True])
def test_log_partition_is_that_of_all_paths_whatever_the_range(scale, forbid):
    emissions, transitions = normal(2, 4, 3, seed=1, scale=scale), normal(3, 3, seed=2, scale=scale)
    start, end = normal(3, seed=3, scale=scale), normal(3, seed=4, scale=scale)
    if forbid:
        transitions[0, 1] = transitions[2, 2] = start[1] = end[0] = emissions[0, 1, 2] = -INF
    leaves = [array.clone().requires_grad_() for array in (emissions, transitions, start, end)]
    names = ("emissions", "transitions", "start", "end")
    (value,) = crf_log_partition(XP, **dict(zip(names, leaves, strict=True)))
    wide = [array.double().requires_grad_() for array in (emissions, transitions, start, end)]
    expected = torch.stack([over_all_paths(one, *wide[1:]) for one in wide[0]])
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(value.sum(), leaves)
    # Scores of size s are exact to s u, and probabilities are their exponentials.
    within = 1e-6 * max(scale, 1.0) * 10
    for got, wanted in zip(gradients, torch.autograd.grad(expected.sum(), wide), strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=within, atol=within)


def test_exponentials_are_taken_for_scores_of_a_usual_range():
    assert suffices(normal(20, 4, 50), normal(50, 50, seed=1))
    assert suffices(1e4 * normal(20, 4, 50), normal(50, 50, seed=1)), "emissions may differ as they like"
    assert suffices(normal(20, 4, 7), normal(7, 7, seed=1) + bio()), "every tag leads to every other in three steps"


def test_logarithms_are_taken_where_exponentials_would_lose_a_way():
    chain = torch.full((5, 5), -INF).fill_diagonal_(0.0)
    assert not suffices(normal(20, 4, 5), chain), "tags that never meet drift apart without limit"
    assert not suffices(30 * normal(20, 4, 7), bio()), "the way out of the best tag may be forbidden"
    assert not suffices(normal(20, 4, 5), normal(5, 5, seed=1, scale=40.0))
    forbidden = normal(20, 4, 7)
    forbidden[3, 0, 0] = -INF
    assert not suffices(forbidden, bio())


@pytest.mark.parametrize(
    ("emissions", "transitions"),
    [
        pytest.param(1e3 * normal(60, 4, 6), 29.9 * torch.rand(6, 6), id="transitions 30 apart, any emissions"),
        pytest.param(15.9 * torch.rand(60, 4, 7), 4.0 * torch.rand(7, 7) + bio(), id="all 20 apart, forbidden moves"),
    ],
)
def test_both_forms_agree_at_the_limits_of_exponentials(emissions, transitions):
    assert suffices(emissions, transitions)
    fast = log_partition_and_gradients(crf_recursion.over_exponentials, emissions, transitions)
    wide = (emissions.double(), transitions.double())
    exact = log_partition_and_gradients(crf_recursion.over_logarithms, *wide)
    for got, wanted in zip(fast, exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=2e-5, atol=2e-5)


def test_exponentials_keep_what_is_improbable():
    # A tag worth exp(-60) of the others: relative, not only absolute, accuracy of its gradient.
    emissions = normal(10, 1, 3)
    emissions[:, :, 2] -= 60.0
    fast = log_partition_and_gradients(crf_recursion.over_exponentials, emissions, normal(3, 3, seed=1))
    exact = log_partition_and_gradients(
        crf_recursion.over_logarithms, emissions.double(), normal(3, 3, seed=1).double()
    )
    torch.testing.assert_close(fast[1].double(), exact[1], rtol=1e-4, atol=0.0)


# Where the graph is broken, torch.compile itself looks at what it warns of.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_what_was_compiled_for_ordinary_scores_is_right_for_those_that_need_logarithms():
    def value(emissions, transitions):
        return crf_log_partition(XP, emissions=emissions, transitions=transitions)[0]

    traced = torch.compile(value, backend="eager")
    for scale in (1.0, 100.0):
        emissions, transitions = normal(2, 3, 4), normal(4, 4, seed=1, scale=scale)
        leaves = [[a.clone().requires_grad_() for a in (emissions, transitions)] for _ in range(2)]
        for one, other in zip(
            torch.autograd.grad(traced(*leaves[0]).sum(), leaves[0]),
            torch.autograd.grad(value(*leaves[1]).sum(), leaves[1]),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("needs_logarithms", [False, True])
def test_no_path_gives_no_nan_beside_sequences_that_have_one(needs_logarithms):
    emissions, transitions = normal(2, 6, 3), normal(3, 3, seed=1, scale=60.0 if needs_logarithms else 1.0)
    emissions[0, 2] = -INF
    tags = torch.zeros(2, 6, dtype=torch.int64)
    emissions.requires_grad_()
    given = {"emissions": emissions, "transitions": transitions, "tags": tags}
    (value,) = crf_log_likelihood(XP, **given, padding="lengths", reduction="none")
    (marginals,) = crf_marginals(XP, emissions=emissions, transitions=transitions)
    assert value[0] == -INF
    assert value[1].isfinite()
    assert not marginals[0].any()
    for output in (value[1:], value[:1], marginals):
        (gradient,) = torch.autograd.grad(output, emissions, torch.ones_like(output), retain_graph=True)
        assert gradient.isfinite().all()
        assert not gradient[0].any()
