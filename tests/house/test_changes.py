"""Changes since the last release are files that towncrier takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAGMENTS = sorted(path for path in (ROOT / "changes").iterdir() if path.name != "README.md")
TOWNCRIER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]


def test_a_release_has_a_place_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.count(TOWNCRIER["start_string"]) == 1
    assert text.index(TOWNCRIER["start_string"]) < text.index("\n## ")


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: str(path.name))
def test_a_change_has_a_name_that_is_taken_and_says_something(path: Path) -> None:
    kinds = "|".join(kind["directory"] for kind in TOWNCRIER["type"])
    assert re.fullmatch(rf"\+[a-z0-9-]+\.({kinds})\.md", path.name)
    words = path.read_text(encoding="utf-8")
    assert len(words.split()) >= 3
    assert words.endswith(".\n")
    assert not words.startswith(("-", "#"))
