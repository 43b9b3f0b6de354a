"""``rnnspec bisect`` on the releases of a package that is made for it, without a network."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.bisecting.environments import Done, InstallError, run_quietly
from rnnspec.conformance.bisecting.releases import releases
from rnnspec.conformance.cli import main
from rnnspec.conformance.run.plan import PlanError

ADAPTER = """
import turning
from rnnspec.backends import Backend

class Turning(Backend):
    name = "turning"
    libraries = ("turning",)

    def embedding(self, ids, E):
        return (turning.looked_up(E, ids),)
"""
RIGHT = "def looked_up(E, ids): return E[ids]\n"
WRONG = "def looked_up(E, ids): return E[ids] * 1.001\n"


def wheel(folder: Path, version: str, source: str) -> None:
    """A release of the package ``turning``, as pip installs it."""
    about = f"turning-{version}.dist-info"
    with zipfile.ZipFile(folder / f"turning-{version}-py3-none-any.whl", "w") as file:
        file.writestr("turning.py", source)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: turning\nVersion: {version}\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", f"turning.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")


def bisect(*arguments: str) -> Result:
    asked = ["turning_adapter:Turning", "--op", "embedding", "--library", "turning", "--check"]
    return CliRunner().invoke(main, ["bisect", *asked, *arguments])


def test_the_first_release_that_violates_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pip and a validation of each release, of an adapter in the current folder."""
    (tmp_path / "turning_adapter.py").write_text(ADAPTER)
    for version, source in (("1.0", RIGHT), ("1.1", WRONG)):
        wheel(tmp_path, version, source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    done = bisect("values", "--versions", "1.1,1.0", "--json", "found.json", "--keep", "kept")
    assert done.exit_code == 1, done.output
    first, *_, last = done.output.splitlines()
    assert first == "turning_adapter:Turning: values of embedding in float32, by release of turning"
    assert last == "first release that violates: turning 1.1 (1.0: conforms); 2 of 2 releases were asked"
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["before"], found["first"], found["first_violates"]) == ("1.0", "1.1", True)
    assert [one["verdict"] for one in found["judged"]] == ["conforms", "violates"]
    assert (tmp_path / "kept" / "turning-1.1").is_dir()


def no_install(folder: Path, library: str, release: str, others: Sequence[str]) -> Path:
    raise InstallError(f"no {release}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("value", "--versions", "1.0,1.2"), "unknown check 'value'"),
        (("values", "--versions", "1.0"), "expected at least two releases, got 1.0"),
        (("values", "--versions", "1.0,new"), "got 'new'"),
        (("values", "--versions", ">=x"), "expected a range as '>=0.10,<0.13', got '>=x'"),
        (("values", "--versions", ">=9"), "expected at least two releases of turning in >=9, got none"),
        (("values", "--versions", "1.0,1.2", "--dtype", "float31"), "unknown dtype 'float31'"),
        (
            ("values", "--versions", "7.0,7.1"),
            "none of these releases of turning can be judged: no 7.0",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("rnnspec.conformance.commands.bisect.made", no_install)
    listed = Done(0, "turning (1.2)\nAvailable versions: 1.2, 1.1, 1.0\n", "")
    monkeypatch.setattr("rnnspec.conformance.bisecting.releases.run_quietly", lambda command: listed)
    done = bisect(*arguments)
    assert done.exit_code == 2
    assert said in done.output.splitlines()[-1]
    assert "Traceback" not in done.output


def test_what_a_command_leaves_is_removed() -> None:
    code = "import tempfile; print(tempfile.mkdtemp(), end='')"
    done = run_quietly([sys.executable, "-c", code])
    assert done.returncode == 0
    assert done.stdout
    assert not Path(done.stdout).exists()


def test_a_range_is_of_what_pip_finds_without_releases_before_a_final_one(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Done(0, "turning (1.2)\nAvailable versions: 1.10, 1.2rc1, 1.2, 1.1, 1.0\n", "")
    monkeypatch.setattr("rnnspec.conformance.bisecting.releases.run_quietly", lambda command: listed)
    assert releases("turning", ">=1.1") == ["1.1", "1.2", "1.10"]
    monkeypatch.setattr(
        "rnnspec.conformance.bisecting.releases.run_quietly", lambda command: Done(1, "", "ERROR: No matching\n")
    )
    with pytest.raises(
        PlanError, match=r"pip finds no releases of turning \(ERROR: No matching\); give them as a list"
    ):
        releases("turning", ">=1.1")
