"""Frameworks are imported only when their backend is opened, and help imports nothing at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = ("torch", "tensorflow", "jax", "keras")
# One file for each framework, found before the true one.
FAKE = "fake = True\n"

# Adapters may import a framework, but for numpy's; so may libraries that are timed against them, which are opened as
# adapters are (files are read, as walking over packages would import them).
WALK = """
import importlib, json, pathlib, sys

before = set(sys.modules)
imported = []
for package in {packages!r}:
    for root in importlib.import_module(package).__path__:
        for path in sorted(pathlib.Path(root).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            adapter = package == "rnnspec.backends" and len(parts) > 1 and parts[0] != "numpy"
            library = package == "rnnspec.conformance" and parts[:2] == ("bench", "contenders")
            if adapter or library or parts[-1] == "__main__" or parts[-1].startswith("test_"):
                continue
            name = ".".join((package, *parts)).removesuffix(".__init__")
            importlib.import_module(name)
            imported.append(name)
{more}
print(json.dumps({{"imported": imported, "loaded": sorted(set(sys.modules) - before)}}))
"""


def imported_by(*packages: str, more: str = "", path: Path | None = None) -> tuple[list[str], list[str]]:
    """Import all modules of some packages but adapters of frameworks; return them, and all that was loaded with them.

    With `path`, there are fakes of the frameworks, so that whoever imports one is noticed wherever the test runs.
    """
    first = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    return run(first + WALK.format(packages=packages, more=more))


def run(program: str) -> tuple[list[str], list[str]]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    return result["imported"], result["loaded"]


def roots(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frameworks")
    for name in FRAMEWORKS:
        (folder / f"{name}.py").write_text(FAKE)
    return folder


ALL = ("rnnspec.spec", "rnnspec.reference", "rnnspec.backends", "rnnspec.conformance")


def test_no_module_loads_a_framework(fakes: Path) -> None:
    imported, loaded = imported_by(*ALL, path=fakes)
    assert {"rnnspec.spec.operation", "rnnspec.reference.lstm", "rnnspec.backends.numpy.adapter"} <= set(imported)
    assert {"rnnspec.conformance.cli", "rnnspec.conformance.run.runner", "rnnspec.conformance.plugin"} <= set(imported)
    assert "rnnspec.backends.torch.adapter" not in imported
    assert not roots(loaded) & set(FRAMEWORKS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_loading_a_framework_would_be_noticed(framework: str, fakes: Path) -> None:
    _, loaded = imported_by("rnnspec.spec", more=f"import {framework}", path=fakes)
    assert roots(loaded) & set(FRAMEWORKS) == {framework}


def test_opening_a_backend_loads_its_framework_and_listing_names_does_not(fakes: Path) -> None:
    names = "from rnnspec.backends.discovery import names; assert 'torch' in names()"
    _, loaded = imported_by("rnnspec.spec", more=names, path=fakes)
    assert "torch" not in roots(loaded)
    opening = (
        "from rnnspec.backends import BackendError, open_backend\n"
        "try:\n    open_backend('torch')\nexcept BackendError:\n    pass"
    )
    _, loaded = imported_by("rnnspec.spec", more=opening, path=fakes)
    assert "torch" in roots(loaded)


@pytest.mark.parametrize("package", ["rnnspec.spec", "rnnspec.reference"])
def test_the_lower_packages_need_numpy_alone(package: str) -> None:
    imported, loaded = imported_by(package)
    assert len(imported) > 4
    assert "numpy" in roots(loaded)
    assert roots(loaded) - set(sys.stdlib_module_names) <= {"numpy", "rnnspec"}
    above = {"rnnspec.spec": ("reference", "backends", "conformance"), "rnnspec.reference": ("backends", "conformance")}
    assert not [name for name in loaded if name.startswith(tuple(f"rnnspec.{folder}" for folder in above[package]))]


HELP = """
import json, sys
from rnnspec.conformance.cli import main
{more}
try:
    main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
print(json.dumps({{"imported": [], "loaded": sorted(sys.modules)}}))
"""
HEAVY = {"numpy", "hypothesis", "pytest", "_pytest", "rich", "ml_dtypes", *FRAMEWORKS}


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "--help"], ["show", "-h"]])
def test_help_comes_at_once(arguments: list[str]) -> None:
    _, loaded = run(HELP.format(arguments=arguments, more=""))
    assert "rnnspec" in roots(loaded)
    assert not roots(loaded) & HEAVY


def test_a_heavy_import_would_be_noticed() -> None:
    _, loaded = run(HELP.format(arguments=["--help"], more="import rich"))
    assert roots(loaded) & HEAVY == {"rich"}


def test_the_plugin_costs_other_test_runs_nothing() -> None:
    """It is loaded wherever rnnspec is installed."""
    _, loaded = run(
        "import json, sys, pytest\nbefore = set(sys.modules)\nimport rnnspec.conformance.plugin\n"
        "print(json.dumps({'imported': [], 'loaded': sorted(set(sys.modules) - before)}))"
    )
    assert not roots(loaded) & (HEAVY - {"pytest", "_pytest"})
