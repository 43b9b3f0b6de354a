"""Models as data: the sizes of the classic programs, and one clear error for each malformed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnspec.spec import SpecError
from rnnspec.spec.models import UnknownModelError, load_models, mermaid, model, models, shapes

TOY = """
title = "Toy"
summary = "A layer and a dense one."
sources = ["nobody"]
predicts = "head.y"

[sizes]
B = 3
T = 2
D = 4
H = 5

[data]
x = { shape = "B T D", about = "sequences" }
target = { shape = "B 1 1", about = "numbers" }

[[stages]]
name = "recurrent"
operation = "rnn"
reads = { x = "x" }
sizes = { H = "H" }

[[stages]]
name = "head"
operation = "dense"
reads = { x = "recurrent.h_n" }
sizes = { H = "1" }

[[stages]]
name = "error"
operation = "mean_squared_error"
reads = { prediction = { of = "head.y", as = "B 1 1" }, target = "target" }

[[loss]]
of = "error.loss"

[optimizer]
operation = "sgd_step"
"""


def read(folder: Path, text: str) -> Any:
    (folder / "toy.toml").write_text(text)
    return load_models(folder)["toy"]


def test_the_toy_is_sound(tmp_path: Path) -> None:
    found = read(tmp_path, TOY)
    known = shapes(found)
    assert {name: one.shape for name, one in known.parameters.items()} == {
        "recurrent.W": (1, 5, 4),
        "recurrent.R": (1, 5, 5),
        "recurrent.b": (1, 5),
        "head.W": (1, 5),
        "head.b": (1,),
    }
    assert known.outputs["error.loss"] == ()
    assert shapes(found, {"H": 7}).parameters["recurrent.R"].shape == (1, 7, 7)


def test_stages_may_stand_in_any_order(tmp_path: Path) -> None:
    head, body = TOY.split("[[stages]]\n", 1)
    recurrent, dense, error = body.split("[[stages]]\n")
    error, rest = error.split("[[loss]]")
    turned = head + "".join(f"[[stages]]\n{part}" for part in (error, dense, recurrent)) + "[[loss]]" + rest
    assert [stage.name for stage in read(tmp_path, turned).stages] == ["recurrent", "head", "error"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('operation = "rnn"', 'operation = "rnm"', "[stages.recurrent.operation]: unknown operation 'rnm'"),
        (
            'reads = { x = "x" }',
            'reads = { x = "head.y" }',
            "[stages]: expected an order in which each reads from those before it, got 'recurrent reads from ",
        ),
        ('reads = { x = "x" }', 'reads = { x = "y" }', "[stages.recurrent.reads.x]: expected one of x, target, "),
        ('reads = { x = "x" }', 'reads = { z = "x" }', "[stages.recurrent.reads]: expected one of x, h0, "),
        ('reads = { x = "x" }', "reads = {}", "[stages.recurrent.reads]: expected the input x"),
        ('reads = { x = "x" }', 'reads = { x = "head.y" }', "head reads from recurrent"),
        ('sizes = { H = "H" }', 'sizes = { H = "Q" }', "stage recurrent, size H: unknown size 'Q'"),
        ('sizes = { H = "H" }', "", "stage recurrent, parameter W: expected the size H"),
        ('"recurrent.h_n"', '"recurrent.y"', "stage head: dense: x: expected 2 axes"),
        ('as = "B 1 1"', 'as = "B 2 1"', "stage error, prediction: expected as many numbers as B 2 1"),
        ('shape = "B 1 1"', 'shape = "B 1 D"', "stage error: mean_squared_error: target: expected shape"),
        ('of = "error.loss"', 'of = "error.less"', "[loss.of]: expected one of recurrent.y, "),
        ('operation = "sgd_step"', 'operation = "lstm"', "[optimizer.operation]: expected one of sgd_step, "),
        ('operation = "sgd_step"', 'operation = "sgd_step"\nattributes = { rate = 1 }', "unknown attribute 'rate'"),
        ("D = 4", "D = 0", "[sizes.D]: expected a whole number, at least 1, got 0"),
        ('name = "head"', 'name = "recurrent"', "[stages.recurrent]: expected a new name"),
        ("[[loss]]", "[[losses]]", "expected only the keys title, "),
        ('title = "Toy"', "title = Toy", "not TOML"),
        ('predicts = "head.y"', 'predicts = "head.z"', "[predicts]: expected one of "),
        (
            'reads = { x = "recurrent.h_n" }',
            'reads = { x = "recurrent.h_n" }\nshares = { W = "error.W" }',
            "[stages.head.shares.W]: expected one of ",
        ),
        (
            'reads = { x = "recurrent.h_n" }',
            'reads = { x = "recurrent.h_n" }\ninitial = { b_f = 1.0 }',
            "[stages.head.initial]: expected one of W, b",
        ),
    ],
)
def test_a_malformed_model_is_one_clear_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOY
    with pytest.raises(SpecError) as error:
        read(tmp_path, TOY.replace(old, new, 1))
    assert str(error.value).startswith("toy")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_model_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="unknown model 'lenet': expected one of air-quality, "):
        model("lenet")


@pytest.mark.parametrize(
    ("name", "parameter", "shape"),
    [
        ("air-quality", "recurrent.W", (4, 50, 8)),
        ("stacked-classifier", "recurrent.R", (3, 4, 32, 32)),
        ("text-lstm", "word.E", (1000, 8)),
        ("text-bilstm", "second.W", (1024, 1024)),
        ("text-bilstm-sigmoid", "word.E", (20000, 128)),
        ("image-rows", "rows.V", (128, 28)),
        ("bidirectional-stack", "upper.W", (2, 4, 10, 20)),
        ("sequence-reversal", "head.V", (51, 128)),
        ("semantic-roles", "recurrent.W_above", (3, 4, 128, 128)),
        ("tagging", "chain.transitions", (4, 4)),
    ],
)
def test_models_have_the_sizes_of_their_programs(name: str, parameter: str, shape: tuple[int, ...]) -> None:
    assert shapes(model(name)).parameters[parameter].shape == shape


@pytest.mark.parametrize("name", models())
def test_every_model_has_a_diagram_of_all_its_stages(name: str) -> None:
    drawn = mermaid(model(name))
    assert all(f'["{stage.name}: {stage.operation.name}"]' in drawn for stage in model(name).stages)
