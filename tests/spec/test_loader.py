"""Reading operations from TOML: what a file says, and a clear error for whatever is wrong in one."""

from pathlib import Path

import numpy as np
import pytest

from rnnspec.spec import Operation, SpecError, UnknownOperationError, operation, operations, resolved, system
from rnnspec.spec.evaluate import Evaluation
from rnnspec.spec.loading import load
from rnnspec.spec.printing import equation_text

TOY = '''
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
range = [0.5, 2.5]
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

[[sum_cell.gradient]]
text = """
ds_prev = ds
dx = sum(W_k * ds for k in gates)
"""

[sum_cell.cost]
flops = "B * H"
elements = "B * H"

[sum]
title = "Running total"
summary = "The cell, unrolled."
sources = ["folklore"]

[sum.unrolls]
cell = "sum_cell"

[sum.cost]
flops = "B * T * H"
elements = "B * T * H"

[tower]
title = "Totals of totals"
summary = "Layers, each on the one below."
sources = ["folklore"]
steps = true

[tower.sizes]
B = "sequences"
T = "steps"
n = "valid steps"
L = "layers"

[tower.attributes.layer]
about = "what it is built of"
values = ["sum"]
default = "sum"

[tower.attributes.p]
about = "dropout"
domain = "probability"
range = [0.5, 0.9]
default = "none"

[tower.inputs]
x = { shape = "B T H", about = "input" }
keep = { shape = "B T", about = "what is kept", kind = "bits", when = { p = "number" } }

[tower.outputs]
y = { shape = "B T H", about = "totals of the last layer" }

[[tower.parts]]
operation = "layer"
index = ["l"]
over = ["L"]
parameters = "own"
reads = { x = "below", y = "above" }
fixed = { truncate = "none" }

[[tower.equations]]
text = """
below[0, t] = x[t]
below[l, t] = above[l - 1, t]
y[t] = above[L - 1, t]
"""

[[tower.gradient]]
text = """
dabove[L - 1, t] = dy[t]
dabove[l, t] = dbelow[l + 1, t]
dx[t] = dbelow[0, t]
"""

[tower.cost]
flops = "B * T * H"
elements = "B * T * H"
'''


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
    assert list(read(tmp_path, TOY)) == ["sum_cell", "sum", "tower"]


def test_the_specification_itself_is_read() -> None:
    known = list(operations())
    assert {"rnn_cell", "rnn", "lstm_cell", "lstm", "gru_cell", "gru", "crf_viterbi", "stacked"} <= set(known)
    assert known.index("lstm_cell") < known.index("lstm") < known.index("stacked")
    assert operation("lstm").family == "lstm"
    with pytest.raises(
        UnknownOperationError, match=r"^unknown operation 'lstn': did you mean lstm\? expected one of .*, lstm, "
    ):
        operation("lstn")


def test_definitions_attributes_and_gates_are_written_into_the_equations(tmp_path: Path) -> None:
    cell = read(tmp_path, TOY)["sum_cell"]
    gradient = ["dW_a = ds * x", "dW_b = ds * x", "ds_prev = ds", "dx = W_a * ds + W_b * ds"]
    assert lines(cell) == ["s = identity(s_prev + (W_a * x + W_b * x))", *gradient]
    assert lines(cell, limit=2.5)[0] == "s = identity(clipped(s_prev + (W_a * x + W_b * x), 2.5))"
    assert lines(cell, lone=True, squash="tanh") == [
        "s = tanh(s_prev + W_a * x)",
        gradient[0],
        "ds_prev = ds",
        "dx = W_a * ds",
    ]


def test_a_definition_may_use_another(tmp_path: Path) -> None:
    text = TOY.replace('text = "arg(a) = a"', "text = '''\narg(a) = twice(a * 3) + b\ntwice(b) = b + b\n'''")
    assert lines(read(tmp_path, text)["sum_cell"], lone=True)[0] == (
        "s = identity((s_prev + W_a * x) * 3 + (s_prev + W_a * x) * 3 + b)"
    )


# A layer, which unrolls its cell.


def test_a_layer_has_what_its_cell_has_and_takes_a_sequence_lengths_or_a_mask(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["sum"]
    assert list(layer.inputs) == ["x", "s0", "W", "v", "recurrent_keep", "lengths", "mask"]
    assert [layer.inputs[name].shape for name in ("x", "s0", "W")] == [("B", "T", "H"), ("B", "H"), ("G", "H")]
    assert layer.inputs["s0"].optional
    assert {name: item.shape for name, item in layer.outputs.items()} == {"y": ("B", "T", "H"), "s_n": ("B", "H")}
    assert list(layer.attributes) == ["lone", "limit", "squash", "direction", "truncate", "recurrent_dropout", "output"]
    assert set(layer.sizes) == {"B", "H", "G", "T", "n", "T_all"}
    assert layer.gates == ("a", "b")
    assert layer.gates_for({"lone": True}) == ("a",)
    assert layer.carries == {"s0": "s_n"}
    assert layer.has_steps
    assert "recurrent_keep" not in layer.inputs_for(layer.defaults())
    assert "recurrent_keep" in layer.inputs_for({**layer.defaults(), "recurrent_dropout": 0.5})


def test_a_layers_system_is_its_cells_at_every_step_and_what_joins_the_steps(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["sum"]
    assert lines(layer) == [
        "s[t] = identity(s_prev[t] + (W_a * u[t] + W_b * u[t]))",
        "s[-1] = s0",
        "s_n = s[n - 1]",
        "u[t] = x[t]",
        "s_prev[t] = s[t - 1]",
        "y[t] = s[t]",
        "dW_a = sum(ds[t] * u[t] for t in range(n))",
        "dW_b = sum(ds[t] * u[t] for t in range(n))",
        "ds_prev[t] = ds[t]",
        "du[t] = W_a * ds[t] + W_b * ds[t]",
        "ds_after[n - 1] = ds_n",
        "ds0 = ds_after[-1]",
        "ds_after[t] = ds_prev[t + 1]",
        "ds[t] = dy[t] + ds_after[t]",
        "dx[t] = du[t]",
    ]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"direction": "reverse"},
            [
                "u[t] = x[n - 1 - t]",
                "y[t] = s[n - 1 - t]",
                "ds[t] = dy[n - 1 - t] + ds_after[t]",
                "dx[t] = du[n - 1 - t]",
            ],
        ),
        ({"truncate": 3}, ["ds_after[t] = 0 if t >= 0 and (t + 1) % 3 == 0 else ds_prev[t + 1]"]),
        (
            {"recurrent_dropout": 0.25},
            [
                "s_prev[t] = s[t - 1] * recurrent_keep / (1 - 0.25)",
                "ds_after[t] = ds_prev[t + 1] * recurrent_keep / (1 - 0.25)",
            ],
        ),
        (
            {"truncate": 3, "recurrent_dropout": 0.25},
            [
                "s_prev[t] = s[t - 1] * recurrent_keep / (1 - 0.25)",
                "ds_after[t] = 0 if t >= 0 and (t + 1) % 3 == 0 else ds_prev[t + 1] * recurrent_keep / (1 - 0.25)",
            ],
        ),
    ],
)
def test_what_joins_the_steps_depends_on_the_layers_attributes(
    tmp_path: Path, attributes: dict[str, object], expected: list[str]
) -> None:
    layer = read(tmp_path, TOY)["sum"]
    found = lines(layer, **attributes)
    assert [line for line in found if line not in lines(layer)] == expected


def test_a_layer_worked_by_hand(tmp_path: Path) -> None:
    layer = read(tmp_path, TOY)["sum"]
    given = {"x": [[1], [2], [3]], "s0": [5], "W_a": [10], "W_b": [1], "dy": [[1], [1], [100]], "ds_n": [1000]}
    arrays = {key: np.array(value, float) for key, value in given.items()}
    evaluation = Evaluation(system(layer, layer.defaults()), arrays, {"n": 3})
    assert [evaluation.value("y", t).tolist() for t in range(3)] == [[16], [38], [71]]
    assert evaluation.value("s_n").tolist() == [71]
    assert [evaluation.value("dx", t).tolist() for t in range(3)] == [[11 * 1102], [11 * 1101], [11 * 1100]]
    assert evaluation.value("ds0").tolist() == [1102]
    assert evaluation.value("dW_a").tolist() == [1102 * 1 + 1101 * 2 + 1100 * 3]


# An operation built of parts.


def test_a_stack_has_its_layers_inputs_with_an_axis_of_their_own_and_their_attributes(tmp_path: Path) -> None:
    tower = read(tmp_path, TOY)["tower"]
    assert list(tower.attributes) == ["layer", "p", "lone", "limit", "squash"]  # not those that are fixed
    assert tower.attributes["limit"].when == {"layer": ("sum",)}
    assert list(tower.inputs) == ["x", "keep", "lengths", "mask"]
    full = resolved(tower, tower.defaults())
    assert {name: item.shape for name, item in full.inputs_for(tower.defaults()).items()} == {
        "x": ("B", "T", "H"), "s0": ("B", "L", "H"), "W": ("L", "G", "H"), "lengths": ("B",), "mask": ("B", "T"),
    }  # fmt: skip
    lone = {**tower.defaults(), "lone": True}
    assert resolved(tower, lone).inputs_for(lone)["v"].shape == ("L", "H")
    assert {name: item.shape for name, item in full.outputs.items()} == {"y": ("B", "T", "H"), "s_n": ("B", "L", "H")}
    assert full.gates == ("a", "b")
    assert resolved(tower, lone).gates == ("a",)


def test_a_stacks_system_is_its_layers_at_every_level(tmp_path: Path) -> None:
    tower = read(tmp_path, TOY)["tower"]
    assert lines(tower) == [
        "s[l, t] = identity(s_prev[l, t] + (W_a[l] * u[l, t] + W_b[l] * u[l, t]))",
        "s[l, -1] = s0[l]",
        "s_n[l] = s[l, n - 1]",
        "u[l, t] = below[l, t]",
        "s_prev[l, t] = s[l, t - 1]",
        "above[l, t] = s[l, t]",
        "below[0, t] = x[t]",
        "below[l, t] = above[l - 1, t]",
        "y[t] = above[L - 1, t]",
        "dW_a[l] = sum(ds[l, t] * u[l, t] for t in range(n))",
        "dW_b[l] = sum(ds[l, t] * u[l, t] for t in range(n))",
        "ds_prev[l, t] = ds[l, t]",
        "du[l, t] = W_a[l] * ds[l, t] + W_b[l] * ds[l, t]",
        "ds_after[l, n - 1] = ds_n[l]",
        "ds0[l] = ds_after[l, -1]",
        "ds_after[l, t] = ds_prev[l, t + 1]",
        "ds[l, t] = dabove[l, t] + ds_after[l, t]",
        "dbelow[l, t] = du[l, t]",
        "dabove[L - 1, t] = dy[t]",
        "dabove[l, t] = dbelow[l + 1, t]",
        "dx[t] = dbelow[0, t]",
    ]


def test_parameters_may_be_shared_by_all_levels(tmp_path: Path) -> None:
    text = TOY.replace('parameters = "own"', 'parameters = "shared"')
    tower = read(tmp_path, text)["tower"]
    full = resolved(tower, tower.defaults())
    assert full.inputs["W"].shape == ("G", "H")
    found = lines(tower)
    assert "s[l, t] = identity(s_prev[l, t] + (W_a * u[l, t] + W_b * u[l, t]))" in found
    assert "dW_a = sum(sum(ds[l, t] * u[l, t] for t in range(n)) for l in range(L))" in found


def test_a_stack_worked_by_hand(tmp_path: Path) -> None:
    tower = read(tmp_path, TOY)["tower"]
    given = {"x": [[1], [2]], "s0": [[0], [5]], "W_a": [[2], [10]], "W_b": [[1], [0]], "dy": [[1], [100]]}
    arrays = {key: np.array(value, float) for key, value in given.items()} | {"ds_n": np.zeros((2, 1))}
    evaluation = Evaluation(system(tower, tower.defaults()), arrays, {"n": 2, "L": 2})
    # 3 x adds up to 3, 9 below; above that 5 + 30, and + 90.
    assert [evaluation.value("above", 0, t).tolist() for t in range(2)] == [[3], [9]]
    assert [evaluation.value("y", t).tolist() for t in range(2)] == [[35], [125]]
    assert evaluation.value("s_n", 0).tolist() == [9]
    assert evaluation.value("ds0", 1).tolist() == [101]
    # ds[1] = 101, 100; 10 of that goes down: ds[0] = 1010 + 1000, 1000.
    assert [evaluation.value("dx", t).tolist() for t in range(2)] == [[3 * 2010], [3 * 1000]]
    assert evaluation.value("dW_a", 1).tolist() == [101 * 3 + 100 * 9]
    assert evaluation.value("dW_a", 0).tolist() == [2010 * 1 + 1000 * 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # The file
        ("[sum_cell]\n", "[sum_cell\n", "toy.toml: not TOML: Expected ']' at the end of a table declaration"),
        ("[sum_cell]\n", "stray = 1\n[sum_cell]\n", "toy.toml: [stray]: expected a table, got 1"),
        # Keys
        ('title = "Running total"\n', "", "toy.toml: [sum]: expected the key title, got ["),
        ("[tower.inputs]\n", "[tower.at_least]\n", "toy.toml: [tower]: expected the key inputs, got ["),
        ('flops = "B * H"\n', "", "toy.toml: [sum_cell.cost]: expected the key flops, got ['elements']"),
        ('title = "Running total"\n', 'titel = "x"\n', "toy.toml: [sum]: expected only the keys title, summary,"),
        ('flops = "B * H"\n', 'flop = "B"\n', "toy.toml: [sum_cell.cost]: expected only the keys flops, elements, got"),
        ("default = false\n", "", "toy.toml: [sum_cell.attributes.lone]: expected the key default, got ["),
        (
            "default = false\n",
            "default = false\nkind = 1\n",
            "[sum_cell.attributes.lone]: expected only the keys about,",
        ),
        (
            'about = "totals of the last layer"',
            'help = "x"',
            "toy.toml: [tower.outputs.y]: expected only the keys shape, about, kind, ",
        ),
        ('about = "offset"', 'help = "x"', "toy.toml: [sum_cell.inputs.v]: expected only the keys shape, about, opti"),
        ('text = "dW_k = ds * x"', "", "toy.toml: [sum_cell.gradient.1]: expected the key text, got ['each']"),
        ('text = "arg(a) = a"', 'txt = "a"', "toy.toml: [sum_cell.equations.1]: expected only the keys text, when,"),
        ('cell = "sum_cell"', "", "toy.toml: [sum.unrolls]: expected the key cell, got []"),
        ('cell = "sum_cell"', "reads = {}", "toy.toml: [sum.unrolls]: expected only the keys cell, got 'reads'"),
        ('operation = "layer"', "", "toy.toml: [tower.parts]: expected the key operation, got ['index', 'over', "),
        (
            'index = ["l"]',
            'index = ["l", "m"]',
            "toy.toml: [tower.parts.over]: expected a size for each index, l, m, got (",
        ),
        (
            'index = ["l"]',
            "indices = ['l']",
            "toy.toml: [tower.parts]: expected only the keys operation, index, over, ",
        ),
        (
            "range = [0.5, 2.5]",
            "",
            "[sum_cell.attributes.limit]: expected the key range, got ['about', 'domain',",
        ),
        # Ranges
        (
            "range = [0.5, 2.5]",
            "range = [0.5]",
            "[sum_cell.attributes.limit.range]: expected two ends, the lower first",
        ),
        ("range = [0.5, 2.5]", "range = [2.5, 0.5]", "limit.range]: expected the lower end first, got [2.5, 0.5]"),
        ("range = [0.5, 2.5]", "range = [0.0, 0.5]", "limit.range]: expected a positive number, got 0.0"),
        ("range = [0.5, 2.5]", "range = [0.5, true]", "limit.range]: expected a positive number, got True"),
        ("range = [0.5, 2.5]", "range = [0.5, 'H']", "limit.range]: expected numbers: a positive number is no size"),
        ("range = [0.5, 2.5]", "range = [0.5, 2.5]\nusual = [3.0]", "limit.usual]: expected a number within the ran"),
        ("range = [0.5, 2.5]", "range = [0.5, 2.5]\nusual = [-1]", "limit.usual]: expected a positive number, got -1"),
        ("range = [0.5, 2.5]", "range = [0.5, 2.5]\nvalues = [1]", "limit]: expected values or a domain, not both"),
        (
            'range = [0.5, 2.5]\ndefault = "none"',
            "range = [0.5, 2.5]\ndefault = 9.0",
            "limit.default]: expected a number within the range [0.5, 2.5], got 9.0",
        ),
        (
            'domain = "positive"\nrange = [0.5, 2.5]',
            "domain = 'count'\nrange = [1, 'Q']",
            "limit.range]: expected sizes from B, G, H, got 'Q'",
        ),
        (
            'domain = "positive"\nrange = [0.5, 2.5]',
            "domain = 'count'\nrange = [1, 'H / 2']",
            "limit.range]: a size is given by + - * ** of sizes, by 'min(a, b)' or by 'a if b == c else d', got 'H /",
        ),
        (
            'domain = "positive"\nrange = [0.5, 2.5]',
            "domain = 'count'\nrange = ['B', 9]",
            "limit.range]: expected to begin at a whole number, at least 1, got 0",
        ),
        (
            'domain = "positive"\nrange = [0.5, 2.5]',
            "range = [1, 2]",
            "[sum_cell.attributes.limit]: expected a domain beside range, got",
        ),
        ('order = ["a"]', "", "toy.toml: [sum_cell.gates.variants]: expected the key order, got ['when']"),
        # Types
        ('title = "Running total"\n', "title = 3\n", "toy.toml: [sum.title]: expected a str, got 3"),
        ('sources = ["folklore"]', "sources = [1]", "toy.toml: [sum_cell.sources]: expected only strings, got 1"),
        ('T = "steps"', "T = 1", "toy.toml: [tower.sizes]: expected only strings, got 1"),
        ('order = ["a", "b"]', "order = 'ab'", "toy.toml: [sum_cell.gates.order]: expected a list, got 'ab'"),
        ('order = ["a", "b"]', "order = ['a', 2]", "toy.toml: [sum_cell.gates.order]: expected only strings, got 2"),
        (
            'cell = "sum_cell"',
            "cell = ['sum_cell']",
            "toy.toml: [sum.unrolls.cell]: expected a str, got ['sum_cell']",
        ),
        ('x = { shape = "B T H", about = "input" }', "x = 'B T H'", "[tower.inputs.x]: expected a table, got 'B T H'"),
        ('about = "weights"', "about = 'w', optional = 1", "[sum_cell.inputs.W.optional]: expected a bool, got 1"),
        ('text = "dW_k = ds * x"', "text = 1", "toy.toml: [sum_cell.gradient.1.text]: expected a str, got 1"),
        ('over = ["L"]', "over = 'L'", "toy.toml: [tower.parts.over]: expected a list, got 'L'"),
        ('over = ["L"]', "over = [2]", "toy.toml: [tower.parts.over]: expected only strings, got 2"),
        ("steps = true", "steps = 1", "toy.toml: [tower.steps]: expected a bool, got 1"),
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
            'shape = "B T H", about = "totals of the last layer"',
            'shape = "B, T"',
            "[tower.outputs.y]: expected a shape like 'B T D', got",
        ),
        (
            'shape = "B T H", about = "totals of the last layer"',
            'shape = "B T-"',
            "[tower.outputs.y]: expected a shape like 'B T D', got 'B T-'",
        ),
        ('shape = "G H"', 'shape = "4x H"', "[sum_cell.inputs.W]: expected a shape like 'B T D', got '4x H'"),
        ('shape = "G H"', 'shape = "-4 H"', "[sum_cell.inputs.W]: expected a shape like 'B T D', got '-4 H'"),
        (
            'about = "weights"',
            "shapes = [{ shape = 'H' }]",
            "[sum_cell.inputs.W.shapes]: expected the key when, got ['shape']",
        ),
        (
            'about = "weights"',
            "shapes = [{ when = { lone = true }, shape = 'Q' }]",
            "[sum_cell.inputs.W]: expected axes from B, H, G, got 'Q'",
        ),
        (
            'about = "weights"',
            "shapes = [{ when = { alone = true }, shape = 'H' }]",
            "[sum_cell.inputs.W.when]: expected attributes from lone, limit, squash, got 'alone'",
        ),
        # Words
        ('about = "weights"', 'kind = "int"', "[sum_cell.inputs.W]: expected one of float, ids, bits, got 'int'"),
        (
            'about = "weights"',
            'domain = "odd"',
            "[sum_cell.inputs.W]: expected one of , probability, square, mean, forbidding, got 'o",
        ),
        ('about = "total after"', 'kind = "bits"', "[sum_cell.outputs.s]: expected one of float, ids, got 'bits'"),
        ('parameters = "own"', 'parameters = "mine"', "[tower.parts.parameters]: expected one of shared, own, got 'mi"),
        ("steps = true", 'over = "row"', "toy.toml: [tower.over]: expected one of batch, sequence, got 'row'"),
        ('shape = "G H", ', "", "[sum_cell.inputs.W]: expected a shape like 'B T D', got None"),
        ('shape = "G H"', 'shape = "G Q"', "[sum_cell.inputs.W]: expected axes from B, H, G, got 'Q'"),
        (
            'shape = "B T H", about = "totals of the last layer"',
            'shape = "B Q"',
            "[tower.outputs.y]: expected axes from B, T, n, L, got 'Q'",
        ),
        # Names
        (
            'cell = "sum_cell"',
            "cell = 'sum'",
            "[sum.unrolls.cell]: expected an operation other than sum itself, got 'sum'",
        ),
        (
            'cell = "sum_cell"',
            "cell = 'lost'",
            "[sum.unrolls.cell]: expected an operation other than sum itself, got 'lost'",
        ),
        ('limit = "none"', 'limt = "none"', "[sum_cell.equations.1.when]: expected attributes from lone, limit, squa"),
        (
            '"offset", when = { lone',
            '"offset", when = { alone',
            "[sum_cell.inputs.v.when]: expected attributes from lone, limit, squash, got 'alone'",
        ),
        (
            'domain = "positive"',
            'domain = "odd"',
            "[sum_cell.attributes.limit.domain]: expected one of positive, nonnegative, ",
        ),
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
            "unknown function 'sine': expected one of abs, affine, affine_prime, clipped, concat,",
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


# Facts about all families: their order, and the kinds of layers.

ONE = TOY[: TOY.index("[tower]")]
TWO = ONE.replace("sum_cell", "double_cell").replace("[sum", "[double")


def chosen(folder: Path, condition: str, kinds: str = "layers") -> dict[str, Operation]:
    """Read the toy, whose tower chooses among two kinds of layers and has its gradient under a condition."""
    (folder / "families.toml").write_text('order = ["toy", "after"]\nlayers = ["double", "sum"]\n', encoding="utf-8")
    text = TOY.replace('values = ["sum"]', f'kinds = "{kinds}"')
    text = text.replace("[[tower.gradient]]\ntext", f"[[tower.gradient]]\nwhen = {{ {condition} }}\ntext")
    return read(folder, TWO + text)


def test_an_attribute_chooses_among_the_kinds_of_layers_its_default_first(tmp_path: Path) -> None:
    loaded = chosen(tmp_path, 'p = "none"')
    assert loaded["tower"].attributes["layer"].values == ("sum", "double")


def test_an_attribute_that_two_kinds_have_is_the_same(tmp_path: Path) -> None:
    """In what is built of either it is one attribute: a value that one alone has would be lost."""
    folder, other = tmp_path, TWO.replace('["identity", "tanh"]', '["identity", "tanh", "relu"]')
    (folder / "families.toml").write_text('order = []\nlayers = ["double", "sum"]\n', encoding="utf-8")
    with pytest.raises(SpecError) as error:
        read(folder, other + TOY.replace('values = ["sum"]', 'kinds = "layers"'))
    assert str(error.value).startswith(
        "toy.toml: [tower.attributes.layer]: expected squash of double to be that of sum, got Attribute("
    )


def test_families_stand_in_their_order_and_those_that_it_lacks_after_them(tmp_path: Path) -> None:
    (tmp_path / "families.toml").write_text('order = ["z", "b"]', encoding="utf-8")
    for family in "abz":
        read(tmp_path, ONE.replace("sum_cell", f"{family}_cell").replace("[sum", f"[{family}"), f"{family}.toml")
    assert list(load(tmp_path)) == ["z_cell", "z", "b_cell", "b", "a_cell", "a"]


@pytest.mark.parametrize("condition", ['layer = { s = "B H" }', 'layer = { c = "none" }'])
def test_a_condition_on_states_holds_of_the_layers_that_have_such_states(tmp_path: Path, condition: str) -> None:
    (block,) = chosen(tmp_path, condition)["tower"].gradient
    assert block.when == {"layer": ["sum", "double"]}


@pytest.mark.parametrize(
    ("condition", "kinds", "message"),
    [
        ('layer = { s = "B H H" }', "layers", "[tower.gradient.when]: expected states that some layer has, got {'s'"),
        ('p = { s = "B H" }', "layers", "[tower.gradient.1.when.p]: expected values, or states of the part that it"),
        ('p = "none"', "families", "[tower.attributes.layer.kinds]: expected one of layers, cells, got 'families'"),
        (
            'p = "none"',
            'layers"\nvalues = ["sum"]\n#',
            "[tower.attributes.layer]: expected kinds in place of values or",
        ),
    ],
)
def test_a_wrong_choice_among_kinds_is_an_error(tmp_path: Path, condition: str, kinds: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        chosen(tmp_path, condition, kinds)
    assert str(error.value).startswith(f"toy.toml: {message}")


def test_every_layer_of_the_specification_is_one_of_its_kinds() -> None:
    layers = {name for name, op in operations().items() if op.unrolls}
    assert set(operation("stacked").attributes["layer"].values) == layers
    assert all(operation(layer).unrolls == f"{layer}_cell" for layer in layers)


def test_a_long_name_of_an_operation_is_cut() -> None:
    with pytest.raises(
        UnknownOperationError, match=r"^unknown operation '\[+… \(\d,\d+ more characters\): expected one of"
    ):
        operation("[" * 5000)
