"""`oldest.txt`, with which tox runs the tests, has the minima that `pyproject.toml` declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def test_the_oldest_versions_are_the_declared_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    backends = project["entry-points"]["rnnspec.backends"]  # their extras' versions are in constraints.txt alone
    optional = project["optional-dependencies"].items()
    extras = [text for name, extra in optional if name not in backends for text in extra]
    declared = {}
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        (specifier,) = requirement.specifier
        assert specifier.operator == ">="
        declared[requirement.name] = Version(specifier.version)
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "oldest.txt").read_text(), re.MULTILINE))
    assert {name: Version(version) for name, version in pinned.items()} == declared
