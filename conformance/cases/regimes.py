"""Value regimes: the kinds of numbers in a call.

By default, values are generic: distinct, signed, with initial states that are not zero. Constant weights and zero
states hide most faults. The other regimes have numbers at which implementations are known to break.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np

from rnnspec.conformance.judge.formats import Format, format_of
from rnnspec.spec import Operation, operation, resolved
from rnnspec.spec.activations import ACTIVATIONS, Activation, chosen, is_activation
from rnnspec.spec.arrays import Floats
from rnnspec.spec.operation import Input

# Properties of operations.


def choices_of(op: Operation) -> frozenset[str]:
    """Return the sizes that count alternatives, such as tags or tokens: upper bounds of ids, and axes of moves."""
    named = {item.below for item in op.inputs.values() if item.kind == "ids" and item.below}
    return frozenset(named | {item.shape[-1] for item in op.inputs.values() if item.domain == "forbidding"})


def scores_of(op: Operation) -> frozenset[str]:
    """Return the names of the inputs that are scores, the highest of which is chosen or most probable.

    An input is a score if its domain is forbidding, or if its last axis counts alternatives. If the operation has the
    law ``shift`` or ``sums_to_one``, its only float input per sequence is a score, or else `v_a`, which makes a
    decoder's scores.
    """
    plain = {name: item for name, item in op.inputs.items() if item.kind == "float" and not item.domain}
    found = {name for name, item in op.inputs.items() if item.domain == "forbidding"}
    found |= {name for name, item in plain.items() if item.shape[-1:] and item.shape[-1] in choices_of(op)}
    own = [name for name, item in plain.items() if item.per_sequence]
    if {"shift", "sums_to_one"} & set(op.laws):
        found |= {own[0]} if len(own) == 1 else {"v_a"} & set(plain)
    return frozenset(found)


def has_scores(op: Operation) -> bool:
    """Return whether any of its inputs is a score."""
    return bool(scores_of(op))


def has_moves(op: Operation) -> bool:
    """Return whether moves may be forbidden."""
    return any(item.domain == "forbidding" for item in op.inputs.values())


def has_tagged_moves(op: Operation) -> bool:
    """Return whether moves may be forbidden between tags that the call gives for every step."""
    return op.has_steps and has_moves(op) and any(_tags(item) for item in op.inputs.values())


def _tags(item: Input) -> bool:
    return item.kind == "ids" and item.shape == ("B", "T") and bool(item.below)


def has_memory(op: Operation) -> bool:
    """Return whether a gate keeps the state."""
    return bool(op.memory_gate)


def takes_spectra(op: Operation) -> bool:
    """Return whether it looks at singular values of matrices."""
    return any(re.search(r"(singular_values|spectral_norm)\(", block.text) for block in op.equations)


def takes_norms(op: Operation) -> bool:
    """Return whether it divides by a norm, or compares numbers with a threshold."""
    return bool({"clipping", "zeros"} & set(op.laws))


def gives_ids(op: Operation) -> bool:
    """Return whether an output has ids, and so the operation chooses."""
    return any(output.kind == "ids" for output in op.outputs.values())


# Square matrices.


def _symmetric(matrices: Floats) -> Floats:
    """Symmetric and indefinite, with its greatest eigenvalue below 0 in size."""
    return _of_eigenvalues(matrices, lambda size: np.append(np.linspace(0.2, 0.8, size - 1), -1.0))


def _negative_definite(matrices: Floats) -> Floats:
    return _of_eigenvalues(matrices, lambda size: np.linspace(-1.0, -0.3, size))


def _orthogonal(matrices: Floats) -> Floats:
    return np.asarray(np.linalg.qr(matrices)[0])


def _of_no_row_sums(matrices: Floats) -> Floats:
    """A vector of equal numbers is in the null space: it is no beginning of a power iteration."""
    multiples = np.rint(matrices * 64) / 64  # of which sums are exact in every type
    multiples[..., 0] -= multiples.sum(axis=-1)
    return multiples


def _nilpotent(matrices: Floats) -> Floats:
    """A power of it is 0, and so are all its eigenvalues."""
    return np.triu(matrices, 1)


def _of_eigenvalues(matrices: Floats, values: Callable[[int], Floats]) -> Floats:
    bases = np.linalg.qr(matrices)[0]
    return np.asarray(bases * values(matrices.shape[-1]) @ np.swapaxes(bases, -1, -2))


@dataclass(frozen=True)
class Regime:
    """Scales of the inputs, states, matrices (on top of 1/√fan-in; `recurrent` for those of the state) and biases.

    Probabilities have no scales; with `nearly_certain`, they come close to 0 and 1.
    """

    name: str
    about: str
    inputs: float = 1.0
    states: float = 0.7
    matrices: float = 1.0
    recurrent: float = 1.0
    biases: float = 0.5
    remembers: bool = False
    own_scales: bool = False
    whole: bool = False
    forbids: float = 0.0
    """Share of forbidden entries where they are legal."""

    forbids_padding: bool = False
    """Whether the last tag is forbidden, and only the padding has it."""

    empties: bool = False
    nearly_certain: bool = False
    lowers: bool = False
    """Whether scores fall below the numbers with which implementations mask."""

    far: tuple[float, float] | None = None
    """How long vectors are whose squares come near the ends of the type or pass them: shares of the way, less than 0 to
    the lower end."""

    twins: bool = False
    """Whether alternatives come in equal pairs."""

    one_sign: bool = False
    """Whether all cotangents are positive."""

    small: bool = False
    """Whether all numbers but those of matrices are very small, at one scale."""

    contradicts: bool = False
    """Whether probabilities are 0 (and 1, if `whole`) whatever came true."""

    offset: float = 0.0
    """The number around which those of each sequence lie."""

    least: bool = False
    """Whether numbers that cannot be negative, such as weights of steps, are 0."""

    matrix: Callable[[Floats], Floats] | None = None
    """The square matrices that the regime makes of generic ones, ``(..., H, H)``."""

    of: Callable[[Operation], bool] = lambda op: True
    """Whether the regime is of use for an operation."""

    def applies(self, op: Operation) -> bool:
        """Return whether the regime is of use for an operation, and differs from the generic one."""
        return self.name in regimes_for(op)


def never(op: Operation) -> bool:
    """Return that a regime is of use in no covering array: a few calls of their own have it."""
    return False


STRUCTURES: Final[Mapping[str, tuple[str, Callable[[Floats], Floats]]]] = {
    "symmetric": ("symmetric indefinite matrices, all else 0", _symmetric),
    "negative_definite": ("symmetric matrices of negative eigenvalues, all else 0", _negative_definite),
    "no_row_sums": ("matrices of which every row adds up to 0, all else 0", _of_no_row_sums),
    "nilpotent": ("matrices of which a power is 0, all else 0", _nilpotent),
    "orthogonal": ("orthogonal matrices, all else 0", _orthogonal),
}
"""Regimes of square matrices: of each, what is said and how it is made of generic matrices."""

NOT_NEGATIVE: Final = ("square", "mean")
"""Domains of inputs that cannot be negative, and of what is 0 wherever those are."""

REGIMES: Final[Mapping[str, Regime]] = {
    regime.name: regime
    for regime in (
        Regime("generic", "of order 1, all distinct"),
        Regime("one_sign", "generic, with cotangents of one sign", one_sign=True),
        Regime("scaled", "each array at a scale of its own, and cotangents at a loss's", own_scales=True),
        Regime("integers", "small whole numbers, exact in every type", whole=True),
        Regime(
            "tiny", "near the smallest numbers of the type",
            2.0**-6, 2.0**-6, 2.0**-5, 2.0**-5, 2.0**-6, nearly_certain=True,
        ),
        Regime(
            "saturating", "gates at 0 and 1",
            inputs=3.0, states=2.0, matrices=6.0, recurrent=4.0, biases=4.0, nearly_certain=True,
        ),
        Regime("overflowing", "gates' arguments whose exponential overflows", biases=150.0),
        Regime(
            "long_memory", "the gate that keeps the state is open",
            recurrent=0.3, biases=0.2, remembers=True, of=has_memory,
        ),
        Regime("forbidding", "minus infinity where it is legal", forbids=0.25, of=has_moves),
        Regime("zeros", "half of all vectors of inputs and states are zero", empties=True),
        Regime(
            "chaotic", "recurrent weights that amplify every difference", matrices=0.5, recurrent=4.0, biases=0.1
        ),
        Regime("masking", "scores below those that implementations mask with", lowers=True, of=has_scores),
        Regime("far", "vectors whose squares come near the ends of the type", far=(-1.0, 1.0), of=takes_norms),
        Regime("impossible", "too much is forbidden for any path", forbids=0.25, of=has_moves),
        Regime(
            "padding_forbidden", "the padding alone has moves that are forbidden",
            forbids_padding=True, of=has_tagged_moves,
        ),
        Regime("large", "results beyond the range of two bytes", inputs=2.0**20, of=never),
        Regime("small", "all but matrices at one scale of 1e-11 to 1e-9", small=True, of=never),
        Regime("longest", "all vectors so long that their squares pass the type", far=(0.8, 1.0), of=never),
        Regime("shortest", "all vectors so short that their squares pass the type", far=(-1.0, -0.8), of=never),
        Regime("offset", "numbers far from 0 beside their differences", offset=2.0**7, of=never),
        Regime("weightless", "weights of steps and means of squares 0", least=True, of=never),
        Regime("contradicting", "probabilities of 0 and 1 whatever came true", whole=True, contradicts=True, of=never),
        Regime("unforeseen", "half of all probabilities 0 whatever came true", contradicts=True, of=never),
        *(
            Regime(name, about, inputs=0.0, states=0.0, biases=0.0, matrix=matrix, of=never)
            for name, (about, matrix) in STRUCTURES.items()
        ),
        Regime("ties", "alternatives come in equal pairs", whole=True, twins=True, of=gives_ids),
    )
}  # fmt: skip


OF_THEIR_OWN: Final = tuple(regime.name for regime in REGIMES.values() if regime.of is never)
"""Regimes that no pair of choices is met with: a few calls of their own have them."""


def regimes_for(op: Operation) -> tuple[str, ...]:
    """Return the names of the regimes that are of use for an operation and differ from the generic one, which is first.

    They are the regimes of the operation with its default attributes, for every choice of parts. A regime with the
    inputs of the generic one, such as `one_sign`, is none of them.
    """
    return _regimes_for(op.name)


@cache
def _regimes_for(name: str) -> tuple[str, ...]:
    op = operation(name)
    attributes = op.defaults()
    op = resolved(op, attributes)
    generic = _sample("generic", op, attributes)
    return tuple(
        regime.name
        for regime in REGIMES.values()
        if regime.name == "generic"
        or (regime.of(op) and (regime.forbids_padding or not _alike(_sample(regime.name, op, attributes), generic)))
    )


def _sample(name: str, op: Operation, attributes: Mapping[str, Any]) -> list[Floats]:
    """Floats of a regime for all float inputs, at small sizes."""
    items = [item for item in op.inputs.values() if item.kind == "float"]
    gates = len(op.gates_for(attributes))
    shapes = [tuple(gates if axis == "G" else int(axis) if axis.isdigit() else 4 for axis in i.shape) for i in items]
    form = format_of("float32")
    return [
        fill(name, op, item, shape, attributes, np.random.default_rng(seed), form)
        for item, shape in zip(items, shapes, strict=True)
        for seed in range(4)
    ]


def _alike(one: list[Floats], other: list[Floats]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def fill(
    name: str,
    op: Operation,
    item: Input,
    shape: tuple[int, ...],
    attributes: Mapping[str, Any],
    rng: np.random.Generator,
    form: Format,
) -> Floats:
    """Return float64 numbers of `shape` for one input in a regime; the caller rounds them to the type of `form`."""
    regime = REGIMES[name]
    if item.domain == "probability":
        return _probabilities(regime, shape, rng)
    if item.domain in NOT_NEGATIVE:
        if regime.least:
            return np.zeros(shape)
        plain = fill(name, op, replace(item, domain=""), shape, attributes, rng, form)
        return _running_means(plain, op, item, attributes)
    if regime.whole:
        numbers = rng.integers(-2, 3, shape).astype(np.float64)
        return _in_pairs(numbers, op, item, rng) if regime.twins else numbers
    numbers = rng.normal(size=shape)
    numbers *= _scale(regime, op, item, shape, attributes)
    if item.per_sequence and not item.domain:
        numbers += regime.offset
    if regime.own_scales:
        numbers *= float(np.exp(rng.uniform(np.log(0.03), np.log(5.0))))
    vectors = item.per_sequence or "B" not in op.sizes
    if regime.far and vectors:
        numbers *= 10.0 ** (_far(op, form) * rng.uniform(*regime.far))
    clip = attributes.get("clip")
    if item.name == "b" and clip is not None and 0.1 <= regime.biases <= 0.5 and not regime.whole:
        _reach(numbers, clip, rng)
    if regime.remembers and item.name == "b" and op.memory_gate:
        _open_memory(np.moveaxis(numbers, item.shape.index("G"), 0), op, attributes)
    if regime.matrix and len(shape) > 1 and shape[-1] == shape[-2] and not item.per_sequence:
        numbers = regime.matrix(numbers)
    if regime.empties and vectors:
        numbers[rng.random(shape[:-1]) < 0.5] = 0
    if item.domain == "forbidding":
        # No path is left if all moves, all beginnings or all ends are forbidden; mostly one of them is.
        all_of_it = regime.name == "impossible" and rng.random() < (0.7 if len(shape) > 1 else 0.2)
        numbers[rng.random(shape) < (1.0 if all_of_it else regime.forbids)] = -np.inf
        if regime.forbids_padding:
            _forbid_the_last(numbers)
    if regime.lowers and item.name in scores_of(op):
        _lower(numbers, form, rng, apart=gives_ids(op))
    return numbers


def _far(op: Operation, form: Format) -> float:
    """Decades by which vectors are scaled up or down at most.

    Squares pass the type's ends beyond half of its decades. Clipped vectors may pass it, since their norms and results
    stay within the type. Squares of vectors that are divided by their norm stay within the type.
    """
    decades = min(np.log10(form.largest), -np.log10(form.smallest_normal))
    return float(0.75 * decades if "clipping" in op.laws else min(0.4 * decades, 12.0))


def _scale(regime: Regime, op: Operation, item: Input, shape: tuple[int, ...], attributes: Mapping[str, Any]) -> float:
    """Scale of an input's numbers."""
    axes = [axis for axis in item.shape if axis != "G"]
    if item.per_sequence:
        if regime.name == "overflowing" and "b" not in op.inputs:
            return regime.biases
        return regime.inputs if "T" in item.shape or item.name == "x" else regime.states
    # relu and its like do not squash: an amplifying recurrence would leave every type's range within a few steps.
    unbounded = not all(one.bounded for one in activations_of(op, attributes))
    if len(axes) >= 2:
        recurrent = axes[1] != "D"
        gain = regime.recurrent if recurrent else regime.matrices
        return float((min(gain, 0.5) if unbounded and recurrent else gain) / max(shape[-1], 1) ** 0.5)
    return regime.biases


_MASKS: Final = (1e4, 1e9, 1e30)
"""Magnitudes of the negative numbers with which implementations replace minus infinity."""


def _lower(scores: Floats, form: Format, rng: np.random.Generator, *, apart: bool) -> None:
    """Lower some rows below a masking number, and in every second array half of the scores of some other rows."""
    rows = rng.random((*scores.shape[:-1], 1))
    partly = rng.random() < 0.5
    low = (rows < 0.4) | (partly & (rows < 0.8) & (rng.random(scores.shape) < 0.5))
    depth = rng.choice([mask for mask in _MASKS if mask * 4 < form.largest])
    # Without a spread, scores differ too little to choose by: the type rounds them beside so large a number.
    spread = rng.uniform(-0.1, 0.1, scores.shape) if rng.random() < 0.5 or apart else 0.0
    scores -= np.where(low, depth * (1 + spread), 0.0)


def _forbid_the_last(scores: Floats) -> None:
    """Forbid the last alternative, unless it is the only one."""
    if scores.shape and scores.shape[-1] > 1:
        for axis in range(scores.ndim):
            np.moveaxis(scores, axis, 0)[-1] = -np.inf


def _in_pairs(numbers: Floats, op: Operation, item: Input, rng: np.random.Generator) -> Floats:
    """The numbers, equal for both alternatives of a pair; weights that make scores may be 0."""
    sizes = choices_of(op)
    if item.shape[:1] and item.shape[0] in sizes and item.shape[-1] not in sizes and rng.random() < 0.5:
        numbers = np.zeros_like(numbers)  # so that scores are whole numbers, and ties exact
    for axis, symbol in enumerate(item.shape):
        if symbol in sizes:
            length = numbers.shape[axis]
            twins = np.minimum(np.arange(length) // 2, max(length // 2 - 1, 0))
            numbers = numbers.take(twins, axis=axis)
    return numbers


def _probabilities(regime: Regime, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Probabilities at the legal ends, where naive logarithms break, or near them, where clamped logarithms err."""
    if regime.contradicts:  # 1 less a probability of 1 is 0 for everyone where all numbers are whole
        numbers = rng.random(shape)
        return np.rint(numbers) if regime.whole else np.where(rng.random(shape) < 0.5, 0.0, numbers)
    if regime.whole:
        return _certain(shape)
    if not regime.nearly_certain:
        numbers = rng.random(shape)
        if regime.empties:  # a probability that equals its target, where the loss has no slope
            numbers[rng.random(shape) < 0.5] = 0.25
        return numbers
    rare = np.exp(-rng.uniform(0, rng.uniform(7, 40), shape))
    # A type other than float64 would round numbers closer to 1 to 1, and the loss would be infinite.
    return np.where(rng.random(shape) < 0.5, rare, 1 - np.maximum(rare, np.exp(-7)))


def _running_means(numbers: Floats, op: Operation, item: Input, attributes: Mapping[str, Any]) -> Floats:
    """Means of squares, and the means themselves if there are any: no square of one is above its mean of squares."""
    if item.domain == "mean":
        return np.clip(numbers, -0.5, 0.5)
    centred = any(other.domain == "mean" for other in op.inputs_for(attributes).values())
    return np.abs(numbers) + (1.0 if centred else 0.0)


def _certain(shape: tuple[int, ...]) -> Floats:
    """Probabilities of 0 and 1 in turn, the same for every array of a shape; the first of three rows is all 0.

    So the predictions come true: a loss is 0, where unlike probabilities would make it infinite.
    """
    places = np.indices(shape)
    empty = places[:-1].sum(axis=0) % 3 == 0
    return np.where(empty, 0, places.sum(axis=0) % 2).astype(np.float64)


def functions_of(op: Operation, attributes: Mapping[str, Any]) -> set[str]:
    """Return the functions that the attributes choose, such as activations, as the attributes name them."""
    found: set[str] = set()
    for name, attribute in op.attributes.items():
        if attribute.functions:
            value = attributes[name]
            found.update(value if attribute.is_tuple else (value,))
    return found


def activations_of(op: Operation, attributes: Mapping[str, Any]) -> list[Activation]:
    """Return what is known of the activations that the attributes choose."""
    return [ACTIVATIONS[chosen(text)[0]] for text in functions_of(op, attributes) if is_activation(text)]


def _reach(bias: Floats, clip: float, rng: np.random.Generator) -> None:
    """Bring some arguments near the clip and beyond it, since it would do nothing otherwise."""
    beyond = rng.random(bias.shape) < 0.25
    bias[beyond] = (clip * rng.uniform(0.9, 1.6, bias.shape) * rng.choice([-1, 1], bias.shape))[beyond]


def _open_memory(bias: Floats, op: Operation, attributes: Mapping[str, Any]) -> None:
    """Shift the bias of the memory gate so that the state is kept."""
    gates = op.gates_for(attributes)
    if op.memory_gate in gates:
        closing = attributes.get("update") == "admits"
        bias[gates.index(op.memory_gate)] += -4.0 if closing else 4.0
    else:  # coupled: the memory is kept where the input gate is closed
        bias[0] -= 4.0
