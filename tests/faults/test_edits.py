"""Every single edit of the equations: which there are, and what becomes of them."""

from __future__ import annotations

import ast
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main
from rnnspec.conformance.commands import faults_edits
from rnnspec.conformance.edits.placing import changed_equations, with_equations
from rnnspec.conformance.edits.single import Edit, single_edits
from rnnspec.conformance.faults import edits
from rnnspec.conformance.faults.edits import EditBench, EditScore, EditVerdict, chosen_edits, over_seeds
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import FaultScore
from rnnspec.conformance.pages.edits import read, sections
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import Operation, operation, system
from rnnspec.spec.operation import Block
from rnnspec.spec.system import System


def lines(text: str, **block: object) -> Block:
    return Block(text, "here", **block)  # type: ignore[arg-type]


def of(op: Operation, *blocks: Block, gradient: tuple[Block, ...] = ()) -> list[str]:
    """The edits of an operation that has these equations, as they read."""
    return [edit.text for edit in single_edits(replace(op, equations=blocks, gradient=gradient))]


def edit_of(name: str, text: str) -> Edit:
    (found,) = (edit for edit in single_edits(operation(name)) if edit.title == text)
    return found


@pytest.fixture(scope="module")
def dense() -> EditBench:
    return EditBench(operation("dense"), PROFILES["quick"], 0)


def test_the_edits_of_one_line_by_hand() -> None:
    """`dense` has the inputs x, W and b; its line is given another name for each, and all else that one slip makes."""
    assert set(of(operation("dense"), lines("y = x - b"))) == {
        "y = y - b", "y = W - b", "y = b - b",  # another name for x
        "y = x - y", "y = x - x", "y = x - W",  # and for b
        "y = x + b", "y = x * b", "y = x / b",
        "y = b - x",
        "y = x", "y = b",
        "y = x - b + 1", "y = 2 * (x - b)", "y = 1 - (x - b)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "edited"),
    [
        ("y[t] = x[t - 1]", {"y[t] = x[t]", "y[t] = x[t - 2]", "y[t] = y[t - 1]", "y[t] = x[1 - t]"}),
        ("y = tanh(x)", {"y = logistic(x)", "y = relu(x)", "y = x", "y = tanh(b)"}),
        ("y = W.T @ x", {"y = W @ x", "y = W.T * x", "y = x", "y = x @ W.T"}),
        ("y = outer(x, b)", {"y = outer(b, x)", "y = outer(x, x)"}),
        (
            "y = sum(x[t] for t in range(D))",
            {"y = max((x[t] for t in range(D)))", "y = sum((x[t] for t in range(1, D)))"},
        ),
        (
            "y = x if D > 1 else b",
            {"y = b if D > 1 else x", "y = x", "y = x if D >= 1 else b", "y = x if D > 2 else b"},
        ),
        ("y = 1 - x", {"y = 2 - x", "y = 0 - x", "y = x - 1", "y = x"}),
        ("y = -x", {"y = x"}),
    ],
)
def test_what_one_slip_makes_of_a_line(line: str, edited: set[str]) -> None:
    assert edited <= set(of(operation("dense"), lines(line)))


def test_two_lines_exchange_their_right_sides_if_they_hold_together() -> None:
    texts = of(operation("gru_cell"), lines("r = a_r\nz = a_z"), lines("h = z", when={"update": "keeps"}))
    assert "r = a_z; z = a_r" in texts
    assert not any(text.startswith("r = ") and "h = " in text for text in texts)


def test_a_function_is_another_everywhere() -> None:
    texts = of(operation("dense"), lines("a = tanh(x)\ny = tanh(a)"))
    assert {"tanh(a) = logistic(a)", "tanh(a) = relu(a)"} <= set(texts)


def test_no_edit_is_made_twice_and_none_is_the_line_itself() -> None:
    for name in ("gru_cell", "crf_viterbi", "stacked"):
        titles = [edit.title for edit in single_edits(operation(name))]
        assert len(set(titles)) == len(titles)


def test_values_read_no_name_of_the_gradient() -> None:
    texts = of(operation("dense"), lines("y = x"), gradient=(lines("dx = dy"),))
    assert "y = dx" not in texts
    assert "dx = x" in texts


def test_of_parts_the_default_is_edited() -> None:
    paths = {edit.path for edit in single_edits(operation("stacked"))}
    assert paths == {(), ((0, "lstm"),), ((0, "lstm"), (0, "lstm_cell"))}
    # A layer in a stack has no dropout of its own, and one without memories no line for them.
    assert not any("recurrent_keep" in edit.text for edit in single_edits(operation("stacked")))
    assert not any(edit.text.startswith("MEMORY") for edit in single_edits(operation("gru")))


def test_an_edit_shows_where_its_line_holds() -> None:
    op = operation("stacked")
    edit = next(edit for edit in single_edits(op) if edit.title.startswith("lstm > lstm_cell: dP = "))
    usual = op.defaults()
    assert not edit.shows(op, usual)
    assert edit.shows(op, {**usual, "projection": True})
    assert not edit.shows(op, {**usual, "projection": True, "layer": "gru"})


@pytest.mark.parametrize("name", ["clip_by_norm", "gru", "nested_lstm", "stacked", "seq2seq", "state_jacobian"])
def test_the_changed_equations_are_those_of_the_whole_edited_system(name: str) -> None:
    op = operation(name)
    attributes = op.defaults()
    right = system(op, attributes)
    for edit in random.Random(name).sample([edit for edit in single_edits(op) if edit.shows(op, attributes)], 10):
        whole = written(system(edit.operation, attributes))
        assert written(with_equations(right, changed_equations(op, edit, attributes))) == whole, edit.title


def written(rules: System) -> list[tuple[str, str]]:
    return [(equation.left, ast.unparse(equation.value)) for equation in (*rules.forward, *rules.gradient)]


def test_a_wrong_value_is_caught(dense: EditBench) -> None:
    verdict = dense.judge(edit_of("dense", "a = W @ x - b"))
    assert (verdict.fate, verdict.check, verdict.part) == ("caught", "values", "values")
    assert verdict.cases >= 1
    assert verdict.case.startswith("dense float32")


def test_a_wrong_gradient_is_caught(dense: EditBench) -> None:
    verdict = dense.judge(edit_of("dense", "dx = W.T @ dy"))
    assert (verdict.fate, verdict.check, verdict.part) == ("caught", "gradients", "gradients")


def test_an_edit_that_is_the_same_operation_is_equivalent(dense: EditBench) -> None:
    """The bias's gradient is that of the argument: ``db = da``."""
    assert dense.judge(edit_of("dense", "dx = W.T @ db")).fate == "equivalent"


def test_a_line_that_no_result_reads_is_equivalent() -> None:
    """The Jacobian is of the states alone: the cell's gradients of parameters reach no result."""
    bench = EditBench(operation("state_jacobian"), PROFILES["quick"], 0)
    edit = edit_of("state_jacobian", "lstm: db_k = da_k + 1")
    assert edit.part == "values"
    assert bench.judge(edit).fate == "equivalent"


def test_what_can_never_be_evaluated_is_no_fault(dense: EditBench) -> None:
    assert dense.judge(edit_of("dense", "a = W @ a + b")).fate == "cannot_run"  # a of itself


def test_an_edit_that_nothing_catches_survives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a deck and without checks, the suite sees nothing: calls beyond the deck still tell."""
    blind(monkeypatch)
    file = tmp_path / "edits.json"
    assert faults_edits.score_edits(faults_edits.EditsRequest(("clip_by_value",)), file) == 1
    (row,) = json.loads(file.read_text())["edits"]
    assert row["caught"] == 0
    assert row["edits"] == row["cannot_run"] + row["equivalent"] + len(row["surviving"])
    told = {one["edit"]: one for one in row["surviving"]}["dx = 1 - dy * inside(x, threshold)"]
    assert told["part"] == "gradients"
    assert told["case"].startswith("clip_by_value float64")
    assert f"- `clip_by_value`: `{told['edit']}`, shown by `{told['case']}`" in sections(read([file]))["edits"]


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "LARGE", -1)
    monkeypatch.setattr(faults_edits, "_bench", lambda name, seed: EditBench(operation(name), PROFILES["quick"], seed))
    monkeypatch.setattr(edits, "score_fault", lambda fault, profile, checks, **options: missed(fault))


def missed(fault: Fault) -> FaultScore:
    return FaultScore(fault.name, fault.operation, fault.about, False, "", 0, "", "no check caught it")


def test_what_an_edit_is_at_several_seeds() -> None:
    caught, same, lost = (EditVerdict("e", "values", fate) for fate in ("caught", "equivalent", "surviving"))
    assert over_seeds([same, caught]) is caught
    assert over_seeds([caught, lost, same]) is lost


@pytest.mark.parametrize(
    "name",
    [
        "softmax",
        "cross_entropy",
        "gru_cell",
        "lstm_cell",
        "gru",
        "clip_by_norm",
        "crf_log_partition",
        "attention_scores",
    ],
)
def test_a_sample_of_edits_is_caught(name: str) -> None:
    bench = EditBench(operation(name), PROFILES["quick"], 0)
    some, _ = chosen_edits(operation(name), 25, 0)
    verdicts = [bench.judge(edit) for edit in some]
    assert [verdict for verdict in verdicts if verdict.fate == "surviving"] == []
    assert sum(verdict.fate == "caught" for verdict in verdicts) >= 10


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    op = operation("gru_cell")
    one, all_edits = chosen_edits(op, 10, 0)
    assert [edit.title for edit in one] == [edit.title for edit in chosen_edits(op, 10, 0)[0]]
    assert [edit.title for edit in one] != [edit.title for edit in chosen_edits(op, 10, 1)[0]]
    assert (len(one), all_edits) == (10, len(list(single_edits(op))))


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "edits.json"
    done = CliRunner().invoke(
        main, ["faults", "--edits", "--op", "clip_by_value", "--sample", "8", "--seeds", "0,1", "--json", str(file)]
    )
    assert done.exit_code == 0
    assert "8 edits at every one of the seeds 0-1: " in done.output
    written = json.loads(file.read_text())
    assert (written["profile"], written["seeds"], written["sample"]) == ("quick", [0, 1], 8)
    (row,) = written["edits"]
    assert row["operation"] == "clip_by_value"
    assert row["edits"] == row["caught"] + row["equivalent"] + row["cannot_run"] == 8
    (score,) = read([file])
    assert score == EditScore(**{**row, "surviving": ()})
    assert f"| `clip_by_value` | {row['all_edits']} | 8 |" in sections([score])["edits"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sample", "3"], "--sample goes with --edits"),
        (["--edits", "--exclusive"], "--edits asks by profile quick"),
        (["--edits", "--profile", "standard"], "--edits asks by profile quick"),
        (["--edits", "--op", "lsmt"], "unknown operation 'lsmt'"),
        (["--edits", "--seeds", "x"], "--seeds: expected seeds"),
    ],
)
def test_bad_input_gives_one_line(options: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["faults", *options])
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith(f"Error: {message}")


def test_no_sample_of_none() -> None:
    done = CliRunner().invoke(main, ["faults", "--edits", "--sample", "0"])
    assert done.exit_code == 2
    assert "0 is not in the range x>=1" in done.output


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for content in ("[]", "{", '{"edits": [{"operation": "rnn"}]}'):
        file.write_text(content)
        with pytest.raises(ValueError, match="rnnspec faults --edits --json"):
            read([file])
