"""The script of a repro, as text: NumPy and the library at fault, or its adapter; forty lines at most."""

from __future__ import annotations

import json
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
"""Room for the library's part, where outputs or gradients are compared with numbers. There is less of it where the
script also waits, has directions or judges no NaN. Of a longer part, the script says so, and calls the adapter."""

_WHILE_WRONG: Final = "Exit status: 1 while this is so, 0 once it is right."
_NO_ADAPTER: Final = "The library alone has no such call: what came is recorded, not computed again."
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
_CRASHING: Final = "sys.excepthook = lambda kind, error, trace: print(repr(error))  # with exit status 1"
_JUDGING: Final = (
    'with np.errstate(all="ignore"):',
    "    ratio = np.where((got == expected) | (abs(got - expected) == bound), 0, abs(got - expected) / bound)",
    "worst = np.nan_to_num(ratio, nan=np.inf, posinf=np.inf).max(initial=0)",
    'print("expected", expected, "bound", bound, "got", got, "error / bound, at most 1 if right", worst, sep="\\n")',
    "raise SystemExit(int(got.shape != expected.shape or not worst <= 1))",
)


@dataclass(frozen=True)
class Heading:
    """The script's description of itself: the failure, its versions, and the words of its report."""

    title: str
    message: str
    library: str

    def docstring(self, *last: str, lines: int = 3) -> list[str]:
        """The script's docstring, with so many lines of the message: how it begins and, last in it, the case."""
        told = self.message.splitlines()
        if len(told) > lines:
            told = [*told[: lines - 1], told[-1]]
        return [f'"""{_plain(self.title, WIDEST - 3)}', *(_plain(line, WIDEST) for line in (*told, *last)), '"""']


@dataclass(frozen=True)
class Adapter:
    """The adapter by the name that the user opened it by, and its device."""

    name: str
    device: str

    @property
    def module(self) -> str:
        """The module that has to be found; empty for an installed backend."""
        return self.name.partition(":")[0] if ":" in self.name else ""


@dataclass(frozen=True)
class AdapterPart:
    """The library's own part of a script as its adapter wrote it, or why there is none."""

    source: str | None = None
    failed: str = ""

    @property
    def lines(self) -> list[str]:
        """The source's lines; none where there is none."""
        return (self.source or "").rstrip().splitlines()


def by_library(evidence: Evidence, heading: Heading, dtype: str, written: AdapterPart) -> str | None:
    """Return the script that calls the library alone; None if it has no such call, or a longer one than fits."""
    ask = live(evidence)
    if written.source is None or ask is None:
        return None
    last = f"{_WHILE_WRONG} Needs NumPy and {heading.library}."
    lines = _live(evidence, ask, dtype, written.lines)
    for docstring in (heading.docstring(last), heading.docstring(last, lines=2)):
        if len(docstring) + len(lines) <= LINES:
            return _joined(docstring, lines)
        lines = [line for line in lines if line]
        if len(docstring) + len(lines) <= LINES:
            return _joined(docstring, lines)
    return None


def by_adapter(evidence: Evidence, heading: Heading, dtype: str, written: AdapterPart, adapter: Adapter | None) -> str:
    """Return the script that calls the adapter or, where no single call of an adapter shows it, has what came."""
    note = _left_out(evidence, dtype, written)
    ask = live(evidence, by_adapter=True)
    if ask is None or adapter is None:
        recorded = _recorded(evidence, heading)
        return _joined(heading.docstring(*note, _SEVERAL if ask is None else _NO_ADAPTER), recorded)
    last = [_WHILE_WRONG, f"Needs rnnspec and the adapter {adapter.name}."]
    if adapter.module:
        last.append(f"Run it where Python can import {adapter.module}.")
    return _joined(heading.docstring(*note, *last), _asking_adapter(evidence, ask, adapter))


def _left_out(evidence: Evidence, dtype: str, written: AdapterPart) -> tuple[str, ...]:
    """Why a script has not the library's part that its adapter wrote, or began to write."""
    ask = live(evidence)
    if written.failed:
        return (f"The adapter's script of this call ended in {written.failed}.",)
    if written.source is None or ask is None:
        return ()
    around = [line for line in _live(evidence, ask, dtype, []) if line]
    room = LINES - len(around) - len(Heading("", "one\ntwo", "").docstring("last"))
    count = len([line for line in written.lines if line])
    return (f"The library's own call has {count} lines, and a repro has room for {room}: it is left out.",)


def _joined(docstring: list[str], lines: list[str]) -> str:
    return "\n".join([*docstring, *lines]) + "\n"


def live(evidence: Evidence, *, by_adapter: bool = False) -> Ask | None:
    """The request that a script can repeat to show the evidence; None if there is none.

    The adapter shows more than its library alone does.
    """
    match evidence:
        case Numbers(ask=ask):
            return ask
        case Accepted(ask=ask):
            return ask if by_adapter or ask.cotangents is None else None
        case Form(ask=ask, shows_alone=shows_alone):
            return ask if by_adapter or shows_alone else None
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
    return _around(evidence, ask, lines, call)


def _asking_adapter(evidence: Evidence, ask: Ask, adapter: Adapter) -> list[str]:
    """The lines of a script that calls the adapter itself."""
    reading, blank, numpy, *loading = _READING
    lines = [reading, blank, numpy, "from rnnspec.backends import open_backend"]
    lines += ["from rnnspec.conformance.run.repro import read_record", *loading]
    lines.append('asked = read_record(pathlib.Path(__file__).with_suffix(".npz"))')
    lines.append(f"backend = open_backend({json.dumps(adapter.name)}, {json.dumps(adapter.device)})")
    if ask.cotangents is None:
        call = "outputs = backend.run(asked.call)"
    elif ask.directions:
        call = "gradients = backend.second_order(asked.call, asked.cotangents, asked.directions)"
    else:
        call = "gradients = backend.gradients(asked.call, asked.cotangents, asked.wanted)"
    return _around(evidence, ask, lines, [call])


def _around(evidence: Evidence, ask: Ask, lines: list[str], call: list[str]) -> list[str]:
    """The script's lines: those before the call, the call, and what is made of the answer."""
    seconds = evidence.seconds if isinstance(evidence, Numbers | Accepted) else None
    waiting = []
    if seconds is not None:
        lines = ["import faulthandler", *lines]
        waiting = [f"faulthandler.dump_traceback_later({seconds:g}, exit=True)  # with exit status 1"]
    match evidence:
        case Numbers(quantity=quantity, got=got) as evidence:
            lines.append(_EXPECTED)
            if got is None:  # the call may not come to its end this time either
                lines.append('print("expected", expected, "bound", bound, "got", sep="\\n", flush=True)')
                if seconds is None:
                    lines = [lines[0], "import sys", *lines[1:], _CRASHING]
            judging = [f"got = np.asarray({_pick(ask, quantity)}, float)", *_judging(evidence)]
            return [*lines, *waiting, *call, *judging]
        case Form(quantity=quantity, due=due):
            judging = [f"got = {_form(ask, quantity)}", "print(got)", f"raise SystemExit(int(got != {due!r}))"]
            return [*lines, _said(due), *call, *judging]
        case Accepted():
            judging = ["except Exception as error:", "    print(repr(error))", "    raise SystemExit(0)"]
            came = "outputs" if ask.cotangents is None else "gradients"
            end = [f'print(*{came}, sep="\\n")', "raise SystemExit(1)"]
            return [*lines, _said("an error"), *waiting, "try:", *indented(call), *judging, *end]
    raise AssertionError(evidence)


def _form(ask: Ask, quantity: str) -> str:
    """The expression for the form of a quantity, or of all that came."""
    if quantity:
        pick = _pick(ask, quantity)
        return f'f"{{{pick}.dtype}} of shape {{{pick}.shape}}"'
    if ask.cotangents is None:
        return 'f"{len(outputs)} outputs"'
    return '"gradients of " + ", ".join(sorted(gradients))'


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
