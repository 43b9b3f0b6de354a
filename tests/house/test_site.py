"""The sources of the documentation site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnspec
from rnnspec.conformance.pages.site import write_site
from rnnspec.spec import operations

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "new"
    write_site(ROOT / "docs", folder, None)
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    configuration = json.loads((site / "mkdocs.yml").read_text())
    named = set(re.findall(r'"([^"]+\.md)"', json.dumps(configuration["nav"])))
    there = {str(path.relative_to(site / "docs")) for path in (site / "docs").rglob("*.md")}
    assert named == there - {"example-adapter/README.md"}
    assert configuration["strict"] is True


def test_no_link_is_dead(site: Path) -> None:
    dead = [
        (page.name, target)
        for page in (site / "docs").rglob("*.md")
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []


@pytest.mark.parametrize("name", operations())
def test_an_operation_has_its_page(site: Path, name: str) -> None:
    text = (site / "docs" / "operations" / f"{name}.md").read_text()
    op = operations()[name]
    for heading in ("Shapes", "Equations", "Refused", "Where libraries differ", "Sources"):
        assert f"\n## {heading}\n" in text
    assert text.count("$$") in (2, 4)
    for item in (*op.inputs.values(), *op.outputs.values()):
        assert f"`{item.name}`" in text or item.when
    for source in op.sources:
        assert source in text


def test_known_faults_of_libraries_are_told(site: Path) -> None:
    text = (site / "docs" / "operations" / "clip_by_global_norm.md").read_text()
    assert "- torch: Squares overflow and underflow" in text


def test_the_api_has_every_name(site: Path) -> None:
    text = (site / "docs" / "api.md").read_text()
    for name in rnnspec.__all__:
        assert f"\n## {name}\n" in text or name == "__version__"
    assert "### Report.write_html" in text


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    configuration = json.loads((site / "mkdocs.yml").read_text())
    assert configuration["theme"]["font"] is False
    assert not re.search(r"https?://", json.dumps(configuration))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec.conformance.pages", "site", str(ROOT / "docs"), str(tmp_path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, "expected a new or empty folder" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
