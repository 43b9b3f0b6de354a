"""Golden vectors: what is exported, read by nothing of rnnspec's, and what is said of results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner, Result

from rnnspec import reference
from rnnspec.conformance.cli import main
from rnnspec.conformance.vectors import corpus as corpus_module
from rnnspec.conformance.vectors.corpus import corpus
from rnnspec.spec import FLOAT_TYPES, operations

# With lengths and masks, optional inputs, ids given and due, no gradient at all, an attribute that is a tuple.
OPERATIONS = ("lstm", "gru_cell", "crf_log_partition", "crf_viterbi", "token_accuracy")
CASES = 4
Arrays = dict[str, np.ndarray[Any, Any]]


def vectors(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["vectors", *map(str, arguments)])


def export(folder: Path, *more: str, operations: tuple[str, ...] = OPERATIONS) -> Path:
    result = vectors("export", folder, "--cases", str(CASES), *more, *(f"--op={name}" for name in operations))
    assert result.exit_code == 0, result.output
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return data


def load(path: Path) -> Arrays:
    with np.load(path) as data:
        return {name: data[name] for name in data.files}


def save(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name


def answer(case: dict[str, Any], arrays: Arrays) -> Arrays:
    """The results that an implementation writes for a case; it computes in float64 and rounds."""

    def read(entry: dict[str, Any]) -> np.ndarray[Any, Any]:
        array = arrays[entry["array"]]
        array = array.view(ml_dtypes.bfloat16) if entry["dtype"] == "bfloat16" else array
        return array if entry["dtype"] in ("int64", "bool") else array.astype(np.float64)

    def stored(value: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
        rounded = np.asarray(value).astype(getattr(ml_dtypes, dtype, dtype))
        return rounded.view(np.uint16) if dtype == "bfloat16" else rounded

    inputs = {entry["name"]: read(entry) for entry in case["inputs"]}
    given = {**inputs, **case["attributes"]}
    if case["gradients"]:
        outputs, vjp = getattr(reference, case["operation"] + "_vjp")(**given)
        gradients = vjp(*(read(entry) for entry in case["cotangents"]))
    else:
        outputs, gradients = getattr(reference, case["operation"])(**given), {}
    written = {
        f"output.{entry['name']}": stored(value, entry["dtype"])
        for entry, value in zip(case["outputs"], outputs, strict=True)
    }
    return written | {
        f"gradient.{entry['name']}": stored(gradients[entry["name"]], entry["dtype"]) for entry in case["gradients"]
    }


def answers(folder: Path, results: Path) -> Path:
    for case in manifest_of(folder)["cases"]:
        save(results / case["file"], answer(case, load(folder / case["file"])))
    return results


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("vectors") / "exported")


@pytest.fixture(scope="session")
def right(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return answers(exported, tmp_path_factory.mktemp("vectors") / "right")


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copied"))


@pytest.fixture
def results(right: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(right, tmp_path / "results"))


@pytest.fixture
def check(exported: Path, results: Path, tmp_path: Path) -> Callable[..., tuple[Result, dict[str, Any]]]:
    """Check the results; give what was printed, and what was written as JSON."""

    def run(folder: Path = exported) -> tuple[Result, dict[str, Any]]:
        report = tmp_path / "report.json"
        result = vectors("check", folder, results, "--json", report)
        return result, json.loads(report.read_text()) if report.exists() else {}

    return run


def verdicts(report: dict[str, Any]) -> dict[tuple[str, str, str], str]:
    return {
        (operation["name"], operation["dtype"], one["id"]): one["verdict"]
        for operation in report["backends"][0]["operations"]
        for one in operation["checks"]
    }


def the_check(report: dict[str, Any], name: str, dtype: str, identity: str) -> dict[str, Any]:
    (found,) = (
        one
        for operation in report["backends"][0]["operations"]
        if (operation["name"], operation["dtype"]) == (name, dtype)
        for one in operation["checks"]
        if one["id"] == identity
    )
    return dict(found)


def with_outputs(folder: Path, name: str, dtype: str) -> Iterator[dict[str, Any]]:
    """The cases that have anything to compute, from the smallest on."""
    cases = [
        case
        for case in manifest_of(folder)["cases"]
        if (case["operation"], case["dtype"]) == (name, dtype) and all(np.prod(e["shape"]) for e in case["outputs"])
    ]
    return iter(sorted(cases, key=lambda case: sum(int(np.prod(entry["shape"])) for entry in case["inputs"])))


def test_what_is_exported_is_what_the_manifest_says(exported: Path) -> None:
    manifest = manifest_of(exported)
    assert (manifest["format"], manifest["schema"]) == ("rnnspec vectors", 1)
    assert len(manifest["cases"]) == len(OPERATIONS) * len(FLOAT_TYPES) * CASES
    stored_as = {name: item["stored_as"] for name, item in manifest["types"].items()}
    assert stored_as["bfloat16"] == "uint16"
    for case in manifest["cases"]:
        arrays = load(exported / case["file"])
        named = set()
        for entry in [*case["inputs"], *case["cotangents"]]:
            assert arrays[entry["array"]].dtype.name == stored_as[entry["dtype"]]
            named.add(entry["array"])
        for entry in [*case["outputs"], *case["gradients"]]:
            assert arrays[entry["array"]].dtype.name == ("int64" if entry["dtype"] == "int64" else "float64")
            assert arrays[entry["bound"]].shape == arrays[entry["array"]].shape
            named |= {entry["array"], entry["bound"]}
        for entry in [*case["inputs"], *case["outputs"], *case["cotangents"], *case["gradients"]]:
            assert list(arrays[entry["array"]].shape) == entry["shape"]
        assert named == set(arrays)
        assert all(array.flags.c_contiguous for array in arrays.values())
        assert bool(case["gradients"]) == bool(case["cotangents"]) == (case["operation"] != "token_accuracy")
    assert set(exported.rglob("*.npz")) == {exported / case["file"] for case in manifest["cases"]}


def test_every_operation_has_a_case_in_every_type() -> None:
    for name in operations():
        for dtype in FLOAT_TYPES:
            ((case, expected),) = corpus(name, dtype, 1)
            assert expected.in_range
            assert (case.operation, case.dtype) == (name, dtype)


def test_two_exports_are_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    again = export(tmp_path / "again")
    files = [path.relative_to(exported) for path in sorted(exported.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(again) for path in sorted(again.rglob("*")) if path.is_file()]
    assert all((exported / path).read_bytes() == (again / path).read_bytes() for path in files)


def test_fewer_cases_of_fewer_operations_are_among_the_others(exported: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    assert vectors("export", fewer, "--op", "lstm", "--dtype", "float32", "--cases", "2").exit_code == 0
    same = [case for case in manifest_of(exported)["cases"] if case["id"] in ("lstm/float32/000", "lstm/float32/001")]
    assert manifest_of(fewer)["cases"] == same


def test_right_results_conform(check: Callable[..., Any]) -> None:
    result, report = check()
    assert result.exit_code == 0, result.output
    assert set(verdicts(report).values()) == {"conforms"}
    assert report["missing"] == {"values": [], "gradients": []}
    one = the_check(report, "lstm", "float32", "gradients")
    assert one["examples"] == CASES
    assert 0 < one["worst_error_ratio"] <= 1
    assert ("token_accuracy", "float32", "gradients") not in verdicts(report)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize(("array", "identity"), [("output.h_n", "values"), ("gradient.R", "gradients")])
def test_a_changed_number_violates(
    array: str, identity: str, dtype: str, exported: Path, results: Path, check: Callable[..., Any]
) -> None:
    smallest, *_, largest = with_outputs(exported, "lstm", dtype)
    for case in (largest, smallest):
        arrays = load(results / case["file"])
        number = arrays[array].view(ml_dtypes.bfloat16) if dtype == "bfloat16" else arrays[array]
        number.flat[0] = load(exported / case["file"])[array].flat[0] * 2 + 7
        save(results / case["file"], arrays)
    result, report = check()
    assert result.exit_code == 1
    wrong = {key for key, verdict in verdicts(report).items() if verdict != "conforms"}
    assert wrong == {("lstm", dtype, identity)}
    found = the_check(report, "lstm", dtype, identity)
    assert found["worst_error_ratio"] > 1
    assert found["repro"] == str(exported / smallest["file"])
    assert f"seed={smallest['seed']}" in found["message"]


def test_the_worst_of_several_is_told(exported: Path, results: Path, check: Callable[..., Any]) -> None:
    case = next(with_outputs(exported, "lstm", "float64"))
    right = load(exported / case["file"])
    arrays = load(results / case["file"])
    for name, ratio in (("y", 2), ("c_n", 500)):
        arrays[f"output.{name}"].flat[0] = (
            right[f"output.{name}"].flat[0] + ratio * right[f"bound.output.{name}"].flat[0]
        )
    save(results / case["file"], arrays)
    _, report = check()
    found = the_check(report, "lstm", "float64", "values")
    assert found["message"].startswith("c_n[0, 0]: expected")
    assert found["worst_error_ratio"] == pytest.approx(500, rel=1e-2)


def test_a_wrong_id_violates(exported: Path, results: Path, check: Callable[..., Any]) -> None:
    for case in with_outputs(exported, "crf_viterbi", "float32"):
        (name,) = (entry["name"] for entry in case["outputs"] if entry["dtype"] == "int64")
        arrays = load(results / case["file"])
        arrays[f"output.{name}"] += 1
        save(results / case["file"], arrays)
    result, report = check()
    assert result.exit_code == 1
    assert the_check(report, "crf_viterbi", "float32", "values")["verdict"] == "violates"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: {**a, "output.y": a["output.y"].swapaxes(0, 1)[None]}, "y: expected shape"),
        (lambda a: {**a, "output.y": a["output.y"].astype(np.float64)}, "y: expected float32 like the inputs"),
        (lambda a: {k: v for k, v in a.items() if k != "output.c_n"}, "expected the outputs y, h_n, c_n, got y, h_n"),
        (lambda a: {**a, "output.h": a["output.h_n"]}, "got y, h_n, c_n, h"),
    ],
)
def test_a_wrong_form_violates(
    change: Callable[[Arrays], Arrays], told: str, exported: Path, results: Path, check: Callable[..., Any]
) -> None:
    case = next(with_outputs(exported, "lstm", "float32"))
    save(results / case["file"], change(load(results / case["file"])))
    result, report = check()
    assert result.exit_code == 1
    assert told in the_check(report, "lstm", "float32", "values")["message"]
    assert the_check(report, "lstm", "float32", "gradients")["verdict"] == "conforms"


def test_a_gradient_that_is_not_there_violates(exported: Path, results: Path, check: Callable[..., Any]) -> None:
    case = next(with_outputs(exported, "lstm", "float32"))
    arrays = load(results / case["file"])
    del arrays["gradient.W"]
    save(results / case["file"], arrays)
    result, report = check()
    assert result.exit_code == 1
    assert "expected gradients of" in the_check(report, "lstm", "float32", "gradients")["message"]


def test_what_is_left_out_as_a_whole_is_not_implemented(
    exported: Path, results: Path, check: Callable[..., Any]
) -> None:
    shutil.rmtree(results / "crf_viterbi")
    shutil.rmtree(results / "lstm/float16")
    for path in (results / "gru_cell").rglob("*.npz"):
        save(path, {name: array for name, array in load(path).items() if name.startswith("output.")})
    result, report = check()
    assert result.exit_code == 0, result.output
    found = verdicts(report)
    assert {found["crf_viterbi", dtype, "values"] for dtype in FLOAT_TYPES} == {"not implemented"}
    assert found["lstm", "float16", "values"] == "not implemented"
    assert found["gru_cell", "float32", "values"] == "conforms"
    assert found["gru_cell", "float32", "gradients"] == "not implemented"
    assert report["complete"]
    assert f"not implemented: gradients of gru_cell float32, {CASES} of {CASES} cases" in result.output


def test_what_is_missing_of_what_is_begun_counts(exported: Path, results: Path, check: Callable[..., Any]) -> None:
    (results / "lstm/float32/000.npz").unlink()
    path = results / "gru_cell/float64/001.npz"
    save(path, {name: array for name, array in load(path).items() if name.startswith("output.")})
    result, report = check()
    assert result.exit_code == 1, result.output
    found = verdicts(report)
    assert found["lstm", "float32", "values"] == "conforms"  # what there is
    assert the_check(report, "lstm", "float32", "values")["examples"] == CASES - 1
    assert not report["complete"]
    assert report["missing"] == {
        "values": ["lstm/float32/000"], "gradients": ["lstm/float32/000", "gru_cell/float64/001"]
    }  # fmt: skip
    assert f"missing: values of lstm float32, 1 of {CASES} cases (lstm/float32/000)" in result.output
    assert f"missing: gradients of gru_cell float64, 1 of {CASES} cases (gru_cell/float64/001)" in result.output
    assert "3 results are missing: all that is begun is due" in result.output
    partial = vectors("check", exported, results, "--partial")
    assert partial.exit_code == 0, partial.output
    assert "3 results are missing: left out on purpose" in partial.output


def test_no_results_at_all_cannot_be_judged(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = vectors("check", exported, tmp_path / "empty")
    assert result.exit_code == 2
    assert f"there are no results: expected files that are named as in {exported}, such as" in result.output
    result = vectors("check", exported, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "there is no such folder" in result.output
    result = vectors("check", exported, exported)
    assert result.exit_code == 2
    assert "a folder of their own" in result.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, "expected a folder that 'rnnspec vectors export' wrote"),
        ("{", "expected JSON"),
        ("[]", "expected a manifest of golden vectors"),
        ('{"format": "other", "schema": 1}', "expected a manifest of golden vectors"),
        ('{"format": "rnnspec vectors", "schema": 2}', "expected schema 1, got 2: export the vectors anew"),
        ('{"format": "rnnspec vectors", "schema": 1}', "expected a storage in npz, safetensors, json, got None"),
        ('{"format": "rnnspec vectors", "schema": 1, "versions": {}, "storage": "zip", "cases": []}', "in npz, safet"),
    ],
)
def test_a_foreign_manifest(change: str | None, told: str, copied: Path, check: Callable[..., Any]) -> None:
    if change is None:
        (copied / "manifest.json").unlink()
    else:
        (copied / "manifest.json").write_text(change)
    result, _ = check(copied)
    assert result.exit_code == 2
    assert told in result.output


def test_vectors_that_are_not_as_exported(copied: Path, check: Callable[..., Any]) -> None:
    path = copied / "lstm/float32/000.npz"
    save(path, {name: array for name, array in load(path).items() if name != "input.x"})
    result, _ = check(copied)
    assert result.exit_code == 2
    assert f"{path}: the file has changed since the export" in result.output
    path.unlink()
    result, _ = check(copied)
    assert result.exit_code == 2
    assert f"{path}: there is no such file" in result.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"y": np.zeros(3)}, "expected arrays named output.NAME or gradient.NAME, got y"),
        ({"output.y": np.array([{}])}, "expected a .npz of plain arrays"),
        (b"no archive", "expected a .npz of plain arrays"),
    ],
)
def test_results_that_cannot_be_read(content: Any, told: str, results: Path, check: Callable[..., Any]) -> None:
    path = results / "lstm/float32/000.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save(path, content)
    result, _ = check()
    assert result.exit_code == 2
    assert str(path) in result.output
    assert told in result.output


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("keep")
    result = vectors("export", tmp_path / "mine", "--op", "dense")
    assert result.exit_code == 2
    assert "expected a new or an empty folder" in result.output
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes"]


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "ATTEMPTS", 0)
    result = vectors("export", tmp_path / "new", "--op", "dense")
    assert result.exit_code == 2
    assert "dense float64: no case in 0 has results that the type can hold" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--op", "lstn"], "unknown operation 'lstn'"), (["--dtype", "int8"], "unknown dtype 'int8': expected one of")],
)
def test_what_is_not_known(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = vectors("export", tmp_path / "new", *arguments)
    assert result.exit_code == 2
    assert told in result.output


def test_an_empty_folder_is_as_good_as_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(Path(), operations=("dense",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "manifest.json"]


def test_safetensors(exported: Path, right: Path, tmp_path: Path) -> None:
    safe = pytest.importorskip("safetensors")
    from safetensors.numpy import save as save_safe

    folder = export(tmp_path / "safe", "--format", "safetensors")
    manifest = manifest_of(folder)
    assert manifest["types"]["bfloat16"]["stored_as"] == "BF16"
    for case, other in zip(manifest["cases"], manifest_of(exported)["cases"], strict=True):
        entries = dict(safe.deserialize((folder / case["file"]).read_bytes()))
        for name, array in load(exported / other["file"]).items():
            assert entries[name]["data"] == array.tobytes()
            assert tuple(entries[name]["shape"]) == array.shape
        arrays = {
            name: array.view(ml_dtypes.bfloat16) if array.dtype == np.uint16 else array
            for name, array in load(right / other["file"]).items()
        }
        path = tmp_path / "results" / case["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save_safe({name: np.array(array, order="C") for name, array in arrays.items()}))
    result = vectors("check", folder, tmp_path / "results")
    assert result.exit_code == 0, result.output
    (tmp_path / "results" / case["file"]).write_bytes(b"nothing of the kind")
    result = vectors("check", folder, tmp_path / "results")
    assert result.exit_code == 2
    assert "expected a .safetensors of plain arrays" in result.output


def cases_of(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["vectors", "export", str(folder), "--dtype", "float32", *arguments])
    assert done.exit_code == 0, done.output
    cases: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["cases"]
    return cases


@pytest.mark.parametrize("name", operations())
def test_the_first_case_of_an_operation_is_plain(name: str) -> None:
    first, _ = next(iter(corpus(name, "float32", 1)))
    assert first.attributes == first.spec.defaults()
    assert (first.steps, first.regime) == ("all", "generic")
    optional = {key for key, item in first.items.items() if item.optional}
    assert not optional & set(first.call.inputs)


def test_one_thing_is_added_at_a_time(tmp_path: Path) -> None:
    first, second, third, *others = cases_of(tmp_path / "new", "--op", "lstm", "--cases", "13")
    changed = [[key for key, one in case["attributes"].items() if one != first["attributes"][key]] for case in others]
    assert changed == [[key] for key in first["attributes"]]
    names = [{one["name"] for one in case["inputs"]} for case in (first, second, third)]
    assert names[0] == {"x", "W", "R", "b"}
    assert names[1] == {*names[0], "h0", "c0", "b_R"}
    assert names[2] == {*names[1], "lengths"}


def test_a_corpus_of_some_attributes_without_padding(tmp_path: Path) -> None:
    settings = ("--set", "reset=after", "--set", "direction=forward", "--no-padding")
    cases = cases_of(tmp_path / "new", "--op", "gru", "--op", "dense", "--cases", "8", *settings)
    grus = [case["attributes"] for case in cases if case["operation"] == "gru"]
    assert {(one["reset"], one["direction"]) for one in grus} == {("after", "forward")}
    assert {case["steps"] for case in cases} == {"all"}
    assert len(cases) == 16  # dense has none of these attributes


def test_a_corpus_of_a_number_has_it_in_drawn_cases_too(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "new", "--op", "lstm_cell", "--cases", "12", "--set", "forget_bias=1")
    assert [case["attributes"]["forget_bias"] for case in cases] == [1] * 12
    assert len({case["regime"] for case in cases}) > 1


def test_a_plain_corpus_has_plain_cases_alone(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "new", "--op", "lstm", "--cases", "7", "--plain", "--set", "projection=true")
    whole = {**operations()["lstm"].defaults(), "projection": True}
    assert all(case["attributes"] == json.loads(json.dumps(whole)) for case in cases)
    assert len({json.dumps([case["sizes"], case["seed"], case["absent"], case["steps"]]) for case in cases}) == 7


def test_check_says_how_much_was_judged(tmp_path: Path) -> None:
    folder, results = export(tmp_path / "new", "--dtype=float32", operations=("lstm", "gru_cell")), tmp_path / "results"
    for case in manifest_of(folder)["cases"]:
        if case["operation"] == "gru_cell":
            save(results / case["file"], answer(case, load(folder / case["file"])))
    result = vectors("check", folder, results)
    assert f"judged {CASES} of the {2 * CASES} cases, 50%: the verdict is on these alone" in result.output


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("directon=forward", "did you mean direction?"),
        ("direction=up", "expected one of 'forward', 'reverse'"),
        ("direction", "expected NAME=VALUE"),
    ],
)
def test_a_setting_that_there_is_not(tmp_path: Path, setting: str, told: str) -> None:
    done = CliRunner().invoke(main, ["vectors", "export", str(tmp_path / "new"), "--op", "lstm", "--set", setting])
    assert (done.exit_code, told in done.output) == (2, True)
    assert not (tmp_path / "new").exists()
