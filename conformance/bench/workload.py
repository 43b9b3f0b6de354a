"""Workloads: operations to run, and their sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal

from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.cases import Case
from rnnspec.spec import FLOAT_TYPES, Operation, SpecError, check_attributes, operation, resolved
from rnnspec.spec.errors import one_of
from rnnspec.spec.language import parse_size, size_of, sizes_in
from rnnspec.spec.operation import Input, Output

Mode = Literal["forward", "gradient", "decode", "step", "backward", "update"]
"""The forward pass; the forward and the backward pass; the search for the best output; of a model's training a whole
step, the backward pass alone, and the optimizer's part."""
MODES: Final[tuple[Mode, ...]] = ("forward", "gradient", "decode")
"""Modes of a workload of operations."""


@dataclass(frozen=True)
class WorkloadStage:
    """One operation of a workload.

    A size is the workload's size of the same symbol, unless `sizes` has an expression of the workload's sizes for it.
    Optional inputs are absent, except those in `inputs`. With `lengths`, the call gives the sequences' lengths, which
    differ. The stage takes part in its `modes`.
    """

    operation: str
    modes: tuple[Mode, ...]
    sizes: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    lengths: bool = False


@dataclass(frozen=True)
class Workload:
    """Stages that are run one after the other, and the sizes that they share.

    Each stage runs on random inputs of its own, of the shape that the stage before it gives. The handing over of
    outputs to the next stage is not timed, since backends have no common call for it.
    """

    name: str
    about: str
    sizes: Mapping[str, int]
    stages: tuple[WorkloadStage, ...]

    part: str = ""
    """Of a model, the stage that is timed alone; empty where the whole is timed."""

    @property
    def judged_in_part(self) -> str:
        """What is done before a batch is timed of which not all is judged, in words."""
        return "large batches were run whole before timing, and some of their sequences were judged"

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes in which at least one stage takes part."""
        return tuple(mode for mode in MODES if any(mode in stage.modes for stage in self.stages))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the stages' sizes."""
        return tuple(dict.fromkeys(symbol for stage in self.stages for symbol in self._symbols_of(stage)))

    def with_sizes(self, **sizes: int) -> Workload:
        """Return the workload at other sizes; raise BenchError if it has no such size."""
        for symbol in sizes:
            if symbol not in self.symbols:
                raise BenchError(f"workload {self.name}: unknown size {symbol!r}: {one_of(symbol, self.symbols)}")
        return replace(self, sizes={**self.sizes, **sizes})

    def cases(self, mode: Mode, dtype: str) -> tuple[Case, ...]:
        """Return one case for each stage that takes part in a mode.

        Raises
        ------
        BenchError
            If a size is missing or below the least that the operation takes, or no output of a stage has the shape
            that the next one reads.
        CallError
            If an attribute is unknown or has a wrong value.
        """
        if dtype not in FLOAT_TYPES:
            raise BenchError(f"unknown dtype {dtype!r}: {one_of(dtype, FLOAT_TYPES)}")
        cases = tuple(self._case(stage, dtype) for stage in self.stages if mode in stage.modes)
        for before, after in pairwise(cases):
            self._must_fit(before, after)
        return cases

    def _must_fit(self, before: Case, after: Case) -> None:
        """Raise BenchError unless the first input of a stage could be an output of the stage before."""
        name, read = next(iter(after.items.items()))
        needed = after.shape_of(read.shape)
        given = {output: before.shape_of(item.shape) for output, item in before.results.items()}
        if needed not in given.values():
            outputs = ", ".join(f"{output} {shape}" for output, shape in given.items())
            raise BenchError(
                f"workload {self.name}: {after.operation}: {name}: expected the shape of an output of "
                f"{before.operation} ({outputs}), got {needed}; mend the stage's sizes"
            )

    def _case(self, stage: WorkloadStage, dtype: str) -> Case:
        op = operation(stage.operation)
        given = {
            key: self._size(stage, item.size)
            for key, item in op.attributes.items()
            if item.size and key not in stage.attributes and self._has(stage, item.size)
        }
        attributes = check_attributes(op, {**given, **stage.attributes})
        op = resolved(op, attributes)
        present = op.inputs_for(attributes)
        for name in stage.inputs:
            if name not in present or not present[name].optional:
                optional = ", ".join(key for key, item in present.items() if item.optional and item.kind == "float")
                raise BenchError(
                    f"workload {self.name}: {op.name}: inputs: expected optional ones ({optional or 'it has none'}), "
                    f"got {name!r}"
                )
        absent = tuple(name for name, item in present.items() if item.optional and name not in stage.inputs)
        absent = tuple(name for name in absent if present[name].kind == "float")
        sizes = {}
        for symbol in _free_symbols(op, attributes, absent):
            sizes[symbol] = self._size(stage, symbol)
            least = max(1, op.at_least.get(symbol, 1))
            if sizes[symbol] < least:
                raise BenchError(
                    f"workload {self.name}: {op.name}: {symbol} ({op.sizes[symbol]}): expected at least {least}, "
                    f"got {sizes[symbol]}"
                )
        return Case(
            op.name, dtype, sizes, attributes, steps="lengths" if stage.lengths else "all", absent=absent
        )  # fmt: skip

    def _has(self, stage: WorkloadStage, symbol: str) -> bool:
        return symbol in stage.sizes or symbol in self.sizes

    def _size(self, stage: WorkloadStage, symbol: str) -> int:
        place = f"workload {self.name}: {stage.operation}: size {symbol}"
        try:
            return size_of(parse_size(stage.sizes.get(symbol, symbol), place), self.sizes)
        except KeyError as missing:
            about = operation(stage.operation).sizes.get(symbol, "a size")
            raise BenchError(
                f"{place}: expected a number for {missing.args[0]} ({about}), got none; "
                f"the workload has {', '.join(self.sizes) or 'no sizes'}"
            ) from missing
        except SpecError as error:
            raise BenchError(f"{place}: {error}") from error

    def _symbols_of(self, stage: WorkloadStage) -> Iterator[str]:
        """The workload's symbols that a stage reads."""
        op = operation(stage.operation)
        attributes = {**op.defaults(), **stage.attributes}
        whole = resolved(op, attributes)
        optional = tuple(key for key, item in whole.inputs_for(attributes).items() if item.optional)
        sized = (item.size for key, item in op.attributes.items() if item.size and key not in stage.attributes)
        for symbol in (*_free_symbols(whole, attributes, optional), *sized):
            text = stage.sizes.get(symbol, symbol)
            yield from _names(text)


def default_modes(name: str) -> tuple[Mode, ...]:
    """Return an operation's modes: decode if it returns ids, else forward, and gradient if it is differentiable."""
    op = operation(name)
    if any(output.kind == "ids" for output in op.outputs.values()):
        return ("decode",)
    return ("forward", "gradient") if op.differentiable else ("forward",)


def _free_symbols(op: Operation, attributes: Mapping[str, Any], absent: tuple[str, ...]) -> tuple[str, ...]:
    """Sizes that a call must be given: axes of its arrays that follow neither from other sizes nor from attributes."""
    derived = op.same_sizes_for(attributes)
    settled = {"G", *derived, *(item.size for item in op.attributes.values() if item.size)}
    inputs = {name: item for name, item in op.inputs_for(attributes).items() if name not in absent}
    arrays: tuple[Input | Output, ...] = (*inputs.values(), *op.outputs_for(attributes).values())
    named = [axis for item in arrays for axis in item.shape if not axis.isdigit()]
    # A derived size may depend on other derived sizes.
    for symbol in named:
        if symbol in derived:
            named.extend(name for name in _names(derived[symbol]) if name not in named)
    return tuple(symbol for symbol in dict.fromkeys(named) if symbol not in settled)


def _names(expression: str) -> list[str]:
    """Symbols in an expression of sizes."""
    return list(sizes_in(parse_size(expression, expression)))
