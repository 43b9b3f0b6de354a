"""The checks of an operation for one process of several; imported only where pytest-xdist shares them out."""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

BETWEEN: Final = pytest.StashKey["set[Any]"]()
"""The workers that were lost after a check whose result had come, and before the next one began."""


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist may be absent
    """Let one process run all checks of an operation, and none again in which a process was lost."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rsplit("-", 2)[0]  # without type and check

    def schedule(self) -> None:
        """Give out the checks; to a worker in place of a lost one enough to begin with: it waits for a second one."""
        is_begun = self.collection is not None
        super().schedule()
        for node in self.nodes if is_begun else ():
            self._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """Give the checks that a worker leaves to others, without the one in which it was lost; return that one."""
        units = self.assigned_work.get(node, {})
        due = [(unit, nodeid) for unit in units.values() for nodeid, done in unit.items() if not done]
        lost = None
        if due and node not in self.config.stash.get(BETWEEN, ()):
            unit, lost = due[0]
            unit[lost] = True
        for name in [name for name, unit in units.items() if all(unit.values())]:
            del units[name]
        super().remove_node(node)
        return lost
