"""Linear-chain conditional random field: paths of tags scored as wholes, each operation with its gradient.

A path's score is the sum of the emissions at its tags, of the transitions between them, and of the start and end scores
of its first and last tag; its probability is the exponential of its score over the sum of those of all K^n paths. A
result of minus infinity (a forbidden path, or no possible one) has gradient 0.
"""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Inputs, Vjp, admit, widened
from rnnspec.reference.crf_paths import (
    Gradients,
    Partition,
    Scores,
    best_path,
    log_sum_exp,
    passes,
    path_gradients,
    path_score,
)
from rnnspec.reference.crf_steps import Packed
from rnnspec.reference.unroll import Array


def _admit(name: str, inputs: Inputs, padding: str | None = None) -> tuple[Admitted, Packed]:
    call = admit(name, inputs, {} if padding is None else {"padding": padding})
    assert call.valid is not None
    return call, Packed(call.valid)


def _gradients(call: Admitted, steps: Packed, packed: Gradients) -> dict[str, Array]:
    """Gradients of a call's inputs: those of the emissions back in their places."""
    return call.gradients({**packed, "emissions": steps.unpack(packed["emissions"])})


def _of_finite(d: Array, result: Array) -> Array:
    """The gradient of a result, 0 where that is minus infinity."""
    return np.where(np.isfinite(result), d, 0)


def crf_score(
    emissions: Array,
    transitions: Array,
    tags: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[Array]:
    """Compute the score of one path.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    transitions
        Score of each move, ``(K, K)``: ``transitions[i, j]`` from tag i to tag j; minus infinity forbids it.
    tags
        int64 ``(B, T)``, below K: the path.
    start, end
        Scores of the first and of the last tag, ``(K,)``; 0 if absent. Minus infinity forbids a tag there.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.
    padding
        ``"lengths"``: `lengths` or `mask` say which steps are valid. ``"label"``: neither is given, and a tag equal to
        K marks a step to be taken out.

    Returns
    -------
    tuple of one array
        score
            ``(B,)``: the sum of everything that the path collects; 0 of an empty sequence, in which start and end do
            not count.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Lafferty, McCallum & Pereira (2001), Conditional random fields, ICML, 282-289.
    """
    outputs, _ = crf_score_vjp(emissions, transitions, tags, start, end, lengths=lengths, mask=mask, padding=padding)
    return outputs


def crf_score_vjp(
    emissions: Array,
    transitions: Array,
    tags: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[tuple[Array], Vjp]:
    """Compute as `crf_score` does, and return the result and its vector-Jacobian product.

    ``vjp(dscore)`` gives the gradient of every float input that was given, by name, for the gradient of the
    result. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `crf_score`.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "tags": tags,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_score", inputs, padding)
    scores, path = Scores.of(call, steps), steps.pack(tags)
    score = path_score(scores, path)

    def vjp(dscore: Array) -> dict[str, Array]:
        return _gradients(call, steps, path_gradients(scores, path, _of_finite(widened(dscore), score)))

    return (call.rounded(score),), vjp


def crf_log_partition(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[Array]:
    """Compute log Z, the log of the sum of the exponentials of all paths' scores.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    transitions
        Score of each move, ``(K, K)``: ``transitions[i, j]`` from tag i to tag j; minus infinity forbids it.
    start, end
        Scores of the first and of the last tag, ``(K,)``; 0 if absent. Minus infinity forbids a tag there.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.

    Returns
    -------
    tuple of one array
        log_partition
            ``(B,)``; 0 of an empty sequence, and minus infinity where no path is possible.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Lafferty, McCallum & Pereira (2001), Conditional random fields, ICML, 282-289;
    Sutton & McCallum (2012), An introduction to conditional random fields, Foundations and Trends in Machine Learning
    4(4), 267-373.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_log_partition", inputs)
    return (call.rounded(Partition(Scores.of(call, steps), record=False).log_partition),)


def crf_log_partition_vjp(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]:
    """Compute as `crf_log_partition` does, and return the result and its vector-Jacobian product.

    ``vjp(dlog_partition)`` gives the gradient of every float input that was given, by name, for the gradient of the
    result. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `crf_log_partition`.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_log_partition", inputs)
    partition = Partition(Scores.of(call, steps), record=True)

    def vjp(dlog_partition: Array) -> dict[str, Array]:
        return _gradients(call, steps, partition.gradients(widened(dlog_partition)))

    return (call.rounded(partition.log_partition),), vjp


def crf_log_likelihood(
    emissions: Array,
    transitions: Array,
    tags: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[Array]:
    """Compute the log of the probability of a path: its score, less log Z.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    transitions
        Score of each move, ``(K, K)``: ``transitions[i, j]`` from tag i to tag j; minus infinity forbids it.
    tags
        int64 ``(B, T)``, below K: the path.
    start, end
        Scores of the first and of the last tag, ``(K,)``; 0 if absent. Minus infinity forbids a tag there.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.
    padding
        ``"lengths"``: `lengths` or `mask` say which steps are valid. ``"label"``: neither is given, and a tag equal to
        K marks a step to be taken out.

    Returns
    -------
    tuple of one array
        log_likelihood
            ``(B,)``; 0 of an empty sequence, and minus infinity of a path that is not possible.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Lafferty, McCallum & Pereira (2001), Conditional random fields, ICML, 282-289.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "tags": tags,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_log_likelihood", inputs, padding)
    scores = Scores.of(call, steps)
    score = path_score(scores, steps.pack(tags))
    return (call.rounded(_log_likelihood(score, Partition(scores, record=False))),)


def crf_log_likelihood_vjp(
    emissions: Array,
    transitions: Array,
    tags: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[tuple[Array], Vjp]:
    """Compute as `crf_log_likelihood` does, and return the result and its vector-Jacobian product.

    ``vjp(dlog_likelihood)`` gives the gradient of every float input that was given, by name, for the gradient of the
    result. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `crf_log_likelihood`.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "tags": tags,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_log_likelihood", inputs, padding)
    scores, path = Scores.of(call, steps), steps.pack(tags)
    partition = Partition(scores, record=True)
    log_likelihood = _log_likelihood(path_score(scores, path), partition)

    def vjp(dlog_likelihood: Array) -> dict[str, Array]:
        d = _of_finite(widened(dlog_likelihood), log_likelihood)
        of_path, of_all = path_gradients(scores, path, d), partition.gradients(d)
        return _gradients(call, steps, {name: of_path[name] - of_all[name] for name in of_path})

    return (call.rounded(log_likelihood),), vjp


def _log_likelihood(score: Array, partition: Partition) -> Array:
    """Score less log Z, but minus infinity where both are."""
    return score - np.where(np.isfinite(score), partition.log_partition, 0)


def crf_marginals(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[Array]:
    """Compute the probability of each tag at each step, all other tags being open.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    transitions
        Score of each move, ``(K, K)``: ``transitions[i, j]`` from tag i to tag j; minus infinity forbids it.
    start, end
        Scores of the first and of the last tag, ``(K,)``; 0 if absent. Minus infinity forbids a tag there.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.

    Returns
    -------
    tuple of one array
        marginals
            ``(B, T, K)``; 0 at steps taken out, and where no path is possible.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Sutton & McCallum (2012), An introduction to conditional random fields, Foundations and Trends in Machine Learning
    4(4), 267-373; Rabiner (1989), A tutorial on hidden Markov models, Proceedings of the IEEE 77(2),
    257-286 (forward-backward).
    """
    outputs, _ = crf_marginals_vjp(emissions, transitions, start, end, lengths=lengths, mask=mask)
    return outputs


def crf_marginals_vjp(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]:
    """Compute as `crf_marginals` does, and return the result and its vector-Jacobian product.

    ``vjp(dmarginals)`` gives the gradient of every float input that was given, by name, for the gradient of the
    result. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `crf_marginals`.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_marginals", inputs)
    partition = Partition(Scores.of(call, steps), record=True)
    marginals = partition.marginals()

    def vjp(dmarginals: Array) -> dict[str, Array]:
        d = steps.pack(widened(dmarginals))
        return _gradients(call, steps, partition.gradients_of_marginals(marginals, d))

    return (call.rounded(steps.unpack(marginals)),), vjp


def crf_viterbi(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[Array, Array]:
    """Find a path of the highest score.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    transitions
        Score of each move, ``(K, K)``: ``transitions[i, j]`` from tag i to tag j; minus infinity forbids it.
    start, end
        Scores of the first and of the last tag, ``(K,)``; 0 if absent. Minus infinity forbids a tag there.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.

    Returns
    -------
    score
        ``(B,)``: the highest score of any path; 0 of an empty sequence, and minus infinity where no path is possible.
    path
        int64 ``(B, T)``: its tags, 0 at steps taken out. Of equal paths the one with the lowest last tag; of those, the
        one with the lowest tag before it, and so on back to the first.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Viterbi (1967), Error bounds for convolutional codes and an asymptotically optimum decoding algorithm, IEEE
    Transactions on Information Theory 13(2), 260-269; Rabiner (1989), A tutorial on hidden Markov models, Proceedings
    of the IEEE 77(2), 257-286.
    """
    outputs, _ = crf_viterbi_vjp(emissions, transitions, start, end, lengths=lengths, mask=mask)
    return outputs


def crf_viterbi_vjp(
    emissions: Array,
    transitions: Array,
    start: Array | None = None,
    end: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
) -> tuple[tuple[Array, Array], Vjp]:
    """Compute as `crf_viterbi` does, and return the outputs and the score's vector-Jacobian product.

    ``vjp(dscore)`` gives the gradient of every float input that was given, by name, for the gradient of the score: that
    of the path that was found. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `crf_viterbi`.
    """
    inputs = {
        "emissions": emissions,
        "transitions": transitions,
        "start": start,
        "end": end,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("crf_viterbi", inputs)
    scores = Scores.of(call, steps)
    score, path = best_path(scores)

    def vjp(dscore: Array) -> dict[str, Array]:
        return _gradients(call, steps, path_gradients(scores, path, _of_finite(widened(dscore), score)))

    return (call.rounded(score), steps.unpack(path)), vjp


def framewise_log_likelihood(
    emissions: Array,
    tags: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[Array]:
    """Compute the log of the probability of a path in which every step's tag is chosen by itself.

    The baseline for a chain: n independent softmaxes, in place of one over K^n paths.

    Parameters
    ----------
    emissions
        Score of each tag at each step, ``(B, T, K)``. All float arrays have one type: float16, bfloat16, float32 or
        float64; the first two are computed in float32 and rounded once, at the end.
    tags
        int64 ``(B, T)``, below K: the path.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands, and what
        it holds, NaN included, changes nothing and has gradient 0.
    padding
        ``"lengths"``: `lengths` or `mask` say which steps are valid. ``"label"``: neither is given, and a tag equal to
        K marks a step to be taken out.

    Returns
    -------
    tuple of one array
        log_likelihood
            ``(B,)``; 0 of an empty sequence.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Collobert et al. (2011), Natural language processing (almost) from scratch, Journal of Machine Learning Research 12,
    2493-2537 (word-level against sentence-level log-likelihood).
    """
    outputs, _ = framewise_log_likelihood_vjp(emissions, tags, lengths=lengths, mask=mask, padding=padding)
    return outputs


def framewise_log_likelihood_vjp(
    emissions: Array,
    tags: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    padding: str = "lengths",
) -> tuple[tuple[Array], Vjp]:
    """Compute as `framewise_log_likelihood` does, and return the result and its vector-Jacobian product.

    ``vjp(dlog_likelihood)`` gives the gradient of every float input that was given, by name, for the gradient of the
    result. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `framewise_log_likelihood`.
    """
    inputs = {
        "emissions": emissions,
        "tags": tags,
        "lengths": lengths,
        "mask": mask,
    }
    call, steps = _admit("framewise_log_likelihood", inputs, padding)
    path = steps.pack(tags)
    log_likelihood, probabilities = _framewise(call, steps, path)
    ones = np.where(passes(path, steps, probabilities.shape[2]), np.ones_like(probabilities), 0)

    def vjp(dlog_likelihood: Array) -> dict[str, Array]:
        d = widened(dlog_likelihood)[:, np.newaxis]
        return _gradients(call, steps, {"emissions": (ones - probabilities) * d})

    return (call.rounded(log_likelihood),), vjp


def _framewise(call: Admitted, steps: Packed, path: Array) -> tuple[Array, Array]:
    """Log-likelihood ``(B,)``, and the probability of each tag at each step, ``(n, B, K)``."""
    emissions = steps.pack(call.floats["emissions"])
    t, b = np.ogrid[: path.shape[0], : path.shape[1]]
    chosen = emissions[t, b, path]
    log_total, probabilities = log_sum_exp(emissions.transpose(2, 0, 1).copy())
    return np.where(steps.present, chosen - log_total, 0).sum(axis=0), probabilities.transpose(1, 2, 0)


def token_accuracy(
    predicted: Array, tags: Array, *, lengths: Array | None = None, mask: Array | None = None
) -> tuple[Array]:
    """Compute the share of the valid steps of a whole batch at which the predicted tag is the right one.

    Parameters
    ----------
    predicted, tags
        int64 ``(B, T)``: the tags of a model, and the right ones.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false does not count.

    Returns
    -------
    tuple of one array
        accuracy
            float64, a scalar: from 0 to 1; 0 where there is no valid step.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.
    """
    call = admit("token_accuracy", {"predicted": predicted, "tags": tags, "lengths": lengths, "mask": mask}, {})
    assert call.valid is not None
    right = np.logical_and(predicted == tags, call.valid)
    return (np.asarray(right.sum() / max(int(call.valid.sum()), 1), np.float64),)
