"""The linear-chain CRF against all K^n paths, one by one."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest

from rnnspec.reference import (
    crf_best_paths,
    crf_entropy,
    crf_log_likelihood,
    crf_log_likelihood_vjp,
    crf_log_partition,
    crf_log_partition_vjp,
    crf_marginals,
    crf_marginals_vjp,
    crf_score,
    crf_score_vjp,
    crf_viterbi,
    crf_viterbi_vjp,
    framewise_log_likelihood,
    framewise_log_likelihood_vjp,
    token_accuracy,
)
from rnnspec.spec import CallError

INF = math.inf
PARAMETERS = ("emissions", "transitions", "start", "end")


class Paths:
    """Every path through one sequence ``(n, K)``, and its score."""

    def __init__(self, emissions, transitions, start=None, end=None):
        n, units = emissions.shape
        self.shape = (n, units)
        start = np.zeros(units) if start is None else start
        end = np.zeros(units) if end is None else end
        self.paths = list(itertools.product(range(units), repeat=n))
        self.scores = [
            start[p[0]]
            + sum(emissions[t, j] for t, j in enumerate(p))
            + sum(transitions[i, j] for i, j in itertools.pairwise(p))
            + end[p[-1]]
            if n
            else 0.0
            for p in self.paths
        ]
        self.best = max(self.scores)
        self.log_partition = -INF
        if self.best > -INF:
            self.log_partition = self.best + math.log(sum(math.exp(s - self.best) for s in self.scores))

    def score(self, path):
        return self.scores[self.paths.index(tuple(path))]

    def best_path(self):
        """Of the best, the one with the lowest last tag, then the lowest before it."""
        return min((p for p, s in zip(self.paths, self.scores, strict=True) if s == self.best), key=lambda p: p[::-1])

    def marginals(self):
        marginals = np.zeros(self.shape)
        if self.best > -INF:
            for path, score in zip(self.paths, self.scores, strict=True):
                for t, j in enumerate(path):
                    marginals[t, j] += math.exp(score - self.log_partition)
        return marginals


def draw(seed, forbid=0.0, whole=False, largest=5):
    """A batch with holes, NaN in them, and empty sequences among them; and tags, senseless in the holes."""
    rng = np.random.default_rng(seed)
    batch, steps, units = rng.integers(0, 4), rng.integers(0, largest), rng.integers(1, 4)
    shapes = {
        "emissions": (batch, steps, units), "transitions": (units, units), "start": (units,), "end": (units,)
    }  # fmt: skip
    given = {k: rng.integers(-1, 2, s) * 1.0 if whole else rng.normal(size=s) for k, s in shapes.items()}
    for name in ("transitions", "start", "end"):
        given[name][rng.random(given[name].shape) < forbid] = -INF
    mask = rng.random((batch, steps)) < 0.7
    tags = rng.integers(0, units, (batch, steps))
    given["emissions"][~mask] = math.nan
    tags[~mask] = 99
    if seed % 3 == 0:
        del given["start"]
    if seed % 4 == 0:
        del given["end"]
    return {**given, "mask": mask}, tags


def sequences(given):
    parameters = {name: given.get(name) for name in PARAMETERS[1:]}
    for b, row in enumerate(given["mask"]):
        yield b, np.flatnonzero(row), Paths(given["emissions"][b, row], **parameters)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


KINDS = pytest.mark.parametrize("kind", [{}, {"forbid": 0.4}, {"whole": True}], ids=["generic", "forbidden", "ties"])


@KINDS
@pytest.mark.parametrize("seed", range(12))
def test_values_are_those_of_all_paths(seed, kind):
    given, tags = draw(seed, **kind)
    (score,), (log_partition,) = crf_score(**given, tags=tags), crf_log_partition(**given)
    (log_likelihood,), (marginals,) = crf_log_likelihood(**given, tags=tags), crf_marginals(**given)
    best, path = crf_viterbi(**given)
    assert path.dtype == np.int64
    assert not path[~given["mask"]].any()
    assert not marginals[~given["mask"]].any()
    for b, steps, paths in sequences(given):
        expected = paths.score(tags[b, steps])
        close(score[b], expected)
        close(log_partition[b], paths.log_partition)
        close(log_likelihood[b], expected - paths.log_partition if expected > -INF else -INF)
        close(marginals[b, steps], paths.marginals())
        close(best[b], paths.best)
        assert log_partition[b] >= best[b] - 1e-12
        if best[b] > -INF:
            close(paths.score(path[b, steps]), paths.best)
        if kind == {"whole": True}:
            assert tuple(path[b, steps]) == paths.best_path()


@KINDS
@pytest.mark.parametrize("seed", range(8))
def test_best_paths_and_entropy_are_those_of_all_paths(seed, kind):
    given, _ = draw(seed, **kind)
    score, path = crf_best_paths(**given, paths=4)
    (entropy,) = crf_entropy(**given)
    assert not path[np.broadcast_to(~given["mask"][:, np.newaxis], path.shape)].any()
    for b, steps, paths in sequences(given):
        ranked = sorted((s for s in paths.scores if s > -INF), reverse=True)[:4]
        close(score[b], ranked + [-INF] * (4 - len(ranked)))
        found = [tuple(one[steps]) for one in path[b, : len(ranked)]]
        assert len(set(found)) == len(found)
        close([paths.score(one) for one in found], ranked)
        assert not path[b, len(ranked) :].any()
        logs = [s - paths.log_partition for s in paths.scores if s > -INF]
        close(entropy[b], -sum(math.exp(log) * log for log in logs))


@pytest.mark.parametrize("seed", range(8))
def test_what_a_mask_rules_out_is_forbidden(seed):
    given, tags = draw(seed)
    rng = np.random.default_rng(seed)
    allowed, possible = rng.random(given["transitions"].shape) < 0.7, rng.random(given["emissions"].shape) < 0.7
    ruled = {
        **given,
        "transitions": np.where(allowed, given["transitions"], -INF),
        "emissions": np.where(possible, given["emissions"], -INF),
    }
    moves, known = {"allowed": allowed, "masked_moves": True}, {"possible": possible, "partly_known": True}
    (log_partition,), (marginals,) = (f(**given, **moves, **known) for f in (crf_log_partition, crf_marginals))
    (score,) = crf_score(**given, **moves, tags=tags)
    for b, steps, paths in sequences(ruled):
        close(log_partition[b], paths.log_partition)
        close(marginals[b, steps], paths.marginals())
    for b, steps, paths in sequences({**given, "transitions": ruled["transitions"]}):
        close(score[b], paths.score(tags[b, steps]))


def test_marginals_of_known_tags_are_certain():
    given, tags = draw(1)
    possible = tags[..., np.newaxis] == np.arange(given["emissions"].shape[2])
    (marginals,) = crf_marginals(**given, possible=possible, partly_known=True)
    close(marginals[given["mask"]], 1.0 * possible[given["mask"]])


@pytest.mark.parametrize("seed", range(4))
def test_reductions_of_the_likelihood(seed):
    given, tags = draw(seed)
    (each,) = crf_log_likelihood(**given, tags=tags)
    divisors = {"sum": 1, "mean": max(len(each), 1), "token_mean": max(given["mask"].sum(), 1)}
    for reduction, divisor in divisors.items():
        (found,) = crf_log_likelihood(**given, tags=tags, reduction=reduction)
        assert found.shape == ()
        close(found, each.sum() / divisor)


def complex_step(function, inputs, name, cotangent):
    """Gradient of ``sum(cotangent * first output)`` in one input, exact to rounding."""
    gradient = np.zeros(inputs[name].shape)
    for place in np.ndindex(gradient.shape):
        if np.isfinite(inputs[name][place]):
            stepped = {k: v.astype(complex) if k in PARAMETERS else v for k, v in inputs.items()}
            stepped[name][place] += 1e-30j
            gradient[place] = (cotangent * function(**stepped)[0].imag).sum() / 1e-30
    return gradient


@pytest.mark.parametrize("forbid", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("function", "with_vjp", "of_tags"),
    [
        (crf_score, crf_score_vjp, True),
        (crf_log_partition, crf_log_partition_vjp, False),
        (crf_log_likelihood, crf_log_likelihood_vjp, True),
        (crf_marginals, crf_marginals_vjp, False),
        (crf_viterbi, crf_viterbi_vjp, False),
    ],
)
def test_gradients_are_those_of_a_complex_step(function, with_vjp, of_tags, seed, forbid):
    given, tags = draw(seed, forbid, largest=4)
    inputs = {**given, "tags": tags} if of_tags else given
    outputs, vjp = with_vjp(**inputs)
    cotangent = np.random.default_rng(seed).normal(size=outputs[0].shape)
    gradients = vjp(cotangent)
    assert gradients.keys() == {name for name in PARAMETERS if name in given}
    for name, gradient in gradients.items():
        assert np.isfinite(gradient).all()
        assert not gradient[~np.isfinite(given[name])].any()
        if np.isfinite(outputs[0]).all():  # what is minus infinity has no slope
            close(gradient, complex_step(function, inputs, name, cotangent))


def test_marginals_are_the_gradient_of_log_partition():
    given, _ = draw(1)
    (log_partition,), vjp = crf_log_partition_vjp(**given)
    (marginals,) = crf_marginals(**given)
    assert marginals.any()
    close(vjp(np.ones_like(log_partition))["emissions"], marginals)
    close(marginals.sum(axis=2), given["mask"])


def one(emissions, **more):
    """A single sequence of the given emissions."""
    return {"emissions": np.array(emissions, float)[np.newaxis], **more}


TRANSITIONS = np.array([[0.5, -1.0], [2.0, 0.25]])
START, END = np.array([0.1, -0.2]), np.array([0.7, 0.3])
GIVEN = one([[1.0, 2.0], [-0.5, 0.0], [0.3, 0.6]], transitions=TRANSITIONS, start=START, end=END)
TAGS = np.array([[1, 0, 1]])


def test_score_by_hand():
    (score,) = crf_score(**GIVEN, tags=TAGS)
    close(score, [-0.2 + 2.0 + 2.0 - 0.5 - 1.0 + 0.6 + 0.3])


def test_score_gradient_by_hand():
    _, vjp = crf_score_vjp(**GIVEN, tags=TAGS)
    gradients = vjp(np.array([3.0]))
    close(gradients["emissions"], [[[0, 3], [3, 0], [0, 3]]])
    close(gradients["transitions"], [[0, 3], [3, 0]])
    close(gradients["start"], [0, 3])
    close(gradients["end"], [0, 3])


def test_one_step_is_a_softmax():
    given = {**GIVEN, "emissions": GIVEN["emissions"][:, :1]}
    a = np.array([1.0 + 0.1 + 0.7, 2.0 - 0.2 + 0.3])
    total = np.log(np.exp(a).sum())
    close(crf_log_partition(**given)[0], [total])
    close(crf_marginals(**given)[0], [[np.exp(a - total)]])
    close(crf_viterbi(**given)[0], [2.1])
    assert crf_viterbi(**given)[1].tolist() == [[1]]


@pytest.mark.parametrize("steps", [0, 3])
def test_an_empty_sequence_counts_neither_start_nor_end(steps):
    given = {**GIVEN, "emissions": np.full((2, steps, 2), math.nan), "lengths": np.array([0, 0])}
    tags = np.full((2, steps), -7)
    for (result,), vjp in (
        crf_score_vjp(**given, tags=tags),
        crf_log_partition_vjp(**given),
        crf_log_likelihood_vjp(**given, tags=tags),
    ):
        assert result.tolist() == [0, 0]
        assert not any(gradient.any() for gradient in vjp(np.ones(2)).values())
    (score, path), vjp = crf_viterbi_vjp(**given)
    assert score.tolist() == [0, 0]
    assert path.shape == (2, steps)
    assert not any(gradient.any() for gradient in vjp(np.ones(2)).values())


@pytest.mark.parametrize("name", ["transitions", "start", "end"])
def test_where_no_path_is_possible_nothing_is_nan(name):
    given = {**GIVEN, name: np.full_like(GIVEN[name], -INF)}
    results = [
        crf_score_vjp(**given, tags=TAGS),
        crf_log_partition_vjp(**given),
        crf_log_likelihood_vjp(**given, tags=TAGS),
        crf_viterbi_vjp(**given),
    ]
    for (result, *_), vjp in results:
        assert result.tolist() == [-INF]
        assert not any(gradient.any() for gradient in vjp(np.ones(1)).values())
    (marginals,), vjp = crf_marginals_vjp(**given)
    assert not marginals.any()
    assert not any(gradient.any() for gradient in vjp(np.ones_like(marginals)).values())


def test_a_tag_out_of_reach_has_no_gradient():
    transitions = np.array([[0.5, -INF], [2.0, -INF]])
    (log_likelihood,), vjp = crf_log_likelihood_vjp(**{**GIVEN, "transitions": transitions}, tags=np.array([[1, 0, 0]]))
    assert np.isfinite(log_likelihood).all()
    gradients = vjp(np.ones(1))
    close(gradients["transitions"][:, 1], [0, 0])
    close(gradients["emissions"][0, 1:, 1], [0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_stay_finite(dtype):
    rng = np.random.default_rng(0)
    given = {
        "emissions": (rng.choice([-1e4, 1e4], (3, 6, 4)) + rng.normal(size=(3, 6, 4))).astype(dtype),
        "transitions": rng.choice([-1e4, 1e4, -INF], (4, 4), p=(0.4, 0.4, 0.2)).astype(dtype),
    }
    given["transitions"][0] = 1e4
    given["transitions"][:, 0] = 1e4
    tags = np.zeros((3, 6), np.int64)
    for (result, *_), vjp in (
        crf_log_partition_vjp(**given),
        crf_log_likelihood_vjp(**given, tags=tags),
        crf_marginals_vjp(**given),
        crf_viterbi_vjp(**given),
        framewise_log_likelihood_vjp(given["emissions"], tags),
    ):
        assert np.isfinite(result).all()
        assert all(np.isfinite(gradient).all() for gradient in vjp(np.ones_like(result)).values())
    (log_partition,), (best, _) = crf_log_partition(**given), crf_viterbi(**given)
    assert (log_partition >= best).all()
    assert (log_partition - best < 10).all()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_short_types_are_rounded_once(dtype):
    given = {name: array.astype(dtype) for name, array in GIVEN.items()}
    wide = {name: array.astype(np.float32) for name, array in given.items()}
    for short, long in (
        (crf_log_partition_vjp(**given), crf_log_partition_vjp(**wide)),
        (crf_log_likelihood_vjp(**given, tags=TAGS), crf_log_likelihood_vjp(**wide, tags=TAGS)),
        (crf_viterbi_vjp(**given), crf_viterbi_vjp(**wide)),
        (crf_marginals_vjp(**given), crf_marginals_vjp(**wide)),
    ):
        (result, *_), vjp = short
        (expected, *_), expected_vjp = long
        assert result.dtype == dtype
        assert (result == expected.astype(dtype)).all()
        gradients, expected_gradients = vjp(np.ones_like(result)), expected_vjp(np.ones_like(expected))
        for name, gradient in gradients.items():
            assert gradient.dtype == dtype
            assert (gradient == expected_gradients[name].astype(dtype)).all()


def test_shifts():
    (score,), (log_partition,) = crf_score(**GIVEN, tags=TAGS), crf_log_partition(**GIVEN)
    for name, shift, times in (("emissions", 0.75, 3), ("transitions", 0.75, 2), ("start", 0.75, 1), ("end", 0.75, 1)):
        shifted = {**GIVEN, name: GIVEN[name] + shift}
        close(crf_score(**shifted, tags=TAGS)[0], score + times * shift)
        close(crf_log_partition(**shifted)[0], log_partition + times * shift)
        close(crf_log_likelihood(**shifted, tags=TAGS)[0], score - log_partition)
        close(crf_marginals(**shifted)[0], crf_marginals(**GIVEN)[0])
        assert (crf_viterbi(**shifted)[1] == crf_viterbi(**GIVEN)[1]).all()


def test_probabilities_of_all_paths_add_up_to_1():
    paths = list(itertools.product(range(2), repeat=3))
    given = {**GIVEN, "emissions": np.repeat(GIVEN["emissions"], len(paths), axis=0)}
    close(np.exp(crf_log_likelihood(**given, tags=np.array(paths))[0]).sum(), 1.0)


def test_ties_go_to_the_lowest_tag_from_the_last_one_back():
    # (0, 1), (1, 0) and (2, 0) are equally good: the last tag 0 is lowest, and before it 1.
    given = one(
        [[1.0, 1.0, 1.0], [0.0, 0.0, -9.0]], transitions=np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, -1.0, -1.0]])
    )
    score, path = crf_viterbi(**given)
    close(score, [1.0])
    assert path.tolist() == [[1, 0]]


def test_viterbi_without_a_possible_path_follows_the_lowest_tags():
    score, path = crf_viterbi(**{**GIVEN, "end": np.array([-INF, -INF])})
    assert score.tolist() == [-INF]
    assert path[0, -1] == 0


def test_a_label_for_padding_takes_the_place_of_a_mask():
    given, tags = draw(2)
    mask = given.pop("mask")
    units = given["emissions"].shape[2]
    labelled = np.where(mask, tags, units)
    for function in (crf_score, crf_log_likelihood):
        close(function(**given, tags=labelled, padding="label")[0], function(**given, tags=tags, mask=mask)[0])
    emissions = given["emissions"]
    close(
        framewise_log_likelihood(emissions, labelled, padding="label")[0],
        framewise_log_likelihood(emissions, tags, mask=mask)[0],
    )


def test_a_label_for_padding_and_a_mask_are_one_too_many():
    with pytest.raises(CallError):
        crf_score(**GIVEN, tags=TAGS, padding="label", mask=np.ones((1, 3), np.bool_))


def test_a_tag_out_of_range_is_refused():
    with pytest.raises(CallError):
        crf_score(**GIVEN, tags=np.array([[0, 1, 2]]))


def test_framewise_log_likelihood():
    given, tags = draw(5)
    emissions, mask = given["emissions"], given["mask"]
    (value,), vjp = framewise_log_likelihood_vjp(emissions, tags, mask=mask)
    d = np.arange(1.0, len(value) + 1)
    gradient = vjp(d)["emissions"]
    assert not gradient[~mask].any()
    for b, row in enumerate(mask):
        softmax = np.exp(emissions[b, row]) / np.exp(emissions[b, row]).sum(axis=1, keepdims=True)
        chosen = np.eye(emissions.shape[2])[tags[b, row]]
        close(value[b], np.log((softmax * chosen).sum(axis=1)).sum())
        close(gradient[b, row], d[b] * (chosen - softmax))


def test_token_accuracy_counts_valid_steps_alone():
    predicted, tags = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[1, 2, 0], [0, 5, 6]])
    (accuracy,) = token_accuracy(predicted, tags, lengths=np.array([3, 1]))
    assert accuracy.shape == ()
    assert accuracy.dtype == np.float64
    assert accuracy == 2 / 4
    assert token_accuracy(predicted, tags)[0] == 4 / 6


def test_token_accuracy_of_no_step_is_0():
    tags = np.array([[1, 2]])
    assert token_accuracy(tags, tags, lengths=np.array([0]))[0] == 0
