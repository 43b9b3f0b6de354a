"""An environment for one release of a library: its own packages before those of the environment of rnnspec.

What the release needs in another version is installed beside it. All else, rnnspec included, is found where it is
installed now. So an environment takes seconds and little room.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

from rnnspec.conformance.hosting.keeper import KEPT, end_with_starter
from rnnspec.conformance.hosting.process import TEMPORARY_FOLDERS

_OF_PIP = ("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
"""Variables by which pip would install other versions, or elsewhere."""


class InstallError(Exception):
    """A release that cannot be installed; the message says why."""


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def why(self) -> str:
        """The line that tells most of a failure: the last one that says error, or else the last."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        return ([f"exit status {self.returncode}", *lines, *errors])[-1]


def run_quietly(command: Sequence[str], folder: Path | None = None) -> Done:
    """Run a command and keep what it prints; it leaves no temporary files, and an interrupt ends its processes."""
    variables = {name: value for name, value in os.environ.items() if name not in _OF_PIP}
    with TemporaryDirectory(prefix="rnnspec-", ignore_cleanup_errors=True) as temporary:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **variables,
                **dict.fromkeys(TEMPORARY_FOLDERS, temporary),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=end_with_starter if KEPT else None,
        )
        try:
            output, errors = process.communicate()
        except BaseException:
            _kill(process)
            raise
    return Done(process.returncode, output, errors)


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and those that it has started in its session."""
    if hasattr(os, "killpg"):
        with suppress(OSError):  # it has ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


def made(folder: Path, library: str, release: str, others: Sequence[str] = ()) -> Path:
    """Make an environment with a release of a library and with other requirements; return its interpreter.

    A folder that is there is taken as it is, if it has the release.

    Raises
    ------
    InstallError
        If the release is not to be had, does not install, or is not the one that is imported afterwards.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
        _have_packages_of_this(python)
    if _installed(python, library) != release:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        done = run_quietly([*pip, f"{library}=={release}", *others])
        if done.returncode:
            raise InstallError(done.why)
    found = _installed(python, library)
    if found != release:
        raise InstallError(f"expected {library} {release} to be imported, got {found or 'none'}")
    return python


def _have_packages_of_this(python: Path) -> None:
    """Let an environment have the packages of this one after its own."""
    asked = run_quietly([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    own = [Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    lines = [f"import site; site.addsitedir({str(path)!r})" for path in own]
    (Path(asked.stdout.strip()) / "rnnspec-bisect.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _installed(python: Path, library: str) -> str:
    """The version that the environment has of a library, in its usual form; empty if none."""
    script = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = run_quietly([str(python), "-c", script, library])
    return str(Version(done.stdout.strip())) if done.returncode == 0 else ""
