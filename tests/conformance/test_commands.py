"""The commands that need no pytest, and the errors of all: one clear line and exit status 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.cli import main, split_arguments
from rnnspec.spec import operations

FAKES = '''\
"""Backends to be named as package.module:Class."""
from rnnspec.backends.numpy import NumpyBackend

class Fine(NumpyBackend):
    name = "fine"

class NotABackend:
    pass

class NoDriver(NumpyBackend):
    name = "no driver"
    def __init__(self, device="cpu"):
        raise ValueError("no driver: install one")

def function():
    pass
'''


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fakes_named.py").write_text(FAKES)
    (tmp_path / "fakes_broken.py").write_text("import no_such_framework\n")
    (tmp_path / "fakes_odd.py").write_text("raise RuntimeError('GPU on fire')\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def rnnspec(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def succeed(*arguments: str) -> str:
    result = rnnspec(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


# list


@pytest.mark.usefixtures("wide")
def test_list_shows_every_operation_and_backend() -> None:
    printed = succeed("list")
    for name, op in operations().items():
        assert name in printed
        assert op.title in printed
    for word in ("Operations", "Backends", "numpy", "torch"):
        assert word in printed


def test_list_as_json(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    succeed("list", "--json", str(file))
    data = json.loads(file.read_text(encoding="utf-8"))
    assert set(data) == {"operations", "models", "backends", "checks", "regimes"}
    assert {check["id"]: check["level"] for check in data["checks"]} == {check.id: check.level for check in CHECKS}
    assert all(check["about"] and check["operations"] for check in data["checks"])
    assert [op["name"] for op in data["operations"]] == list(operations())
    for op in data["operations"]:
        assert {"name", "family", "inputs", "outputs", "attributes", "equations", "gradient_equations"} <= set(op)
        assert all(isinstance(line, str) and line for line in op["equations"] + op["gradient_equations"])
        assert {"name", "shape", "kind", "optional"} <= set(op["inputs"][0])
        assert all({"name", "shape"} <= set(item) for item in op["outputs"])
    lstm = next(op for op in data["operations"] if op["name"] == "lstm")
    assert {item["name"]: item["shape"] for item in lstm["inputs"]}["W"] == ["G", "H", "D"]
    assert {item["name"] for item in lstm["attributes"]} == set(operations()["lstm"].attributes)
    by_name = {backend["name"]: backend for backend in data["backends"]}
    assert all(set(backend) == {"name", "available", "reason", "operations"} for backend in data["backends"])
    assert by_name["numpy"] == {
        "name": "numpy",
        "available": True,
        "reason": "",
        "operations": list(operations()),
    }


def test_a_backend_that_does_not_open_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnspec.conformance.hosting.available import Available

    closed = [Available("mine", False, "needs a licence", ())]
    monkeypatch.setattr("rnnspec.conformance.commands.list.available", lambda *_: closed)
    printed = succeed("list")
    assert "mine" in printed
    assert "needs a licence" in printed


# show


@pytest.mark.usefixtures("wide")
def test_show_prints_shapes_and_equations() -> None:
    printed = succeed("show", "lstm")
    for part in (
        "lstm: ",
        "(B, T, D)",
        "c[t] = f[t] * c_prev[t] + i[t] * g[t]",
        "c_prev[t] = c[t - 1]",
        "h[-1] = h0",
        "dc_prev[t] = dc_all[t] * f[t]",
        "dW_i = sum(outer(da_i[t], u[t]) for t in range(n))",
        "Hochreiter",
        "coupled",
    ):
        assert part in printed


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("name", operations())
def test_show_of_every_operation(name: str) -> None:
    printed = succeed("show", name)
    for item in (*operations()[name].inputs, *operations()[name].outputs, *operations()[name].attributes):
        assert item in printed or operations()[name].inputs[item].when
    assert 1 <= succeed("show", name, "--latex").count("\\begin{align*}") <= 2


@pytest.mark.usefixtures("wide")
def test_show_for_attribute_values() -> None:
    plain = succeed("show", "lstm")
    coupled = succeed("show", "lstm", "--set", "coupled=true", "--set", "projection=true")
    assert "W_f" in plain
    assert "W_f" not in coupled
    assert "1 - i[t]" in coupled
    assert "P @" in coupled
    relu = succeed("show", "lstm_cell", "--set", "activations=logistic,relu,tanh", "--set", "clip=1.5")
    assert "relu" in relu
    assert "1.5" in relu


def test_show_latex_is_fit_to_paste() -> None:
    printed = succeed("show", "lstm", "--latex")
    lines = printed.splitlines()
    assert lines[0] == "\\begin{align*}"
    assert lines[-1] == "\\end{align*}"
    assert "\\tanh" in printed
    assert printed.count("{") == printed.count("}")
    assert "[/" not in printed


def test_show_as_json(tmp_path: Path) -> None:
    file = tmp_path / "show.json"
    succeed("show", "gru", "--set", "reset=before", "--json", str(file))
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["name"] == "gru"
    plain = tmp_path / "plain.json"
    succeed("show", "gru", "--json", str(plain))
    assert json.loads(plain.read_text(encoding="utf-8"))["equations"] != data["equations"]


# Errors.

ERRORS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unknown backend": (("validate", "tensorflo"), ("unknown backend 'tensorflo'", "expected", "numpy", "torch")),
    "unknown operation": (("validate", "numpy", "--op", "lstn"), ("unknown operation 'lstn'", "expected", "lstm")),
    "unknown dtype": (("validate", "numpy", "--dtype", "fp32"), ("unknown dtype 'fp32'", "expected", "float32")),
    "unknown profile": (("validate", "numpy", "--profile", "fast"), ("unknown profile 'fast'", "expected", "quick")),
    "unknown device": (("validate", "numpy", "--device", "tpu"), ("expected a device in cpu", "got 'tpu'")),
    "a dot": (
        ("validate", "fakes_named.Fine"),
        ("did you mean fakes_named:Fine? expected one of",),
    ),
    "malformed name": (("validate", "fakes_named:"), ("'fakes_named:'", "expected package.module:Class")),
    "malformed name of a module": (("validate", ":Fine"), ("':Fine'", "expected package.module:Class")),
    "two colons": (("validate", "a:b:c"), ("'a:b:c'", "expected package.module:Class")),
    "no such module": (
        ("validate", "no_such_module:Fine"),
        ("fails to import", "no_such_module", "the current folder"),
    ),
    "no such class": (
        ("validate", "fakes_named:Fin"),
        ("did you mean Fine? expected one of Fine, NoDriver",),
    ),
    "import fails": (("validate", "fakes_broken:Fine"), ("fails to import", "no_such_framework")),
    "import fails oddly": (("validate", "fakes_odd:Fine"), ("fails to import", "RuntimeError", "GPU on fire")),
    "no backend class": (("validate", "fakes_named:NotABackend"), ("expected a subclass", "got", "NotABackend")),
    "a function": (("validate", "fakes_named:function"), ("expected a subclass", "got", "function")),
    "does not open": (("validate", "fakes_named:NoDriver"), ("no driver: install one",)),
    "one of two": (("validate", "numpy", "fakes_odd:Fine"), ("GPU on fire",)),
    "show nothing": (("show",), ("expected an OPERATION or --model NAME, got neither",)),
    "show": (("show", "lstn"), ("unknown operation 'lstn'", "expected", "lstm")),
    "setting": (("show", "lstm", "--set", "coupled"), ("expected NAME=VALUE", "got 'coupled'")),
    "unknown attribute": (("show", "lstm", "--set", "peephole=true"), ("unknown attribute 'peephole'", "expected")),
    "attribute value": (("show", "gru", "--set", "reset=never"), ("reset: expected", "'before'", "got 'never'")),
    "soak": (("soak", "tensorflo"), ("unknown backend 'tensorflo'",)),
    "soak nothing": (("soak", "numpy", "--cases", "0"), ("expected at least 1 case", "got 0")),
    "soak operation": (("soak", "numpy", "--op", "lstn"), ("unknown operation 'lstn'",)),
    "faults operation": (("faults", "--op", "lstn"), ("unknown operation 'lstn'", "expected")),
    "faults profile": (("faults", "--profile", "fast"), ("unknown profile 'fast'", "expected")),
}


def test_a_dash_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = rnnspec("list", "--json", "-")
    assert result.exit_code == 2
    assert "expected the name of a file, got '-'" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_one_clear_line(name: str) -> None:
    arguments, parts = ERRORS[name]
    result = rnnspec(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_type_that_the_backend_lacks(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FAKES.replace(
        'name = "fine"', 'name = "fine"\n    def dtypes(self):\n        return ("float32", "float64")'
    )
    (tmp_path / "fakes_two_types.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    result = rnnspec("validate", "fakes_two_types:Fine", "--dtype", dtype)
    assert result.exit_code == 2
    assert f"has no {dtype} on cpu: expected one of float32, float64" in result.stderr


@pytest.mark.parametrize("make", [lambda folder: folder, lambda folder: folder / "file" / "list.json"])
def test_a_json_file_that_cannot_be_written(make: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = rnnspec("list", "--json", str(make(tmp_path)))
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert str(tmp_path) in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("arguments", [(), ("-h",), ("validate", "-h"), ("show", "--help"), ("soak", "--help")])
def test_help(arguments: tuple[str, ...]) -> None:
    result = rnnspec(*arguments)
    assert result.exit_code == (0 if arguments else 2)
    assert "Usage: " in result.output


def test_version() -> None:
    assert "0." in succeed("--version")


def test_errors_name_what_is_expected_and_what_came() -> None:
    """The table above holds each error to it, but for those that name a failure in another's words."""
    other: set[Any] = {"import fails", "import fails oddly", "no such module", "no such class", "does not open"}
    silent = [name for name, (_, parts) in ERRORS.items() if not any("expected" in p or "unknown" in p for p in parts)]
    assert set(silent) <= other | {"one of two"}


@pytest.mark.parametrize(
    ("given", "names", "for_pytest"),
    [
        (("numpy", "-n", "0"), ("numpy",), ("-n", "0")),
        (("-n", "0", "numpy", "torch"), ("numpy", "torch"), ("-n", "0")),
        (("-x", "a:B", "--junitxml=f.xml", "numpy"), ("a:B", "numpy"), ("-x", "--junitxml=f.xml")),
        (("-k", "lstm"), (), ("-k", "lstm")),
    ],
)
def test_backends_stand_before_and_after_options_of_pytest(
    given: tuple[str, ...], names: tuple[str, ...], for_pytest: tuple[str, ...]
) -> None:
    assert split_arguments(given) == (names, for_pytest)
