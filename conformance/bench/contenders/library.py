"""A library as a backend: an object of its own for each call, made before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rnnspec import spec
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.contract import Prepared
from rnnspec.spec.arrays import Array

NO_INPUTS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Made:
    """The library's object for one call.

    `call` is the call that the library's users make, and the only part that is timed. `outputs` turns its result into
    the specification's outputs.
    """

    call: Callable[[], Any]
    outputs: Callable[[Any], tuple[Any, ...]]


class Library(Backend):
    """Base class of contenders. Subclasses give `offers` and `make`."""

    offers: ClassVar[tuple[str, ...]]
    """The operations that the library has."""

    def make(self, call: Call) -> Made:
        """Make the library's object for a call; raise Unsupported if the library lacks it."""
        raise NotImplementedError

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """The operations that the library has."""
        return cls.offers

    def has_gradients(self, operation: str) -> bool:
        """Whether the library differentiates the operation."""
        return False

    def accept(self, call: Call) -> None:
        """Check the call by the specification, since libraries accept calls that they should refuse."""
        spec.check_call(call.operation, call.inputs, call.attributes)

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        self.accept(call)
        made = self.make(call)
        return tuple(self.to_numpy(output) for output in made.outputs(made.call()))

    def prepare(self, call: Call, cotangents: tuple[Array, ...] | None = None) -> Prepared:
        """Make the library's object, and return its call."""
        if cotangents is not None:
            raise Unsupported(f"{self.name} has no gradient of {call.operation}")
        self.accept(call)
        return Prepared(self.make(call).call, self.synchronise)


def refuse_all_but(call: Call, *, attributes: Collection[str] = NO_INPUTS, inputs: Collection[str] = NO_INPUTS) -> None:
    """Raise Unsupported for an optional input or an attribute that differs from its default, except for these."""
    kinds: Mapping[str, Any] = call.spec.attributes
    for name, value in call.attributes.items():
        if name not in attributes and value != kinds[name].default:
            raise Unsupported(f"{name} = {value!r}: only {kinds[name].default!r} is mapped to the library")
    for name, item in call.spec.inputs_for(call.attributes).items():
        if item.optional and name in call.inputs and name not in inputs:
            raise Unsupported(f"{name} is not mapped to the library")
