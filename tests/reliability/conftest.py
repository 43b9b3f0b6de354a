from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """Install a package: its entry points in the group of backends, and its modules."""

    def install(name: str, entries: str, **modules: str) -> Path:
        folder = tmp_path / f"site-{name}"
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rnnspec.backends]\n{entries}\n")
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
        return folder

    return install


@pytest.fixture
def program(tmp_path: Path) -> Run:
    """Run ``rnnspec`` as a program of its own, as its script does, with folders on the path before all others."""
    folder = tmp_path / "empty"
    folder.mkdir(exist_ok=True)
    code = "from rnnspec.conformance.cli import main; main(prog_name='rnnspec')"

    def run(
        *arguments: str, path: tuple[Path, ...] = (), flags: tuple[str, ...] = (), **more: object
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])
        environment |= more.pop("env", {})  # type: ignore[call-overload, operator]  # what subprocess takes
        return subprocess.run(
            [sys.executable, "-P", *flags, "-c", code, *arguments],
            **{"cwd": folder, "capture_output": True, "timeout": 300, "env": environment, **more},
        )

    return run
