"""The linear-chain CRF as loops over the steps: right, written differently from the reference, and open to faults.

Everything that an implementation can get wrong stands in a method of its own, for sequences with the same number of
valid steps, in float64. The gradients are those of the textbook: the counts of a path, less the expected counts of all
paths. The gradient of the marginals alone is the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnspec import reference, spec
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.spec import Checked, check_call
from rnnspec.spec.arrays import Array, NamedArrays, Vjp


@dataclass(frozen=True)
class Chains:
    """Sequences with n valid steps each: their emissions ``(B, n, K)`` and tags ``(B, n)``, and the parameters.

    They are the call's sequences at these `places`, ``(B,)``; `at` has the call's index of each valid step, ``(B, n)``.
    """

    places: Array
    at: Array
    emissions: Array
    transitions: Array
    start: Array
    end: Array
    tags: Array

    @property
    def steps(self) -> int:
        """Valid steps."""
        return int(self.at.shape[1])

    @property
    def cells(self) -> tuple[Array, Array]:
        """The index of every valid step among the call's sequences and steps."""
        return self.places[:, np.newaxis], self.at

    def only(self, which: Array) -> Chains:
        """Some of the sequences."""
        own = {name: getattr(self, name)[which] for name in ("places", "at", "emissions", "tags")}
        return replace(self, **own)


class CrfLoops(NumpyBackend):
    """Every operation of the family, by loops."""

    # The steps that can go wrong.

    def valid_steps(self, valid: Array, call: NamedArrays) -> Array:
        """Which steps count, ``(B, T)``."""
        return valid

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        """Transitions [from, to], start and end."""
        return transitions, start, end

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        """Log of the sum of exponentials, shifted by the greatest."""
        greatest = np.max(a, axis=axis, keepdims=True)
        shift = np.where(np.isfinite(greatest), greatest, 0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.sum(np.exp(a - shift), axis=axis)) + shift.squeeze(axis))

    def path_score(self, c: Chains) -> Array:
        """Score of the tags' path, ``(B,)``."""
        return np.asarray(self.of_start(c) + self.of_emissions(c) + self.of_transitions(c) + self.of_end(c))

    def of_start(self, c: Chains) -> Array:
        """The path's score at its start."""
        return c.start[c.tags[:, 0]]

    def of_end(self, c: Chains) -> Array:
        """The path's score at its end."""
        return c.end[c.tags[:, -1]]

    def of_emissions(self, c: Chains) -> Array:
        """The path's scores at its steps."""
        return np.asarray(np.take_along_axis(c.emissions, c.tags[:, :, np.newaxis], 2).sum(axis=(1, 2)))

    def of_transitions(self, c: Chains) -> Array:
        """The path's scores between its steps."""
        return np.asarray(c.transitions[c.tags[:, :-1], c.tags[:, 1:]].sum(axis=1))

    def alpha(self, c: Chains) -> Array:
        """Log-sums of all ways to reach each tag, ``(B, n, K)``."""
        rows = [c.start + c.emissions[:, 0]]
        for t in range(1, c.steps):
            rows.append(c.emissions[:, t] + self.log_sum_exp(rows[-1][:, :, np.newaxis] + c.transitions, 1))
        return np.stack(rows, axis=1)

    def beta(self, c: Chains) -> Array:
        """Log-sums of all ways to go on from each tag, ``(B, n, K)``."""
        rows = [np.broadcast_to(c.end, c.emissions[:, 0].shape)]
        for t in range(c.steps - 1, 0, -1):
            rows.append(self.log_sum_exp(c.transitions + (c.emissions[:, t] + rows[-1])[:, np.newaxis], 2))
        return np.stack(rows[::-1], axis=1)

    def log_partition(self, c: Chains) -> Array:
        """Log Z, ``(B,)``."""
        return self.log_sum_exp(self.alpha(c)[:, -1] + c.end, 1)

    def probability(self, a: Array, log_partition: Array) -> Array:
        """The exponential of log-sums over Z; 0 where nothing is possible."""
        of_all = log_partition.reshape(-1, *[1] * (a.ndim - 1))
        possible = of_all > -np.inf
        return np.where(possible, np.exp(a - np.where(possible, of_all, 0)), 0)

    def marginals(self, c: Chains) -> Array:
        """Probability of each tag at each step."""
        return self.probability(self.alpha(c) + self.beta(c), self.log_partition(c))

    def pairs(self, c: Chains) -> Array:
        """Probability of each two tags in a row, ``(B, n - 1, K, K)``."""
        after = (c.emissions + self.beta(c))[:, 1:, np.newaxis]
        return self.probability(self.alpha(c)[:, :-1, :, np.newaxis] + c.transitions + after, self.log_partition(c))

    def over_steps(self, pairs: Array) -> Array:
        """Gradient of the transitions from that of every step, ``(B, K, K)``."""
        return np.asarray(pairs.sum(axis=1))

    def best(self, c: Chains) -> tuple[Array, Array]:
        """Scores ``(B,)`` and tags ``(B, n)`` of best paths."""
        delta, pointers = c.start + c.emissions[:, 0], []
        for t in range(1, c.steps):
            moved = delta[:, :, np.newaxis] + c.transitions
            pointers.append(self.chosen(moved, 1))
            delta = c.emissions[:, t] + moved.max(axis=1)
        ended = delta + c.end
        path = [self.chosen(ended, 1)]
        for pointer in reversed(pointers):
            path.append(np.take_along_axis(pointer, path[-1][:, np.newaxis], 1)[:, 0])
        return ended.max(axis=1), np.stack(path[::-1], axis=1)

    def chosen(self, a: Array, axis: int) -> Array:
        """Index of the greatest."""
        return np.asarray(np.argmax(a, axis=axis))

    # The operations.

    def crf_score(self, **call: Any) -> tuple[Array, ...]:
        """Score of the path."""
        return self._values("crf_score", call, self.path_score)

    def crf_log_partition(self, **call: Any) -> tuple[Array, ...]:
        """Log Z."""
        return self._values("crf_log_partition", call, self.log_partition)

    def crf_log_likelihood(self, **call: Any) -> tuple[Array, ...]:
        """Score less log Z."""
        (each,) = self._values("crf_log_likelihood", call, self._log_likelihood)
        if call["reduction"] == "none":
            return (each,)
        total = each.astype(np.float64).sum() / self._divisor(call)
        return (np.asarray(total, each.dtype),)

    def crf_score_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Score, and its gradient."""
        return self._with_gradients("crf_score", call, self.crf_score(**call), self._of_path)

    def crf_log_partition_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Log Z, and its gradient."""
        return self._with_gradients("crf_log_partition", call, self.crf_log_partition(**call), self._of_all)

    def crf_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Log-likelihood, and its gradient."""

        def difference(c: Chains) -> NamedArrays:
            of_path, of_all = self._of_path(c), self._of_all(c)
            return {name: of_path[name] - of_all[name] for name in of_path}

        each = self._values("crf_log_likelihood", call, self._log_likelihood)
        _, vjp = self._with_gradients("crf_log_likelihood", call, each, difference)

        def of_reduced(d: Array) -> NamedArrays:
            return vjp(np.broadcast_to(d.astype(np.float64) / self._divisor(call), each[0].shape))

        return self.crf_log_likelihood(**call), of_reduced

    def crf_marginals(self, **call: Any) -> tuple[Array, ...]:
        """Marginals."""
        marginals = np.zeros_like(call["emissions"])
        for c in self.chains("crf_marginals", call):
            marginals[c.cells] = self.marginals(c)
        return (marginals,)

    def crf_marginals_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Marginals, and the reference's gradient."""
        return self.crf_marginals(**call), reference.crf_marginals_vjp(**call)[1]

    def crf_viterbi(self, **call: Any) -> tuple[Array, ...]:
        """Best score and path."""
        emissions = call["emissions"]
        score, path = np.zeros(len(emissions), emissions.dtype), np.zeros(emissions.shape[:2], np.int64)
        for c in self.chains("crf_viterbi", call):
            score[c.places], path[c.cells] = self.best(c)
        return score, path

    def crf_viterbi_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Best score and path, and the gradient of the path's score."""

        def of_best(c: Chains) -> NamedArrays:
            return self._of_path(replace(c, tags=self.best(c)[1]))

        return self._with_gradients("crf_viterbi", call, self.crf_viterbi(**call), of_best)

    def framewise_log_likelihood(self, **call: Any) -> tuple[Array, ...]:
        """Sum of the steps' log-softmax."""
        return self._values("framewise_log_likelihood", call, self._framewise)

    def framewise_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """The same, and its gradient."""

        def gradient(c: Chains) -> NamedArrays:
            softmax = np.exp(c.emissions - self.log_sum_exp(c.emissions, 2)[:, :, np.newaxis])
            return {"emissions": _one_hot(c) - softmax}

        values = self.framewise_log_likelihood(**call)
        return self._with_gradients("framewise_log_likelihood", call, values, gradient)

    def token_accuracy(self, **call: Any) -> tuple[Array, ...]:
        """Share of right tags."""
        checked = check_call("token_accuracy", call, {})
        assert checked.valid is not None
        right = call["predicted"] == call["tags"]
        valid = self.valid_steps(checked.valid, call)
        return (np.asarray((right & valid).sum() / max(int(valid.sum()), 1), np.float64),)

    # How a call is taken apart and put together.

    def chains(self, operation: str, call: NamedArrays) -> Iterator[Chains]:
        """The sequences of a call that have a valid step, by their number of steps."""
        checked = _checked(operation, call)
        valid = self.valid_steps(np.asarray(checked.valid), call)
        emissions = call["emissions"]
        if "possible" in call:
            emissions = np.where(call["possible"], emissions, emissions.dtype.type(-np.inf))
        if "allowed" in call:
            moves = call["transitions"]
            call = {**call, "transitions": np.where(call["allowed"], moves, moves.dtype.type(-np.inf))}
        units = emissions.shape[2]
        zero = np.zeros(units)
        parameters = self.parameters(
            *(call.get(name, absent).astype(np.float64) for name, absent in
              (("transitions", np.zeros((units, units))), ("start", zero), ("end", zero)))
        )  # fmt: skip
        tags = call.get("tags", np.zeros(emissions.shape[:2], np.int64))
        counts = valid.sum(axis=1)
        for count in np.unique(counts[counts > 0]):
            places = np.flatnonzero(counts == count)
            at = np.nonzero(valid[places])[1].reshape(len(places), count)
            cells = places[:, np.newaxis], at
            of_steps = np.clip(tags[cells], 0, units - 1)
            yield Chains(places, at, emissions[cells].astype(np.float64), *parameters, of_steps)

    def _values(self, operation: str, call: NamedArrays, value: Callable[[Chains], Array]) -> tuple[Array, ...]:
        emissions = call["emissions"]
        values = np.zeros(len(emissions))
        for c in self.chains(operation, call):
            values[c.places] = value(c)
        return (values.astype(emissions.dtype),)

    def _with_gradients(
        self, operation: str, call: NamedArrays, values: tuple[Array, ...], gradients: Callable[[Chains], NamedArrays]
    ) -> tuple[tuple[Array, ...], Vjp]:
        names = [name for name in ("emissions", "transitions", "start", "end") if name in call]

        def vjp(d: Array) -> NamedArrays:
            results: NamedArrays = {name: np.zeros(call[name].shape) for name in names}
            for c in self.chains(operation, call):
                possible = c.only(values[0][c.places] > -np.inf)
                for name, array in gradients(possible).items():
                    weighed = (array.T * d[possible.places]).T
                    if name == "emissions":
                        results[name][possible.cells] += weighed
                    elif name in results:
                        results[name] += weighed.sum(axis=0)
            return {name: array.astype(call[name].dtype) for name, array in results.items()}

        return values, vjp

    def _divisor(self, call: NamedArrays) -> int:
        """What the sum over the batch is divided by."""
        valid = np.asarray(_checked("crf_log_likelihood", call).valid)
        counts = {"mean": len(valid), "token_mean": int(self.valid_steps(valid, call).sum())}
        return max(counts.get(str(call["reduction"]), 1), 1)

    def _log_likelihood(self, c: Chains) -> Array:
        score = self.path_score(c)
        impossible = np.isneginf(score)
        return np.where(impossible, score, score - np.where(impossible, 0, self.log_partition(c)))

    def _framewise(self, c: Chains) -> Array:
        chosen = np.take_along_axis(c.emissions, c.tags[:, :, np.newaxis], 2)[:, :, 0]
        return np.asarray((chosen - self.log_sum_exp(c.emissions, 2)).sum(axis=1))

    def _of_path(self, c: Chains) -> NamedArrays:
        ones = _one_hot(c)
        moves = self.over_steps(ones[:, :-1, :, np.newaxis] * ones[:, 1:, np.newaxis])
        return {"emissions": ones, "transitions": moves, "start": ones[:, 0], "end": ones[:, -1]}

    def _of_all(self, c: Chains) -> NamedArrays:
        marginals = self.marginals(c)
        moves = self.over_steps(self.pairs(c))
        return {"emissions": marginals, "transitions": moves, "start": marginals[:, 0], "end": marginals[:, -1]}


def _one_hot(c: Chains) -> Array:
    return np.asarray(c.tags[:, :, np.newaxis] == np.arange(c.emissions.shape[2]), np.float64)


def _checked(operation: str, call: NamedArrays) -> Checked:
    """The call, whose attributes stand among its inputs, as the specification checks it."""
    known = spec.operation(operation).attributes
    attributes = {name: value for name, value in call.items() if name in known}
    return check_call(operation, {k: v for k, v in call.items() if k not in attributes}, attributes)
