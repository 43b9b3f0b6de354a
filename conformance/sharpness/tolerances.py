"""Tolerances that accept or reject results: the suite's computed bound, and fixed ones that others use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.arrays import Array


class Tolerance(Protocol):
    """A rule that accepts arrays near enough to the right one."""

    @property
    def name(self) -> str:
        """Name in tables and files."""

    def accepts(self, case: Case, expected: Bounded, got: Array) -> bool:
        """Return whether `got` is near enough to the expected result of a case."""


class Computed:
    """The suite's own bound, as its checks `values` and `gradients` apply it."""

    name = "computed"

    def accepts(self, case: Case, expected: Bounded, got: Array) -> bool:
        """Return whether no element's error ratio is above 1."""
        try:
            Asked(case, case.call).judge("", expected, got)
        except Violation:
            return False
        return True


class Fixed:
    """``|got - right| <= atol + rtol |right|`` in every element, by type; ids must be equal.

    The right result is in float64. Rounding it to the type first, as a comparison of two arrays of the type does, would
    be stricter.
    """

    def __init__(self, name: str, rtol_atol: Mapping[str, tuple[float, float]]) -> None:
        self.name = name
        self.rtol_atol = rtol_atol

    def accepts(self, case: Case, expected: Bounded, got: Array) -> bool:
        """Return whether every element is near enough."""
        rtol, atol = (0.0, 0.0) if got.dtype.kind == "i" else self.rtol_atol[case.dtype]
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(got.astype(np.float64) - expected.value) <= atol + rtol * np.abs(expected.value)
        infinite = np.isinf(expected.value)
        return bool(np.all(np.where(infinite, got == expected.value, near)))


COMPUTED: Final = Computed()

ONNX: Final = Fixed("onnx", dict.fromkeys(FLOAT_TYPES, (1e-3, 1e-7)))
"""The defaults of ONNX's backend tests (``onnx/backend/test/loader/__init__.py``)."""

ASSERT_CLOSE: Final = Fixed(
    "assert_close",
    {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)},
)
"""The defaults of ``torch.testing.assert_close``; a test compares them with the installed torch's."""

TOLERANCES: Final[Sequence[Tolerance]] = (COMPUTED, ONNX, ASSERT_CLOSE)
"""All tolerances, the suite's own first."""
