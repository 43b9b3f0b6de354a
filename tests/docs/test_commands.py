"""Every block of commands or output of README and docs is run as it stands, or says why not.

A comment before the block says what becomes of it:

- ``<!-- run -->``: its commands are run, in the order of the page and in one folder, and so is Python. The lines after
  a ``$`` line are those that the command prints, but for times, versions and ratios. A ``…`` stands for any words.
- ``<!-- run by tox -e commands -->``: the same, in that environment alone: it takes long, or needs more packages.
- ``<!-- tested by tests/… -->``: that file has to do with the page, and reads its block or runs what it shows.
- ``<!-- not run: REASON -->``.

A block of another language, or of ``text``, needs none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EVERY = os.environ.get("RNNSPEC_EVERY_COMMAND") == "1"
NEEDS_A_MARK = ("", "sh", "console")
SECONDS = 1200


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, its text, and the comment before it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.mark == "run" or (EVERY and self.mark == "run by tox -e commands")


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8") if text is None else text
    for found in re.finditer(r"(?:^<!-- ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[2], found[3], found[1] or "")


def fault(block: Block) -> str:
    """What is wrong with the mark of a block; empty if nothing is."""
    if not block.mark:
        return f"{block.where}: expected a mark" if block.language in NEEDS_A_MARK else ""
    if block.mark in ("run", "run by tox -e commands"):
        return ""
    kind, _, more = block.mark.partition(": ")
    if kind == "not run" and len(more.split()) >= 3:
        return ""
    if (test := re.fullmatch(r"tested by (tests/\S+\.py)", block.mark)) and (ROOT / test[1]).is_file():
        source = (ROOT / test[1]).read_text(encoding="utf-8")
        return "" if block.page.stem in source else f"{block.where}: {test[1]} does not name the page"
    return f"{block.where}: no such mark: {block.mark}"


def test_every_block_is_run_or_says_why_not() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    assert [words for block in found if (words := fault(block))] == []
    assert sum(block.mark == "run" for block in found) >= 8
    assert sum(block.mark == "run by tox -e commands" for block in found) >= 8


@pytest.mark.parametrize("mark", ["", "<!-- not run: no -->\n", "<!-- tested by tests/none.py -->\n", "<!-- ran -->\n"])
def test_a_block_without_a_right_mark_would_be_noticed(mark: str) -> None:
    (block,) = blocks(ROOT / "README.md", f"{mark}```sh\nrnnspec list\n```\n")
    assert fault(block)


NAMED = re.compile(r"`rnnspec ([a-z][^`\n]*)`|^(?:\$ |.*&& )?rnnspec ([a-z].*)$", re.MULTILINE)
"""A command in a sentence or in a block."""


def test_every_command_that_a_page_names_has_its_options(unknown_options: Callable[[str], set[str]]) -> None:
    """Those of blocks that are not run too."""
    lines = [(page.name, one or other) for page in PAGES for one, other in NAMED.findall(page.read_text("utf-8"))]
    assert len(lines) > 100
    wrong = {line: found for line in lines if (found := unknown_options(line[1]) - {"--junitxml"})}
    assert wrong == {}
    assert unknown_options("validate torch --opp lstm") == {"--opp"}


_VARIES = (
    (r"\d[\d.]*(?:\+cpu)?(?= on torch\b)", "#"),
    (r"\b(torch|numpy|NumPy|keras|rnnspec|onnxruntime|tensorflow) \d+(?:\.\d+)+(?:\+cpu)?", r"\1 #"),
    (r"\b\d+(?:\.\d+)?(?:e[-+]\d+)? (?:ms|s)\b", "# s"),
    (r"(error ratio|error ratios|ratio) (?:\d+\.\d+(?:e[-+]?\d+)?|inf)", r"\1 #"),
    (r"(?<![\w.])\d\.\d\d(?![\d.e])", "#"),  # an error ratio in a table
    (r"(?<![\w.])\d\.\de[-+]\d\d(?![\d.])", "#"),  # a difference or a bound
    (r"[─━]+", "─"),
)


def words_of(text: str) -> str:
    """The words, without what differs from run to run and from machine to machine, and with no line's end."""
    text = " ".join(text.split())
    for pattern, put in _VARIES:
        text = re.sub(pattern, put, text)
    return text


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed, however long the lines."""
    parts = (re.escape(part.strip()) for part in words_of(shown).split("…"))
    return re.fullmatch(" ?.*? ?".join(parts), words_of(printed)) is not None


def test_output_is_compared_but_for_what_varies() -> None:
    assert agrees("a 0.12\n…\nlast in 3 s", "a   0.07\nb\nc\n\nlast in 12.5 s\n")
    assert agrees("torch 2.13.0: long li…", "torch 3.1.0: long line\n")
    assert not agrees("a\nlast", "a\nb\nlast\n")
    assert not agrees("conforms (error ratio 0.1)", "violates (error ratio 0.1)\n")


def run(command: str | list[str], folder: Path) -> str:
    """What a command prints; it must end with status 0, or 1 where the page shows a violation."""
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "RNNSPEC_REPLAY": "0",
        "COLUMNS": "80", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    words = ["bash", "-e", "-c", command] if isinstance(command, str) else command
    done = subprocess.run(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=SECONDS,
    )  # fmt: skip
    violates = done.returncode == 1 and "violates" in done.stdout
    assert done.returncode == 0 or violates, f"{command}\n{done.stdout}"
    return done.stdout


def run_block(block: Block, folder: Path) -> None:
    if block.language == "python":
        run([sys.executable, "-c", block.text], folder)
        return
    if "$ " not in block.text:
        run(block.text, folder)
        return
    for session in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = session.partition("\n")
        printed = run(command, folder)
        assert agrees(shown, printed), f"{block.where}: {command}\nshows\n{shown}\nand prints\n{printed}"


def running(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.runs]


@pytest.mark.parametrize("page", [page for page in PAGES if running(page)], ids=lambda page: str(page.name))
def test_what_a_page_shows_is_what_is_printed(page: Path, tmp_path: Path) -> None:
    for needed in ("torch", "onnx", "h5py"):
        pytest.importorskip(needed, reason="pages show what it does")
    for block in running(page):
        run_block(block, tmp_path)
