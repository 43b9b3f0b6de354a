"""How often the suite names what is wrong as a table, from what ``rnnspec faults --diagnose --json FILE`` wrote."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.conformance.diagnosis.measuring import Diagnosed
from rnnspec.conformance.diagnosis.rates import WORDS, Rates, rates
from rnnspec.conformance.pages.markdown import table


def sections(found: Sequence[Diagnosed]) -> dict[str, str]:
    """The page's tables by name, as Markdown: rates by kind, how they are named, and the names that are wrong."""
    heads = ["wrong implementations", *Rates.HEADINGS]
    named = [one for one in found if one.named == "right"]
    ways = ("edit", "misreading", "catalogue")
    rows = [
        [WORDS[kind], *(str(sum(one.by == way for one in named if one.kind == kind)) for way in ways)]
        for kind in WORDS
        if any(one.kind == kind for one in found)
    ]
    wrong = [f"- `{one.operation}`, {one.title}: `{one.suspect}`" for one in found if one.named == "wrong"]
    unnamed = [f"- `{one.operation}`: {one.title}" for one in found if one.shows and one.named == "none"]
    return {
        "rates": table(heads, [[one.kind, *one.cells()] for one in rates(found)]),
        "ways": table(["named rightly", "as an edit", "as a misreading", "by the catalogue alone"], rows),
        "wrong": "\n".join(wrong) or "None.",
        "unnamed": "\n".join(unnamed) or "None.",
    }
