"""All composed operations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

OPERATIONS: Final[Mapping[str, Callable[..., tuple[Any, ...]]]] = {}
