"""One test for each check of each operation in each type of each backend; see `rnnspec.conformance.plugin`."""

from __future__ import annotations

import pytest


@pytest.mark.usefixtures("rnnspec_run")
def test_conforms() -> None:
    """All the work is done by the fixture, which knows what to run."""
