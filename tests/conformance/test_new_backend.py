"""``rnnspec new-backend`` writes a project that installs and passes as it stands, or one line of error and nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.cli import main
from rnnspec.spec import operations


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new-backend", *arguments])


def test_a_project_installs_and_passes_as_it_stands(tmp_path: Path) -> None:
    assert run("my-library", "--op", "rnn_cell", "--op", "gru_cell", "--in", str(tmp_path)).exit_code == 0
    project, installed = tmp_path / "rnnspec-my-library", tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("base", ["numpy", "torch", "jax", "tensorflow"])
def test_every_operation_has_a_method_that_can_be_read(tmp_path: Path, base: str) -> None:
    chosen = [option for name in operations() for option in ("--op", name)]
    assert run("all", *chosen, "--base", base, "--in", str(tmp_path)).exit_code == 0
    source = (tmp_path / "rnnspec-all/src/rnnspec_all/adapter.py").read_text()
    compile(source, "adapter.py", "exec")
    assert max(map(len, source.splitlines())) <= 120
    assert source.count("raise Unsupported") == len(operations())
    project = tomllib.loads((tmp_path / "rnnspec-all/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["rnnspec.backends"] == {"all": "rnnspec_all.adapter:AllBackend"}


def test_the_methods_of_a_project_declare_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnspec.backends.taking import taken_by

    chosen = [option for name in operations() for option in ("--op", name)]
    assert run("declares", *chosen, "--in", str(tmp_path)).exit_code == 0
    scope: dict[str, object] = {}
    exec((tmp_path / "rnnspec-declares/src/rnnspec_declares/adapter.py").read_text(), scope)
    for name in operations():
        assert taken_by(getattr(scope["DeclaresBackend"], name), name).passed is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("Mine", "--op", "gru"),
            "NAME: expected small letters, digits and single hyphens, like my-library, got 'Mine'",
        ),
        (("my--gru", "--op", "gru"), "got 'my--gru'"),
        (("../up", "--op", "gru"), "got '../up'"),
        (("class", "--op", "gru"), "NAME: class is a keyword of Python; expected another name, like my-class"),
        (("torch", "--op", "gru"), "torch is rnnspec's own backend; expected another name, like my-torch"),
        (("mine", "--op", "grv"), "unknown operation 'grv'"),
        (("there", "--op", "gru"), "expected a folder that does not exist yet"),
        (("mine",), "Missing option '--op'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "rnnspec-there").mkdir()
    result = run(*arguments, "--in", str(tmp_path))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["rnnspec-there"]


def test_the_next_command_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "sp ace").mkdir()
    done = CliRunner().invoke(main, ["new-backend", "mine", "--op", "gru", "--in", str(tmp_path / "sp ace")])
    assert done.exit_code == 0, done.output
    assert f"next: cd '{tmp_path / 'sp ace' / 'rnnspec-mine'}' && pip" in done.output
