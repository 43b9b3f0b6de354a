"""Validate what the environment names, for the action: write the reports, a summary, and whether it conforms.

The exit status is that of ``rnnspec validate``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the command line, and tell what came of it."""
    folder = Path(os.environ.get("RNNSPEC_FOLDER") or "rnnspec-report")
    written = {"json": "report.json", "html": "report.html", "badge": "badge.svg"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*written.values(), "badge.json"):  # a run that cannot begin has no files, and not those of another
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        print(f"folder: expected one that can be written to, got {str(folder)!r}: {error.strerror}", file=sys.stderr)
        return 2
    backends = os.environ.get("RNNSPEC_BACKENDS", "").split()
    if not backends or any(name.startswith("-") for name in backends):
        print(f"backends: expected names or package.module:Class, got {' '.join(backends)!r}", file=sys.stderr)
        return 2
    options = [f"--{option}={folder / name}" for option, name in written.items()]
    options += [f"--op={name}" for name in os.environ.get("RNNSPEC_OPERATIONS", "").split()]
    options += [f"--dtype={name}" for name in os.environ.get("RNNSPEC_DTYPES", "").split()]
    options += [f"--profile={os.environ.get('RNNSPEC_PROFILE') or 'quick'}", f"--repro-dir={folder / 'repros'}"]
    if largest := os.environ.get("RNNSPEC_LARGEST"):
        options.append(f"--largest={largest}")
    status = _rnnspec("validate", *backends, *options)
    if (folder / "report.json").is_file():
        _rnnspec("report", str(folder / "report.json"), f"--badge={folder / 'badge.json'}", quiet=True)
        _summarise(folder / "report.json")
    _append("GITHUB_OUTPUT", f"conforms={'true' if status == 0 else 'false'}\n")
    return status


def _rnnspec(*words: str, quiet: bool = False) -> int:
    output = subprocess.DEVNULL if quiet else None
    # -P: a folder rnnspec of the repository that is validated is not the program.
    return subprocess.run([sys.executable, "-P", "-m", "rnnspec", *words], stdout=output, check=False).returncode


def _summarise(report: Path) -> None:
    """Write the verdict in sentences to the job's summary, as text whatever is in it."""
    import rnnspec

    sentences = rnnspec.read_report(report).sentences
    _append("GITHUB_STEP_SUMMARY", "".join(f"    {line}\n" for line in ("", *sentences)) + "\n")


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    sys.exit(main())
