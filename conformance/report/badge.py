"""A badge with the verdict, for a README: as SVG, or as the JSON that a shields endpoint reads."""

from __future__ import annotations

import json
from typing import Final

from rnnspec.conformance.run import Verdict

LABEL: Final = "rnnspec"
_COLOURS: Final = {
    Verdict.CONFORMS: ("brightgreen", "#2e7d32"),
    Verdict.EXPECTED: ("green", "#558b2f"),
    Verdict.VIOLATES: ("red", "#c62828"),
    Verdict.CRASHED: ("red", "#c62828"),
    Verdict.TIMED_OUT: ("red", "#c62828"),
}
"""The name that shields knows, and the colour of the image; white letters on it have enough contrast."""
_GREY: Final = ("lightgrey", "#616161")
_WORDS: Final = {Verdict.EXPECTED: "conforms, known faults"}
_LETTER, _MARGIN = 6.6, 6.0
"""Width of a letter of 11 pixels, and the space beside the words."""


def badge_json(verdict: Verdict, complete: bool = True) -> str:
    """Return the badge for a shields endpoint; a run that came to no end does not conform by it."""
    message, (colour, _) = _told(verdict, complete)
    data = {"schemaVersion": 1, "label": LABEL, "message": message, "color": colour}
    return json.dumps(data, indent=2) + "\n"


def badge_svg(verdict: Verdict, complete: bool = True) -> str:
    """Return the badge as an image; a run that came to no end does not conform by it."""
    message, (_, colour) = _told(verdict, complete)
    left, right = (len(words) * _LETTER + 2 * _MARGIN for words in (LABEL, message))
    words = "".join(
        f'<text x="{x:.1f}" y="14" textLength="{len(text) * _LETTER:.1f}">{text}</text>'
        for x, text in ((left / 2, LABEL), (left + right / 2, message))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.0f}" height="20" role="img" '
        f'aria-label="{LABEL}: {message}"><title>{LABEL}: {message}</title>'
        f'<clipPath id="r"><rect width="{left + right:.0f}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left:.1f}" height="20" fill="#424242"/>'
        f'<rect x="{left:.1f}" width="{right:.1f}" height="20" fill="{colour}"/></g>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{words}</g>'
        "</svg>\n"
    )


def _told(verdict: Verdict, complete: bool) -> tuple[str, tuple[str, str]]:
    """The message and its colours."""
    if not complete and not verdict.bad:
        return "incomplete", _GREY
    return _WORDS.get(verdict, str(verdict)), _COLOURS.get(verdict, _GREY)
