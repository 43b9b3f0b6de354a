"""What a backend supports, found by asking: cases are then drawn from what it answers, not from what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases.case import Case, Steps
from rnnspec.spec import Operation, operation
from rnnspec.spec.operation import Attribute

PROBE_SIZES: Final = {"B": 2, "T": 3, "D": 2, "H": 4, "S": 3}
"""Of whatever has another symbol there are two."""
PROBES: Final = 3
"""Cases that are tried of whatever chance may make easy, as a mask that happens to have no holes."""


Values = Mapping[str, tuple[Any, ...]]
"""Values of each attribute to draw from; of a tuple, those of each entry."""


@dataclass(frozen=True)
class Own:
    """What the implementation that is judged does itself, where its adapter answers more calls than that."""

    values: Values
    steps: tuple[Steps, ...]


@dataclass(frozen=True)
class Support:
    """Values of each attribute to draw from, and the reasons for leaving others out.

    Each value was tried with the other attributes at their defaults; pairs that only fail together are still drawn.
    `own` is None where the implementation does all of it itself, or nothing.
    """

    values: Values
    reasons: tuple[str, ...] = ()
    own: Own | None = None

    def __hash__(self) -> int:
        return hash(tuple(self.values.items()))


def everything(name: str) -> Support:
    """All values that the specification allows."""
    return Support({key: _all_values(attribute) for key, attribute in operation(name).attributes.items()})


def supported_by(backend: Backend, name: str, dtype: str) -> Support:
    """Try each value of each attribute on a small case; keep those that the backend does not refuse."""
    op = operation(name)
    reasons: dict[str, None] = {}
    answers: dict[str, bool] = {}

    def answered(attributes: Mapping[str, Any]) -> bool:
        case = Case(name, dtype, PROBE_SIZES, attributes)
        if str(case) not in answers:
            try:
                reason = backend.refuses(case.call)
            except Exception:  # whatever else goes wrong is for the checks to find
                reason = None
            if reason is not None:
                reasons[reason] = None
            answers[str(case)] = reason is None
        return answers[str(case)]

    def its_own(attributes: Mapping[str, Any], steps: Steps = "all") -> bool:
        cases = [Case(name, dtype, PROBE_SIZES, attributes, steps=steps, seed=seed) for seed in range(PROBES)]
        return answered(attributes) and all(backend.refusal(case.call) is None for case in cases)

    if not answered(op.defaults()):
        return everything(name)
    values = _values_where(op, answered)
    own = None
    if its_own(op.defaults()):
        kinds: tuple[Steps, ...] = ("all", "lengths", "right_mask", "mask") if op.has_steps else ("all",)
        done = Own(_values_where(op, its_own), tuple(steps for steps in kinds if its_own(op.defaults(), steps)))
        own = None if done == Own(values, kinds) else done
    return Support(values, tuple(reasons), own)


def _values_where(op: Operation, good: Callable[[Mapping[str, Any]], bool]) -> Values:
    """Values of each attribute with which a call is good, the other attributes at their defaults."""

    def defaults_for(attribute: Attribute) -> dict[str, Any]:
        """The defaults, but those on which the attribute's having a meaning depends."""
        chosen = {key: value[0] if isinstance(value, list | tuple) else value for key, value in attribute.when.items()}
        return {**op.defaults(), **{key: 0.5 if value == "number" else value for key, value in chosen.items()}}

    values: dict[str, tuple[Any, ...]] = {}
    for key, attribute in op.attributes.items():
        if attribute.is_tuple:
            values[key] = tuple(
                tuple(
                    value
                    for value, whole in _entries(attribute, index)
                    if good({**defaults_for(attribute), key: whole})
                )
                for index in range(len(attribute.functions))
            )
        else:
            values[key] = tuple(v for v in _all_values(attribute) if good({**defaults_for(attribute), key: v}))
    return values


def _entries(attribute: Attribute, index: int) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each value of one entry of a tuple, with the whole tuple, the other entries at their defaults."""
    for value in _all_values(attribute)[index]:
        yield value, (*attribute.default[:index], value, *attribute.default[index + 1 :])


def _all_values(attribute: Attribute) -> tuple[Any, ...]:
    """The default first, so that failures shrink to it."""

    def default_first(default: Any) -> tuple[Any, ...]:
        allowed = attribute.examples if attribute.domain else attribute.values
        return (default, *(value for value in allowed if value != default))

    if attribute.is_tuple:
        return tuple(default_first(default) for default in attribute.default)
    return default_first(attribute.default)
