"""Imports run one way: spec, reference, backends, conformance; each sees what stands below it and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("spec", "reference", "backends", "conformance")
SOURCES = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def allowed(path: Path) -> set[str]:
    """Which of the four packages a module may import."""
    if path.parts[0] == "spec":
        return {"spec"}
    if path.parts[0] == "reference":
        return {"spec", "reference"}
    if path.parts[0] == "backends":
        own = {"reference"} if path.parts[1] == "numpy" else set()
        return {"spec", "backends"} | own
    return set(FOLDERS)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, wherever it stands; of relative imports, the dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def faults(path: Path, source: str) -> list[str]:
    """The imports of a module that are forbidden."""
    found = []
    for line, name in imports(source):
        parts = name.split(".")
        if name.startswith("."):
            found.append(f"{path}:{line}: relative import {name}")
        elif parts[0] in FOLDERS:
            found.append(f"{path}:{line}: {name} in place of rnnspec.{name}")
        elif parts[0] == "rnnspec" and (len(parts) == 1 or parts[1] not in allowed(path)):
            found.append(f"{path}:{line}: {name}: expected only {', '.join(sorted(allowed(path)))}")
        elif parts[:2] == ["rnnspec", "backends"] and _other_adapter(path, parts):
            found.append(f"{path}:{line}: {name}: an adapter of another framework")
    return found


SHARED = ("composed", "layouts")
"""The folders that all adapters share: operations composed for any framework, and layouts of parameters."""


def _other_adapter(path: Path, parts: list[str]) -> bool:
    """Adapters do not see each other; nobody sees an adapter of a framework but itself. Shared folders are none.

    NumPy is no such framework: planted faults are the reference with one thing wrong, so they may change its adapter.
    What judges (the rest of `conformance`) knows adapters by their contract alone. A library's adapter is derived from
    its framework's base class, and what is timed against it calls the library as it does.
    """
    if path.parts[:2] == ("backends", "libraries") and len(parts) > 3 and parts[2] != "numpy":
        return False
    if path.parts[:3] == ("conformance", "bench", "contenders") and parts[2:3] == ["libraries"]:
        return False
    if path.parts[:2] == ("conformance", "faults") and parts[2:3] == ["numpy"]:
        return False
    if len(parts) < 3 or parts[2] in SHARED or not (ROOT / "backends" / parts[2]).is_dir():
        return False
    return not (path.parts[0] == "backends" and path.parts[1] == parts[2])


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    assert faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_all_four_packages_were_read() -> None:
    assert {path.parts[0] for path in SOURCES} == set(FOLDERS)
    assert Path("backends/numpy/adapter.py") in SOURCES


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("spec/new.py", "from rnnspec.reference import lstm", "rnnspec.reference.lstm: expected only spec"),
        ("spec/new.py", "import rnnspec.conformance.cli", "rnnspec.conformance.cli: expected only spec"),
        ("spec/new.py", "from rnnspec import backends", "rnnspec.backends: expected only spec"),
        ("reference/new.py", "from rnnspec.backends import Call", "expected only reference, spec"),
        ("backends/contract.py", "from rnnspec.reference import lstm", "expected only backends, spec"),
        ("backends/torch/new.py", "from rnnspec import reference", "expected only backends, spec"),
        ("backends/numpy/new.py", "import rnnspec.conformance", "expected only backends, reference, spec"),
        ("backends/numpy/new.py", "from rnnspec.backends.torch import TorchBackend", "an adapter of another"),
        ("conformance/new.py", "from rnnspec.backends.torch import TorchBackend", "an adapter of another"),
        ("conformance/new.py", "from rnnspec.backends.numpy import NumpyBackend", "an adapter of another"),
        ("conformance/faults/new.py", "from rnnspec.backends.torch import TorchBackend", "an adapter of another"),
        ("spec/new.py", "from .operation import load", "relative import .operation"),
        ("spec/new.py", "from . import operation", "relative import ."),
        ("conformance/new.py", "def f():\n    from ..spec import load", "new.py:2: relative import ..spec"),
        ("conformance/new.py", "import spec.operation", "spec.operation in place of rnnspec.spec.operation"),
        ("spec/new.py", "import rnnspec", "expected only spec"),
        ("spec/new.py", "def f():\n    if True:\n        from rnnspec.backends import Call", "new.py:3:"),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str, fault: str) -> None:
    (found,) = faults(Path(path), source)
    assert fault in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("spec/new.py", "import numpy as np\nfrom rnnspec.spec.errors import SpecError"),
        ("reference/new.py", "from rnnspec import spec\nfrom rnnspec.reference import lstm"),
        ("backends/numpy/new.py", "from rnnspec import reference\nfrom rnnspec.backends.contract import Backend"),
        ("backends/torch/new.py", "import torch\nfrom rnnspec.backends.torch.weights import from_spec"),
        ("conformance/new.py", "from rnnspec import spec, reference, backends\nimport rnnspec.conformance.run"),
        ("conformance/faults/new.py", "from rnnspec.backends.numpy.adapter import NumpyBackend"),
    ],
)
def test_a_right_import_is_left_alone(path: str, source: str) -> None:
    assert faults(Path(path), source) == []


def rooms() -> dict[str, set[str]]:
    """Each room of `conformance`, a folder or a file, with the rooms that it imports from."""
    folder, prefix = ROOT / "conformance", ["rnnspec", "conformance"]
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        imported = (name.split(".") for _, name in imports(path.read_text(encoding="utf-8")))
        others = {parts[2] for parts in imported if parts[:2] == prefix and len(parts) > 2}
        found.setdefault(room, set()).update(others - {room})
    return found


def test_the_rooms_of_the_suite_import_one_way() -> None:
    order = list(TopologicalSorter(rooms()).static_order())  # CycleError names the rooms of a circle
    for lower, higher in pairwise(("judge", "cases", "checks", "run", "report", "interface", "cli")):
        assert order.index(lower) < order.index(higher)


@pytest.mark.parametrize(("room", "importing"), [("commands", {"cli"}), ("cli", set()), ("plugin", set())])
def test_what_users_call_is_imported_by_the_command_line_alone(room: str, importing: set[str]) -> None:
    assert {other for other, others in rooms().items() if room in others} == importing
