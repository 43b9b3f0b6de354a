"""The page on the specification: what it quotes stands in the specification, and it speaks of every law."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from rnnspec.spec import operations
from rnnspec.spec.operation import DOMAINS
from rnnspec.spec.vocabulary import REDUCERS

PAGE = (Path(__file__).parents[2] / "docs" / "specification.md").read_text(encoding="utf-8")
TABLES = "\n".join(
    file.read_text(encoding="utf-8") for file in files("rnnspec.spec").iterdir() if file.name.endswith(".toml")
)
QUOTED = [part for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) for part in block.strip().split("\n\n")]


@pytest.mark.parametrize("quoted", QUOTED, ids=lambda quoted: quoted.splitlines()[0])
def test_what_is_quoted_stands_in_the_specification(quoted: str) -> None:
    assert quoted in TABLES


def test_every_law_domain_and_reducer_is_named() -> None:
    laws = {law for op in operations().values() for law in op.laws}
    for word in (*laws, *DOMAINS, *REDUCERS):
        assert f"`{word}" in PAGE, word
