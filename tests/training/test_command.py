"""The output of `rnnspec train`, `show --model` and `list` about models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.backends import Call
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cli import main
from rnnspec.spec.models import models


def test_train_tells_each_verdict_and_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    options = ["--model", "char-rnn", "--small", "--steps", "3", "--json", str(file)]
    result = CliRunner().invoke(main, ["train", "numpy", *options])
    assert result.exit_code == 0, result.output
    assert "numpy: conforms for 3 steps" in result.output
    report = json.loads(file.read_text())
    assert (report["model"], report["steps"], report["silent_from"]) == ("char-rnn", 3, None)
    (backend,) = report["backends"]
    assert (backend["verdict"], backend["step"], len(backend["losses"])) == ("conforms", None, 3)
    assert backend["losses"][0] == pytest.approx(report["reference"][0]["loss"], rel=1e-5)
    assert 0 < report["reference"][0]["loss_bound"] < 1e-4


@pytest.fixture(scope="module")
def page_of_two_steps(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    file = tmp_path_factory.mktemp("page") / "t.html"
    result = CliRunner().invoke(
        main, ["train", "numpy", "--model", "air-quality", "--small", "--steps", "2", "--html", str(file)]
    )
    assert result.exit_code == 0, result.output
    return file.read_text()


def test_the_page_has_plots_and_verdicts(page_of_two_steps: str) -> None:
    text = page_of_two_steps
    assert text.count("<svg") == 2
    assert "numpy: conforms for 2 steps" in text
    assert "n_recurrent[&#34;recurrent: lstm&#34;]" in text
    assert "mathdefault" not in text
    assert "Content-Security-Policy" in text


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_in_a_browser(in_browser: Callable[..., Any], page_of_two_steps: str, width: int) -> None:
    shown = in_browser(page_of_two_steps, width=width)
    assert (shown["cut"], shown["overlapping"], shown["wide"] <= 0) == ([], [], True)


@pytest.fixture
def interrupted_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the user interrupt during a step of the backend `numpy`."""
    steps = 0

    def arrange(step: int) -> None:
        recorded = NumpyBackend.recorded

        def until(self: NumpyBackend, call: Call, wanted: Any = None) -> Any:
            nonlocal steps
            steps += call.operation == "mean_absolute_error"
            if steps == step:
                raise Interrupted
            return recorded(self, call, wanted)

        monkeypatch.setattr(NumpyBackend, "recorded", until)

    return arrange


def test_an_interrupt_loses_no_step(tmp_path: Path, interrupted_at: Callable[[int], None]) -> None:
    interrupted_at(3)
    file = tmp_path / "t.json"
    options = ["--model", "air-quality", "--small", "--steps", "5", "--json", str(file)]
    result = CliRunner().invoke(main, ["train", "numpy", *options])
    assert result.exit_code == 130, result.output
    assert "numpy: conforms for 2 steps" in result.output
    assert "interrupted: this is the result of 2 of 5 steps" in result.output
    report = json.loads(file.read_text())
    assert report["interrupted"] is True
    for backend in report["backends"]:
        told = ("losses", "gradient_norms", "seconds", "error_ratios")
        assert [len(backend[name]) for name in told] == [2] * 4


def test_an_interrupt_before_the_first_step_ends_has_no_result(interrupted_at: Callable[[int], None]) -> None:
    interrupted_at(1)
    result = CliRunner().invoke(main, ["train", "numpy", "--model", "air-quality", "--small"])
    assert (result.exit_code, "0 of 20 steps" in result.output) == (130, True), result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "numpy", "--model", "none"], "unknown model 'none': expected one of air-quality, "),
        (["train", "nobody", "--model", "air-quality"], "nobody"),
        (["train", "numpy", "--model", "air-quality", "--size", "Q=2"], "unknown size 'Q': expected one of B, T, D, H"),
        (["train", "numpy", "--model", "air-quality", "--size", "B=0"], "size B: expected at least 1, got 0"),
        (["train", "numpy", "--model", "air-quality", "--size", "B"], "expected SYMBOL=NUMBER"),
        (["train", "numpy", "--model", "air-quality", "--size", "B=2", "--size", "B=3"], "B: expected one number"),
        (["train", "numpy", "--model", "air-quality", "--steps", "0"], "--steps"),
        (["show", "--model", "none"], "unknown model 'none'"),
        (["show"], "expected an OPERATION or --model NAME"),
        (["show", "lstm", "--model", "tagging"], "expected an OPERATION or --model NAME"),
        (["show", "--model", "tagging", "--latex"], "go with an OPERATION"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_show_tells_stages_shapes_and_a_diagram(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    result = CliRunner().invoke(main, ["show", "--model", "semantic-roles", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert 'n_recurrent["recurrent: alternating_stack"]' in result.output
    assert 'n_word -.->|"shares word.E as E"| n_around' in result.output
    report = json.loads(file.read_text())
    (around,) = (stage for stage in report["stages"] if stage["name"] == "around")
    assert around["parameters"] == {"E": "word.E"}
    assert report["diagram"].startswith("flowchart TD")
    assert {"name": "recurrent.R", "shape": [4, 4, 128, 128]} in report["parameters"]


def test_list_has_every_model(tmp_path: Path) -> None:
    file = tmp_path / "l.json"
    result = CliRunner().invoke(main, ["list", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert [found["name"] for found in json.loads(file.read_text())["models"]] == [*models()]
