"""The sources of the documentation site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rnnspec
from rnnspec.conformance.pages.site import write_site
from rnnspec.spec import operations
from rnnspec.spec.operation import when_text

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
    conditions = {f"; only with {when_text(one.when)} |" for one in op.attributes.values() if one.when}
    assert not {one for one in conditions if one not in text}


def test_known_faults_of_libraries_are_told(site: Path) -> None:
    text = (site / "docs" / "operations" / "clip_by_global_norm.md").read_text()
    assert "- torch: Squares overflow and underflow" in text
    text = (site / "docs" / "operations" / "lstm.md").read_text()
    assert "- onnxruntime: clip does not clip the argument of the output's activation. <https:" in text
    told = "".join(page.read_text() for page in (site / "docs" / "operations").glob("*.md"))
    folder = Path(rnnspec.backends.__path__[0])
    for file in (*folder.glob("libraries/*.toml"), *folder.glob("*/expected_failures*.toml")):
        for entry in tomllib.loads(file.read_text())["failure"]:
            assert f"{entry['reason']} <{entry['link']}>" in told


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


def test_names_in_tables_are_not_broken(site: Path) -> None:
    configuration = json.loads((site / "mkdocs.yml").read_text())
    (style,) = configuration["extra_css"]
    assert "table code { word-break: normal; }" in (site / "docs" / style).read_text()


def test_a_plot_of_gradients_is_on_the_pages_of_what_it_shows(site: Path) -> None:
    texts = {name: (site / "docs" / "operations" / f"{name}.md").read_text() for name in operations()}
    images = [path.name for path in (site / "docs" / "gradients").glob("*.svg")]
    places = {image: [name for name, text in texts.items() if f"(../gradients/{image})" in text] for image in images}
    assert len(places) == 4
    assert all(places.values())
    assert "state_jacobian" in places["jacobian.svg"]
