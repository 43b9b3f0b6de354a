"""The page tells what was measured, of the operations that there were; the suite rejected nothing that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnspec.conformance.pages.markdown import filled_in
from rnnspec.conformance.sharpness.measuring import PARTS, applies, measure
from rnnspec.conformance.sharpness.tolerances import COMPUTED
from rnnspec.spec import FLOAT_TYPES, operations

PAGE = Path(__file__).parents[2] / "docs" / "sharpness.md"


def tables(part: str) -> dict[str, dict[str, list[str]]]:
    """Of each type, the cells of each operation."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition(f"<!-- {part}: begin -->\n")[2].partition(f"<!-- {part}: end -->")[0]
    found: dict[str, dict[str, list[str]]] = {}
    for table in section.strip().split("\n\n"):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        found[head[0]] = {row[0].strip("`"): row[1:] for row in rows}
    return found


@pytest.mark.parametrize(("part", "dtypes"), [("values", set(FLOAT_TYPES)), ("gradients", {"float32"})])
def test_every_operation_that_was_measured_is_told(part: str, dtypes: set[str]) -> None:
    """Of one that is newer than the page, tests/sharpness/test_watched.py shows that it can be measured."""
    found = tables(part)
    assert dtypes <= set(found)
    measured = {name for rows in found.values() for name in rows}
    for rows in found.values():
        assert list(rows) == [name for name in operations() if applies(name, part) and name in measured]


@pytest.mark.parametrize("part", PARTS)
def test_the_suite_rejected_nothing_that_is_right(part: str) -> None:
    assert {cells[3] for rows in tables(part).values() for cells in rows.values()} == {"0"}


@pytest.mark.parametrize(
    ("operation", "part", "dtype"), [("dropout", "values", "float16"), ("dense", "gradients", "float32")]
)
def test_the_page_tells_what_is_measured(operation: str, part: str, dtype: str) -> None:
    """Within two powers of two: another version of the reference has other quantities to draw from."""
    told = float(tables(part)[dtype][operation][0])
    assert 1 / 4 <= measure(operation, dtype, part, runs=8).smallest(COMPUTED.name) / told <= 4


def test_the_page_has_its_figures_and_a_place_for_every_table() -> None:
    from rnnspec.conformance.pages.sharpness import drift_sections, sections

    text = PAGE.read_text(encoding="utf-8")
    assert filled_in(text, dict.fromkeys([*sections([]), *drift_sections([])], ""))
    for part in PARTS:
        assert f"(sharpness/{part}.svg)" in text
        assert (PAGE.with_suffix("") / f"{part}.svg").is_file()
