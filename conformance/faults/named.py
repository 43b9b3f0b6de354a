"""Every planted fault as a backend, by its name with underscores: ``…faults.named:lstm_forget_bias_of_one``.

``rnnspec validate`` so shows what the suite says of a fault.
"""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.faults.catalogue import faults


def __getattr__(name: str) -> type[Backend]:
    """Return the wrong implementation of this name; AttributeError if there is none."""
    found = next((fault for fault in faults() if fault.name.replace("-", "_") == name), None)
    if found is None:
        raise AttributeError(f"no planted fault is named {name}: expected one of those in docs/faults.md")
    return found.implementation
