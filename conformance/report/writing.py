"""The files that a command writes of a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnspec.conformance.report.page import must_be_renderable
from rnnspec.conformance.report.report import Report, badge_format
from rnnspec.conformance.run.files import write_json


@dataclass(frozen=True)
class Written:
    """The files that the user asks for."""

    json: Path | None = None
    html: Path | None = None
    badge: Path | None = None

    def must_be_possible(self) -> None:
        """Raise FileError for what cannot be written, before any work is done."""
        if self.html:
            must_be_renderable()
        if self.badge:
            badge_format(self.badge)

    def write(self, report: Report, **more: Any) -> None:
        """Write the page, the badge and the JSON, which has these entries `more`."""
        if self.json:
            write_json(self.json, report.to_json() | more)
        if self.html:
            report.write_html(self.html)
        if self.badge:
            report.write_badge(self.badge)
