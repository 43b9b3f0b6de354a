"""The command line. Each command imports its modules when it runs, so that help appears at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from rnnspec.conformance.bench.options import Command, WithDefault, names_in, size_options, sizes_from
from rnnspec.conformance.click_types import Count, Number
from rnnspec.conformance.completion import complete_names
from rnnspec.conformance.examples import show_examples
from rnnspec.conformance.numbers import is_whole
from rnnspec.conformance.options import LEAST, MOST_SECONDS, OPTIONS, Options
from rnnspec.conformance.program import CannotRunError, Program, have_help


def _no_dash(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path == Path("-"):
        raise click.BadParameter("expected the name of a file, got '-': standard output has the report")
    return path


_SECONDS: Final = Number(LEAST, MOST_SECONDS)
_COUNT: Final = Count(1)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FILE_THERE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

json_option = click.option(
    "--json", "json_file", type=_FILE, callback=_no_dash, help="Write the result to this file as JSON."
)


jobs_option = click.option("--jobs", default=1, show_default=True, type=_COUNT, help="Processes that share the work.")

scheduler_option = click.option(
    "--scheduler", default="", metavar="ADDRESS", help="Share the work among the workers of this Dask scheduler."
)

html_option = click.option(
    "--html", type=_FILE, callback=_no_dash, help="Write a page to look at, which needs no other file."
)
badge_option = click.option(
    "--badge", type=_FILE, callback=_no_dash, help="Write a badge: .svg, an image; .json, for a shields endpoint."
)


def written_options(command: Command) -> Command:
    """Add the options of the files that a report is written to."""
    return html_option(badge_option(json_option(command)))


resume_option = click.option(
    "--resume", type=_FILE, help="Keep finished work in this file, and go on from what it has."
)


def options(*names: str) -> Callable[[Command], Command]:
    """These options of `Options`, each by its field's name."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            option, default = OPTIONS[name], getattr(Options, name)
            shown = default is not None and default is not False and default != ()
            how = {"default": default, "show_default": shown, "multiple": default == (), **option.click(click)}
            command = click.option(option.flags or f"--{option.name}", name, help=option.help, **how)(command)
        return command

    return add


isolation_options = options("isolate", "time_limit", "memory_limit")
"""Whether a backend runs in a process of its own, and the limits of that process."""


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rnnspec")
def main() -> None:
    """An executable specification and conformance suite for recurrent sequence models.

    Exit status: 0 if all conforms, 1 if something violates the specification, 2 if the command cannot run, 130 if
    Ctrl-C interrupts it, 143 if SIGTERM does and 129 if its terminal is closed.
    """


@main.command("list")
@click.option("--checks", is_flag=True, help="List the checks of a backend instead.")
@click.option("--regimes", is_flag=True, help="List the regimes instead, the kinds of numbers in a call.")
@click.option(
    "--time-limit",
    "seconds",
    default=20.0,
    show_default=True,
    type=_SECONDS,
    help="Seconds to open a backend in a process of its own.",
)
@json_option
def list_command(checks: bool, regimes: bool, json_file: Path | None, seconds: float) -> None:
    """List the operations of the specification and the installed backends."""
    from rnnspec.conformance.commands.list import list_everything

    _run(list_everything, json_file, checks, seconds, regimes)


@main.command()
@click.argument("operation", required=False, metavar="OPERATION")
@click.option("--model", metavar="NAME", help="Show this model instead.")
@click.option("--latex", is_flag=True, help="Print the equations as LaTeX.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An attribute's value (repeatable).")
@json_option
def show(
    operation: str | None, model: str | None, latex: bool, settings: tuple[str, ...], json_file: Path | None
) -> None:
    """Show an operation: shapes, equations, gradient and sources; or a model: stages, parameters and a diagram."""
    from rnnspec.conformance.commands.show import show_operation
    from rnnspec.conformance.commands.show_model import show_model

    if (operation is None) == (model is None):
        raise CannotRunError(f"expected an OPERATION or --model NAME, got {'neither' if model is None else 'both'}")
    if model is None:
        _run(show_operation, operation, latex, settings, json_file)
    elif latex or settings:
        raise CannotRunError("--latex and --set go with an OPERATION, not with --model")
    else:
        _run(show_model, model, json_file)


@main.command()
@click.argument("backends", nargs=-1, required=True, metavar="BACKEND...")
@click.option("--model", required=True, metavar="NAME", help="The model to train; 'rnnspec list' has their names.")
@click.option("--steps", default=20, show_default=True, type=_COUNT, help="Steps of training.")
@click.option("--small", is_flag=True, help="The model's small sizes, in place of those of its program.")
@click.option("--size", "sizes", multiple=True, metavar="SYMBOL=NUMBER", help="Another size (repeatable).")
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(["float32", "float64"]), help="Type.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An attribute of the optimizer (repeatable)."
)
@click.option("--device", default="cpu", show_default=True, help="Device of the backends.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of parameters and batches.")
@click.option("--html", type=_FILE, help="Write a page with plots to this file.")
@json_option
@click.pass_context
def train(context: click.Context, /, json_file: Path | None, html: Path | None, **given: Any) -> None:
    """Train a model on each BACKEND, and hold every step against the reference.

    Beside backends, torch-module trains a torch.nn.Module with torch.optim, and keras-fit a keras.Model by its fit.
    All start from equal parameters and see the same batches and masks. Loss, gradients and parameters of every step are
    held to bounds from versions of the reference that are trained with rounding. A backend that leaves a bound is told
    with the first step and the first quantity.
    """
    from rnnspec.conformance.commands.train import TrainRequest, train_backends

    context.exit(_run(train_backends, TrainRequest(**given), json_file, html))


@main.command()
@click.argument("backend", default="numpy", metavar="[BACKEND]")
@click.option("--model", "name", required=True, metavar="NAME", help="The model that learns.")
@click.option("--file", "files", multiple=True, type=_FILE_THERE, help="A file of its data (repeatable).")
@click.option("--epochs", type=_COUNT, help="Times that it sees all examples; else as many as it needs.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of parameters and order.")
@click.option("--html", type=_FILE, help="Write a page with curves and pictures to this file.")
@json_option
@click.pass_context
def learn(context: click.Context, /, json_file: Path | None, html: Path | None, **given: Any) -> None:
    """Train a model on BACKEND until it has learned, and measure it on data that it has not seen.

    The data is made by a program, of a package (the extra data), or in files of the original format.
    """
    from rnnspec.conformance.commands.learn import learn_model

    asked = (given["backend"], given["name"], given["files"], given["epochs"], given["seed"])
    context.exit(_run(learn_model, *asked, json_file, html))


@main.command()
@click.argument("operation", default="", metavar="[OPERATION|FILE]")
@click.option(
    "--arrays",
    type=_FILE_THERE,
    help="A file .npz of the inputs, as a repro has; else a call of numbers drawn at random.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An attribute of the call (repeatable).")
@click.option("--size", "sizes", multiple=True, metavar="SYMBOL=NUMBER", help="A size other than 1 (repeatable).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the numbers.")
@click.option("--gradient", is_flag=True, help="Show the quantities of the gradient too.")
@click.option("--sequence", default=0, show_default=True, type=Count(0), help="Sequence of the batch.")
@click.option("--step", type=Count(0), help="Only quantities of this valid step.")
@json_option
def trace(json_file: Path | None, **options: Any) -> None:
    """Show every intermediate value of a call, by the equations of OPERATION.

    A repro's .npz says which operation and attributes its arrays are of, so that FILE alone, as the argument or by
    --arrays, is enough. So does a case's .json, as the page of 'validate --html' has it. --set overrides an attribute.
    """
    from rnnspec.conformance.commands.trace import TraceRequest, trace_call

    _run(trace_call, TraceRequest(**options), json_file)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@options(*(name for name, option in OPTIONS.items() if name != "backends" and option.in_commands))
@click.option("--model", type=_FILE_THERE, help="Judge the recurrent nodes of this ONNX model, with its own weights.")
@written_options
@click.pass_context
def validate(
    context: click.Context,
    /,
    backends: tuple[str, ...],
    model: Path | None,
    json_file: Path | None,
    html: Path | None,
    badge: Path | None,
    **given: Any,
) -> None:
    """Check that backends conform to the specification.

    A BACKEND is the name of an installed one or package.module:Class; by default, every installed framework.
    Options that rnnspec does not know go to pytest: -k lstm, --junitxml=FILE.
    With pytest-xdist, a process for each core shares many checks: -n 2 for two processes, -n 0 for only one.
    A call of an isolated backend that crashes, hangs or takes all memory ends in a verdict. The limit of memory is for
    isolated backends. --model judges an ONNX file as one runtime computes it, by default ONNX Runtime, in this process.
    A repro (--repro-dir) has 40 lines; of a library's call that is longer than the room in it, the repro calls the
    adapter. --case asks a repro's call again.
    """
    names, for_pytest = split_arguments(backends)
    _tell_what_is_left_out()
    from rnnspec.conformance.report.writing import Written

    written = Written(json_file, html, badge)
    if model is not None:
        from rnnspec.conformance.commands.validate_model import validate_model

        context.exit(_run(validate_model, Options(names, **given), model, for_pytest, written))
    if given["case"] is None:
        from rnnspec.conformance.commands.validate import validate_backends

        context.exit(_run(validate_backends, Options(names, **given), for_pytest, written))
    from rnnspec.conformance.commands.validate_case import validate_case

    context.exit(_run(validate_case, Options(names, **given), for_pytest, written))


@main.command()
@click.argument("results", nargs=-1, required=True, type=_FILE_THERE, metavar="RESULT...")
@written_options
@click.pass_context
def report(
    context: click.Context, results: tuple[Path, ...], json_file: Path | None, html: Path | None, badge: Path | None
) -> None:
    """Make one report of the RESULTs of runs, files that validate --json wrote.

    Exit status 1 if any of them has something that violates the specification.
    """
    from rnnspec.conformance.commands.report import report_on
    from rnnspec.conformance.report.writing import Written

    context.exit(_run(report_on, results, Written(json_file, html, badge)))


@main.command()
@click.option("--op", "operations", multiple=True, help="Only faults of this operation (repeatable).")
@click.option("--profile", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--exclusive", is_flag=True, help="Run the later checks too, and find the faults that only one catches.")
@click.option("--edits", is_flag=True, help="Score every single edit of the equations, not the planted faults.")
@click.option("--diagnose", is_flag=True, help="Measure how often the suite names what is wrong.")
@click.option(
    "--sample",
    type=_COUNT,
    help="With --edits: so many edits of each operation, at random. With --diagnose: so many of each kind.",
)
@click.option("--seeds", default="0", show_default=True, help="Seeds of the cases: 0-4, 3 or 0,2,7.")
@jobs_option
@scheduler_option
@resume_option
@json_option
@click.pass_context
def faults(
    context: click.Context, /, json_file: Path | None, edits: bool, diagnose: bool, sample: int | None, **given: Any
) -> None:
    """Score the suite itself: the planted faults that it catches, and the checks that catch them.

    A fault counts as caught if it is caught with every seed. --exclusive uses only the first seed. --edits makes every
    single edit of the equations a fault; the first seed chooses those of --sample. The seed chooses what --diagnose
    diagnoses.
    """
    if diagnose:
        from rnnspec.conformance.commands import faults_diagnose

        if edits or given["operations"] or given["exclusive"] or given["profile"] != "quick":
            raise CannotRunError(
                "--diagnose goes with --sample, --seeds, --jobs, --scheduler, --resume and --json alone"
            )
        if not is_whole(given["seeds"]):
            raise CannotRunError(f"--diagnose takes one seed, got --seeds {given['seeds']}")
        asked = faults_diagnose.DiagnosisRequest(
            sample, int(given["seeds"]), given["jobs"], given["scheduler"], given["resume"]
        )
        context.exit(_run(faults_diagnose.measure_diagnosis, asked, json_file))
    if not edits:
        if sample is not None:
            raise CannotRunError("--sample goes with --edits or --diagnose: of planted faults all are scored")
        from rnnspec.conformance.commands.faults import FaultsRequest, score_faults

        context.exit(_run(score_faults, FaultsRequest(**given), json_file))
    if given.pop("exclusive") or given.pop("profile") != "quick":
        raise CannotRunError("--edits asks by profile quick, up to the first check that catches an edit")
    from rnnspec.conformance.commands import faults_edits

    context.exit(_run(faults_edits.score_edits, faults_edits.EditsRequest(sample=sample, **given), json_file))


@main.command()
@options("operations", "dtypes")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["values", "gradients", "drift"]),
    help="Only this part (repeatable).",
)
@click.option("--runs", default=20, show_default=True, type=_COUNT, help="Seeds of each measurement.")
@jobs_option
@scheduler_option
@resume_option
@json_option
@click.pass_context
def sharpness(context: click.Context, /, json_file: Path | None, **given: Any) -> None:
    """Measure the smallest error that the suite sees, and the smallest that fixed tolerances see.

    In each run a relative error is planted in one intermediate quantity of the reference, and the check sees it or not.
    The report has the smallest error that is seen in 19 of 20 runs, and the right results that each tolerance rejects.
    """
    from rnnspec.conformance.commands.sharpness import SharpnessRequest, measure_sharpness

    context.exit(_run(measure_sharpness, SharpnessRequest(**given), json_file))


@main.command()
@click.argument("backend")
@click.option("--cases", default=20_000, show_default=True, type=Count(), help="Random cases to run.")
@options("operations", "dtypes", "device")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the cases.")
@jobs_option
@scheduler_option
@resume_option
@click.option("--case", "only", type=Count(0), help="Only the case with this number, of each operation and type.")
@isolation_options
@json_option
@click.pass_context
def soak(
    context: click.Context,
    /,
    isolate: str,
    time_limit: float,
    memory_limit: float,
    json_file: Path | None,
    **given: Any,
) -> None:
    """Compare a backend's values and gradients with the reference on many random cases.

    No case rejects a right implementation; the error ratios show its distance from the bounds. The cases depend on the
    seed, not on --jobs. Ctrl-C loses no finished case: with --resume FILE the same command goes on from there, with
    more --cases too.
    """
    from rnnspec.conformance.thread_variables import VARIABLES

    for variable in VARIABLES:  # before NumPy and the frameworks are imported; the cases are small, as in validate
        os.environ.setdefault(variable, "1")
    from rnnspec.conformance.commands.soak import SoakRequest, soak_backend
    from rnnspec.conformance.hosting.isolated import Isolation, Limits

    _tell_what_is_left_out()
    request = SoakRequest(**given, isolation=Isolation(isolate), limits=Limits(time_limit, memory_limit))
    context.exit(_run(soak_backend, request, json_file))


@main.command()
@click.argument("source", type=_FILE)
@click.argument("target", type=_FILE)
@click.option(
    "--to",
    type=click.Choice(["torch", "keras", "onnx", "spec"]),
    help="The layout of TARGET, where its name does not say it.",
)
@click.option("--check", is_flag=True, help="Run both sides, where their frameworks are installed, and compare.")
@json_option
@click.pass_context
def convert(context: click.Context, source: Path, target: Path, to: Any, check: bool, json_file: Path | None) -> None:
    """Convert the weights of RNN, LSTM and GRU layers from one framework's layout to another's.

    SOURCE and TARGET are .npz, .safetensors or .json (a torch state dict, Keras's weights by their paths, or arrays by
    the specification's names), .weights.h5 or .keras of Keras, or .onnx. Both biases are kept where the other layout
    has two. Weights that it cannot represent are an error, and nothing is written. Only numbers are read, never code.

    Exit status 1: --check found that the outputs of a side differ by more than rounding explains.
    """
    from rnnspec.conformance.commands.convert import convert_weights

    context.exit(_run(convert_weights, source, target, to, json_file, check))


@main.command("bisect")
@click.argument("backend")
@click.option("--op", "operation", required=True, help="The operation.")
@click.option("--check", required=True, help="The check; 'rnnspec list --checks' has their names.")
@click.option("--versions", required=True, help="The releases: 0.12.1,0.12.2 or a range, '>=0.10,<0.13'.")
@click.option("--library", default="", metavar="NAME", help="The library; by default the first of the backend's.")
@click.option("--dtype", default="float32", show_default=True, help="Type.")
@click.option("--with", "others", multiple=True, metavar="REQUIREMENT", help="What to install beside it (repeatable).")
@click.option("--profile", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the cases.")
@click.option("--keep", type=_FOLDER, help="Keep the environments in this folder, and take those that it has.")
@json_option
@click.pass_context
def bisect_command(context: click.Context, /, json_file: Path | None, **given: Any) -> None:
    """Find the first release of a library that violates a check, or conforms to it, by halving.

    Each release that is asked is installed by pip in an environment of its own; what it does not bring along is found
    where rnnspec is. A known fault counts as a violation. A release that does not install, or refuses every case, is
    passed over. Exit status 1 if the newest release that was judged violates.
    """
    from rnnspec.conformance.commands.bisect import BisectRequest, bisect

    context.exit(_run(bisect, BisectRequest(**given), json_file))


@main.command("new-backend")
@click.argument("name")
@click.option("--op", "operations", multiple=True, required=True, help="An operation that it is to have (repeatable).")
@click.option(
    "--base",
    default="numpy",
    show_default=True,
    type=click.Choice(["numpy", "torch", "jax", "tensorflow"]),
    help="The kind of its arrays.",
)
@click.option(
    "--in",
    "parent",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to write it into; the current one by default.",
)
def new_backend_command(name: str, operations: tuple[str, ...], base: str, parent: Path) -> None:
    """Write the project of an adapter, rnnspec-NAME, with its refusals, a test, a workflow and a README.

    The project installs, and its test passes, as it stands: it refuses every call until its methods are written.
    """
    from rnnspec.conformance.commands.new_backend import new_backend

    _run(new_backend, name, operations, base, parent)


@main.group(cls=WithDefault)
def bench() -> None:
    """Time backends against each other: ratios of times with confidence intervals, and shares of the machine's peak.

    A BACKEND is the name of an installed one or package.module:Class; @DEVICE after it names its device.
    Ratios are to the first backend. Each backend must conform on the workload before it is timed.
    """


@bench.command("run", hidden=True)
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--workload", "-w", "workloads", multiple=True, help="A named one, or like lstm-large (repeatable).")
@click.option("--workloads", "file", type=_FILE_THERE, help="File of workloads.")
@click.option("--op", "operations", multiple=True, help="This operation, at --scale (repeatable).")
@click.option("--model", "models", multiple=True, help="Training of this model, whole and in parts (repeatable).")
@click.option("--stages", is_flag=True, help="With --model: each of its stages too, forward and backward.")
@click.option("--scale", default="medium", show_default=True, help="small, medium or large.")
@size_options
@click.option("--scan", metavar="SIZE[=N,N,...]", help="Time against this size, with the fitted exponent.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    help="forward, gradient or decode; of a model step, forward, backward or update (repeatable).",
)
@click.option("--dtype", "dtypes", multiple=True, help="Type, float32 by default (repeatable).")
@click.option("--lengths", is_flag=True, help="Give the sequences' lengths, which differ.")
@click.option(
    "--inputs", multiple=True, callback=names_in, metavar="NAME,...", help="Optional inputs to give, like b_R."
)
@click.option("--device", default="cpu", show_default=True, help="Device of backends that name none.")
@click.option("--threads", type=_COUNT, help="Threads of each; all cores by default.")
@click.option(
    "--seconds",
    default=6.0,
    show_default=True,
    type=_SECONDS,
    help="Seconds for each workload.",
)
@click.option("--rounds", default=100, show_default=True, type=Count(2), help="Most rounds of a workload.")
@click.option("--alone", is_flag=True, help="Time a single backend, without comparison.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure peak memory, in new processes.")
@click.option("--html", type=_FILE, help="Write a page with plots to this file.")
@isolation_options
@json_option
@click.pass_context
def bench_run(
    context: click.Context,
    /,
    threads: int | None,
    isolate: str,
    time_limit: float,
    memory_limit: float,
    json_file: Path | None,
    **given: Any,
) -> None:
    """Time backends against each other."""
    from rnnspec.conformance.bench.errors import BenchError
    from rnnspec.conformance.bench.threads import pinned

    def run() -> int:
        from rnnspec.conformance.bench.request import BenchRequest
        from rnnspec.conformance.commands.bench import bench_backends
        from rnnspec.conformance.hosting.isolated import Isolation, Limits

        isolation, limits = Isolation(isolate), Limits(time_limit, memory_limit)
        asked = BenchRequest(sizes=sizes_from(given), isolation=isolation, limits=limits, **given)
        return bench_backends(asked, json_file)

    try:
        with pinned(threads):  # before NumPy and the frameworks are imported, as the next line does
            _tell_what_is_left_out()
            context.exit(_run(run))
    except BenchError as error:
        raise CannotRunError(str(error)) from error


@bench.command("compare")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option(
    "--threshold",
    default=0.1,
    show_default=True,
    type=Number(0, 1e6),
    help="Slower by a larger share is a regression.",
)
@json_option
@click.pass_context
def bench_compare(context: click.Context, old: Path, new: Path, threshold: float, json_file: Path | None) -> None:
    """Compare the times in NEW with those in OLD, files that --json wrote; exit status 1 if there is a regression."""
    from rnnspec.conformance.commands.bench_compare import compare_files

    context.exit(_run(compare_files, old, new, threshold, json_file))


@main.group()
def vectors() -> None:
    """Golden vectors: cases as files, for implementations in any language."""


@vectors.command("export")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@options("operations", "dtypes")
@click.option("--cases", default=16, show_default=True, type=_COUNT, help="Cases of each operation in each type.")
@click.option(
    "--format",
    "storage",
    default="npz",
    show_default=True,
    type=click.Choice(["npz", "safetensors", "json", "onnx"]),
    help="File format; onnx: models, inputs and outputs in the form of ONNX's backend tests.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Only cases of this attribute's value.")
@click.option("--plain", is_flag=True, help="Only plain cases: attributes at their defaults or as --set has them.")
@click.option("--no-padding", "padding", flag_value=False, default=True, help="Only cases without lengths or masks.")
@json_option
def export_command(
    folder: Path,
    operations: tuple[str, ...],
    dtypes: tuple[str, ...],
    cases: int,
    storage: str,
    json_file: Path | None,
    settings: tuple[str, ...],
    padding: bool,
    plain: bool,
) -> None:
    """Write a corpus of cases to DIR: inputs, right outputs and gradients, and the bounds on their errors.

    DIR must be new or empty. The same versions write the same bytes. The first cases of an operation are plain:
    default attributes, ordinary numbers and no padding.
    """
    from rnnspec.conformance.commands.vectors import export_vectors

    _run(export_vectors, folder, operations, dtypes, cases, storage, json_file, settings, padding, plain)


@vectors.command("check")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.argument("results", type=_FOLDER)
@click.option("--partial", is_flag=True, help="Allow that some cases of an operation are missing.")
@json_option
@click.pass_context
def check_command(context: click.Context, folder: Path, results: Path, partial: bool, json_file: Path | None) -> None:
    """Judge RESULTS, a folder of an implementation's results, in files named as in DIR.

    The arrays are output.NAME and, if the implementation has gradients, gradient.NAME. An operation, a type or all
    gradients of one may be absent, but a present one needs every case.
    """
    from rnnspec.conformance.commands.vectors import check_vectors

    context.exit(_run(check_vectors, folder, results, json_file, partial))


have_help(main, Path(__file__))
show_examples(main)
complete_names(main)


_FLAGS = ("-x", "-v", "-vv", "-q", "-s", "-l", "--lf", "--last-failed", "--exitfirst", "--verbose", "--quiet")
"""Options of pytest that take no value."""


def split_arguments(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split backends from pytest's arguments: an unknown option, and the word after it, which may be its value."""
    names, for_pytest = list[str](), list[str]()
    may_be_value = False
    for argument in arguments:
        is_option = argument.startswith("-")
        (for_pytest if is_option or may_be_value else names).append(argument)
        may_be_value = is_option and "=" not in argument and argument not in _FLAGS
    return tuple(names), tuple(for_pytest)


_WRITTEN: Final = ("json_file", "html", "badge", "target", "resume")
_OF_KIND: Final = {"json_file": "JSON", "html": "a page"}
_WRITTEN_FOLDERS: Final = ("repro_dir",)
_MADE_FOLDERS: Final = ("replay_dir",)
"""Parameters that name what a command writes; every other path is read."""


def _try_files(context: click.Context) -> None:
    """Try every file that the command will write, before any work is done."""
    from rnnspec.conformance.run.files import (
        must_be_writable,
        must_be_writable_folder,
        must_differ,
        must_not_be_named_otherwise,
    )

    paths = {name: value for name, value in context.params.items() if isinstance(value, Path)}
    written = {name: paths.pop(name) for name in (*_WRITTEN, *_WRITTEN_FOLDERS, *_MADE_FOLDERS) if name in paths}
    several = [path for value in context.params.values() if isinstance(value, tuple) for path in value]
    must_differ(written.values(), (*paths.values(), *(path for path in several if isinstance(path, Path))))
    for name, path in written.items():
        if name in _OF_KIND:
            must_not_be_named_otherwise(path, _OF_KIND[name])
        if name in _WRITTEN:
            must_be_writable(path)
        elif name in _WRITTEN_FOLDERS:
            must_be_writable_folder(path)


def _tell_what_is_left_out() -> None:
    """Tell which packages' backends are left out, and why."""
    from rnnspec.backends.discovery import offered

    for note in offered().notes():
        click.echo(note, err=True)


def _run(command: Any, *arguments: Any) -> Any:
    """Run a command; turn errors that a user can mend into one line and exit status 2."""
    from rnnspec.backends import BackendError
    from rnnspec.backends.interrupts import interruptible
    from rnnspec.backends.layouts.gates import LayoutError
    from rnnspec.conformance.bench.errors import BenchError
    from rnnspec.conformance.hosting.errors import ClusterError, WorkerLostError
    from rnnspec.conformance.run.files import FileError
    from rnnspec.conformance.run.plan import PlanError
    from rnnspec.conformance.training.data.errors import DataError
    from rnnspec.spec import CallError, SpecError, UnknownOperationError
    from rnnspec.spec.models import UnknownModelError

    told = (
        BackendError, BenchError, CallError, ClusterError, DataError, FileError, LayoutError, PlanError, SpecError,
        UnknownModelError, UnknownOperationError, WorkerLostError, OSError,
    )  # fmt: skip

    try:
        with interruptible():
            _try_files(click.get_current_context())
            return command(*arguments)
    except told as error:
        raise CannotRunError(_told(error)) from error


def _told(error: Exception) -> str:
    """The error's message; of one of the system, the file and the reason."""
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    from rnnspec.backends.words import name_of

    return f"{name_of(str(error.filename))}: {error.strerror}" if error.filename else error.strerror
