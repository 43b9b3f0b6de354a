"""The numbers of docs/gradients.md are those that the reference computes; the command that draws them runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnspec.conformance.pages import gradient_numbers as numbers

PAGE = Path(__file__).parents[2] / "docs" / "gradients.md"


def rows_of(lines: list[str]) -> dict[str, list[str]]:
    """Cells of the rows of numbers by the first cell."""
    cells = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in lines if line.startswith("| ")]
    return {first: others for first, *others in cells if others and "---:" not in others}


def test_the_page_quotes_the_numbers_that_come_out() -> None:
    quoted = rows_of(PAGE.read_text(encoding="utf-8").splitlines())
    computed = 0
    for name, text in numbers.tables().items():
        for row, cells in rows_of(text.splitlines()[2:]).items():
            assert row in quoted, f"{name}: the page has no row {row!r}"
            # Two digits are printed, and another machine may round the last one otherwise.
            np.testing.assert_allclose(
                [float(cell) for cell in quoted[row]], [float(cell) for cell in cells], rtol=0.1, err_msg=row
            )
            computed += len(cells)
    assert computed > 100


def test_the_page_shows_every_plot() -> None:
    page = PAGE.read_text(encoding="utf-8")
    plots = sorted((PAGE.parent / "gradients").glob("*.svg"))
    assert len(plots) == 4
    for plot in plots:
        assert f"(gradients/{plot.name})" in page


def test_what_the_page_says_of_the_layers() -> None:
    norms = {about: numbers.typical(norm) for about, norm in numbers.jacobian_norms().items()}
    last = {about: norm[-1] for about, norm in norms.items()}
    assert last["lstm, forget gate closed (b = -3)"] < last["lstm, forget gate half open (b = 0)"] < 1e-10
    assert 0.5 < last["lstm, forget gate open (b = 5)"] < 100
    assert 0.5 < last["gru, update gate keeps (b = 5)"] <= 1
    assert last["rnn, ρ(R) = 0.9"] < 1e-10
    assert last["rnn, ρ(R) = 3, small inputs"] > 1e3


def test_clipping_by_norm_keeps_the_direction_and_by_value_does_not() -> None:
    clipped = numbers.clipped_gradients(points=21)
    np.testing.assert_allclose(clipped["by norm"].cosine, 1)
    np.testing.assert_allclose(clipped["by norm"].after, np.minimum(clipped["by norm"].before, 1))
    assert clipped["by value"].cosine[-1] < 0.8


def test_one_step_at_the_wall_parts_the_descents() -> None:
    plain, clipped = numbers.descents().values()
    wall = int(plain.norms.argmax())
    assert wall == int(clipped.norms.argmax()) == 53
    np.testing.assert_array_equal(plain.places[: wall + 1], clipped.places[: wall + 1])
    length = np.linalg.norm(clipped.places[wall + 1] - clipped.places[wall])
    assert length == pytest.approx(numbers.RATE * numbers.DESCENT_THRESHOLD)
    assert plain.norms[-1] < 1e-12
    assert plain.losses[-1] > 0.05
    assert clipped.losses[-20:].max() < 2e-3


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="drawing needs matplotlib (extra plots)")
def test_the_command_draws_the_same_files_twice(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        page = tmp_path / f"{folder}.md"
        page.touch()
        command = [sys.executable, "-m", "rnnspec.conformance.pages", "gradients", str(page)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    first = sorted((tmp_path / "first").iterdir())
    assert [file.name for file in first] == ["clipping.svg", "descent.svg", "jacobian.svg", "powers.svg"]
    for file in first:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is not None, reason="matplotlib is installed")
def test_without_matplotlib_the_command_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnspec.conformance.pages", "gradients", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'matplotlib>=" in done.stderr
