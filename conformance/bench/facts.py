"""The machine that a run was timed on, as its file in pytest-benchmark's format tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def machine_facts(written: Mapping[str, Any]) -> dict[str, str]:
    """What times depend on, by name, as far as the file has it.

    Raises
    ------
    TypeError, AttributeError
        If it has something of another form in its place.
    """
    info = written.get("machine_info", {})
    cpu = info.get("cpu", {})
    system = [info[key] for key in ("system", "release", "machine") if key in info]
    facts = {
        "machine": info.get("node"),
        "CPU": cpu.get("brand_raw"),
        "cores": cpu.get("count"),
        "threads": info.get("threads"),
        "system": " ".join(system) or None,
        "Python": info.get("python_version"),
    }
    return {name: str(fact) for name, fact in facts.items() if fact is not None}
