"""Facts that must be equal on two machines, or in two runs, for their results to be put together."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rnnspec import backends, conformance, reference, spec
from rnnspec.conformance.hosting.work import Work


def digest_of(*packages: ModuleType) -> str:
    """Return a digest of the code and the data of packages and modules."""
    digest = hashlib.sha256()
    for package in packages:
        assert package.__file__ is not None  # each is a file, or a folder with an __init__
        file = Path(package.__file__)
        for path in sorted(file.parent.rglob("*")) if file.name == "__init__.py" else [file]:
            if path.suffix in (".py", ".toml"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def facts_of(work: Work[Any]) -> dict[str, str]:
    """Return the facts on which the results of the work depend, of this process; BackendError if one is missing."""
    return {**_own(), **work.versions(**work.settings)}


@cache
def _own() -> dict[str, str]:
    return {**installed(), "code of rnnspec": digest_of(spec, reference, backends, conformance)}


def installed() -> dict[str, str]:
    """Return the versions of what every result depends on, and the kind of the machine."""
    return {
        "rnnspec": version("rnnspec"),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "NumPy": np.__version__,
        "ml_dtypes": version("ml_dtypes"),
        "Hypothesis": version("hypothesis"),
        "machine": platform.machine(),
    }


def differences(expected: dict[str, str], found: dict[str, str]) -> str:
    """Return where facts differ from the expected ones, in words; empty if nowhere."""
    return "; ".join(
        f"{name}: expected {expected.get(name, 'none')}, got {found.get(name, 'none')}"
        for name in {**expected, **found}
        if expected.get(name) != found.get(name)
    )
