"""One case: the choices from which a call's arrays are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends import Call
from rnnspec.conformance.cases.regimes import NOT_NEGATIVE, REGIMES, fill
from rnnspec.conformance.cases.steps import BY_LENGTHS, BY_MASK, NEEDS, Steps, valid_steps
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import Operation, complete_sizes, operation, resolved
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Input, Output, holds

__all__ = ["BY_LENGTHS", "BY_MASK", "NEEDS", "Case", "Steps"]

_PADDED: Final[tuple[Steps, ...]] = ("lengths", "right_mask", "mask")
_JUDGED_WHOLE: Final = 4096
"""Largest batch of which all sequences are judged."""
_SAMPLE: Final = 24
_SHOWN_LENGTHS: Final = 8
_SHOWN_STEPS: Final = 40
_LOSS_SCALE: Final = 16
"""The power of two by which a loss is scaled, up or down, in a type with room for it."""
_SMALL: Final = (9.0, 11.0)
"""Powers of ten by which small numbers are scaled down."""
_FAR_APART: Final = (0, 1 << 8, 1 << 16, 1 << 24)
"""Numbers that are added to ids without a bound: a byte, two of them, or a float32 cannot tell them apart."""
_DECIDING: Final = (1, 2, 127, 128, 129, 255, 256, 257, 32_767, 32_768)
"""Ids at which a narrower type ends; the last one is another."""
_DECIDED: Final = 0.75
"""Share of ids among many that are deciding ones."""
_MANY_IDS: Final = 64
"""Number of ids from which some are chosen from the deciding ones."""


_HANDED_OUT: Final = frozenset(("call", "cotangents", "directions"))
"""Cached attributes of a case whose arrays backends receive."""


def _has_default(one: Field[Any]) -> bool:
    return one.default is not MISSING or one.default_factory is not MISSING


@dataclass(frozen=True)
class Case:
    """A call and its cotangents, named by sizes, attributes, regime and seed rather than by arrays.

    Equal cases make equal arrays. Every float is exactly representable in `dtype`.
    """

    operation: str
    dtype: str
    sizes: Mapping[str, int]
    attributes: Mapping[str, Any]
    regime: str = "generic"
    steps: Steps = "all"
    absent: tuple[str, ...] = ()
    seed: int = 0
    differentiated: bool = True
    """Whether the checks ask for its gradients, beside its outputs."""

    drawn_for: Mapping[str, Any] | None = None
    """The attributes that the numbers are drawn for, if the call has others."""

    zero: tuple[str, ...] = ()
    """Float inputs of which every number is 0."""

    worked_out: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Cache of values that follow from the case, by name; a case made from this one begins with an empty one."""

    def to_json(self) -> dict[str, Any]:
        """Return the choices as plain data."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        """Make a case from plain data, which may have more entries; the specification's tuples are lists in JSON."""
        wanted = [one for one in fields(cls) if one.init and (one.name in data or not _has_default(one))]
        given = {one.name: data[one.name] for one in wanted}
        for name in ("attributes", "drawn_for"):
            if given.get(name) is not None:
                given[name] = {
                    key: tuple(value) if isinstance(value, list) else value for key, value in given[name].items()
                }
        return cls(**{**given, **{name: tuple(given.get(name, ())) for name in ("absent", "zero")}})

    @cached_property
    def spec(self) -> Operation:
        """The operation's specification, with the parts that the attributes choose."""
        return resolved(operation(self.operation), self.attributes)

    @cached_property
    def lengths_of(self) -> dict[str, int]:
        """All sizes by symbol, including those that follow from others."""
        # A case whose attributes were changed after drawing may have sizes that were not drawn.
        undrawn = {symbol: max(2, self.spec.at_least.get(symbol, 1)) for symbol in self.spec.sizes if symbol != "n"}
        return complete_sizes(self.spec, self.attributes, {**undrawn, **self.sizes})

    @cached_property
    def items(self) -> dict[str, Input]:
        """The call's inputs by name, each with its shape under the attributes."""
        return self.spec.inputs_for(self.attributes)

    @cached_property
    def results(self) -> dict[str, Output]:
        """The call's outputs by name, each with its shape under the attributes."""
        return self.spec.outputs_for(self.attributes)

    def with_attributes(self, **changed: Any) -> Case:
        """Return the case under other attributes; arrays of the same shape keep their values."""
        wanted = {**self.attributes, **changed}
        kinds = self.spec.attributes
        meant = {key: value if holds(kinds[key].when, wanted) else kinds[key].default for key, value in wanted.items()}
        return replace(self, attributes=meant, drawn_for=self.drawn_for or self.attributes)

    def with_at_least(self, **sizes: int) -> Case:
        """Return the case with sizes at least as large as these, if it has such sizes.

        A strategy mapped by this function draws the same cases as others, and wastes none, unlike a filtered one.
        """
        return replace(self, sizes={key: max(size, sizes.get(key, size)) for key, size in self.sizes.items()})

    def with_padding(self) -> Case:
        """Return the case with lengths or a mask; the seed decides between them if it has neither."""
        return self if self.steps != "all" else replace(self, steps=_PADDED[self.seed % len(_PADDED)])

    def shape_of(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        """Return the shape of an array with the symbolic axes of an input or output."""
        return tuple(int(axis) if axis.isdigit() else self.lengths_of[axis] for axis in axes)

    @cached_property
    def call(self) -> Call:
        """The call with arrays that a backend may change."""
        inputs = {name: array.copy() for name, array in self.given.inputs.items()}
        return Call(self.operation, inputs, self.given.attributes)

    @cached_property
    def given(self) -> Call:
        """The same call with arrays that no backend receives, and so none can change."""
        return Call(self.operation, self._inputs(), dict(self.attributes))

    def anew(self) -> Case:
        """Return the case with arrays of its own; all other cached values are shared."""
        _ = self.given, self.given_cotangents
        case = object.__new__(Case)
        case.__dict__.update({name: value for name, value in self.__dict__.items() if name not in _HANDED_OUT})
        return case

    def call_of(self, rows: NDArray[np.int64]) -> Call:
        """Return the call with only these sequences, in this order."""
        inputs = {
            name: np.ascontiguousarray(array[rows]) if self.items[name].per_sequence else array
            for name, array in self.given.inputs.items()
        }
        return Call(self.operation, inputs, self.given.attributes)

    @property
    def sampled(self) -> bool:
        """Whether only a sample is judged: the batch is large, and no sequence depends on another."""
        large = self.sizes.get("B", 0) > _JUDGED_WHOLE and "batch" in self.spec.laws
        return large and all(output.shape[:1] == ("B",) for output in self.results.values())

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """Rows of the judged sequences: all, or a sample with the first, the last, and those around 2**15 and 2**16."""
        batch = self.sizes.get("B", 0)
        if not self.sampled:
            return np.arange(batch)
        beside = [row for end in (1, 1 << 15, 1 << 16, batch) for row in range(end - 3, end + 3)]
        ends = [row for row in beside if 0 <= row < batch]
        return np.unique([*ends, *self._rng("judged").integers(0, batch, _SAMPLE)])

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Whether each step of each sequence is valid, (B, T)."""
        return valid_steps(self.steps, self.sizes["B"], self.sizes["T"], self._rng("steps"))

    @cached_property
    def cotangents(self) -> tuple[Array, ...]:
        """One array per float output, in its shape; zero for sequences that are not judged."""
        return tuple(array.copy() for array in self.given_cotangents)

    @cached_property
    def given_cotangents(self) -> tuple[Array, ...]:
        """The cotangents in arrays that no backend receives."""
        found = []
        for output in self.results.values():
            if output.kind == "float":
                weights = self._weights("d" + output.name, self.shape_of(output.shape))
                if REGIMES[self.regime].one_sign:
                    weights = np.abs(weights)
                if REGIMES[self.regime].own_scales:
                    weights *= self._loss_scale
                if self.sampled:  # so that the gradients of parameters are those of the sample
                    weights[np.setdiff1d(np.arange(len(weights)), self.judged)] = 0
                found.append(weights)
        return tuple(found)

    @property
    def _loss_scale(self) -> Any:
        """A power of two, as a scaled loss gives it to all cotangents; the seed says whether it is large or small."""
        form = format_of(self.dtype)
        power = _LOSS_SCALE if form.largest > 2.0 ** (4 * _LOSS_SCALE) else _LOSS_SCALE // 4
        return form.dtype.type(2.0 ** (power if self.seed % 2 else -power))

    @cached_property
    def directions(self) -> dict[str, Array]:
        """One array per float input, in its shape: the factors of its gradient where gradients are differentiated."""
        return {name: self._weights("dd" + name, array.shape) for name, array in self.call.float_inputs.items()}

    def _weights(self, name: str, shape: tuple[int, ...]) -> Array:
        """Random factors of a result."""
        rng = self._rng(name)
        scale = 2.0**-6 if self.regime == "tiny" else 1.0
        numbers = rng.integers(-2, 3, shape) if REGIMES[self.regime].whole else rng.normal(size=shape) * scale
        return numbers.astype(format_of(self.dtype).dtype)

    def _inputs(self) -> dict[str, Array]:
        dtype = format_of(self.dtype).dtype
        inputs: dict[str, Array] = {}
        for name, item in self.items.items():
            if name in self.absent:
                continue
            rng, shape = self._rng(name), self.shape_of(item.shape)
            if item.kind == "lengths":
                if self.steps in BY_LENGTHS and not self.has_padding_label:
                    inputs[name] = self.valid.sum(axis=1, dtype=np.int64)
            elif item.kind == "mask":
                if self.steps in BY_MASK and not self.has_padding_label:
                    inputs[name] = self.valid
            elif item.kind == "ids":
                inputs[name] = self._ids(item, shape, rng)
            elif item.kind == "bits":
                inputs[name] = rng.random(shape) < 0.6
            else:
                numbers = fill(self.regime, self.spec, item, shape, self._drawn_for, rng, format_of(self.dtype))
                of_steps = item.domain in NOT_NEGATIVE and item.per_sequence
                if REGIMES[self.regime].small and (of_steps or (not item.domain and name in self._scaled)):
                    numbers *= self._scale
                inputs[name] = (np.zeros(shape) if name in self.zero else numbers).astype(dtype)
        return inputs

    @cached_property
    def _scale(self) -> float:
        """The scale of small numbers, the same for all inputs."""
        return float(10.0 ** -self._rng("scale").uniform(*_SMALL))

    @cached_property
    def _scaled(self) -> frozenset[str]:
        """The inputs that are no parameter matrices; all, where there are no others."""
        floats = {name: item for name, item in self.items.items() if item.kind == "float" and not item.domain}
        plain = {name for name, item in floats.items() if item.per_sequence or len(set(item.shape) - {"G"}) < 2}
        return frozenset(plain or floats)

    @property
    def _drawn_for(self) -> Mapping[str, Any]:
        """The attributes, with numeric ones as they were when the inputs' numbers were drawn."""
        kinds = self.spec.attributes
        drawn = {key: value for key, value in (self.drawn_for or {}).items() if kinds[key].domain}
        return {**self.attributes, **drawn}

    @property
    def has_padding_label(self) -> bool:
        """Whether a label of its own marks the padding."""
        label = self.spec.padding_label
        return label is not None and holds(label[2], self.attributes)

    def _ids(self, item: Input, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        below = self.lengths_of[item.below] if item.below else 3
        apart = REGIMES[self.regime].forbids_padding and item.shape[:2] == ("B", "T") and below > 1
        ids = rng.integers(0, below - apart, shape)
        if not item.below and rng.random() < 0.5:  # for the other half, more ids are equal
            ids = ids + rng.choice(_FAR_APART, shape)
        if below - apart >= _MANY_IDS:
            deciding = np.array([*(number for number in _DECIDING if number < below - apart), below - apart - 1])
            ids = np.where(rng.random(shape) < _DECIDED, rng.choice(deciding, shape), ids)
            ids.flat[:1] = below - apart - 1  # a single sequence has as many labels as there may be
        if apart:
            ids[~self.valid] = below - 1
        label = self.spec.padding_label
        if label is not None and label[0] == item.name and self.has_padding_label:
            ids[~self.valid] = self.lengths_of[label[1]]
        return ids

    def _rng(self, name: str) -> np.random.Generator:
        """Return the array's own stream, so that no other array's shape changes its values."""
        return stream(self.seed, name)

    def __str__(self) -> str:
        same = self.spec.same_sizes_for(self.attributes)
        known = self.spec.sizes
        sizes = " ".join(f"{name}={size}" for name, size in self.sizes.items() if name in known and name not in same)
        changed = " ".join(
            f"{name}={value}" for name, value in self.attributes.items() if value != self.spec.attributes[name].default
        )
        absent = f" without {', '.join(self.absent)}" if self.absent else ""
        absent += "".join(f" {name}=0" for name in self.zero)
        attributes = f" {changed}" if changed else ""
        steps = self._steps_text()
        return f"{self.operation} {self.dtype} {sizes}{steps}{attributes}{absent} {self.regime} seed={self.seed}"

    def _steps_text(self) -> str:
        """The kind of steps, and the lengths or mask if they are short enough to read."""
        if self.steps == "all":
            return ""
        if self.steps in BY_LENGTHS:
            lengths = self.valid.sum(axis=1).tolist()
            shown = ",".join(map(str, lengths[:_SHOWN_LENGTHS])) + (",…" if len(lengths) > _SHOWN_LENGTHS else "")
            return f" {self.steps}" * (self.steps != "lengths") + f" lengths=[{shown}]"
        if self.valid.size > _SHOWN_STEPS:
            return f" {self.steps}"
        rows = ",".join("".join(map(str, row.astype(int))) for row in self.valid)
        return f" {self.steps}" * (self.steps != "mask") + f" mask=[{rows}]"
