"""The linear-chain CRF one sequence at a time: right, written differently from the reference, and open to faults.

Everything that an implementation can get wrong stands in a method of its own, for one sequence of valid steps, in
float64. The gradients are those of the textbook: what a path has, less what is expected of all paths. The gradient of
the marginals alone is the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.spec import check_call
from rnnspec.spec.arrays import Array, NamedArrays

Vjp = Callable[..., NamedArrays]


@dataclass(frozen=True)
class Chain:
    """One sequence: its valid steps' emissions ``(n, K)`` and tags, and the parameters."""

    emissions: Array
    transitions: Array
    start: Array
    end: Array
    tags: Array

    @property
    def steps(self) -> int:
        """Valid steps."""
        return len(self.emissions)


class CrfLoops(NumpyBackend):
    """Every operation of the family, by loops."""

    # What can go wrong.

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

    def path_score(self, c: Chain) -> float:
        """Score of the tags' path."""
        return float(self.of_start(c) + self.of_emissions(c) + self.of_transitions(c) + self.of_end(c))

    def of_start(self, c: Chain) -> float:
        """What the path collects at its start."""
        return float(c.start[c.tags[0]])

    def of_end(self, c: Chain) -> float:
        """What the path collects at its end."""
        return float(c.end[c.tags[-1]])

    def of_emissions(self, c: Chain) -> float:
        """What the path collects at its steps."""
        return float(c.emissions[np.arange(c.steps), c.tags].sum())

    def of_transitions(self, c: Chain) -> float:
        """What the path collects between its steps."""
        return float(c.transitions[c.tags[:-1], c.tags[1:]].sum())

    def alpha(self, c: Chain) -> Array:
        """Log-sums of all ways to reach each tag, ``(n, K)``."""
        rows = [c.start + c.emissions[0]]
        for emission in c.emissions[1:]:
            rows.append(emission + self.log_sum_exp(rows[-1][:, np.newaxis] + c.transitions, 0))
        return np.stack(rows)

    def beta(self, c: Chain) -> Array:
        """Log-sums of all ways to go on from each tag, ``(n, K)``."""
        rows = [c.end]
        for emission in c.emissions[:0:-1]:
            rows.append(self.log_sum_exp(c.transitions + emission + rows[-1], 1))
        return np.stack(rows[::-1])

    def log_partition(self, c: Chain) -> float:
        """Log Z."""
        return float(self.log_sum_exp(self.alpha(c)[-1] + c.end, 0))

    def probability(self, a: Array, log_partition: float) -> Array:
        """The exponential of a log-sum over Z; 0 where nothing is possible."""
        return np.exp(a - log_partition) if log_partition > -np.inf else np.zeros_like(a)

    def marginals(self, c: Chain) -> Array:
        """Probability of each tag at each step."""
        return self.probability(self.alpha(c) + self.beta(c), self.log_partition(c))

    def pairs(self, c: Chain) -> Array:
        """Probability of each two tags in a row, ``(n - 1, K, K)``."""
        after = (c.emissions + self.beta(c))[1:, np.newaxis, :]
        return self.probability(self.alpha(c)[:-1, :, np.newaxis] + c.transitions + after, self.log_partition(c))

    def over_steps(self, pairs: Array) -> Array:
        """Gradient of the transitions from that of every step."""
        return np.asarray(pairs.sum(axis=0))

    def best(self, c: Chain) -> tuple[float, list[int]]:
        """Score and tags of a best path."""
        delta, pointers = c.start + c.emissions[0], []
        for emission in c.emissions[1:]:
            moved = delta[:, np.newaxis] + c.transitions
            pointers.append(self.chosen(moved, 0))
            delta = emission + moved.max(axis=0)
        ended = delta + c.end
        return float(ended.max()), self.traced(pointers, int(self.chosen(ended, 0)))

    def chosen(self, a: Array, axis: int) -> Array:
        """Index of the greatest."""
        return np.asarray(np.argmax(a, axis=axis))

    def traced(self, pointers: list[Array], last: int) -> list[int]:
        """The path from its last tag back."""
        path = [last]
        for pointer in reversed(pointers):
            path.append(int(pointer[path[-1]]))
        return path[::-1]

    # The operations.

    def crf_score(self, **call: Any) -> tuple[Array, ...]:
        """Score of the path."""
        return self._values("crf_score", call, self.path_score)

    def crf_log_partition(self, **call: Any) -> tuple[Array, ...]:
        """Log Z."""
        return self._values("crf_log_partition", call, self.log_partition)

    def crf_log_likelihood(self, **call: Any) -> tuple[Array, ...]:
        """Score less log Z."""
        return self._values("crf_log_likelihood", call, self._log_likelihood)

    def crf_score_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Score, and its gradient."""
        return self._with_gradients("crf_score", call, self.crf_score(**call), self._of_path)

    def crf_log_partition_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Log Z, and its gradient."""
        return self._with_gradients("crf_log_partition", call, self.crf_log_partition(**call), self._of_all)

    def crf_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Log-likelihood, and its gradient."""

        def difference(c: Chain) -> NamedArrays:
            of_path, of_all = self._of_path(c), self._of_all(c)
            return {name: of_path[name] - of_all[name] for name in of_path}

        return self._with_gradients("crf_log_likelihood", call, self.crf_log_likelihood(**call), difference)

    def crf_marginals(self, **call: Any) -> tuple[Array, ...]:
        """Marginals."""
        marginals = np.zeros_like(call["emissions"])
        for b, steps, chain in self._chains("crf_marginals", call):
            if chain.steps:
                marginals[b, steps] = self.marginals(chain)
        return (marginals,)

    def crf_marginals_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Marginals, and the reference's gradient."""
        return self.crf_marginals(**call), reference.crf_marginals_vjp(**call)[1]

    def crf_viterbi(self, **call: Any) -> tuple[Array, ...]:
        """Best score and path."""
        emissions = call["emissions"]
        score, path = np.zeros(len(emissions), emissions.dtype), np.zeros(emissions.shape[:2], np.int64)
        for b, steps, chain in self._chains("crf_viterbi", call):
            if chain.steps:
                score[b], path[b, steps] = self.best(chain)
        return score, path

    def crf_viterbi_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """Best score and path, and the gradient of the path's score."""

        def of_best(c: Chain) -> NamedArrays:
            _, path = self.best(c)
            return self._of_path(Chain(c.emissions, c.transitions, c.start, c.end, np.array(path, np.int64)))

        return self._with_gradients("crf_viterbi", call, self.crf_viterbi(**call), of_best)

    def framewise_log_likelihood(self, **call: Any) -> tuple[Array, ...]:
        """Sum of the steps' log-softmax."""
        return self._values("framewise_log_likelihood", call, self._framewise)

    def framewise_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """The same, and its gradient."""

        def gradient(c: Chain) -> NamedArrays:
            softmax = np.exp(c.emissions - self.log_sum_exp(c.emissions, 1)[:, np.newaxis])
            return {"emissions": _one_hot(c.tags, c.emissions.shape[1]) - softmax}

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

    def _chains(self, operation: str, call: NamedArrays) -> Iterator[tuple[int, Array, Chain]]:
        padding = {"padding": call["padding"]} if "padding" in call else {}
        inputs = {name: array for name, array in call.items() if name != "padding"}
        checked = check_call(operation, inputs, padding)
        assert checked.valid is not None
        valid = self.valid_steps(checked.valid, call)
        emissions = call["emissions"]
        units = emissions.shape[2]
        zero = np.zeros(units)
        transitions, start, end = self.parameters(
            *(call.get(name, absent).astype(np.float64) for name, absent in
              (("transitions", np.zeros((units, units))), ("start", zero), ("end", zero)))
        )  # fmt: skip
        tags = call.get("tags", np.zeros(emissions.shape[:2], np.int64))
        for b in range(len(emissions)):
            steps = np.flatnonzero(valid[b])
            of_steps = np.clip(tags[b, steps], 0, units - 1)
            yield b, steps, Chain(emissions[b, steps].astype(np.float64), transitions, start, end, of_steps)

    def _values(self, operation: str, call: NamedArrays, value: Callable[[Chain], float]) -> tuple[Array, ...]:
        emissions = call["emissions"]
        values = np.zeros(len(emissions))
        for b, _, chain in self._chains(operation, call):
            values[b] = value(chain) if chain.steps else 0.0
        return (values.astype(emissions.dtype),)

    def _with_gradients(
        self, operation: str, call: NamedArrays, values: tuple[Array, ...], gradients: Callable[[Chain], NamedArrays]
    ) -> tuple[tuple[Array, ...], Vjp]:
        names = [name for name in ("emissions", "transitions", "start", "end") if name in call]

        def vjp(d: Array) -> NamedArrays:
            results = {name: np.zeros(call[name].shape) for name in names}
            for b, steps, chain in self._chains(operation, call):
                if chain.steps and values[0][b] > -np.inf:
                    for name, array in gradients(chain).items():
                        if name in results:
                            results[name][(b, steps) if name == "emissions" else ...] += float(d[b]) * array
            return {name: array.astype(call[name].dtype) for name, array in results.items()}

        return values, vjp

    def _log_likelihood(self, c: Chain) -> float:
        score = self.path_score(c)
        return -np.inf if score == -np.inf else score - self.log_partition(c)

    def _framewise(self, c: Chain) -> float:
        chosen = c.emissions[np.arange(c.steps), c.tags]
        return float(chosen.sum()) - float(self.log_sum_exp(c.emissions, 1).sum())

    def _of_path(self, c: Chain) -> NamedArrays:
        ones = _one_hot(c.tags, c.emissions.shape[1])
        moves = self.over_steps(ones[:-1, :, np.newaxis] * ones[1:, np.newaxis, :])
        return {"emissions": ones, "transitions": moves, "start": ones[0], "end": ones[-1]}

    def _of_all(self, c: Chain) -> NamedArrays:
        marginals = self.marginals(c)
        moves = self.over_steps(self.pairs(c))
        return {"emissions": marginals, "transitions": moves, "start": marginals[0], "end": marginals[-1]}


def _one_hot(tags: Array, units: int) -> Array:
    one_hot: Array = (tags[:, np.newaxis] == np.arange(units)).astype(np.float64)
    return one_hot
