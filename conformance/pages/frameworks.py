"""Tables of the operations that frameworks have themselves and of the composed ones, from the adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rnnspec.backends import BackendError, open_backend
from rnnspec.backends.composed.backend import FrameworkBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.support import values_of
from rnnspec.conformance.pages import markdown
from rnnspec.spec import Operation, operations
from rnnspec.spec.operation import Attribute

FRAMEWORKS: Final = ("torch", "tensorflow")
"""One backend of each framework; the framework's other modes run the same functions."""

SIZES: Final = {"B": 4, "T": 5, "D": 2, "H": 4, "S": 3}
"""Sizes of a probe; every other symbol has size 2."""


def probes(op: Operation) -> Iterator[Case]:
    """Yield small calls of an operation, each of which differs from its defaults in one respect.

    One attribute has another value, and the attributes that give it a meaning have theirs. Or steps are given by
    lengths, by a mask, or there are none. Or the state has as many units as the memory.
    """
    plain = Case(op.name, "float32", SIZES, op.defaults())
    yield plain
    for attribute in op.attributes.values():
        for value in values_of(plain, attribute):
            yield Case(op.name, "float32", SIZES, _changed(op, attribute, value))
    if op.has_steps:
        yield Case(op.name, "float32", SIZES, op.defaults(), steps="lengths")
        yield Case(op.name, "float32", SIZES, op.defaults(), steps="mask")
        yield Case(op.name, "float32", {**SIZES, "T": 0}, op.defaults())
    if "projection" in op.attributes:
        yield Case(op.name, "float32", {**SIZES, "S": SIZES["H"]}, _changed(op, op.attributes["projection"], True))


def _changed(op: Operation, attribute: Attribute, value: Any) -> dict[str, Any]:
    """Return the defaults, except for one attribute and those that give it a meaning."""
    needed = {key: value[0] if isinstance(value, list | tuple) else value for key, value in attribute.when.items()}
    numbers = {key: op.attributes[key].a_number for key, value in needed.items() if value == "number"}
    return {**op.defaults(), **needed, **numbers, attribute.name: value}


def reasons(backend: FrameworkBackend, op: Operation) -> list[str]:
    """Return why calls of an operation are composed although the framework has the operation."""
    found = dict.fromkeys(reason for case in probes(op) if (reason := backend.refusal(case.call)) is not None)
    if not backend.natives[op.name].differentiable:
        found["gradients are composed: the function has none"] = None
    return list(found)


def table(backend: FrameworkBackend) -> str:
    """Return the framework's own operations and the composed ones, as Markdown."""
    numbered: dict[str, int] = {}
    rows = []
    for name in backend.operations():
        if name in backend.natives:
            notes = [numbered.setdefault(why, len(numbered) + 1) for why in reasons(backend, operations()[name])]
            rows.append([f"`{name}`", backend.natives[name].calls, ", ".join(map(str, sorted(notes)))])
    own = markdown.table(["operation", "the framework's own", "but composed where"], rows, left=(1, 2))
    why_composed = "\n".join(f"{number}. {why}" for why, number in numbered.items())
    return f"{own}\n\n{why_composed}\n\nEvery other operation is composed."


def opened() -> dict[str, FrameworkBackend]:
    """Return the frameworks that open on this machine, by name."""
    found = {}
    for name in FRAMEWORKS:
        try:
            backend = open_backend(name)
        except BackendError:
            continue
        assert isinstance(backend, FrameworkBackend)
        found[name] = backend
    return found
