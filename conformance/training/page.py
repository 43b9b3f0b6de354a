"""A training as one self-contained HTML page: the losses, their bounds and error ratios by step, and the model."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import numpy as np

from rnnspec.conformance.report.drawing import figures, svg_of
from rnnspec.conformance.training.judging import Judged
from rnnspec.conformance.training.learning import Learned
from rnnspec.conformance.training.pictures import losses
from rnnspec.spec.models import mermaid, model

_WIDTH: Final = 5.5
"""Inches of a plot, whose words are then read on a phone too."""


def page(judged: Judged, sentences: list[str]) -> str:
    """Return the page; `sentences` say what became of each backend."""
    import jinja2  # imported here, so that only the page needs it

    source, style = map(_part, ("page.html.jinja", "page.css"))
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    request = judged.request
    with figures() as pyplot:
        drawn = [svg_of(pyplot, figure) for figure in (_losses(judged, pyplot), _ratios(judged, pyplot))]
    plots = [text[text.index("<svg") :] for text in drawn]
    rendered: str = template.render(
        judged=judged,
        model=request.model,
        sizes=request.model.at(request.sizes),
        sentences=sentences,
        plots=plots,
        diagram=mermaid(request.model, request.sizes),
        style=style,
    )
    return rendered


def learned_page(learned: Learned) -> str:
    """Return the page of what a model has learned: its measures, curves, pictures and texts."""
    import jinja2  # imported here, so that only the page needs it

    source, style = map(_part, ("learned.html.jinja", "page.css"))
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    pictures = [losses(learned.losses, learned.step_losses), *learned.pictures]
    with figures() as pyplot:
        drawn = [svg_of(pyplot, picture.draw(pyplot)) for picture in pictures]
    found = model(learned.model)
    rendered: str = template.render(
        learned=learned,
        title=found.title,
        style=style,
        summary=found.summary,
        pictures=[(picture, text[text.index("<svg") :]) for picture, text in zip(pictures, drawn, strict=True)],
    )
    return rendered


def _part(name: str) -> str:
    return (files("rnnspec.conformance.training") / name).read_text("utf-8")


def _losses(judged: Judged, pyplot: Any) -> Any:
    """The loss of the reference and of each backend, and below it the bound as a share of the loss."""
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(_WIDTH, 4.5), sharex=True, height_ratios=(2, 1))
    steps = [due.step for due in judged.due]
    losses = np.array([float(due.loss.value) for due in judged.due])
    bounds = np.array([float(due.loss.bound) for due in judged.due])
    above.plot(steps, losses, color="black", label="reference")
    for number, outcome in enumerate(judged.outcomes):
        above.plot(range(1, len(outcome.losses) + 1), outcome.losses, "o", ms=3, color=f"C{number}", label=outcome.name)
    above.set_ylabel("loss")
    above.legend()
    below.semilogy(steps, np.where(np.isfinite(bounds), bounds / np.abs(losses), np.nan), color="black")
    below.set_ylabel("bound / loss")
    below.set_xlabel("step")
    below.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _ratios(judged: Judged, pyplot: Any) -> Any:
    """The largest error over bound of each step."""
    figure, axis = pyplot.subplots(figsize=(_WIDTH, 3))
    for number, outcome in enumerate(judged.outcomes):
        finite = [ratio if np.isfinite(ratio) else np.nan for ratio in outcome.ratios]
        axis.semilogy(range(1, len(finite) + 1), finite, "o-", ms=3, color=f"C{number}", label=outcome.name)
    axis.axhline(1, color="black", lw=0.8)
    axis.set_xlabel("step")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("error / bound")
    axis.legend()
    return figure
