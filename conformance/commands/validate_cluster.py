"""``rnnspec validate --scheduler``: the operations of each backend, shared among the workers of a cluster."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from rnnspec.conformance.commands.validate_pytest import must_have_run, run_pytest
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.hosting.jobs import workers
from rnnspec.conformance.hosting.work import FormError, Work
from rnnspec.conformance.options import DECIDING, Options
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.run import CheckResult
from rnnspec.conformance.run.files import write_bytes
from rnnspec.conformance.run.plan import Item, PlanError, must_be_of, plan
from rnnspec.conformance.run.resuming import Interrupts

_SUFFIXES: Final = (".py", ".npz")
"""Endings of a repro's files."""


@dataclass(frozen=True)
class OperationResults:
    """The results of one operation of one backend, in all types, with the `files` of repros that a `folder` had."""

    results: tuple[CheckResult, ...]
    faults: tuple[FaultResult, ...]
    folder: str = ""
    files: Mapping[str, bytes] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "results": [one.to_json() for one in self.results],
            "faults": [one.to_json() for one in self.faults],
            "folder": self.folder,
            "files": {name: base64.b64encode(content).decode() for name, content in (self.files or {}).items()},
        }

    @classmethod
    def from_json(cls, data: Any) -> OperationResults:
        """Make it from plain data."""
        files = {str(name): base64.b64decode(content, validate=True) for name, content in data["files"].items()}
        if odd := [name for name in files if Path(name).name != name or Path(name).suffix not in _SUFFIXES]:
            raise FormError(f"expected names of repros, got {odd[0]!r}")
        results = tuple(map(CheckResult.from_json, data["results"]))
        return cls(results, tuple(map(FaultResult.from_json, data["faults"])), str(data["folder"]), files)

    def moved(self, folder: Path) -> OperationResults:
        """Write the repros into a folder of this machine, and return the part that names them there."""
        for name, content in (self.files or {}).items():
            write_bytes(folder / name, content)

        def here(path: str) -> str:
            return path.replace(self.folder, str(folder)) if self.folder else path

        return OperationResults(
            tuple(replace(one, repro=here(one.repro)) for one in self.results),
            tuple(replace(one, repro=here(one.repro)) for one in self.faults),
        )


def validate_on_cluster(options: Options, due: Sequence[Item], collector: Collector) -> None:
    """Validate what is due, and have the collector receive the results; an interrupt ends it with nothing lost."""
    parts = list(dict.fromkeys((item.backend, item.operation) for item in due))
    work = VALIDATE.having(
        asked={name: getattr(options, name) for name in DECIDING},
        expected=options.expected.read_text(encoding="utf-8") if options.expected else "",
        backends=list(options.backends),
        repros=options.repro_dir is not None,
    )
    interrupts = Interrupts()
    with interrupts, workers(scheduler=options.scheduler) as sharing:
        for place, part in sharing.results(work, parts):
            must_be_of(part.results, [item for item in due if (item.backend, item.operation) == parts[place]])
            found = part.moved(options.repro_dir) if options.repro_dir else part
            collector.receive(found.results, found.faults)
    collector.interrupted = interrupts.status


def _validated(
    part: Sequence[str], asked: Mapping[str, Any], expected: str, backends: Sequence[str], repros: bool
) -> OperationResults:
    """Validate one operation of one backend, in this process."""
    backend, operation = part
    with TemporaryDirectory(prefix="rnnspec-") as folder:
        repro_dir = Path(folder) / "repros"
        options = Options(
            backends=(backend,),
            operations=(operation,),
            repro_dir=repro_dir if repros else None,
            expected=_written(expected, Path(folder) / "expected.toml"),
            **_options(asked),
        )
        items = plan(backend, options.open(backend), options.operations, options.dtypes)
        collector = Collector(Console(file=io.StringIO()), items)
        status, output = run_pytest(options, collector, ("-p", "no:xdist"))
        must_have_run(status, output, (), collector)
        if collector.problems:
            raise PlanError(f"the suite itself failed: {collector.problems[0]}")
        must_be_of(collector.results, items)
        files = {path.name: path.read_bytes() for path in repro_dir.iterdir()} if repro_dir.exists() else {}
        return OperationResults(tuple(collector.results), tuple(collector.faults), str(repro_dir), files)


def _options(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {**asked, "dtypes": tuple(asked["dtypes"])}


def _written(text: str, file: Path) -> Path | None:
    if text:
        file.write_text(text, encoding="utf-8")
    return file if text else None


def _versions(asked: Mapping[str, Any], backends: Sequence[str], **_: Any) -> dict[str, str]:
    """The versions of all backends: a worker is fit for all of them, or for none."""
    options = Options(**_options(asked))
    return {
        f"{name}: {library}": number for name in backends for library, number in options.open(name).versions().items()
    }


VALIDATE: Final = Work(_validated, OperationResults.to_json, OperationResults.from_json, _versions)
