"""Malformed files: valid ones, mutated by the thousand, are read or refused in a line, soon and in little memory."""

from __future__ import annotations

import copy
import io
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure

from rnnspec.backends.layouts.gates import LayoutError
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.bench.catalogue import load_catalogue
from rnnspec.conformance.bench.comparing import read_run
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cli import main
from rnnspec.conformance.commands.convert import convert_weights
from rnnspec.conformance.commands.faults import RUN_VARIANT, SCORE
from rnnspec.conformance.commands.faults_diagnose import DIAGNOSE
from rnnspec.conformance.commands.faults_edits import JUDGE
from rnnspec.conformance.commands.sharpness import MEASURE
from rnnspec.conformance.commands.validate import Progress
from rnnspec.conformance.diagnosis.measuring import Diagnosed
from rnnspec.conformance.faults.edits import EditVerdict, chosen_edits
from rnnspec.conformance.faults.score import FaultScore, VariantScore
from rnnspec.conformance.hosting.jobs import Here
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.again import questions_in
from rnnspec.conformance.run.expected import load_expected
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.plan import plan
from rnnspec.conformance.run.reading import read_json, read_text, read_toml
from rnnspec.conformance.run.resuming import Kept, ResumeFile
from rnnspec.conformance.run.storage import read_stored, write_stored
from rnnspec.conformance.sharpness.drifting import DriftSharpness
from rnnspec.conformance.sharpness.measuring import SeedRun as SharpnessRun
from rnnspec.conformance.sharpness.measuring import Sharpness
from rnnspec.conformance.sharpness.tolerances import TOLERANCES
from rnnspec.conformance.soak.state import State
from rnnspec.conformance.soak.statistics import CasePlace, Ending, SoakOutcome, Statistics
from rnnspec.conformance.vectors.judging import judge_results
from rnnspec.conformance.vectors.manifest import Manifest
from rnnspec.spec import CallError, SpecError, UnknownOperationError, operation

TOLD = (BenchError, CallError, FileError, LayoutError, SpecError, UnknownOperationError)
"""Errors that the command line tells in one line."""

EXAMPLES = 1000
MOST_SECONDS = 5.0
MOST_MEBIBYTES = 600


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name, a valid content, and what reads it."""

    name: str
    content: bytes
    read: Callable[[Path], Any]
    examples: int = EXAMPLES


NUMPY = NumpyBackend()
CASE = Case("dense", "float32", {"B": 2, "D": 3, "H": 2}, operation("dense").defaults())
EXPECTED = """
[[failure]]
operation = ["dense", "lstm"]
check = "values"
when = { activation = "relu", dtype = ["float16", "bfloat16"], B = 1 }
versions = { numpy = ">=2.0,<9" }
reason = "What is wrong."
link = "https://example.org"
"""
WORKLOADS = """
[workloads.mine]
about = "mine"
sizes = { B = 9, D = 2, H = 3 }
stages = [{ operation = "dense", sizes = { H = "2 * H" }, attributes = { activation = "relu" } }]
"""
RUN = {
    "machine_info": {"node": "here", "cpu": {"count": 2}},
    "benchmarks": [{"fullname": "x", "stats": {"data": [1.0, 1.5]}}, {"fullname": "y", "stats": {"data": [2.0]}}],
    "rnnspec": {"refusals": [{"benchmark": "z", "reason": "none"}]},
}


def _state() -> dict[str, Any]:
    statistics = Statistics()
    for number in range(3):
        outcome = SoakOutcome(Ending.REJECTED, 2.0, "wrong") if number == 0 else SoakOutcome(Ending.JUDGED, 0.5)
        statistics.add(CasePlace("dense", "float32", number), "tiny", {"values": outcome})
    return {"of": {"a": 1}, "done": [[0, 3]], "seconds": 1.5, "statistics": statistics.to_json()}


def _validation() -> dict[str, Any]:
    results = [
        CheckResult(
            item.backend, item.operation, item.dtype, "cpu", item.check, "MUST", Verdict.CONFORMS, 3, 1, ("why",), 0.5,
            "", "", 1.5,
        )
        for item in plan("numpy", NUMPY, ["dense"], ["float32"])
    ]  # fmt: skip
    return {"of": {"a": 1}, "parts": {"numpy/dense": {"results": [one.to_json() for one in results], "faults": []}}}


def _went_on(path: Path) -> None:
    Progress(ResumeFile(path, {"a": 1}, "validation"), {"numpy": NUMPY}, ["float32"])


SEEN = {tolerance.name: -3 for tolerance in TOLERANCES}
PIECES: dict[str, tuple[Work[Any], Any, Any]] = {
    "score": (
        SCORE.having(profile="quick", exclusive=False, first=0), ["lstm-x", 0],
        FaultScore("lstm-x", "lstm", "about", True, "values", 3, "case", "wrong", "batch", (1,)),
    ),
    "variant": (
        RUN_VARIANT.having(cases=3), ["other", "lstm", 0], VariantScore("other", "lstm", 0, 3, 0.5, ""),
    ),
    "diagnosis": (DIAGNOSE, ["single", 2, 0], Diagnosed("single", "lstm", "title", True, number=2)),
    "sharpness": (
        MEASURE.having(runs=2), ["dense", "float32", "values"],
        Sharpness("dense", "float32", "values", (SharpnessRun(0, "y", SEEN),), 2, dict.fromkeys(SEEN, 0)),
    ),
    "drift": (
        MEASURE.having(runs=2), ["dense", "float32", "drift"], [DriftSharpness("dense", "float32", "y", 2, 0.1, 1, 2)],
    ),
    "edits": (
        JUDGE.having(sample=1, first=0), ["softmax", 0, 0],
        ([EditVerdict("y = 0", "values", "caught", "values", 2)], chosen_edits(operation("softmax"), 1, 0)[1]),
    ),
}  # fmt: skip
"""Work whose results are kept one by one, an item, and its result. A cluster's results are in the same form."""


def _kept_file(name: str) -> bytes:
    work, item, result = PIECES[name]
    return json.dumps({"of": {"a": 1}, "results": {json.dumps(["", item]): work.write(result)}}).encode()


def _kept(name: str, path: Path) -> None:
    """Go on from a file, with work in which nothing is to be done but what the file has not."""
    work, item, _ = PIECES[name]
    kept = Kept(ResumeFile(path, {"a": 1}, "work"))
    for result in kept.each(replace(work, function=lambda item, **_: None, write=lambda _: None), [item], Here()):
        if result is not None:
            _used(result)


def _used(result: Any) -> None:
    """Do what the report does with it."""
    if isinstance(result, list | tuple):
        for one in result:
            _used(one)
    elif not isinstance(result, int):
        json.dumps(result.to_json() if hasattr(result, "to_json") else asdict(result), allow_nan=False)


def _arrays(suffix: str, folder: Path) -> bytes:
    units = 4
    arrays = {
        "weight_ih_l0": np.ones((4 * units, 3), np.float32), "weight_hh_l0": np.ones((4 * units, units), np.float32),
        "bias_ih_l0": np.ones(4 * units, np.float32), "bias_hh_l0": np.ones(4 * units, np.float32),
    }  # fmt: skip
    write_stored(folder / f"weights{suffix}", arrays)
    return (folder / f"weights{suffix}").read_bytes()


def _deflated(content: bytes, method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return made.getvalue()


def _converted(path: Path) -> None:
    convert_weights(path, path.with_name("target.npz"), "keras", None)


def _models(folder: Path) -> Iterator[Kind]:
    _arrays(".npz", folder)
    for name, library in (("model.weights.h5", "h5py"), ("model.keras", "h5py"), ("model.onnx", "onnx")):
        if find_spec(library):
            convert_weights(folder / "weights.npz", folder / name, None, None)
            yield Kind(name, (folder / name).read_bytes(), _converted, EXAMPLES // 5)


def _judged(path: Path) -> None:
    list(judge_results(path.parent, Manifest.read(path.parent), path.parent))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    folder = tmp_path_factory.mktemp("valid")
    result = CliRunner().invoke(
        main, ["vectors", "export", str(folder / "v"), "--op", "dense", "--dtype", "float32", "--cases", "2"]
    )
    assert result.exit_code == 0
    npz = _arrays(".npz", folder)
    found = [
        Kind("expected.toml", EXPECTED.encode(), lambda path: load_expected(path, {"numpy": "2.1"})),
        Kind("workloads.toml", WORKLOADS.encode(), _workloads),
        Kind("run.json", json.dumps(RUN).encode(), read_run),
        Kind("case.json", json.dumps({"case": CASE.to_json(), "check": "values"}).encode(), questions_in),
        Kind("state.json", json.dumps(_state()).encode(), lambda path: State.load(ResumeFile(path, {"a": 1}, "s"), 9)),
        Kind("validation.json", json.dumps(_validation()).encode(), _went_on),
        *(Kind(f"{name}.json", _kept_file(name), partial(_kept, name)) for name in PIECES),
        Kind("manifest.json", (folder / "v" / "manifest.json").read_bytes(), _judged),
        Kind("stored.npz", npz, _converted),
        Kind("deflated.npz", _deflated(npz, zipfile.ZIP_DEFLATED), read_stored),
        Kind("lzma.npz", _deflated(npz, zipfile.ZIP_LZMA), read_stored),
        Kind("weights.safetensors", _arrays(".safetensors", folder), _converted),
        *_models(folder),
    ]
    return {kind.name: kind for kind in found}


def _workloads(path: Path) -> None:
    for workload in load_catalogue(path).own:
        for mode in workload.modes:
            workload.cases(mode, "float32")


ODD = (
    None, True, False, 0, -1, 5, 10**30, 1e308, float("nan"), float("inf"), "", "x", "9**9**9", "\x1b[31m", "a\0b",
    "float8", "../out", [], {}, [[]], {"a": {"a": 1}}, [1, "x"], "\ud800",
)  # fmt: skip


@st.composite
def mutated_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A few bytes changed, taken out, put in or doubled, or the end cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(("change", "delete", "insert", "double", "cut", "nest"))):
            case "change":
                new = draw(st.binary(min_size=1, max_size=8))
                data[place : place + len(new)] = new
            case "delete":
                del data[place : place + length]
            case "insert":
                data[place:place] = draw(st.binary(max_size=40))
            case "double":
                data[place:place] = data[place : place + length]
            case "cut":
                del data[place:]
            case "nest":
                data[place:place] = draw(st.sampled_from((b"[", b"(", b'{"a":', b"9"))) * draw(st.integers(1, 20_000))
    return bytes(data)


@st.composite
def mutated_json(draw: st.DrawFn, content: bytes) -> bytes:
    """Some of the values in the place of which odd ones stand, or that are gone."""
    data = json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(data))
        holder, key = draw(st.sampled_from(places)) if places else (None, None)
        if holder is None:
            break
        if draw(st.booleans()) or not isinstance(holder, dict):
            holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        else:
            del holder[key]
    return json.dumps(data).encode()


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(data.items()) if isinstance(data, dict) else list(enumerate(data)):
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _peak() -> float:
    """Most MiB that this process had."""
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _try(kind: Kind, content: bytes, folder: Path) -> None:
    path = folder / kind.name
    path.write_bytes(content)
    started, told = time.monotonic(), ""
    try:
        kind.read(path)
    except (BenchError, FileError) as error:
        told = str(error)
        assert str(folder) in told or "workload" in told  # a file that is right raises nothing
    except TOLD as error:
        told = str(error)
    assert len(told) < 5000
    assert len(told.splitlines()) < 30
    assert time.monotonic() - started < MOST_SECONDS


NAMES = (
    "expected.toml", "workloads.toml", "run.json", "case.json", "state.json", "validation.json",
    *(f"{name}.json" for name in PIECES), "manifest.json", "stored.npz",
    "deflated.npz", "lzma.npz", "weights.safetensors", "model.weights.h5", "model.keras", "model.onnx",
)  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="its devices have other names")
@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "weights.safetensors", "stored.npz"])
def test_a_device_is_no_file(name: str, kinds: dict[str, Kind], tmp_path: Path) -> None:
    if name not in kinds:
        pytest.skip("h5py or onnx is not installed")
    (tmp_path / name).symlink_to("/dev/zero")  # which has no end
    with pytest.raises(FileError, match=r"expected a file, and this is none|there is no such file"):
        kinds[name].read(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="its devices have other names")
def test_a_device_is_no_model() -> None:
    pytest.importorskip("onnx")
    done = CliRunner().invoke(main, ["validate", "--model", "/dev/zero"])
    assert done.exit_code == 2
    assert done.stderr == "Error: /dev/zero: expected a file, and this is none\n"


@pytest.mark.filterwarnings("ignore")  # zipfile warns of names that come twice
@pytest.mark.skipif(sys.platform == "win32", reason="it has no module resource")
@pytest.mark.parametrize("name", NAMES)
def test_mutated_files(name: str, kinds: dict[str, Kind], tmp_path: Path) -> None:
    if name not in kinds:
        pytest.skip("h5py or onnx is not installed")
    kind = kinds[name]
    _try(kind, kind.content, tmp_path)
    before = _peak()

    @settings(
        # The files of pieces share what reads them.
        max_examples=kind.examples // 4 if name.partition(".")[0] in PIECES else kind.examples,
        deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def explore(data: st.DataObject) -> None:
        ways = [mutated_bytes(kind.content)] + [mutated_json(kind.content)] * 2 * name.endswith(".json")
        _try(kind, data.draw(st.one_of(ways)), tmp_path)

    try:
        explore()
    except FlakyFailure as error:  # what is slow once need not be slow again
        raise error.exceptions[0] from error
    assert _peak() - before < MOST_MEBIBYTES


def test_long_and_deep_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("a = " + "[" * 10**5)
    with pytest.raises(FileError, match="nested too deeply"):
        read_toml(file)
    file.write_text("[" * 10**5)
    with pytest.raises(FileError, match="nested too deeply"):
        read_json(file)
    file.write_bytes(b"\xff\xfe[\0")
    with pytest.raises(FileError, match="expected text in UTF-8, got other bytes at byte 0"):
        read_text(file)
    monkeypatch.setattr("rnnspec.conformance.run.reading.MOST_BYTES", 10)
    with pytest.raises(FileError, match="MiB of text"):
        read_text(Path("/dev/zero") if sys.platform != "win32" else Path(__file__))
    with pytest.raises(FileError, match="cannot be read"):
        read_text(tmp_path / "none")


@pytest.mark.parametrize("name", ["/dev/zero", "link.npz", "link.safetensors", "link.json", "arrays.pt"])
def test_what_is_no_file_of_arrays(name: str, tmp_path: Path) -> None:
    """A device has no end, and whoever reads it to the end takes all memory."""
    path = tmp_path / name
    if name.startswith("link"):
        path.symlink_to("/dev/zero")
    with pytest.raises(FileError, match="expected a file"):
        read_stored(path)


def test_an_archive_that_would_grow(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(FileError, match="the header says 12000000000000 bytes, and 0 are there"):
        read_stored(tmp_path / "bomb.npz")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("x", b"text")
    with pytest.raises(FileError, match=r"expected a \.npz of plain arrays"):
        read_stored(tmp_path / "text.npz")


WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "complex": (lambda a: a.update(R=a["R"].astype(complex)), "R: expected one of .*, got complex128"),
    "whole numbers": (lambda a: a.update(W=a["W"].astype(int)), "W: expected one of .*, got int64"),
    "texts": (lambda a: a.update(b=a["b"].astype(str)), "b: expected one of .*, got <U32"),
    "two types": (lambda a: a.update(b=a["b"].astype(np.float64)), "expected parameters of one type"),
    "too many axes": (lambda a: a.update(R=np.ones((4, 4, 4, 4), np.float32)), "R: expected the axes"),
    "other units": (lambda a: a.update(R=np.ones((4, 5, 5), np.float32)), "R: expected the axes .*H = 4"),
    "another state": (lambda a: a.update(R=np.ones((4, 4, 7), np.float32)), "R: expected the axes .*H = 4"),
    "no bias": (lambda a: a.pop("b"), "b is missing"),
    "nothing": (lambda a: a.update(W=np.ones((4, 0, 3), np.float32)), "expected the axes"),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("to", ["torch", "keras", "spec"])
def test_weights_that_are_no_layers(name: str, to: Any, tmp_path: Path) -> None:
    arrays = {
        "W": np.ones((4, 4, 3), np.float32), "R": np.ones((4, 4, 4), np.float32), "b": np.ones((4, 4), np.float32),
    }  # fmt: skip
    change, message = WEIGHTS[name]
    change(arrays)
    np.savez(tmp_path / "a.npz", **{f"l0/{key}": array for key, array in arrays.items()})
    with pytest.raises(FileError, match=message):
        convert_weights(tmp_path / "a.npz", tmp_path / "b.npz", to, None)
    assert not (tmp_path / "b.npz").exists()


TORCH: dict[str, tuple[str, tuple[int, ...]]] = {
    "a cube": ("weight_hh_l0", (4, 4, 4)),
    "a row": ("weight_ih_l0", (16,)),
    "a number": ("bias_ih_l0", ()),
    "other units": ("bias_hh_l0", (12,)),
}


@pytest.mark.parametrize("name", TORCH)
def test_shapes_of_no_layer_of_torchs(name: str, tmp_path: Path) -> None:
    arrays = {
        "weight_ih_l0": np.ones((16, 3)), "weight_hh_l0": np.ones((16, 4)), "bias_ih_l0": np.ones(16),
        "bias_hh_l0": np.ones(16),
    }  # fmt: skip
    key, shape = TORCH[name]
    arrays[key] = np.ones(shape)
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(LayoutError, match=r"expected .*, got"):
        convert_weights(tmp_path / "a.npz", tmp_path / "b.npz", "keras", None)
