"""Repro scripts: torch alone computes what the adapter does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends import Call, open_backend  # noqa: E402
from rnnspec.backends.torch import TorchBackend  # noqa: E402
from rnnspec.backends.torch.natives import NATIVES  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation, system  # noqa: E402

CASES = 12
