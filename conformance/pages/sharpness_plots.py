"""The figures of docs/sharpness.md: the smallest error that is seen in each operation, by type and tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rnnspec.conformance.report.drawing import figures, save
from rnnspec.conformance.sharpness.measuring import PARTS, Sharpness
from rnnspec.conformance.sharpness.tolerances import ASSERT_CLOSE, COMPUTED, ONNX, TOLERANCES
from rnnspec.spec import FLOAT_TYPES

_LABELS: Final = {
    COMPUTED.name: "computed bound",
    ONNX.name: "rtol 1e-3 (ONNX)",
    ASSERT_CLOSE.name: "torch.testing.assert_close",
}
_MARKERS: Final = {COMPUTED.name: "o", ONNX.name: "s", ASSERT_CLOSE.name: "D"}
_UNSEEN: Final = 8.0
"""Place of errors that are never seen, beyond an error of 1."""


def draw(measured: Sequence[Sharpness], folder: Path) -> list[Path]:
    """Draw a figure for each part into a folder; return the files. Needs matplotlib."""
    files = []
    with figures() as pyplot:
        for part in PARTS:
            rows = [one for one in measured if one.part == part and one.runs]
            if rows:
                files.append(save(pyplot, _figure(pyplot, rows), folder / f"{part}.svg"))
    return files


def _figure(pyplot: Any, rows: Sequence[Sharpness]) -> Any:
    """A column for each type, a line for each operation; hollow points if right results are rejected too."""
    dtypes = [dtype for dtype in FLOAT_TYPES[::-1] if any(one.dtype == dtype for one in rows)]
    names = list(dict.fromkeys(one.operation for one in rows))
    figure, axes = pyplot.subplots(
        1, len(dtypes), figsize=(2.7 * len(dtypes) + 1.5, 0.19 * len(names) + 1.2),
        sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis, dtype in zip(axes[0], dtypes, strict=True):
        for number, name in enumerate(_LABELS):
            for hollow in (False, True):
                points = [
                    (min(one.smallest(name), _UNSEEN), names.index(one.operation))
                    for one in rows
                    if one.dtype == dtype and (one.rejected[name] > 0) is hollow
                ]
                axis.plot(
                    [error for error, _ in points],
                    [place for _, place in points],
                    _MARKERS[name],
                    color=f"C{number}",
                    markersize=4,
                    markerfacecolor="none" if hollow else f"C{number}",
                    linestyle="none",
                    label=_LABELS[name] if not hollow else None,
                )
        axis.axvline(2, color="black", linewidth=0.5)
        axis.set(xscale="log", title=dtype, xlabel="smallest relative error seen")
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
    assert set(_LABELS) == {tolerance.name for tolerance in TOLERANCES}
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure
