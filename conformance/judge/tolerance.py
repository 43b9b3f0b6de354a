"""The computed tolerance: for one call, the right result and the largest error that rounding explains.

The reference is run once on arrays of seven versions (`rnnspec.conformance.judge.rounding`): the exact one gives the
result y, the spread d of the six others what rounding to the call's type can do to it. The bound is::

    KAPPA * (1 + 8 min(r, WILD) + a / 2) * (d + max(d) / 4 + u |y| + smallest normal)

elementwise, with max(d) over the array: six versions leave some elements unmoved by chance. r is the largest d over the
largest |y| of a sequence (of a whole parameter). While r is small, rounding errors add up, and six versions tell how
far. As r nears 1 they multiply, as in a chaotic recurrence: deviations are then spread over orders of magnitude, and
six of them tell less. a counts the powers of ten by which r exceeds AMPLIFIED u. Where rounding grows on its way by
more than sums explain, all elements move together, and six versions are six samples of one direction. Where rounding
moves a result by more than itself and by more than any number that it was computed from, nothing is left of it, and it
is not judged: its bound is infinite.

A result of what is impossible, as the score of a forbidden path (minus infinity) or the loss of labels that no
alignment gives (infinity), has no rounding error: its bound is 0, and nothing else is right. To some libraries it is a
constant, with gradient 0; others give it the gradient of the sum that it is. So what has a part of its gradient must be
finite, and is not judged beyond that.

A backend may declare that its transcendental functions or products are coarser than rounding to the type
(`rnnspec.conformance.judge.declared`). The versions are then moved by as much, and nothing else changes.

No relative or absolute tolerance is chosen anywhere. The error ratio, error / bound, is at most 1 for a right result
and is the accuracy grade.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from rnnspec import reference
from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.judge.declared import in_force
from rnnspec.conformance.judge.formats import Format, format_of
from rnnspec.conformance.judge.rounding import RUNS, Noise, Rounded, greatest
from rnnspec.reference.traced import Traced, gradients
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Operation, settings_of

KAPPA: Final = 4.0
"""Safety factor over the spread; docs/tolerances.md shows the measured distribution of error ratios it rests on."""

AMPLIFIED: Final = 1e3
"""Spread over result, in units of roundoff, beyond which rounding has been amplified rather than added up."""

FEW_TERMS: Final = 64
"""Terms of a sum up to which random directions of rounding lead as far as terms that are all alike."""

MORE_CHOICES: Final = 4
"""Further runs of a call that returns ids, where several places were the greatest to within rounding."""

_KEPT: Final = 1 << 14
"""Numbers of a result up to which its versions are kept, for what all calls together say."""

WILD: Final = 8.0
"""Spread over result up to which the bound grows with it."""


@dataclass(frozen=True)
class Bounded:
    """A right result in float64, and the bound on the error of each of its elements; infinite: not judged.

    `perturbed` holds the other versions of the result, on a first axis, where rounding was let loose on it.
    `impossible` is the infinity that is a result of its own.
    """

    value: Array
    bound: Array
    perturbed: Array | None = None
    impossible: float = -np.inf
    unjudged: float = np.nan
    """An infinity that is right too where the bound is infinite: the result may be of what is impossible there."""

    def take(self, rows: Any) -> Bounded:
        """These rows (sequences) alone, in this order."""
        perturbed = None if self.perturbed is None else self.perturbed[:, rows]
        return replace(self, value=self.value[rows], bound=self.bound[rows], perturbed=perturbed)

    def error_ratios(self, got: Array, largest: float) -> Array:
        """|got - value| / bound, elementwise; infinite where `got` is no number.

        Where the result lies within a bound of the type's largest number, an infinity of its sign is right.
        """
        got = got.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.asarray(np.abs(got - self.value) / self.bound)
        if ratios.max(initial=0.0) <= 1:  # not so where anything is NaN
            return ratios
        overflow = np.isinf(got) & (np.sign(got) == np.sign(self.value)) & (np.abs(self.value) + self.bound >= largest)
        exact = (got == self.value) & (np.isinf(got) | (self.bound == 0))
        unjudged = np.isposinf(self.bound) & (np.isfinite(got) | (got == self.unjudged))
        ratios[exact | overflow | unjudged] = 0.0
        ratios[np.isnan(ratios)] = np.inf
        return ratios


@dataclass(frozen=True)
class Expected:
    """The right results of one call: its outputs by name and, if cotangents were given, its gradients by input."""

    outputs: dict[str, Bounded]
    gradients: dict[str, Bounded]
    format: Format
    overflowed: bool = False
    """Whether what lies between inputs and results was beyond the type's largest number."""

    @cached_property
    def in_range(self) -> bool:
        """Whether the type can hold the results with room to spare, and all that the reference makes on the way.

        Calls beyond that show nothing about anyone.
        """
        if self.overflowed:
            return False
        everything = [*self.outputs.values(), *self.gradients.values()]
        limit = self.format.most_judged
        return all(
            bool(
                np.all((np.abs(item.value) < limit) | (item.value == item.impossible))
                and np.all((item.bound < limit) | np.isposinf(item.bound))
            )
            for item in everything
        )


def expect(call: Call, dtype: str, cotangents: Cotangents | None = None, seed: int = 0) -> Expected:
    """Compute the right results of a call, and the tolerance; recent results are remembered.

    The result depends on the arguments alone, not on earlier calls.

    Parameters
    ----------
    call
        Its float inputs may have any type that holds their values exactly.
    dtype
        The type to compute the tolerance for.
    cotangents
        One per float output, for the gradients, itself None for an output that is not used; None for the outputs alone.
    seed
        Of the random directions of rounding.
    """
    run = _RECENT.run(call, dtype, seed)
    return run.outputs_alone() if cotangents is None else run.with_gradients(cotangents)


def expect_both(call: Call, dtype: str, cotangents: Cotangents, seed: int = 0) -> tuple[Expected, Expected]:
    """Compute what `expect` gives without and with cotangents, at once."""
    run = _RECENT.run(call, dtype, seed)
    return run.outputs_alone(), run.with_gradients(cotangents)


def expect_second_order(
    call: Call, dtype: str, cotangents: Cotangents, directions: Mapping[str, Array], seed: int = 0
) -> Expected:
    """Compute what differentiating a call's gradients must give, and the tolerance.

    Parameters
    ----------
    call, dtype, seed
        As of `expect`. The gradients must be those of the outputs: not truncated, nor of the memory cell alone.
    cotangents
        One per float output, None for an output that is not used.
    directions
        What each gradient is multiplied by before all are summed and differentiated; none for one that is not used.

    Returns
    -------
    expected
        In place of outputs the gradients, which are what is differentiated here, and the gradients of their sum. These
        are NaN where a second derivative does not exist, as of the cosine of a zero vector; no type holds such a case.
    """
    form, kinds = format_of(dtype), call.spec.inputs_for(call.attributes)
    floats = {name: array.astype(np.float64) for name, array in call.float_inputs.items()}
    along = {name: array.astype(np.float64) for name, array in directions.items()}
    given = [*floats.values(), *along.values(), *(seed.astype(np.float64) for seed in cotangents if seed is not None)]
    noise, loudest = noise_of(form, seed, _all_whole(given), _adds_many(call)), _loudest(given)
    variables = {name: Traced.variable(Rounded.exactly(array, noise)) for name, array in floats.items()}
    with np.errstate(all="ignore"):
        inputs = {**call.inputs, **variables}
        outputs, vjp = getattr(reference, f"{call.operation}_vjp")(**inputs, **call.attributes)
        float_outputs = _FloatOutputs.of(call, [out.value if isinstance(out, Traced) else out for out in outputs])
        seeds = float_outputs.seeds(cotangents)
        first: dict[str, Traced] = vjp(*(Traced(Rounded.exactly(seed, noise)) for seed in seeds))
        weighted = [(first[name], Rounded.exactly(array, noise)) for name, array in along.items()]
        second = dict(zip(variables, gradients(weighted, list(variables.values())), strict=True))
        open_ = float_outputs.open_sequences(seeds)
        of_first, of_second = (
            {
                name: _bounded_gradient(array, form, loudest, kinds[name].per_sequence, open_)
                for name, array in results.items()
            }
            for results in (
                {name: d.value for name, d in first.items()},
                {name: np.zeros(floats[name].shape) if d is None else d for name, d in second.items()},
            )
        )
    return Expected(of_first, of_second, form, noise.overflowed)


class PerturbedRun:
    """The reference run once on a call, in all versions: the bounded `outputs`, and the way back from them."""

    def __init__(self, call: Call, dtype: str, seed: int = 0) -> None:
        self.form = format_of(dtype)
        self._kinds = call.spec.inputs_for(call.attributes)
        floats = {name: array.astype(np.float64) for name, array in call.float_inputs.items()}
        self._loudest = _loudest(floats.values())
        self._noise = noise_of(self.form, seed, _all_whole(floats.values()), _adds_many(call))
        inputs: dict[str, Any] = {
            name: Rounded.exactly(floats[name], self._noise) if name in floats else array
            for name, array in call.inputs.items()
        }
        self._vjp: Callable[..., Mapping[str, Rounded]] | None = None
        if _chooses_paths(call.spec):
            inputs |= _moved_scores(call, floats, self._noise)
        # Perturbed runs may overflow or meet 0/0 where the exact one does not; the bound is then infinite or NaN there.
        with np.errstate(all="ignore"):
            if call.spec.differentiable:
                outputs, self._vjp = getattr(reference, f"{call.operation}_vjp")(**inputs, **call.attributes)
            else:
                outputs = getattr(reference, call.operation)(**inputs, **call.attributes)
            self._after = self._noise.directions.position
            specified = call.spec.outputs_for(call.attributes)
            if self._noise.chose and any(item.kind == "ids" for item in specified.values()):
                outputs = self._with_more_choices(call, floats, outputs, seed)
            self._float_outputs = _FloatOutputs.of(call, outputs)
            self.outputs = {
                name: replace(
                    _bounded(output, self.form, self._loudest, item.shape[:1] == ("B",)), impossible=item.impossible
                )
                if item.kind == "float"
                else _exactly(output, item.shape[:1] == ("B",))
                for (name, item), output in zip(specified.items(), outputs, strict=True)
            }
        self.overflowed = self._noise.overflowed
        self._gradients: dict[tuple[bytes, ...], tuple[dict[str, Bounded], bool]] = {}

    def _with_more_choices(
        self, call: Call, floats: Mapping[str, Array], outputs: Sequence[Any], seed: int
    ) -> list[Rounded | Array]:
        """The outputs with the versions of further runs, which differ where ids do.

        Of choices that follow each other, one may undo another: six versions may agree by chance.
        """
        runs = [list(map(_versions, outputs))]
        for more in range(1, MORE_CHOICES + 1):
            noise = noise_of(self.form, seed + more, self._noise.whole, self._noise.adds_many)
            inputs = {**call.inputs, **{name: Rounded.exactly(array, noise) for name, array in floats.items()}}
            again = getattr(reference, call.operation)(**inputs, **call.attributes)
            runs.append([_versions(output)[1:] for output in again])
        every = [np.concatenate(versions) for versions in zip(*runs, strict=True)]
        together = [Rounded(versions, self._noise) for versions in every]
        undecided = _FloatOutputs.of(call, together).undecided
        for versions, item in zip(every, call.spec.outputs_for(call.attributes).values(), strict=True):
            if item.kind == "float":
                open_ = for_each(undecided, versions[0], item.shape[:1] == ("B",))
                versions[RUNS:] = np.where(open_, versions[RUNS:], versions[0])
        return [
            of_all if isinstance(output, Rounded) else output for of_all, output in zip(together, outputs, strict=True)
        ]

    def outputs_alone(self) -> Expected:
        """The right outputs of the call."""
        return Expected(self.outputs, {}, self.form, self.overflowed)

    def with_gradients(self, cotangents: Cotangents) -> Expected:
        """The right outputs of the call, with the gradients for these cotangents."""
        gradients, overflowed = self.gradients(cotangents)
        return Expected(self.outputs, gradients, self.form, overflowed)

    def gradients(self, cotangents: Cotangents) -> tuple[dict[str, Bounded], bool]:
        """Go back from these gradients of the outputs to those of the inputs; None is as good as zeros here.

        With them, whether what lies between overflowed, forwards or backwards.
        """
        if self._vjp is None:
            return {}, self.overflowed
        seeds = self._float_outputs.seeds(cotangents)
        key = tuple(seed.tobytes() for seed in seeds)
        if key not in self._gradients:
            loudest = max(self._loudest, _loudest(seeds))
            self._noise.directions.position, self._noise.overflowed = self._after, self.overflowed
            whole, self._noise.whole = self._noise.whole, self._noise.whole and _all_whole(seeds)
            open_ = self._float_outputs.open_sequences(seeds)
            with np.errstate(all="ignore"):
                gradients = self._vjp(*(Rounded.exactly(seed, self._noise) for seed in seeds))
                bounded = {
                    name: _bounded_gradient(d, self.form, loudest, self._kinds[name].per_sequence, open_)
                    for name, d in gradients.items()
                }
                self._gradients[key] = bounded, self._noise.overflowed
            self._noise.whole = whole
        return self._gradients[key]


class _Recent:
    """The runs of late: the checks of an operation draw many of the same cases."""

    def __init__(self, runs: int, numbers: int) -> None:
        self._most, self._largest = runs, numbers
        self._runs: OrderedDict[Hashable, PerturbedRun] = OrderedDict()

    def run(self, call: Call, dtype: str, seed: int) -> PerturbedRun:
        """The run of this call; known by all that it consists of, as a backend may change arrays in place."""
        if sum(array.size for array in call.inputs.values()) > self._largest:
            return PerturbedRun(call, dtype, seed)
        inputs = tuple((name, array.dtype, array.shape, array.tobytes()) for name, array in call.inputs.items())
        key = (call.operation, dtype, seed, settings_of(call.attributes), inputs, in_force(dtype))
        if key not in self._runs:
            self._runs[key] = PerturbedRun(call, dtype, seed)
            if len(self._runs) > self._most:
                self._runs.popitem(last=False)
        self._runs.move_to_end(key)
        return self._runs[key]

    def forget(self) -> None:
        """Forget all."""
        self._runs.clear()


_RECENT: Final = _Recent(runs=512, numbers=4096)


def forget() -> None:
    """Forget what `expect` remembers."""
    _RECENT.forget()


@dataclass(frozen=True)
class _FloatOutputs:
    """The outputs of a call's cotangents: where each float output is impossible, and if sequences have it."""

    impossible: tuple[tuple[Array, bool], ...]
    undecided: Array
    """Which sequences have an id that could be another one, ``(B,)``; ``(1,)`` stands for all."""

    @classmethod
    def of(cls, call: Call, outputs: Sequence[Rounded | Array]) -> _FloatOutputs:
        """Look at the outputs, in any version of which a path may be impossible."""
        specified = call.spec.outputs_for(call.attributes).values()
        impossible, undecided = [], np.zeros(1, np.bool_)
        for output, item in zip(outputs, specified, strict=True):
            per_sequence = item.shape[:1] == ("B",)
            if item.kind == "float":
                impossible.append((np.asarray((_versions(output) == item.impossible).any(axis=0)), per_sequence))
            else:
                ids = np.rint(_versions(output))  # where gradients are differentiated, ids are rounded like any number
                undecided = undecided | (ids != ids[0]).any(axis=(0, *range(2, ids.ndim)))
        return cls(tuple(impossible), undecided)

    def seeds(self, cotangents: Cotangents) -> list[Array]:
        """The cotangents in float64; to the reference, an output that is not used is one with a cotangent of 0."""
        return [
            np.zeros(impossible.shape) if cotangent is None else cotangent.astype(np.float64)
            for cotangent, (impossible, _) in zip(cotangents, self.impossible, strict=True)
        ]

    def open_sequences(self, seeds: Sequence[Array]) -> Array:
        """Which sequences are differentiated at what is impossible or at a choice, ``(B,)``; ``(1,)`` stands for all.

        Where several choices are right, so are the gradients of each.
        """
        open_ = np.zeros(1, np.bool_)
        for seed, (impossible, per_sequence) in zip(seeds, self.impossible, strict=True):
            used = (impossible | for_each(self.undecided, seed, per_sequence)) & (seed != 0)
            open_ = open_ | (used.any(axis=tuple(range(1, used.ndim))) if per_sequence else used.any())
        return open_


def bounded(result: Rounded, form: Format, loudest: float) -> Bounded:
    """Return a result of a longer computation, as version 0 has it, and its bound.

    Parameters
    ----------
    result
        The result in all versions.
    form
        The type whose rounding they show.
    loudest
        The largest magnitude of the numbers that it was computed from.
    """
    return _bounded(result, form, loudest, per_sequence=False)


def noise_of(form: Format, seed: int, whole: bool, adds_many: bool) -> Noise:
    """Where rounding to a type comes from, for numbers that are whole or not, and for sums of many terms or of few."""
    return Noise(form.unit_roundoff, form.smallest_normal, seed, whole, form.largest, in_force(form.name), adds_many)


def _chooses_paths(op: Operation) -> bool:
    """Whether the best of all paths is chosen, whose scores may be added up in any order."""
    moves = any(item.domain == "forbidding" for item in op.inputs.values())
    return moves and any(item.kind == "ids" for item in op.outputs.values())


def _moved_scores(call: Call, floats: Mapping[str, Array], noise: Noise) -> dict[str, Rounded]:
    """Each step's scores, moved by what rounding does to the score of a whole path.

    Paths may be followed from either end. Two that differ by less than rounding of their scores are then chosen between
    either way, though their difference shows where each score is added up from the beginning.
    """
    outputs = getattr(reference, call.operation)(**{**call.inputs, **floats}, **call.attributes)
    kinds = call.spec.outputs_for(call.attributes).values()
    of_paths = [_each_largest(score) for score, item in zip(outputs, kinds, strict=True) if item.kind == "float"]
    largest = np.maximum.reduce(of_paths)
    return {
        name: Rounded(noise.perturb(scores[np.newaxis], _spread_over(largest, scores), 1.0), noise)
        for name, scores in floats.items()
        if call.spec.inputs[name].per_sequence
    }


def _each_largest(array: Array) -> Array:
    """The largest finite magnitude of each sequence."""
    finite = np.where(np.isfinite(array), np.abs(array), 0.0)
    return np.asarray(finite.max(axis=tuple(range(1, array.ndim)), initial=0.0))


def _spread_over(sequences: Array, array: Array) -> Array:
    """A number of each sequence at every place of an array, and 0 where that is infinite."""
    each = sequences.reshape(-1, *(1,) * (array.ndim - 1))
    return np.where(np.isfinite(array), each, 0.0)


def _adds_many(call: Call) -> bool:
    """Whether a size or a number of rounds is so large that sums may have more than `FEW_TERMS` terms."""
    sizes = (size for array in call.inputs.values() for size in array.shape)
    rounds = (value for value in call.attributes.values() if isinstance(value, int))
    return any(count > FEW_TERMS for count in (*sizes, *rounds))


def _all_whole(arrays: Iterable[Array]) -> bool:
    return all(bool(np.all((array == np.rint(array)) | ~np.isfinite(array))) for array in arrays)


def _loudest(arrays: Iterable[Array]) -> float:
    """The largest finite magnitude; 0 where there is none."""
    return max((float(np.abs(array).max(initial=0.0, where=np.isfinite(array))) for array in arrays), default=0.0)


def _exactly(result: Rounded | Array, per_sequence: bool) -> Bounded:
    """Ids, which are right or wrong: not judged where rounding could have chosen otherwise.

    One choice leads to others: where one id of a sequence is open, so are all that it has.
    """
    if not isinstance(result, Rounded):
        return Bounded(result, np.zeros(result.shape))
    versions = result.versions()
    agreed = np.all(versions == versions[0], axis=0)
    if per_sequence:
        together = tuple(range(1, agreed.ndim))
        agreed = np.broadcast_to(agreed.all(axis=together, keepdims=True), agreed.shape)
    return Bounded(np.array(versions[0]), np.where(agreed, 0.0, np.inf))


def undecided_in(ids: Bounded) -> Array:
    """Which sequences have an id that could be another one."""
    return np.asarray(np.isinf(ids.bound).any(axis=tuple(range(1, ids.bound.ndim))))


def for_each(sequences: Array, array: Array, per_sequence: bool) -> Array:
    """A property of sequences, spread over an array with their axis first; another array has it if any sequence has."""
    return sequences[:, *(np.newaxis,) * (array.ndim - 1)] if per_sequence else np.asarray(sequences.any())


def _versions(result: Rounded | Array) -> Array:
    return result.versions() if isinstance(result, Rounded) else result[np.newaxis]


def _spread(versions: Array) -> Array:
    """The largest difference from version 0; NaN where there is one."""
    if versions[0].size <= _KEPT:
        return np.asarray(np.maximum.reduce(np.abs(versions - versions[0])))
    spread = np.zeros(versions.shape[1:])  # one version at a time takes less memory, and then less time
    for version in versions[1:]:
        gap = version - versions[0]
        np.maximum(spread, np.abs(gap, out=gap), out=spread)
    return spread


def _bounded(result: Rounded | Array, form: Format, loudest: float, per_sequence: bool) -> Bounded:
    versions = _versions(result)
    value = versions[0]
    with np.errstate(invalid="ignore"):
        spread, size = _spread(versions), np.abs(value)
    largest, exact = greatest(spread), False
    if not np.isfinite(largest):
        # One infinity less another is NaN, but they are equal. Where some versions have it, the spread is infinite.
        spread = np.abs(np.subtract(versions, value, out=np.zeros(versions.shape), where=versions != value)).max(axis=0)
        exact = np.isinf(value) & (spread == 0)
        size = np.where(np.isinf(value), 0.0, size)
        largest = spread.max(initial=0.0, where=~np.isinf(spread))
    together = tuple(range(1 if per_sequence else 0, value.ndim))
    widest = greatest(spread, axis=together, keepdims=True)
    r = widest / (greatest(size, axis=together, keepdims=True) + form.smallest_normal)
    grown = 1 + 8 * r
    amplified = AMPLIFIED * form.unit_roundoff * in_force(form.name).coarser
    if not greatest(r) <= amplified:  # else the rest adds nothing; not so where r is NaN
        decades = np.log10(np.maximum(r / amplified, 1))
        # Where nothing is left of a result, a right implementation may be anywhere: beyond the type, too. (A version of
        # minus infinity is none that is beyond the type.)
        unjudged = np.where((widest < form.most_judged) | np.isinf(widest), np.inf, np.nan)
        grown = np.where((r > 1) & (widest > loudest), unjudged, 1 + 8 * np.minimum(r, WILD) + decades / 2)
    rounding = spread + form.unit_roundoff * size + (largest / 4 + form.smallest_normal)
    perturbed = np.array(versions[1:RUNS]) if len(versions) > 1 and value.size <= _KEPT else None
    return Bounded(np.array(value), np.where(exact, 0.0, KAPPA * grown * rounding), perturbed)


def _bounded_gradient(
    result: Rounded | Array, form: Format, loudest: float, per_sequence: bool, open_: Array
) -> Bounded:
    """A gradient, of which the part that the open sequences have must be finite: of a parameter, all if there are any.

    An infinity is no gradient: its bound is NaN, and no type holds it.
    """
    bounded = _bounded(result, form, loudest, per_sequence)
    # The parameters' gradients are sums over all sequences.
    bound = np.where(for_each(open_, bounded.value, per_sequence), np.inf, bounded.bound)
    return Bounded(bounded.value, np.where(np.isfinite(bounded.value), bound, np.nan), bounded.perturbed)
