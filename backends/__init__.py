"""Adapters: how an implementation offers its operations to the suite.

`contract` holds what an adapter is, `taking` how its methods say which calls they take; `discovery` finds adapters by
name. No module here imports a framework but the
framework's own, and that one only when its backend is opened.
"""

from rnnspec.backends.accuracy import Accuracy
from rnnspec.backends.contract import Backend, Call, Cotangents, Prepared, Unsupported
from rnnspec.backends.discovery import BackendError, open_backend
from rnnspec.backends.drawing import Drawing
from rnnspec.backends.taking import at_least, only

__all__ = [
    "Accuracy", "Backend", "BackendError", "Call", "Cotangents", "Drawing", "Prepared", "Unsupported", "at_least",
    "only", "open_backend",
]  # fmt: skip
