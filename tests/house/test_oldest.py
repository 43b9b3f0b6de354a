"""`oldest.txt`, with which tox runs the tests, has the minima that `pyproject.toml` declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
OF_FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}


def test_the_oldest_versions_are_the_declared_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    declared = {}
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        (specifier,) = requirement.specifier
        assert specifier.operator == ">="
        declared[requirement.name] = Version(specifier.version)
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "oldest.txt").read_text(), re.MULTILINE))
    assert {name: Version(version) for name, version in pinned.items()} == {
        name: version for name, version in declared.items() if name not in OF_FRAMEWORKS
    }
