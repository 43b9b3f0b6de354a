"""The conditions of a run: versions, machine and date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np


def conditions() -> dict[str, str]:
    """Return the conditions of a run that ends now, by name."""
    return {
        "rnnspec": version("rnnspec"),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count() or 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
