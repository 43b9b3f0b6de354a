"""The NumPy reference as a backend: the suite holds it to the same checks as every other."""

from __future__ import annotations

from typing import ClassVar

from rnnspec import reference, spec
from rnnspec.backends.contract import Backend


class NumpyBackend(Backend):
    """Each operation is the reference's function of that name, and its gradient the function beside it."""

    name: ClassVar[str] = "numpy"
    by_default: ClassVar[bool] = False  # it is what the others are held against

    def dtypes(self) -> tuple[str, ...]:
        """All the specification's types; the two-byte ones are computed in float32 and rounded once."""
        return ("float16", "bfloat16", "float32", "float64")


def _adopt() -> None:
    """Give the adapter a method for every operation, and for its gradient where it has one."""
    for name, operation in spec.operations().items():
        setattr(NumpyBackend, name, staticmethod(getattr(reference, name)))
        if operation.differentiable:
            setattr(NumpyBackend, f"{name}_vjp", staticmethod(getattr(reference, f"{name}_vjp")))


_adopt()
