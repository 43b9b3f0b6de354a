"""The programs of the page of vectors, in JavaScript, C and Rust, conform; with a planted fault they do not."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text(encoding="utf-8")
CASES = 6


def vectors(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["vectors", *map(str, arguments)])


def program(language: str) -> str:
    (source,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(source)


def found(*names: str) -> str:
    there = next((path for path in map(shutil.which, names) if path), None)
    if there is None:
        pytest.skip(f"there is no {' or '.join(names)} here")
    return there


def done(*command: str | Path) -> None:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def javascript(source: str, folder: Path, results: Path) -> None:
    path = results.with_name("dense.js")
    path.write_text(source)
    done(found("node"), path, folder, results)


def each(binary: Path, folder: Path, results: Path) -> None:
    (results / "dense" / "float32").mkdir(parents=True)
    for file in sorted((folder / "dense" / "float32").iterdir()):
        done(binary, file, results / "dense" / "float32" / file.name)


def c(source: str, folder: Path, results: Path) -> None:
    path, binary = results.with_name("dense.c"), results.with_name("dense")
    path.write_text(source)
    done(found("cc", "gcc", "clang"), "-Wall", "-Wextra", "-Werror", "-o", binary, path)
    each(binary, folder, results)


def rust(source: str, folder: Path, results: Path) -> None:
    path, binary = results.with_name("dense.rs"), results.with_name("dense")
    path.write_text(source)
    done(found("rustc"), "--edition=2021", "-D", "warnings", "-o", binary, path)
    each(binary, folder, results)


@pytest.mark.parametrize(
    ("language", "storage", "run", "right", "wrong"),
    [
        ("js", "json", javascript, "b ? b.data[unit] : 0", "0"),
        ("c", "safetensors", c, "b ? b[unit] : 0", "b ? 0 : 0"),
        ("rust", "safetensors", rust, "|b| b[unit]", "|_| 0.0"),
    ],
    ids=("javascript", "c", "rust"),
)
def test_the_program_conforms(
    language: str, storage: str, run: Callable[[str, Path, Path], None], right: str, wrong: str, tmp_path: Path
) -> None:
    source, folder = program(language), tmp_path / "corpus"
    plain = ("--op", "dense", "--plain", "--dtype", "float32", "--cases", str(CASES), "--format", storage)
    assert vectors("export", folder, *plain).exit_code == 0
    (tmp_path / "a").mkdir()
    run(source, folder, tmp_path / "a" / "results")
    judged = vectors("check", folder, tmp_path / "a" / "results")
    assert judged.exit_code == 0, judged.output
    assert f"judged {CASES} of the {CASES} cases: all" in judged.output
    assert right in source
    (tmp_path / "b").mkdir()
    run(source.replace(right, wrong), folder, tmp_path / "b" / "results")
    assert vectors("check", folder, tmp_path / "b" / "results").exit_code == 1
