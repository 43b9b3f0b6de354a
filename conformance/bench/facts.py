"""Facts about the machine of a run, from the run's file in pytest-benchmark's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def machine_facts(written: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts that times depend on, by name, as far as the file has them.

    Raises
    ------
    TypeError, AttributeError
        If the file has facts of another form.
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
