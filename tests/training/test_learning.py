"""`rnnspec learn`: a model gets better at its data, and each wrong request is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cli import main
from rnnspec.conformance.run.resuming import Interrupts
from rnnspec.conformance.training.data.air import read_air
from rnnspec.conformance.training.learning import learn
from rnnspec.conformance.training.lessons import LESSONS


def test_roles_are_learned_better_than_by_chance() -> None:
    whole = LESSONS["semantic-roles"]((), 0)
    few = {name: array[:256] for name, array in whole.train.items()}
    small = replace(whole, train=few, epochs=4)
    before = learn("semantic-roles", NumpyBackend(), replace(small, epochs=1))
    after = learn("semantic-roles", NumpyBackend(), small)
    assert after.losses[0] == before.losses[0]
    assert all(later < earlier for earlier, later in pairwise(after.losses))
    assert after.measures["accuracy of roles"] > before.measures["accuracy of roles"]


def test_an_interrupt_loses_no_epoch() -> None:
    few = replace(LESSONS["semantic-roles"]((), 0), epochs=3)
    few = replace(few, train={name: array[:16] for name, array in few.train.items()})

    def interrupted(epoch: int, loss: float) -> None:
        if epoch == 2:
            raise Interrupted

    result = learn("semantic-roles", NumpyBackend(), few, advanced=interrupted, ending=Interrupts())
    assert (len(result.losses), result.steps) == (2, 2)
    assert "F1 of phrases" in result.measures


def test_digits_need_their_package_or_files(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    file = tmp_path / "d.json"
    result = CliRunner().invoke(main, ["learn", "numpy", "--model", "image-rows", "--epochs", "1", "--json", str(file)])
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text())
    assert report["steps"] == 45
    assert report["measures"]["accuracy on held-out images"] > 2 * report["measures"]["of the most frequent class"]
    assert "scikit-learn" in report["source"]


def test_the_air_is_learned_from_a_file_and_held_against_persistence(tmp_path: Path) -> None:
    file = tmp_path / "air.csv"
    rng = np.random.default_rng(0)
    level = 100 + np.cumsum(rng.normal(size=8900))
    rows = [f"{k},2010,1,1,0,{level[k]:.3f},1,2,{1000 + k % 7},{'NW' if k % 2 else 'SE'},1,0,0" for k in range(8900)]
    file.write_text("No,year,month,day,hour,pm2.5,DEWP,TEMP,PRES,cbwd,Iws,Is,Ir\n" + "\n".join(rows))
    lesson = LESSONS["air-quality"]((file,), 0)
    assert len(lesson.train["x"]) == 8760
    few = {name: array[:720] for name, array in lesson.train.items()}
    result = learn("air-quality", NumpyBackend(), replace(lesson, train=few, epochs=2))
    assert result.losses[1] < result.losses[0]
    table = read_air(file)
    persistence = float(np.sqrt(np.mean(np.diff(table[8760:, 0]) ** 2)))
    assert result.measures["of persistence"] == pytest.approx(persistence, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none"], "unknown model 'none'"),
        (["--model", "feature-attention"], "there is no data for this model: expected one of image-rows, "),
        (["--model", "air-quality"], "expected one --file, the table of Beijing's pollution"),
        (["--model", "text-bilstm-sigmoid"], "expected one --file, imdb.npz"),
        (["--model", "sequence-reversal", "--file", __file__], "expected no --file"),
        (["--model", "image-rows", "--file", __file__], "expected four files"),
        (["--model", "air-quality", "--file", __file__], "expected a head with pm2.5"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["learn", *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
