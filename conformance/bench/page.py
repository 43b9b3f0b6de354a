"""The report as one self-contained HTML page: plots, figures and conditions."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from rnnspec.backends.discovery import installs
from rnnspec.conformance.bench.answer import answers
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.facts import machine_facts
from rnnspec.conformance.bench.outcome import BenchReport
from rnnspec.conformance.bench.statistics import in_words
from rnnspec.conformance.bench.table import conditions, duration, growth_line, interval, mebibytes, notes


def must_be_drawable() -> None:
    """Raise BenchError unless jinja2 and matplotlib are installed."""
    for name in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(name) is None:
            raise BenchError(f"the page needs {name}: expected it installed; use {installs('bench')}")


def surprises(report: BenchReport) -> list[str]:
    """Return the lines of the growths that surely exceed the work's."""
    return [
        growth_line(title, name, growth).plain
        for title, fitted in report.growths().items()
        for name, growth in fitted.items()
        if growth.surprising
    ]


def page(report: BenchReport, written: Mapping[str, Any]) -> str:
    """Return the page; `written` is the run in pytest-benchmark's format, for the machine and the date."""
    # Imported here, so that only the page needs it.
    import jinja2

    from rnnspec.conformance.bench.plots import draw

    source = (files("rnnspec.conformance.bench") / "page.html.jinja").read_text("utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    functions = {"duration": duration, "interval": interval, "in_words": in_words, "mebibytes": mebibytes}
    facts = {**machine_facts(written), "date": written["datetime"][:10]}
    rendered: str = template.render(
        report=report,
        plots=draw(report),
        facts=facts,
        conditions=conditions(report),
        answers=answers(report),
        notes=list(notes(report)),
        surprises=surprises(report),
        **functions,
    )
    return rendered
