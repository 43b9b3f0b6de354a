"""Reading operations from TOML: what a file says, and a clear error for whatever is wrong in one."""

from pathlib import Path

import numpy as np
import pytest

from rnnspec.spec import SpecError, operation, operations, system
from rnnspec.spec.evaluate import Evaluation
from rnnspec.spec.operation import Operation, load
from rnnspec.spec.printing import equation_text

TOY = """
[sum_cell]
title = "Running total, one step"
summary = "Adds the weighted input."
sources = ["folklore"]

[sum_cell.sizes]
B = "sequences"
H = "units"
G = "gates"

[sum_cell.gates]
order = ["a", "b"]

[[sum_cell.gates.variants]]
when = { lone = true }
order = ["a"]

[sum_cell.attributes.lone]
about = "gate a alone"
values = [false, true]
default = false

[sum_cell.attributes.limit]
about = "clip"
domain = "positive"
default = "none"

[sum_cell.attributes.squash]
about = "function of the total"
functions = ["f"]
values = ["identity", "tanh"]
default = "identity"

[sum_cell.inputs]
x = { shape = "B H", about = "input" }
s_prev = { shape = "B H", about = "total before" }
W = { shape = "G H", about = "weights" }
v = { shape = "H", about = "offset", when = { lone = true } }

[sum_cell.outputs]
s = { shape = "B H", about = "total after" }

[[sum_cell.same_size]]
when = { lone = true }
H = "B"

[[sum_cell.equations]]
when = { limit = "none" }
text = "arg(a) = a"

[[sum_cell.equations]]
when = { limit = "number" }
text = "arg(a) = clipped(a, limit)"

[[sum_cell.equations]]
text = "s = f(arg(s_prev + sum(W_k * x for k in gates)))"

[[sum_cell.gradient]]
each = "k"
text = "dW_k = ds * x"

[sum_cell.cost]
flops = "B * H"
elements = "B * H"

[total]
title = "Running total"
summary = "The cell, unrolled."
sources = ["folklore"]

[total.unrolls]
cell = "sum_cell"
reads = { x = "x" }
state = { s_prev = "s" }

[total.sizes]
T = "steps"

[total.inputs]
x = { shape = "B T H", about = "input" }

[total.outputs]
y = { shape = "B T H", about = "totals" }

[[total.equations]]
text = '''
s[-1] = 0
y[t] = s[t]
'''

[[total.gradient]]
text = "ds[t] = dy[t]"

[total.cost]
flops = "B * T * H"
elements = "B * T * H"
"""


def read(folder: Path, text: str, name: str = "toy.toml") -> dict[str, Operation]:
    (folder / name).write_text(text, encoding="utf-8")
    return load(folder)


def lines(op: Operation, **attributes: object) -> list[str]:
    equations = system(op, {**op.defaults(), **attributes})
    return [equation_text(equation) for equation in (*equations.forward, *equations.gradient)]


def test_a_file_of_operations_is_read(tmp_path: Path) -> None:
    cell = read(tmp_path, TOY)["sum_cell"]
    assert cell.family == "toy"
    assert cell.inputs["W"].shape == ("G", "H")
    assert not cell.inputs["W"].per_sequence
    assert cell.inputs["x"].per_sequence
    assert cell.defaults() == {"lone": False, "limit": None, "squash": "identity"}
    assert cell.gates_for({"lone": False}) == ("a", "b")
    assert cell.gates_for({"lone": True}) == ("a",)
    assert list(cell.inputs_for({"lone": False})) == ["x", "s_prev", "W"]
    assert list(cell.inputs_for({"lone": True})) == ["x", "s_prev", "W", "v"]


def test_files_that_are_not_toml_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not = [toml", encoding="utf-8")
    assert list(read(tmp_path, TOY)) == ["sum_cell", "total"]


def test_the_specification_itself_is_read() -> None:
    assert set(operations()) == {"rnn_cell", "rnn", "lstm_cell", "lstm", "gru_cell", "gru"}
    assert operation("lstm").family == "lstm"


def test_definitions_attributes_and_gates_are_written_into_the_equations(tmp_path: Path) -> None:
    cell = read(tmp_path, TOY)["sum_cell"]
    gradient = ["dW_a = ds * x", "dW_b = ds * x"]
    assert lines(cell) == ["s = identity(s_prev + (W_a * x + W_b * x))", *gradient]
    assert lines(cell, limit=2.5)[0] == "s = identity(clipped(s_prev + (W_a * x + W_b * x), 2.5))"
    assert lines(cell, lone=True, squash="tanh") == ["s = tanh(s_prev + W_a * x)", gradient[0]]


def test_a_definition_may_use_another(tmp_path: Path) -> None:
    text = TOY.replace('text = "arg(a) = a"', "text = '''\narg(a) = twice(a * 3) + b\ntwice(b) = b + b\n'''")
    assert lines(read(tmp_path, text)["sum_cell"], lone=True)[0] == (
        "s = identity((s_prev + W_a * x) * 3 + (s_prev + W_a * x) * 3 + b)"
    )


def test_a_layer_has_its_cells_parameters_attributes_and_sizes_and_takes_lengths_or_a_mask(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["total"]
    assert list(layer.inputs) == ["x", "W", "v", "lengths", "mask"]
    assert list(layer.attributes) == ["lone", "limit", "squash"]
    assert set(layer.sizes) == {"B", "H", "G", "T"}
    assert layer.gates == ("a", "b")
    assert layer.has_steps


def test_a_layers_system_is_its_cells_at_every_step(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["total"]
    assert lines(layer) == [
        "s[t] = identity(s[t - 1] + (W_a * x[t] + W_b * x[t]))",
        "s[-1] = 0",
        "y[t] = s[t]",
        "dW_a = sum(ds[t] * x[t] for t in range(n))",
        "dW_b = sum(ds[t] * x[t] for t in range(n))",
        "ds[t] = dy[t]",
    ]


def test_a_layer_worked_by_hand(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["total"]
    given = {"x": [[1.0], [2.0], [3.0]], "W_a": [10.0], "W_b": [1.0], "dy": [[1.0], [1.0], [100.0]]}
    evaluation = Evaluation(system(layer, layer.defaults()), {k: np.array(v) for k, v in given.items()}, {"n": 3})
    assert [float(evaluation.value("y", t)[0]) for t in range(3)] == [11, 33, 66]
    assert float(evaluation.value("dW_a")[0]) == 1 + 2 + 300


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # The file
        ("[sum_cell]\n", "[sum_cell\n", "toy.toml: not TOML: Expected ']' at the end of a table declaration"),
        ("[sum_cell]\n", "stray = 1\n[sum_cell]\n", "toy.toml: [stray]: expected a table, got 1"),
        # Keys
        ('title = "Running total"\n', "", "toy.toml: [total]: expected the key title, got ["),
        ('[total.sizes]\nT = "steps"\n', "", "toy.toml: [total]: expected the key sizes, got ["),
        ('flops = "B * H"\n', "", "toy.toml: [sum_cell.cost]: expected the key flops, got ['elements']"),
        ('title = "Running total"\n', 'titel = "x"\n', "toy.toml: [total]: expected only the keys title, summary,"),
        ('flops = "B * H"\n', 'flop = "B"\n', "toy.toml: [sum_cell.cost]: expected only the keys flops, elements, got"),
        ("default = false\n", "", "toy.toml: [sum_cell.attributes.lone]: expected the key default, got ["),
        (
            "default = false\n",
            "default = false\nkind = 1\n",
            "[sum_cell.attributes.lone]: expected only the keys about,",
        ),
        (
            'about = "totals"',
            'help = "x"',
            "toy.toml: [total.outputs.y]: expected only the keys shape, about, got 'hel",
        ),
        ('about = "offset"', 'help = "x"', "toy.toml: [sum_cell.inputs.v]: expected only the keys shape, about, opti"),
        ('text = "ds[t] = dy[t]"', "", "toy.toml: [total.gradient.1]: expected the key text, got []"),
        ('text = "arg(a) = a"', 'txt = "a"', "toy.toml: [sum_cell.equations.1]: expected only the keys text, when,"),
        ('reads = { x = "x" }', "", "toy.toml: [total.unrolls]: expected the key reads, got ['cell', 'state']"),
        ('order = ["a"]', "", "toy.toml: [sum_cell.gates.variants]: expected the key order, got ['when']"),
        # Types
        ('title = "Running total"\n', "title = 3\n", "toy.toml: [total.title]: expected a str, got 3"),
        ('sources = ["folklore"]', "sources = [1]", "toy.toml: [sum_cell.sources]: expected only strings, got 1"),
        ('T = "steps"', "T = 1", "toy.toml: [total.sizes]: expected only strings, got 1"),
        ('order = ["a", "b"]', "order = 'ab'", "toy.toml: [sum_cell.gates.order]: expected a list, got 'ab'"),
        ('order = ["a", "b"]', "order = ['a', 2]", "toy.toml: [sum_cell.gates.order]: expected only strings, got 2"),
        (
            'cell = "sum_cell"',
            "cell = ['sum_cell']",
            "toy.toml: [total.unrolls.cell]: expected a str, got ['sum_cell']",
        ),
        ('x = { shape = "B T H", about = "input" }', "x = 'B T H'", "[total.inputs.x]: expected a table, got 'B T H'"),
        ('about = "weights"', "about = 'w', optional = 1", "[sum_cell.inputs.W.optional]: expected a bool, got 1"),
        ('text = "ds[t] = dy[t]"', "text = 1", "toy.toml: [total.gradient.1.text]: expected a str, got 1"),
        (
            'values = ["identity", "tanh"]',
            "values = 'tanh'",
            "[sum_cell.attributes.squash.values]: expected a list, got",
        ),
        (
            "default = false",
            "default = 1979-05-27",
            "[sum_cell.attributes.lone.default]: expected a str or bool or int or float or list, got datetime.date",
        ),
        # Shapes
        (
            'shape = "B T H", about = "totals"',
            'shape = "B, T"',
            "[total.outputs.y]: expected a shape like 'B T D', got",
        ),
        ('shape = "B T H", about = "totals"', 'shape = ""', "[total.outputs.y]: expected a shape like 'B T D', got ''"),
        ('shape = "G H"', 'shape = "4 H"', "[sum_cell.inputs.W]: expected a shape like 'B T D', got '4 H'"),
        ('shape = "G H", ', "", "[sum_cell.inputs.W]: expected a shape like 'B T D', got None"),
        ('shape = "G H"', 'shape = "G Q"', "[sum_cell.inputs.W]: expected axes from B, H, G, got 'Q'"),
        ('shape = "B T H", about = "totals"', 'shape = "B Q"', "[total.outputs.y]: expected axes from B, H, G, T, got"),
        # Names
        ('cell = "sum_cell"', "cell = 'sum'", "[total.unrolls.cell]: expected an operation defined above, got 'sum'"),
        ('cell = "sum_cell"', "cell = 'total'", "[total.unrolls.cell]: expected an operation defined above, got 'tot"),
        ('limit = "none"', 'limt = "none"', "[sum_cell.equations.1.when]: expected attributes from lone, limit, squa"),
        (
            '"offset", when = { lone',
            '"offset", when = { alone',
            "[sum_cell.inputs.v.when]: expected attributes from lone, limit, squash, got 'alone'",
        ),
        ('domain = "positive"', 'domain = "odd"', "[sum_cell.attributes.limit.domain]: expected 'positive', got 'odd'"),
        (
            'default = "identity"',
            'default = "sin"',
            "[sum_cell.attributes.squash.default]: expected one of ['identity'",
        ),
    ],
)
def test_a_malformed_file_is_an_error_that_names_the_file_and_the_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TOY
    with pytest.raises(SpecError) as error:
        read(tmp_path, TOY.replace(old, new, 1))
    assert str(error.value).startswith("toy.toml: ")
    assert message in str(error.value)


def test_a_file_that_is_not_utf_8_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_bytes(b"# \xff\n")
    with pytest.raises(SpecError, match=r"^toy\.toml: not TOML: .*utf-8"):
        load(tmp_path)


def test_two_files_cannot_define_one_operation(tmp_path: Path) -> None:
    read(tmp_path, TOY, "first.toml")
    with pytest.raises(SpecError, match=r"^second\.toml: \[sum_cell\]: .* first\.toml defines it too$"):
        read(tmp_path, TOY, "second.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'text = "arg(a) = a"',
            "text = '''\n\narg(a) = a.real\n'''",
            "[[sum_cell.equations]] 1, line 2: 'arg(a) = a.real': the only attribute in the language is .T, "
            "got '.real'",
        ),
        (
            "= f(arg(s_prev",
            "= f(sine(s_prev",
            "[[sum_cell.equations]] 3, line 1: 's = f(sine(s_prev + sum(W_k * x for k in gates)))': "
            "unknown function 'sine': expected one of clipped, exp,",
        ),
        (
            "= f(arg(s_prev +",
            "= f(arg(s_prev, ",
            "[[sum_cell.equations]] 3, line 1: 's = f(arg(s_prev,  sum(W_k * x for k in gates)))': "
            "arg takes 1 argument, got 2",
        ),
        (
            'text = "dW_k = ds * x"',
            'text = "dW_k = outer(ds)"',
            "[[sum_cell.gradient]] 1, line 1: 'dW_k = outer(ds)': outer takes 2 arguments, got 1",
        ),
        (
            'text = "arg(a) = a"',
            'text = "arg(a) = arg(a)"',
            "[[sum_cell.equations]] 1, line 1: 'arg(a) = arg(a)': circular definition: arg -> arg",
        ),
        (
            'text = "arg(a) = a"',
            "text = '''\narg(a) = g(a)\ng(a) = 2 * arg(a)\n'''",
            "[[sum_cell.equations]] 1, line 1: 'arg(a) = g(a)': circular definition: arg -> g -> arg",
        ),
        (
            '[sum_cell.gates]\norder = ["a", "b"]\n',
            "[sum_cell.gates]\norder = []\n",
            "[[sum_cell.equations]] 3, line 1: 's = f(arg(s_prev + sum(W_k * x for k in gates)))': "
            "a sum over gates, but sum_cell has none",
        ),
    ],
)
def test_a_malformed_equation_is_an_error_that_names_the_file_the_block_and_the_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TOY
    cell = read(tmp_path, TOY.replace(old, new, 1))["sum_cell"]
    with pytest.raises(SpecError) as error:
        system(cell, cell.defaults())
    assert str(error.value).startswith(f"toy.toml: {message}")
