"""The package itself: what it has, what its import costs, and how it runs as a program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import rnnspec

ROOT = Path(__file__).parents[2]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """The packages outside of the standard library that a statement imports."""
    found = run(
        "import json, sys\nbefore = set(sys.modules)\n"
        f"{statement}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    return {name.partition(".")[0] for name in json.loads(found)} - set(sys.stdlib_module_names)


def test_the_import_costs_nothing() -> None:
    assert loaded_by("import rnnspec") == {"rnnspec"}
    assert loaded_by("import rnnspec.spec") == {"rnnspec", "numpy"}
    assert loaded_by("import rnnspec; rnnspec.spec.operations()") == {"rnnspec", "numpy"}


def test_a_name_is_imported_when_it_is_used() -> None:
    assert {"hypothesis", "rich"} <= loaded_by("import rnnspec; rnnspec.validate")


def test_every_name_is_there_and_documented() -> None:
    packages = {"spec", "reference", "backends", "conformance"}
    shown = {name for name in dir(rnnspec) if not name.startswith("__")}
    assert shown == {*rnnspec.__all__, *packages} - {"__version__"}
    for name in rnnspec.__all__:
        assert getattr(rnnspec, name).__doc__
    assert rnnspec.__version__ == version("rnnspec")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rnnspec' has no attribute 'valdate'"):
        _ = rnnspec.valdate


def test_the_types_of_the_names_are_declared_where_they_are_imported_from() -> None:
    source = (ROOT / "package" / "__init__.py").read_text()
    (imported,) = re.findall(r"from rnnspec.conformance.interface import (.+)", source)
    assert {*imported.split(", "), "__version__"} == set(rnnspec.__all__)


def test_it_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "rnnspec", "--version"], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["rnnspec,", "version", rnnspec.__version__]


def test_no_run_of_pytest_loads_the_plugin_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "pytest11" not in project["entry-points"]
