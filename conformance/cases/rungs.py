"""The ladder of a deck: calls with one size at which kernels break, all sizes at their least, and equal sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np

from rnnspec.conformance.cases.case import Case, Steps
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.factors import SMALL, STEPS, Factors
from rnnspec.conformance.cases.ladder import (
    DEEPEST,
    IN_ONE_PIECE,
    LABELS,
    LARGEST,
    OF_GRADIENTS,
    OF_PARTS_DIFFERENTIATED,
    OF_ROWS,
    ONCE,
    RUNGS,
    WHERE_CHEAP,
    depths,
    equal_sizes,
    goes_by_steps,
    is_differentiated,
    recurrent_sizes,
    rungs_of,
)
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import activations_of, choices_of, regimes_for
from rnnspec.spec import Operation, resolved
from rnnspec.spec.language import parse_size, size_of, sizes_in

DEAREST: Final = 2.5e8
_DEAREST_OF_CHOICES: Final = 1e7
"""Most floating-point operations of a call on the ladder, by the specification's cost model; fewer where it chooses."""

MEMORY: Final = 8
"""GiB that the largest call may take."""

_BYTES: Final = 8 * 7 * 4
"""Bytes for each number of a call: eight in each of seven versions, times four for intermediate results."""
_CHEAP: Final = 1.2e7
_FEW_ELEMENTS: Final = 1e6
"""Most operations and numbers of a call beyond the usual ladder."""
_WORK: Final = 1.5e6
_MUCH_WORK: Final = 5.3e6
"""Most operations and numbers together of a call whose size is beyond 16 bits, and of the one that is beyond 20."""
_MANY: Final = 127
_KINDS_OF_LABELS: Final = 17
_PADDED: Final = tuple(size for size in (*RUNGS, *ONCE["T"]) if size > 64)
"""Numbers of steps of which a sequence has fewer than another, beyond what a kernel reads at once."""
_KINDS_OF_PADDING: Final[tuple[Steps, ...]] = ("lengths", "mask")
_PADDED_SEQUENCES: Final = 4
"""Sequences of such a call: of all its steps, of whole blocks of them, and of any number."""
_BYTE: Final = (128, 256)
"""Numbers of alternatives beyond a byte, which are asked with every choice of the operation's own."""
_UNPADDED: Final = {"B": 3, "T": 257}
"""Sequences and steps of a call without padding, beyond what a kernel reads at once, and no multiple of it."""
_CHOOSING: Final = {"B": 4, "T": 3}
"""From so many alternatives on, calls have so many sequences and steps."""
_WIDELY_SPREAD: Final = "overflowing"
"""A regime of numbers so far apart that those of one block say nothing of the next one's."""
_MANY_STEPS: Final = {"T": OF_GRADIENTS}
_STEADY_FROM: Final = 32
"""Size from which the attributes keep numbers within the type."""


class DeckError(ValueError):
    """The requested cases cannot be planned; the message says why."""


@dataclass(frozen=True)
class Climber:
    """Makes the calls of the ladder up to the `largest` size, with the choices of a covering array's rows."""

    maker: Maker
    largest: int
    left_out: dict[str, list[int]] = field(default_factory=dict)
    """Sizes that take too long to judge."""

    @property
    def factors(self) -> Factors:
        """The choices."""
        return self.maker.factors

    def cases(self, rows: Sequence[Row], array: Sequence[Case], more: Iterator[Row]) -> Iterator[Case]:
        """Calls with one size at which kernels break and small others, then calls with equal sizes.

        Up to a block of 32 they have choices of `more` rows, which meet together what the array's rows do not.
        """
        if not self.largest or not rows:
            return
        levels = [self.factors.levels(row) for row in rows]
        own = [self.factors.is_own(row) for row in levels]
        number = 0
        own_rows = [row for row, is_own in zip(rows, own, strict=True) if is_own]
        own_choices = list(self.factors.meeting_own_choices(own_rows or rows))
        for symbol in (
            () if self.factors.few_shapes else dict.fromkeys(symbol for case in array for symbol in case.sizes)
        ):
            having = [place for place, case in enumerate(array) if symbol in case.sizes]
            # At large sizes, people run the library's own choices.
            having_own = [place for place in having if own[place]] or having
            depth = any(symbol in depths(case.spec) for case in array)
            met = {array[place].sizes[symbol] for place in having}
            least = self.factors.op.at_least.get(symbol, 1)
            for size in rungs_of(symbol, min(self.largest, DEEPEST) if depth else self.largest):
                if size in met or size < least:
                    continue
                places = having_own if size >= _STEADY_FROM else having
                row = levels[places[spread_order(len(places))[number % len(places)]]]
                another = next(more, None) if size < _STEADY_FROM else None
                case = self._rung(row if another is None else self.factors.levels(another), number, {symbol: size})
                if symbol not in case.sizes:  # under the other choices, there is no such size
                    case = self._rung(row, number, {symbol: size})
                if symbol == "T" and size in _PADDED:
                    case = self._padded(own_choices, number, size) or case
                number += 1
                if self._affordable(case, symbol, size):
                    yield case
                else:
                    self.left_out.setdefault(symbol, []).append(size)
                if size in _BYTE and symbol in choices_of(self.factors.op):
                    yield from self._with_own_choices(own_choices, 5000 + number, {symbol: size})
            if symbol == "T" and self.largest >= _UNPADDED["T"]:
                yield self._rung({**own_choices[-1], STEPS: "all"}, 5000 + number, _UNPADDED)
            for size in () if depth or self.largest < LARGEST else self._where_cheap(symbol):
                row = levels[places[spread_order(len(places))[number % len(places)]]]
                case = self._rung(row, number, {symbol: size})
                number += 1
                if _is_cheap(case):
                    # Of a sum of so many equal numbers, each addition may be rounded to the same side.
                    yield replace(case, differentiated=size == OF_ROWS and not self.of_parts)
        if not self.factors.few_shapes:
            steps = {STEPS: self.factors.support.steps[0]} if self.factors.support.steps else {}
            yield self._least({**levels[0], **steps})
        for pair in equal_sizes(resolved(self.factors.op, self.factors.support.defaults()), self.factors.symbols):
            apart = {symbol: 4 + place for place, symbol in enumerate(self.factors.symbols)}
            row = levels[spread_order(len(levels))[number % len(levels)]]
            yield self._rung(row, number, {**apart, **dict.fromkeys(pair, 3)})
            number += 1

    def _padded(self, choices: Sequence[Mapping[str, Any]], number: int, size: int) -> Case | None:
        """A case of many steps with a sequence that ends earlier than another, the choices taking turns."""
        kinds = [kind for kind in _KINDS_OF_PADDING if kind in self.factors.support.steps]
        if not self.factors.op.has_steps or not kinds:
            return None
        turn = _PADDED.index(size)
        # Each choice has either kind: where their number is even, kinds change places after every round of choices.
        shift = 0 if len(choices) % 2 else turn // len(choices)
        kind = kinds[0] if size in ONCE["T"] else kinds[(turn + shift) % len(kinds)]
        row = {**choices[turn % len(choices)], STEPS: "whole_blocks" if kind == "lengths" else kind}
        return self._with_padding(row, number, {"T": size, "B": _PADDED_SEQUENCES})

    def _with_padding(self, row: Mapping[str, Any], number: int, sizes: Mapping[str, int]) -> Case | None:
        """A case of these sizes with an invalid step, beside a sequence that reaches the last one."""
        made = (self._rung(row, number, sizes, attempt) for attempt in range(ATTEMPTS))
        return next((case for case in made if not case.valid.all()), None)

    def _with_own_choices(
        self, choices: Sequence[Mapping[str, Any]], number: int, sizes: Mapping[str, int]
    ) -> Iterator[Case]:
        """The cases of these sizes with each choice, where they are cheap."""
        for place, row in enumerate(choices):
            case = self._rung(row, number + 100 * place, sizes)
            if _is_cheap(case):
                yield replace(case, differentiated=False)

    def in_one_piece(self, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
        """Calls with one size beyond a block or 16 bits, and one with a size beyond 20 bits, where they are cheap.

        Of an operation that goes on step by step, such a call takes too long whatever it costs; a layer's cell has it.
        """
        op = self.factors.op
        by_steps = op.unrolls or (op.parts and goes_by_steps(op))
        if self.largest < LARGEST or self.factors.few_shapes or by_steps or not rows:
            return
        apart = recurrent_sizes(op) | depths(op)
        symbols = [symbol for symbol in dict.fromkeys(chain(*(case.sizes for case in array))) if symbol not in apart]
        having = {symbol: [place for place, case in enumerate(array) if symbol in case.sizes] for symbol in symbols}
        number, last = 0, None
        kinds = [kind for kind in _KINDS_OF_PADDING if kind in self.factors.support.steps and op.has_steps]
        for turn, size in enumerate((*IN_ONE_PIECE, OF_GRADIENTS)):
            for symbol in symbols:
                places = having[symbol]
                row = self.factors.levels(rows[places[spread_order(len(places))[number % len(places)]]])
                padded = None
                if symbol == "T" and kinds:
                    row = {**row, STEPS: kinds[turn % len(kinds) - 1]}
                    padded = self._with_padding(row, 8000 + number, {symbol: size})
                case = padded or self._rung(row, 8000 + number, {symbol: size})
                if turn % 2 and _WIDELY_SPREAD in regimes_for(op):
                    case = replace(case, regime=_WIDELY_SPREAD)
                number += 1
                work = flops_of(case) + _size_of(case, "elements")
                if case.sampled or not _reaches(case, size):
                    continue
                case = replace(case, differentiated=size == OF_GRADIENTS)
                if size == IN_ONE_PIECE[-1]:
                    last = case if work <= _MUCH_WORK else last
                elif work <= _WORK:
                    yield case
        if last is not None:
            yield last
        if "T" in symbols:
            for place, row in enumerate(self.factors.meeting_own_choices(rows)):
                case = self._rung(
                    {**row, STEPS: kinds[place % len(kinds)] if kinds else "all"}, 9000 + place, _MANY_STEPS
                )
                if flops_of(case) + _size_of(case, "elements") <= _WORK and not case.sampled:
                    yield replace(case, differentiated=True)
                    yield replace(case, regime="offset", differentiated=False)  # a mean that is not next to 0

    def labelled(self, rows: Sequence[Row]) -> Iterator[Case]:
        """Calls of sequences with many labels, and with as many steps and as many kinds of labels as these need."""
        if not self.largest or self.factors.few_shapes or not rows:
            return
        for symbol in counts_of(self.factors.op):
            for number, size in enumerate(size for size in LABELS if size <= self.largest):
                # Of so many kinds, few labels come twice in a row, and need a step between.
                sizes = {"B": 2 if size < _MANY else 1, "T": size + size // 8 + 2, "K": _KINDS_OF_LABELS, symbol: size}
                row = {**self.factors.levels(rows[number % len(rows)]), "regime": "generic", STEPS: "all"}
                case = self.maker.with_some_step(row, -ATTEMPTS * (6000 + number), sizes)
                yield replace(case, differentiated=size <= max(OF_PARTS_DIFFERENTIATED))

    def _beside(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Sequences and steps beside a large number of alternatives: enough to meet those of high numbers."""
        many = any(sizes.get(symbol, 0) >= _MANY for symbol in choices_of(self.factors.op))
        return {name: count for name, count in _CHOOSING.items() if name in self.factors.op.sizes} if many else {}

    def _where_cheap(self, symbol: str) -> Iterator[int]:
        """Sizes of the ladder that a symbol has only where its call is cheap."""
        yield from (size for size in WHERE_CHEAP if size not in rungs_of(symbol, self.largest))
        if symbol in choices_of(self.factors.op):
            yield OF_ROWS

    def _least(self, row: Mapping[str, Any]) -> Case:
        """A case whose sizes are all as small as they may be, with ids that agree where there are several arrays."""
        sizes = {symbol: self.factors.op.at_least.get(symbol, 1) for symbol in self.factors.symbols}
        first = self._rung(row, 0, sizes)
        more = (self._rung(row, number, sizes) for number in range(1, ATTEMPTS))  # made only where they are needed
        return next((case for case in chain([first], more) if _ids_agree(case)), first)

    @property
    def of_parts(self) -> bool:
        """Whether an attribute chooses the operation's parts."""
        return any(part.operation in self.factors.op.attributes for part in self.factors.op.parts)

    def _rung(self, row: Mapping[str, Any], number: int, sizes: Mapping[str, int], attempt: int = 0) -> Case:
        """A generic case of these sizes with a row's choices."""
        beside = self._beside(sizes)
        case = self.maker.with_some_step({**row, "regime": "generic"}, ATTEMPTS * number + attempt, {**beside, **sizes})
        if beside and not case.has_padding_label:
            case = replace(case, steps="all")
        if sizes.get("T", 0) > SMALL[-1][1] and case.spec.has_steps and not case.valid[:, -1].any():
            case = replace(case, steps="all")  # of steps that no sequence reaches, nothing would be seen
        if max(sizes.values()) >= _STEADY_FROM:
            case = self._steady(case)
        if flops_of(case) > _dearest(case):  # plainer parts and fewer rounds may be cheaper
            case = self._plainest(case)
        if not all(is_differentiated(size, self.of_parts) for size in sizes.values()):
            case = replace(case, differentiated=False)
            # Each part has a ladder of its own, so that the default part is enough here.
            case = self._plainest(case) if self.of_parts else case
        if case.sampled:
            least = {"D": 3, **self.factors.op.at_least}  # a single feature may be dropped
            small = {symbol: least.get(symbol, 1) for symbol in case.sizes}
            case = replace(
                case, sizes={**small, **{key: size for key, size in sizes.items() if key in small}}, steps="all"
            )
        return case

    def _steady(self, case: Case) -> Case:
        """The case with attributes under which numbers stay within the type over any number of steps."""
        usual = self.factors.support.defaults()
        if not all(one.bounded for one in activations_of(case.spec, case.attributes)):
            return replace(case, attributes=usual)
        rates = [key for key in case.attributes if self.factors.op.attributes[key].domain == "probability"]
        return replace(case, attributes={**case.attributes, **{key: usual[key] for key in rates}})

    def _plainest(self, case: Case) -> Case:
        """The case with default attributes, one round if an attribute counts them, and an affordable part if any."""
        usual = self.factors.support.defaults()
        rounds = {key: 1 for key, attribute in self.factors.op.attributes.items() if attribute.size and usual[key]}
        plain = replace(case, attributes={**usual, **rounds})
        choosers = {part.operation for part in self.factors.op.parts} & set(self.factors.op.attributes)
        others = (
            plain.with_attributes(**{key: level.only}) for key in choosers for level in self.factors.support.levels[key]
        )
        return next((one for one in (plain, *others) if flops_of(one) <= _dearest(case)), plain)

    def _affordable(self, case: Case, symbol: str, size: int) -> bool:
        """Whether a case is not too dear; beyond `LARGEST`, raise DeckError unless it fits the memory."""
        if self.largest <= LARGEST:
            return flops_of(case) <= _dearest(case)
        gibibytes = _size_of(case, "elements") * _BYTES / 2**30
        if gibibytes > MEMORY:
            raise DeckError(
                f"--largest {self.largest}: expected sizes that fit {MEMORY} GiB, but {case.operation} takes "
                f"{gibibytes:,.0f} GiB where {symbol} is {size:,}"
            )
        return True


def _dearest(case: Case) -> float:
    """Most floating-point operations of a call: each choice is looked at in all versions, and may take further runs."""
    return _DEAREST_OF_CHOICES if chooses(case) else DEAREST


def chooses(case: Case) -> bool:
    """Whether the call returns ids, each of which is the greatest of several numbers."""
    return any(item.kind == "ids" for item in case.results.values())


def counts_of(op: Operation) -> tuple[str, ...]:
    """Return the sizes up to which an input counts things in a sequence, such as labels, each of which takes a step."""
    below = {item.below for item in op.inputs.values() if item.kind == "ids" and item.shape == ("B",)}
    sizes = {symbol: text for _, same in op.same_size for symbol, text in same.items() if symbol in below}
    return tuple(dict.fromkeys(symbol for text in sizes.values() for symbol in sizes_in(parse_size(text, op.name))))


def _is_cheap(case: Case) -> bool:
    """Whether a call beyond the usual ladder is cheap enough."""
    return flops_of(case) <= _CHEAP and _size_of(case, "elements") <= _FEW_ELEMENTS


def _reaches(case: Case, size: int) -> bool:
    """Whether some array of the case is so large."""
    return any(size in case.shape_of(item.shape) for item in case.items.values())


def _ids_agree(case: Case) -> bool:
    ids = [case.given.inputs[name] for name, item in case.items.items() if item.kind == "ids"]
    return all(np.array_equal(one, other) for one, other in pairwise(ids))


def flops_of(case: Case) -> float:
    """Return a call's floating-point operations, by the specification's cost model."""
    return _size_of(case, "flops")


def _size_of(case: Case, what: str) -> float:
    """A case's cost by the specification's cost model: ``flops`` or ``elements``."""
    return float(size_of(parse_size(case.spec.cost[what], f"{case.operation}, cost"), case.lengths_of))
