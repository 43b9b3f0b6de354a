"""Build hook: lets an editable install import the top-level folders as ``rnnspec`` and ``rnnspec.*``.

A wheel renames the folders (``sources`` in pyproject.toml). An editable install cannot rename, so this hook makes links
under ``build/dev/rnnspec/``: to the files of ``package/``, which are those of ``rnnspec`` itself, and to the other
folders. pyproject.toml puts ``build/dev`` on the import path. The links are relative, ``build/`` is ignored by git, and
mypy and editors follow them to the real files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TOP = "package"
PACKAGES = ("spec", "reference", "backends", "conformance")


class EditableLinks(BuildHookInterface[Any]):
    """Hatchling's hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the links before an editable install; a wheel needs none."""
        if version != "editable":
            return
        namespace = Path(self.root, "build", "dev", "rnnspec")
        namespace.mkdir(parents=True, exist_ok=True)
        files = sorted(path.name for path in Path(self.root, TOP).iterdir() if path.is_file())
        for place in (*PACKAGES, *(f"{TOP}/{name}" for name in files)):
            link = namespace / Path(place).name
            if link.is_symlink():
                link.unlink()
            link.symlink_to(Path("..", "..", "..", place), target_is_directory=place in PACKAGES)
