"""`rnnspec learn`: a model gets better at its data, and each wrong request is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cli import main
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.report.drawing import figures, svg_of
from rnnspec.conformance.run.resuming import Interrupts
from rnnspec.conformance.training.data.air import read_air
from rnnspec.conformance.training.drawing import first_parameters
from rnnspec.conformance.training.engine import BackendEngine
from rnnspec.conformance.training.learning import Learner, learn
from rnnspec.conformance.training.lessons import LESSONS
from rnnspec.conformance.training.measures import fitting
from rnnspec.conformance.training.pictures import attention, confusion, forecast, losses
from rnnspec.conformance.training.sampling import sampled
from rnnspec.conformance.training.trainer import Trainer
from rnnspec.spec.models import model


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


def test_an_interrupt_in_the_first_epoch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(Trainer, "do", interrupted)
    result = CliRunner().invoke(main, ["learn", "numpy", "--model", "semantic-roles"])
    assert result.exit_code == 130, result.output
    assert "0 epochs of" in result.stdout


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


def test_a_forecaster_learns_from_the_temperatures_of_a_package() -> None:
    if find_spec("vega_datasets") is None:  # it is read without being imported
        pytest.skip("needs vega_datasets")
    lesson = LESSONS["air-quality"]((), 0)
    assert lesson.train["x"].shape[1:] == (24, 1)
    few = {name: array[:288] for name, array in lesson.train.items()}
    result = learn("air-quality", NumpyBackend(), replace(lesson, train=few, epochs=2))
    assert result.losses[1] < result.losses[0]
    assert result.measures["of persistence"] > 0


def test_the_page_has_curves_pictures_and_texts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    file = tmp_path / "l.html"
    options = ["--model", "feature-attention", "--epochs", "1", "--html", str(file)]
    result = CliRunner().invoke(main, ["learn", "numpy", *options])
    assert result.exit_code == 0, result.output
    text = file.read_text()
    assert text.count("<svg") == 2
    assert "Attention" in text
    assert f"{float(result.output.split('accuracy: ')[1].split()[0]):.4f}" in text


def test_every_picture_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    tags = np.array([0, 1, 2, 2])
    drawn = [
        confusion(tags, np.array([0, 1, 2, 0]), ["a", "b", "c"]),
        forecast(np.arange(5.0), np.arange(5.0) + 0.5, "metres"),
        attention(np.eye(2), ["one", "two"], "about"),
        losses([], []),
    ]
    with figures() as pyplot:
        texts = [svg_of(pyplot, picture.draw(pyplot)) for picture in drawn]
    assert [">metres<" in texts[1], ">one<" in texts[2], ">loss<" in texts[3]] == [True] * 3
    assert (texts[0].count(">1<"), texts[0].count(">2<")) == (4, 0)  # of two c's one is found


def test_a_sampled_text_follows_the_temperature() -> None:
    found = model("char-rnn")
    engine = BackendEngine(NumpyBackend(), "float32", format_of("float32"))
    learned = Learner(found, Trainer(found, engine, first_parameters(found, found.small, 0), found.small))
    coldest = {sampled(learned, "abcd?", 0, seed, length=12) for seed in (0, 1)}
    assert len(coldest) == 1
    warm = {sampled(learned, "abcd?", 1.0, seed, length=12) for seed in (0, 0, 1)}
    assert len(warm) == 2
    assert all(set(text) <= set("abcd?") for text in warm)


def test_tags_fit_together_where_they_are_whole_words() -> None:
    tags = np.array([[1, 2, 3, 0], [1, 3, 2, 3], [0, 1, 2, 2], [0, 0, 1, 3]])
    assert fitting(tags, np.array([4, 4, 4, 4])) == 0.5
    assert fitting(tags, np.array([4, 2, 1, 2])) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none"], "unknown model 'none'"),
        (["--model", "text-lstm"], "there is no data for this model: expected one of image-rows, "),
        (["--model", "air-quality", "--file", __file__, "--file", __file__], "expected one --file, the table"),
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


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="it has no such device")
def test_a_device_is_no_file_of_data() -> None:
    result = CliRunner().invoke(main, ["learn", "numpy", "--model", "air-quality", "--file", "/dev/zero"])
    assert result.exit_code == 2
    assert result.stderr == "Error: /dev/zero: expected a file, and this is none\n"
