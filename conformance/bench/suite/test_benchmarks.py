"""One test for each workload in each mode and type; see `rnnspec.conformance.bench.engine`."""

from __future__ import annotations

from typing import Any

import pytest


def test_contest(engine: Any, contest: Any, request: pytest.FixtureRequest) -> None:
    """Hold the contest by the engine."""
    engine.hold(contest, request)
