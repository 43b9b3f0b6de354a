"""Places in the reference's code at which quantities are computed and errors are planted."""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from rnnspec import reference

_FOLDER: Final = str(Path(str(reference.__file__)).parent)
_INSIDE: Final[dict[str, bool]] = {}
"""Whether each file of code that was met is the reference's."""

Instructions = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CodePlace:
    """An operation in the reference's code, and the calls that lead to it.

    `instructions` are the running ones, the innermost first, each with the identity of its code and the offset in it.
    The logistic functions of two gates are therefore two places, and all steps of a sequence are one.
    """

    instructions: Instructions
    name: str
    """The lines that lead to it, and the expression: ``unroll.py:71 > lstm.py:60: f * c_prev``."""


def innermost() -> FrameType | None:
    """Return the frame of the reference's running function; None if none runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _of_reference(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def instructions(frame: FrameType) -> Instructions:
    """Return the running instructions of the reference, from this frame outwards."""
    return tuple([(id(one.f_code), one.f_lasti) for one in _outwards(frame)])


def place_of(frame: FrameType) -> CodePlace:
    """Return the place of a frame of the reference."""
    frames = _outwards(frame)
    lines = [f"{Path(one.f_code.co_filename).name}:{one.f_lineno}" for one in reversed(frames)]
    return CodePlace(instructions(frame), f"{' > '.join(lines)}: {_expression(frame.f_code, frame.f_lasti)}")


@cache
def quantity_of(code: CodeType, offset: int) -> str:
    """Return the quantity of an instruction, the same for all calls that lead to it: ``lstm.py: f * c_prev``."""
    return f"{Path(code.co_filename).name}: {_expression(code, offset)}"


def _of_reference(file: str) -> bool:
    inside = _INSIDE.get(file)
    if inside is None:
        inside = _INSIDE[file] = str(Path(file).parent) == _FOLDER
    return inside


def _outwards(frame: FrameType) -> list[FrameType]:
    frames: list[FrameType] = []
    one: FrameType | None = frame
    while one is not None and _of_reference(one.f_code.co_filename):
        frames.append(one)
        one = one.f_back
    return frames


def _expression(code: CodeType, offset: int) -> str:
    """Source text of an instruction, on one line."""
    # An instruction is two bytes.
    first, last, begin, end = next(islice(code.co_positions(), offset // 2, None))
    if first is None or last is None or begin is None or end is None:
        return code.co_qualname
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    return " ".join(b" ".join(lines).decode().split())
