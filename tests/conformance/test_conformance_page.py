"""The tables of docs/conformance.md are made from files of validations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.conformance.pages.__main__ import main

ROOT = Path(__file__).parents[2]


def check(identity: str, verdict: str, ratio: float | None, *reasons: str, level: str = "MUST") -> dict[str, Any]:
    return {
        "id": identity, "verdict": verdict, "worst_error_ratio": ratio, "reasons": list(reasons), "level": level
    }  # fmt: skip


def report(name: str, version: str = "1", **checks: list[dict[str, Any]]) -> dict[str, Any]:
    operations = [{"name": one, "dtype": "float32", "checks": found} for one, found in checks.items()]
    return {"backends": [{"name": name, "versions": {name: version}, "operations": operations}]}


def page_of(folder: Path, *reports: dict[str, Any]) -> tuple[int, str, str]:
    page = folder / "page.md"
    page.write_text("".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in ("verdicts", "conventions")))
    files = []
    for number, one in enumerate(reports):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(one))
    done = CliRunner().invoke(main, ["conformance", str(page), *map(str, files)])
    return done.exit_code, done.output, page.read_text()


def test_what_a_backend_has_not_is_no_row(tmp_path: Path) -> None:
    one = report("a", gru=[check("values", "conforms", 0.25)], lstm=[check("values", "not implemented", None)])
    one["backends"][0]["operations"][1]["verdict"] = "not implemented"
    status, _, page = page_of(tmp_path, one)
    assert status == 0
    assert "`gru`" in page
    assert "`lstm`" not in page


def test_a_row_for_each_operation_and_a_column_for_each_backend(tmp_path: Path) -> None:
    good = [
        check("values", "conforms", 0.25),
        check("edges", "conforms", 0.5),
        check("ties", "departs", 9, level="SHOULD"),
    ]
    bad = [
        check("values", "violates as expected", 7.0),
        check("edges", "crashed", None),
        check("batch", "conforms", 0.1),
    ]
    refused = [check("values", "refused", None, "b's gru: reset = after only", "backend b has no gradients")]
    status, _, page = page_of(tmp_path, report("b", gru=refused), report("a", gru=good), report("a", lstm=bad))
    assert status == 0
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert ["operation", "`a`", "`b`"] in rows
    assert ["`gru`", "0.50", "refused"] in rows
    assert ["`lstm`", "crashed, else 0.10", ""] in rows
    assert ["`a`", "a 1"] in rows
    assert ["`b`", "`gru`", "reset = after only"] in rows


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    status, output, _ = page_of(tmp_path, {"cases": 1})
    assert status == 1
    assert "0.json: expected a file that `rnnspec validate --json` wrote" in output
    status, output, _ = page_of(tmp_path, report("a", gru=[]), report("a", "2", lstm=[]))
    assert status == 1
    assert "a: expected one version of each library" in output


def test_what_is_stored_makes_the_same_page(tmp_path: Path) -> None:
    found = report("a", gru=[check("values", "conforms", 0.25, "a's gru: reset = after only")])
    found["backends"][0]["operations"][0]["checks"][0]["message"] = "at /home/me"
    _, _, before = page_of(tmp_path, found)
    folder = tmp_path / "stored"
    folder.mkdir()
    page = str(tmp_path / "page.md")
    done = CliRunner().invoke(main, ["conformance", page, str(tmp_path / "0.json"), "--store", str(folder)])
    assert done.exit_code == 0, done.output
    (file,) = folder.iterdir()
    assert "/home/me" not in file.read_text()
    assert CliRunner().invoke(main, ["conformance", page, str(file)]).exit_code == 0
    assert (tmp_path / "page.md").read_text() == before


def test_the_page_is_that_of_the_stored_files(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs/conformance.md").read_text())
    files = sorted((ROOT / "docs/conformance").glob("*.json"))
    assert files
    done = CliRunner().invoke(main, ["conformance", str(page), *map(str, files)])
    assert done.exit_code == 0, done.output
    assert page.read_text() == (ROOT / "docs/conformance.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "docs/conformance").glob("*.json")), ids=lambda path: path.stem)
def test_a_stored_file_is_of_the_pages_command(path: Path) -> None:
    (backend,) = json.loads(path.read_text())["backends"]
    assert backend["name"] == path.stem
    assert {one["dtype"] for one in backend["operations"]} == {"float32"}
