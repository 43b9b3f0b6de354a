"""The command line. Each command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from rnnspec.conformance.bench.options import Command, WithDefault, size_options, sizes_from


class CannotRunError(click.ClickException):
    """What was asked cannot be done: one line of error, exit status 2."""

    exit_code = 2


def _no_dash(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path == Path("-"):
        raise click.BadParameter("expected the name of a file, got '-': standard output has the report")
    return path


json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_no_dash,
    help="Write the result there as JSON.",
)
_ISOLATION = (
    click.option(
        "--isolate/--no-isolate",
        default=None,
        help="In a process of its own; by default if it is package.module:Class.",
    ),
    click.option(
        "--time-limit",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="Seconds for a call.",
    ),
    click.option(
        "--memory-limit",
        default=8.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="GiB for a process.",
    ),
)


def isolation_options(command: Command) -> Command:
    """Whether a backend runs in a process of its own, and the limits of that process."""
    for option in reversed(_ISOLATION):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rnnspec")
def main() -> None:
    """An executable specification and conformance suite for recurrent sequence models.

    Exit status: 0 if all conforms, 1 if something violates the specification, 2 if the command cannot run.
    """


@main.command("list")
@click.option("--checks", is_flag=True, help="List the checks instead: what is asked of a backend.")
@json_option
def list_command(checks: bool, json_file: Path | None) -> None:
    """List the operations of the specification and the installed backends."""
    from rnnspec.conformance.commands.list import list_everything

    _run(list_everything, json_file, checks)


@main.command()
@click.argument("operation")
@click.option("--latex", is_flag=True, help="Print the equations as LaTeX.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Show them for this attribute value.")
@json_option
def show(operation: str, latex: bool, settings: tuple[str, ...], json_file: Path | None) -> None:
    """Show an operation: shapes, equations, gradient and sources."""
    from rnnspec.conformance.commands.show import show_operation

    _run(show_operation, operation, latex, settings, json_file)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--op", "operations", multiple=True, help="Only this operation (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, help="Only this type (repeatable).")
@click.option("--device", default="cpu", show_default=True, help="Device to run on.")
@click.option("--profile", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--seed", default=0, show_default=True, help="Seed of the cases; equal seeds draw equal cases.")
@click.option(
    "--largest",
    type=click.IntRange(1),
    help="Largest size on the ladder; by default 300, and once 513 units, 1,025 steps and 65,537 sequences.",
)
@click.option(
    "--repro-dir", type=click.Path(file_okay=False, path_type=Path), help="Write a repro of each failure there."
)
@click.option(
    "--replay/--no-replay",
    default=True,
    show_default=True,
    envvar="RNNSPEC_REPLAY",
    show_envvar=True,
    help="Try first what failed in earlier runs.",
)
@click.option(
    "--replay-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where that is kept; by default in the user's cache.",
)
@click.option(
    "--expected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of expected failures, besides the backend's own.",
)
@click.option("--strict", is_flag=True, help="Fail where a SHOULD is departed from or an expected failure not seen.")
@isolation_options
@json_option
@click.pass_context
def validate(
    context: click.Context,
    backends: tuple[str, ...],
    operations: tuple[str, ...],
    dtypes: tuple[str, ...],
    device: str,
    profile: str,
    seed: int,
    largest: int | None,
    repro_dir: Path | None,
    replay: bool,
    replay_dir: Path | None,
    expected: Path | None,
    strict: bool,
    isolate: bool | None,
    time_limit: float,
    memory_limit: float,
    json_file: Path | None,
) -> None:
    """Hold backends against the specification.

    A BACKEND is an installed one's name or package.module:Class; without any, every framework that is installed.
    Options that rnnspec does not know go to pytest: -k lstm, --junitxml=FILE.
    Where pytest-xdist is installed, a process for each core shares many checks: -n 2 for two, -n 0 for one alone.
    Of an isolated backend, a call that crashes, hangs or takes all memory ends in a verdict; both limits are for those.
    """
    from rnnspec.conformance.commands.validate import Request, validate_backends
    from rnnspec.conformance.hosting.isolated import Isolation, Limits
    from rnnspec.conformance.run.replay import usual_folder

    names, for_pytest = _split_arguments(backends)
    kept = (replay_dir or usual_folder()) if replay else None
    request = Request(
        names, operations, dtypes, device, profile, seed, repro_dir, kept, for_pytest, expected=expected, strict=strict,
        largest=largest,
        isolation=Isolation.of(isolate), limits=Limits(time_limit, memory_limit),
    )  # fmt: skip
    context.exit(_run(validate_backends, request, json_file))


@main.command()
@click.option("--op", "operations", multiple=True, help="Only faults of this operation (repeatable).")
@click.option("--profile", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--exclusive", is_flag=True, help="Ask the later checks too: which faults does one alone catch?")
@click.option("--edits", is_flag=True, help="Score every single edit of the equations, not the planted faults.")
@click.option("--sample", type=click.IntRange(1), help="With --edits: so many edits of each operation, at random.")
@click.option("--seeds", default="0", show_default=True, help="Seeds of the cases: 0-4, 3 or 0,2,7.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes that share the work.")
@json_option
@click.pass_context
def faults(context: click.Context, /, json_file: Path | None, edits: bool, sample: int | None, **options: Any) -> None:
    """Score the suite itself: which planted faults it catches, and with which check.

    A fault is caught if it is caught with every seed. --exclusive asks with the first seed alone. --edits makes a fault
    of every single edit of the equations; which are drawn for --sample follows from the first seed.
    """
    if not edits:
        if sample is not None:
            raise CannotRunError("--sample goes with --edits: of planted faults all are scored")
        from rnnspec.conformance.commands.faults import Request, score_faults

        context.exit(_run(score_faults, Request(**options), json_file))
    if options.pop("exclusive") or options.pop("profile") != "quick":
        raise CannotRunError("--edits asks by profile quick, up to the first check that catches an edit")
    from rnnspec.conformance.commands import faults_edits

    context.exit(_run(faults_edits.score_edits, faults_edits.Request(sample=sample, **options), json_file))


@main.command()
@click.option("--op", "operations", multiple=True, help="Only this operation (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, help="Only this type (repeatable).")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(["values", "gradients"]), help="Only this (repeatable)."
)
@click.option("--runs", default=20, show_default=True, type=click.IntRange(1), help="Seeds, of each of these.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes that share the work.")
@json_option
@click.pass_context
def sharpness(context: click.Context, /, json_file: Path | None, **options: Any) -> None:
    """Measure the smallest error that the suite sees, beside what fixed tolerances would see.

    In each run a relative error is planted in one intermediate quantity of the reference, and the check sees it or not.
    What is told is the smallest that is seen in 19 of 20 runs, and how many right results each tolerance rejects.
    """
    from rnnspec.conformance.commands.sharpness import Request, measure_sharpness

    context.exit(_run(measure_sharpness, Request(**options), json_file))


@main.command()
@click.argument("backend")
@click.option("--cases", default=20_000, show_default=True, help="Random cases to run.")
@click.option("--op", "operations", multiple=True, help="Only this operation (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, help="Only this type (repeatable).")
@click.option("--device", default="cpu", show_default=True, help="Device to run on.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the cases.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes that share the work.")
@click.option(
    "--resume",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep what is done in this file, and go on from what it has.",
)
@click.option(
    "--case", "only", type=click.IntRange(0), help="Only this one, by its number, of each operation and type."
)
@isolation_options
@json_option
@click.pass_context
def soak(
    context: click.Context,
    /,
    isolate: bool | None,
    time_limit: float,
    memory_limit: float,
    json_file: Path | None,
    **options: Any,
) -> None:
    """Hold a backend's values and gradients against the reference on many random cases.

    A right implementation is rejected in none; the error ratios show how near it comes. The cases depend on the seed
    alone, not on --jobs, and Ctrl-C loses none that were done: with --resume FILE the same command goes on from there,
    with more --cases too. Exit status 130: interrupted.
    """
    from rnnspec.conformance.bench.threads import VARIABLES

    for variable in VARIABLES:  # before NumPy and the frameworks are imported; the cases are small, as in validate
        os.environ.setdefault(variable, "1")
    from rnnspec.conformance.commands.soak import Request, soak_backend
    from rnnspec.conformance.hosting.isolated import Isolation, Limits

    request = Request(**options, isolation=Isolation.of(isolate), limits=Limits(time_limit, memory_limit))
    context.exit(_run(soak_backend, request, json_file))


@main.command()
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to", required=True, type=click.Choice(["torch", "keras", "spec"]), help="The layout that TARGET is to have."
)
@json_option
def convert(source: Path, target: Path, to: str, json_file: Path | None) -> None:
    """Carry the weights of RNN, LSTM and GRU layers from one framework's layout to another's.

    SOURCE is a torch state dict, Keras's weights by their paths, or arrays by the specification's names; both files are
    .npz or .safetensors. What the other layout cannot represent is an error, and nothing is written.
    """
    from rnnspec.conformance.commands.convert import convert_weights

    _run(convert_weights, source, target, to, json_file)


@main.group(cls=WithDefault)
def bench() -> None:
    """Time backends against each other: who is faster, by how much, how sure that is, and how far from the machine.

    A BACKEND is an installed one's name or package.module:Class; with @DEVICE after it, it runs on that device. The
    ratios are to the first. Each is held against the specification on the very workload before it is timed.
    """


@bench.command("run", hidden=True)
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--workload", "-w", "workloads", multiple=True, help="A named workload, or like lstm-large (repeatable).")
@click.option(
    "--workloads", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of your own."
)
@click.option("--op", "operations", multiple=True, help="This operation, at --scale (repeatable).")
@click.option("--scale", default="medium", show_default=True, help="small, medium or large.")
@size_options
@click.option("--scan", metavar="SIZE[=N,N,...]", help="Time against this size, with the fitted exponent.")
@click.option("--mode", "modes", multiple=True, help="forward, gradient or decode (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, help="Type, float32 by default (repeatable).")
@click.option("--device", default="cpu", show_default=True, help="Device of backends that name none.")
@click.option("--threads", type=click.IntRange(1), help="Threads of each; all cores by default.")
@click.option(
    "--seconds", default=6.0, show_default=True, type=click.FloatRange(0, min_open=True), help="For each workload."
)
@click.option("--rounds", default=100, show_default=True, type=click.IntRange(2), help="At most so many rounds.")
@click.option("--alone", is_flag=True, help="Time a single backend, with none to compare it with.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure peak memory, in new processes.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots there.")
@isolation_options
@json_option
@click.pass_context
def bench_run(
    context: click.Context,
    /,
    threads: int | None,
    isolate: bool | None,
    time_limit: float,
    memory_limit: float,
    json_file: Path | None,
    **options: Any,
) -> None:
    """Time backends against each other."""
    from rnnspec.conformance.bench.errors import BenchError
    from rnnspec.conformance.bench.threads import pinned

    def run() -> int:
        from rnnspec.conformance.commands.bench import Request, bench_backends
        from rnnspec.conformance.hosting.isolated import Isolation, Limits

        isolation, limits = Isolation.of(isolate), Limits(time_limit, memory_limit)
        return bench_backends(
            Request(sizes=sizes_from(options), isolation=isolation, limits=limits, **options), json_file
        )

    try:
        with pinned(threads):  # before NumPy and the frameworks are imported
            context.exit(_run(run))
    except BenchError as error:
        raise CannotRunError(str(error)) from error


@bench.command("compare")
@click.argument("old", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--threshold", default=0.1, show_default=True, type=click.FloatRange(0), help="Slower by more is a regression."
)
@json_option
@click.pass_context
def bench_compare(context: click.Context, old: Path, new: Path, threshold: float, json_file: Path | None) -> None:
    """Hold the times in NEW against those in OLD, files that --json wrote; exit status 1 if something became slower."""
    from rnnspec.conformance.commands.bench_compare import compare_files

    context.exit(_run(compare_files, old, new, threshold, json_file))


@main.group()
def vectors() -> None:
    """Golden vectors: cases as files, for implementations in any language."""


@vectors.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--op", "operations", multiple=True, help="Only this operation (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, help="Only this type (repeatable).")
@click.option(
    "--cases", default=16, show_default=True, type=click.IntRange(1), help="Of each operation, in each of its types."
)
@click.option(
    "--format", "storage", default="npz", show_default=True, type=click.Choice(["npz", "safetensors"]), help="Of files."
)
@json_option
def export_command(
    folder: Path, operations: tuple[str, ...], dtypes: tuple[str, ...], cases: int, storage: str, json_file: Path | None
) -> None:
    """Write a corpus of cases to DIR: inputs, right outputs and gradients, and the bounds on their errors.

    DIR is to be new or empty. The same versions write the same bytes.
    """
    from rnnspec.conformance.commands.vectors import export_vectors

    _run(export_vectors, folder, operations, dtypes, cases, storage, json_file)


@vectors.command("check")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.argument("results", type=click.Path(file_okay=False, path_type=Path))
@click.option("--partial", is_flag=True, help="Some cases of an operation are left out on purpose.")
@json_option
@click.pass_context
def check_command(context: click.Context, folder: Path, results: Path, partial: bool, json_file: Path | None) -> None:
    """Judge RESULTS, a folder with files named as in DIR that hold what an implementation made of each case.

    The arrays are output.NAME and, where it has gradients, gradient.NAME. An operation, a type or all gradients of one
    may be left out; of what is begun, every case is due.
    """
    from rnnspec.conformance.commands.vectors import check_vectors

    context.exit(_run(check_vectors, folder, results, json_file, partial))


def _split_arguments(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Backends come first; from the first option that is not ours on, everything is pytest's."""
    for index, argument in enumerate(arguments):
        if argument.startswith("-"):
            return arguments[:index], arguments[index:]
    return arguments, ()


def _run(command: Any, *arguments: Any) -> Any:
    """Run a command; turn the errors that tell a user what to mend into one line and exit status 2."""
    from rnnspec.backends import BackendError
    from rnnspec.backends.layouts.gates import LayoutError
    from rnnspec.conformance.bench.errors import BenchError
    from rnnspec.conformance.run.files import FileError
    from rnnspec.conformance.run.plan import PlanError
    from rnnspec.spec import CallError, SpecError, UnknownOperationError

    told = (
        BackendError, BenchError, CallError, FileError, LayoutError, PlanError, SpecError, UnknownOperationError,
        OSError,
    )  # fmt: skip

    try:
        return command(*arguments)
    except told as error:
        raise CannotRunError(str(error)) from error
