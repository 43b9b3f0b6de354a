"""The page of frameworks against the adapters that it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rnnspec.conformance.pages.__main__ import main
from rnnspec.conformance.pages.frameworks import FRAMEWORKS, SIZES, opened, probes, table
from rnnspec.conformance.pages.markdown import filled_in
from rnnspec.spec import check_call, complete_sizes, operations, resolved

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
SAMPLE = "before\n<!-- a: begin -->\nold\n<!-- a: end -->\nbetween\n<!-- b: begin -->\n<!-- b: end -->\nafter\n"


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_page_says_what_the_adapter_does(name: str) -> None:
    found = opened()
    if name not in found:
        pytest.skip(f"{name} is not installed here")
    page = PAGE.read_text(encoding="utf-8")
    assert filled_in(page, {name: table(found[name])}) == page, f"python -m rnnspec.conformance.pages frameworks {PAGE}"


def test_only_the_tables_given_are_filled_in() -> None:
    filled = filled_in(SAMPLE, {"a": "new"})
    assert filled == SAMPLE.replace("old", "new")
    assert filled_in(filled, {"b": "more"}) == filled.replace("<!-- b: begin -->\n", "<!-- b: begin -->\nmore\n")


def test_a_page_without_a_place_for_a_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a line '<!-- c: begin -->'"):
        filled_in(SAMPLE, {"c": "new"})
    if opened():
        (tmp_path / "page.md").write_text(SAMPLE)
        done = CliRunner().invoke(main, ["frameworks", str(tmp_path / "page.md")])
        assert done.exit_code == 1
        assert "expected a line" in done.output


@pytest.mark.parametrize("name", operations())
def test_probes_are_calls_of_the_specification(name: str) -> None:
    calls = [probe.call for probe in probes(operations()[name])]
    for call in calls:
        check_call(call.operation, call.inputs, call.attributes)
    op = operations()[name]
    # Of a size that has no number there, a probe has two.
    whole = resolved(op, op.defaults())
    sizes = complete_sizes(whole, op.defaults(), {**dict.fromkeys(whole.sizes, 2), **SIZES})
    tried = {(key, value) for call in calls for key, value in call.attributes.items()}
    for key, attribute in operations()[name].attributes.items():
        if not attribute.is_tuple:
            values = attribute.values or (*attribute.usual, *attribute.ends(sizes))
            assert {(key, value) for value in values} <= tried
