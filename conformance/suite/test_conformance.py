"""One test for each check of each operation in each type of each backend; see `rnnspec.conformance.plugin`."""

from __future__ import annotations

from collections.abc import Callable


def test_conforms(rnnspec_run: Callable[[], None]) -> None:
    """The fixture knows what to run."""
    rnnspec_run()
