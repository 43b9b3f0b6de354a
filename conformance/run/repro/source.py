"""The script of a repro, as text: NumPy and the library at fault, forty lines at most."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten
from typing import Final

import numpy as np

from rnnspec.backends.scripting import WIDEST, indented
from rnnspec.conformance.run.repro.evidence import Accepted, Evidence, Form, Numbers, Words
from rnnspec.conformance.run.repro.record import cotangent_names
from rnnspec.conformance.run.repro.witness import Ask

LINES: Final = 40
LINES_OF_A_CALL: Final = 23
"""Room for the library's part; more, and the script shows the recorded numbers alone."""

_WHILE_WRONG: Final = "Exit status: 1 while this is so, 0 once it is right."
_NO_CALL: Final = "The library alone has no such call, or a longer one: what came is recorded, not computed again."
_SEVERAL: Final = "It takes more than one call to see: what came is recorded, not computed again."

_READING: Final = (
    "import pathlib",
    "",
    "import numpy as np",
    "",
    'data = np.load(pathlib.Path(__file__).with_suffix(".npz"))',
)
_EXPECTED: Final = 'expected, bound = data["expected"], data["bound"]'
_UNJUDGED: Final = (
    "got, expected = (np.where(np.isnan(expected), 0, a) for a in (got, expected))  # of nan, nothing is said"
)
_JUDGING: Final = (
    'with np.errstate(all="ignore"):',
    "    ratio = np.where((got == expected) | (abs(got - expected) == bound), 0, abs(got - expected) / bound)",
    "worst = np.nan_to_num(ratio, nan=np.inf, posinf=np.inf).max(initial=0)",
    'print("expected", expected, "bound", bound, "got", got, "error / bound, at most 1 if right", worst, sep="\\n")',
    "raise SystemExit(int(got.shape != expected.shape or not worst <= 1))",
)


@dataclass(frozen=True)
class Heading:
    """What the script says of itself: what failed, in which versions, and how it was told."""

    title: str
    message: str
    library: str

    def docstring(self, last: str, lines: int = 3) -> list[str]:
        """The script's docstring, with so many lines of the message: how it begins and, last in it, the case."""
        told = self.message.splitlines()
        if len(told) > lines:
            told = [*told[: lines - 1], told[-1]]
        return [f'"""{_plain(self.title, WIDEST - 3)}', *(_plain(line, WIDEST) for line in (*told, last)), '"""']


def source_of(evidence: Evidence, heading: Heading, dtype: str, call: str | None) -> str:
    """Return the script that shows the evidence; `call` is the library's own part, None where it has none."""
    ask = live(evidence)
    if call is not None and ask is not None:
        last = f"{_WHILE_WRONG} Needs NumPy and {heading.library}."
        lines = _live(evidence, ask, dtype, call.rstrip().splitlines())
        for docstring in (heading.docstring(last), heading.docstring(last, lines=2)):
            if len(docstring) + len(lines) <= LINES:
                return "\n".join([*docstring, *lines]) + "\n"
            lines = [line for line in lines if line]
            if len(docstring) + len(lines) <= LINES:
                return "\n".join([*docstring, *lines]) + "\n"
    lines = [*heading.docstring(_SEVERAL if ask is None else _NO_CALL), *_recorded(evidence, heading)]
    return "\n".join(lines) + "\n"


def live(evidence: Evidence) -> Ask | None:
    """The request that a script can repeat to show the evidence; None if there is none."""
    match evidence:
        case Numbers(ask=ask):
            return ask
        case Accepted(ask=ask):
            return ask if ask.cotangents is None else None
        case Form(ask=ask, shows_alone=shows_alone):
            return ask if shows_alone else None
    return None


def _live(evidence: Evidence, ask: Ask, dtype: str, call: list[str]) -> list[str]:
    """The script's lines around the library's own."""
    lines = [*_READING, 'inputs = {k[6:]: v for k, v in data.items() if k.startswith("input.")}']
    if ask.cotangents is None:
        lines.append(f'dtype = "{dtype}"')
    else:
        lines.append(f'dtype, cotangents = "{dtype}", [data.get(k) for k in {list(cotangent_names(ask.call))}]')
    if ask.directions:
        lines.append('directions = {k[10:]: v for k, v in data.items() if k.startswith("direction.")}')
    match evidence:
        case Numbers(quantity=quantity, got=got, seconds=seconds) as evidence:
            lines.append(_EXPECTED)
            if got is None:  # the call may not come to its end this time either
                lines.append('print("expected", expected, "bound", bound, "got", sep="\\n", flush=True)')
            if seconds is not None:
                lines = ["import faulthandler", *lines]
                lines.append(f"faulthandler.dump_traceback_later({seconds:g}, exit=True)  # with exit status 1")
            return [*lines, *call, f"got = np.asarray({_pick(ask, quantity)}, float)", *_judging(evidence)]
        case Form(quantity=quantity, due=due):
            pick = _pick(ask, quantity) if quantity else ""
            form = f'f"{{{pick}.dtype}} of shape {{{pick}.shape}}"' if quantity else 'f"{len(outputs)} outputs"'
            judging = [f"got = {form}", "print(got)", f"raise SystemExit(int(got != {due!r}))"]
            return [*lines, _said(due), *call, *judging]
        case Accepted():
            judging = ["except Exception as error:", "    print(repr(error))", "    raise SystemExit(0)"]
            end = ['print(*outputs, sep="\\n")', "raise SystemExit(1)"]
            return [*lines, _said("an error"), "try:", *indented(call), *judging, *end]
    raise AssertionError(evidence)


def _recorded(evidence: Evidence, heading: Heading) -> list[str]:
    """The lines of a script that repeats no call."""
    due, came = "an error", "a result"
    match evidence:
        case Numbers(got=got) as evidence if got is not None:
            return [*_READING, _EXPECTED, 'got = data["got"].astype(float)', *_judging(evidence)]
        case Numbers():
            came = _plain(heading.message.splitlines()[0], WIDEST - 20)
            return [
                *_READING,
                'print("expected", data["expected"], "bound", data["bound"], "got", sep="\\n")',
                f"print({came!r})",
                "raise SystemExit(1)",
            ]
        case Form(due=due, came=came) | Words(due=due, came=came):
            pass
    return [_said(_plain(due, WIDEST - 60)), f"print({_plain(came, WIDEST - 20)!r})", "raise SystemExit(1)"]


def _judging(evidence: Numbers) -> tuple[str, ...]:
    return (_UNJUDGED, *_JUDGING) if np.isnan(evidence.due.value).any() else _JUDGING


def _said(due: str) -> str:
    return f'print("expected", {due!r}, "bound", "none", "got", sep="\\n", flush=True)'


def _pick(ask: Ask, quantity: str) -> str:
    """The quantity among what the library's part sets."""
    if ask.cotangents is not None:
        return f'gradients["{quantity[1:]}"]'
    return f"outputs[{list(ask.call.spec.outputs_for(ask.call.attributes)).index(quantity)}]"


def _plain(text: str, width: int) -> str:
    """The text in one line, as it can stand in a docstring."""
    inward = "  " if text.startswith(" ") else ""
    return inward + shorten(text, width - 10, placeholder=" …").replace("\\", "\\\\").replace('"""', "'''")
