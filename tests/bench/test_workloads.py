"""The workloads: all can be made and cost something; a user's own; and what is wrong in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnspec.conformance.bench.catalogue import SCALES, at_scale, load_catalogue
from rnnspec.conformance.bench.cost import Cost, Peak, cost_of
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.scan import parse_scan
from rnnspec.conformance.bench.workload import Workload, WorkloadStage
from rnnspec.conformance.cli import bench_run
from rnnspec.spec import CallError, UnknownOperationError, operations

# The named workloads have the sizes of the practice that they are taken from.
PRACTICE = {
    "image-rows": ("lstm", {"T": 28, "D": 28, "H": 128, "B": 128}),
    "text-bidirectional": ("bidirectional", {"T": 100, "D": 128, "H": 64, "B": 32}),
    "text-two-layers": ("stacked", {"T": 20, "D": 8, "H": 256, "B": 512, "L": 2}),
    "air-quality-hour": ("lstm", {"T": 1, "D": 8, "H": 50, "B": 72}),
    "air-quality-day": ("lstm", {"T": 24, "D": 8, "H": 50, "B": 72}),
    "sequence-reversal": ("seq2seq", {"T": 6, "D": 51, "H": 128}),
    "tagging": ("bidirectional", {"T": 128, "K": 50, "B": 32}),
    "long-sequences": ("lstm", {"T": 1024, "H": 256}),
    "speech": ("lstm", {"T": 500, "D": 80, "H": 512, "B": 16}),
    "latency": ("lstm", {"B": 1}),
}


def test_the_named_workloads_are_those_of_practice() -> None:
    named = load_catalogue().named
    assert set(named) == set(PRACTICE)
    for name, (first, sizes) in PRACTICE.items():
        assert named[name].stages[0].operation == first
        assert {symbol: named[name].sizes.get(symbol) for symbol in sizes} == sizes


@pytest.mark.parametrize("name", PRACTICE)
def test_a_named_workload_can_be_made(name: str) -> None:
    workload = load_catalogue().get(name)
    assert workload.modes
    for mode in workload.modes:
        cost = cost_of(workload.cases(mode, "float32"), mode)
        assert cost.flops > 0
        assert cost.bytes > 0


@pytest.mark.parametrize("name", operations())
def test_every_operation_has_three_scales_that_grow(name: str) -> None:
    costs = []
    for scale in SCALES:
        workload = at_scale(name, scale)
        assert load_catalogue().get(f"{name}-{scale}") == workload
        assert set(workload.sizes) == set(workload.symbols)
        mode = workload.modes[0]
        costs.append(cost_of(workload.cases(mode, "float32"), mode))
    assert costs[0].bytes < costs[1].bytes < costs[2].bytes


def test_tagging_trains_a_likelihood_and_decodes_a_path() -> None:
    tagging = load_catalogue().get("tagging")
    assert tagging.modes == ("forward", "gradient", "decode")
    names = {mode: [case.operation for case in tagging.cases(mode, "float32")] for mode in tagging.modes}
    assert names["gradient"] == ["bidirectional", "output_projection", "crf_log_likelihood"]
    assert names["decode"] == ["bidirectional", "output_projection", "crf_viterbi"]


def test_stages_share_sizes_through_expressions() -> None:
    wider = load_catalogue().get("tagging").with_sizes(H=7)
    _, projection, crf = wider.cases("forward", "float32")
    assert projection.sizes["H"] == 14
    assert crf.sizes["K"] == projection.sizes["K"] == 50
    assert "start" in crf.call.inputs
    assert "lengths" in crf.call.inputs


def test_an_attribute_that_is_a_size_follows_it() -> None:
    (case,) = at_scale("beam_search", "small").with_sizes(Z=4, N=6).cases("decode", "float32")
    assert (case.attributes["width"], case.attributes["steps"]) == (4, 6)


def test_a_workload_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[workloads.mine]\nsizes = { B = 2, T = 3, D = 4, H = 5 }\nstages = [{ operation = "gru", '
        'attributes = { reset = "after" }, inputs = ["h0"] }]\n'
    )
    catalogue = load_catalogue(file)
    assert [workload.name for workload in catalogue.own] == ["mine"]
    (case,) = catalogue.get("mine").cases("gradient", "float64")
    assert case.attributes["reset"] == "after"
    assert case.call.inputs["h0"].shape == (2, 5)
    assert catalogue.get("speech").sizes["H"] == 512


WRONG = {
    "no TOML": ("[workloads", "expected TOML"),
    "other tables": ("[[failure]]\n", "expected [workloads.NAME] tables only, got failure"),
    "no stages": ("[workloads.a]\nabout = 'x'", "stages is missing"),
    "empty stages": ("[workloads.a]\nstages = []", "expected at least one"),
    "size below 1": ("[workloads.a]\nsizes = {B = 0}\nstages = [{operation = 'lstm'}]", "at least 1, got 0"),
    "size no number": ("[workloads.a]\nsizes = {B = 1.5}\nstages = [{operation = 'lstm'}]", "whole number"),
    "stage's key": ("[workloads.a]\nstages = [{operation = 'lstm', size = 1}]", "expected a table of operation, sizes"),
    "no operation": ("[workloads.a]\nstages = [{}]", "operation is missing"),
    "expression": ("[workloads.a]\nstages = [{operation = 'lstm', sizes = {H = 2}}]", "expected an expression"),
    "mode": ("[workloads.a]\nstages = [{operation = 'lstm', modes = ['fast']}]", "expected some of forward"),
    "no gradient": ("[workloads.a]\nstages = [{operation = 'token_accuracy', modes = ['gradient']}]", "no gradient"),
    "kind": ("[workloads.a]\nstages = [{operation = 'lstm', lengths = 1}]", "lengths: expected a bool, got 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong(name: str, tmp_path: Path) -> None:
    text, message = WRONG[name]
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(BenchError) as error:
        load_catalogue(file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


def test_an_operation_that_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[workloads.a]\nstages = [{operation = 'lstn'}]")
    with pytest.raises(UnknownOperationError, match="lstn"):
        load_catalogue(tmp_path / "own.toml")


def test_what_is_wrong_with_a_workload_is_told() -> None:
    def mine(operation: str = "lstm", sizes: dict[str, int] | None = None, **given: object) -> Workload:
        stage = WorkloadStage(operation, ("forward",), **given)  # type: ignore[arg-type]  # some are wrong on purpose
        return Workload("mine", "", sizes or {"B": 1, "T": 1, "D": 1, "H": 1}, (stage,))

    with pytest.raises(BenchError, match=r"expected a number for H .*got none; the workload has B, T, D"):
        mine(sizes={"B": 1, "T": 1, "D": 1}).cases("forward", "float32")
    with pytest.raises(BenchError, match=r"T \(steps.*expected at least 1, got 0"):
        mine(sizes={"B": 1, "T": 0, "D": 1, "H": 1}).cases("forward", "float32")
    with pytest.raises(BenchError, match="unknown dtype 'float8'"):
        mine().cases("forward", "float8")
    with pytest.raises(BenchError, match=r"expected optional ones .h0, c0, b_R., got 'h1'"):
        mine(inputs=("h1",)).cases("forward", "float32")
    with pytest.raises(BenchError, match="unknown size 'K'"):
        mine().with_sizes(K=3)
    ill_fitting = WorkloadStage("output_projection", ("forward",), {"H": "2 * H", "K": "H"})
    with pytest.raises(BenchError, match=r"output_projection: \w+: expected the shape of an output of lstm \(y \(1"):
        Workload("mine", "", mine().sizes, (mine().stages[0], ill_fitting)).cases("forward", "float32")
    with pytest.raises(CallError, match="unknown attribute 'peephole'"):
        mine(attributes={"peephole": True}).cases("forward", "float32")
    with pytest.raises(BenchError, match=r"unknown workload 'lstm-huge'.*--workloads FILE"):
        load_catalogue().get("lstm-huge")
    with pytest.raises(BenchError, match="unknown scale 'huge'"):
        at_scale("lstm", "huge")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("T=5,10,20", (5, 10, 20)), ("T=20,5,10,5", (5, 10, 20)), ("T", (256, 512, 1024, 2048)), ("B", (2, 4, 8, 16))],
)
def test_a_scan(text: str, expected: tuple[int, ...]) -> None:
    symbol, sizes = parse_scan(text, load_catalogue().get("long-sequences"))
    assert symbol == text[0]
    assert sizes == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Q", "expected one of its sizes B, T, D, H"),
        ("T=1,2", "at least 3 different sizes, got 2"),
        ("T=0,1,2", "at least 1, got 0"),
        ("T=1,two,3", "expected whole numbers, like T=50,100,200"),
    ],
)
def test_a_scan_that_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_scan(text, load_catalogue().get("speech"))


def test_the_cost_is_that_of_the_specification() -> None:
    cases = at_scale("dense", "small").cases("forward", "float32")
    forward = cost_of(cases, "forward")
    assert forward == Cost(2 * 4 * 32 * 16 + 3 * 4 * 32, 4 * (4 * (16 + 32) + 32 * 17))
    assert cost_of(cases, "gradient") == Cost(3 * forward.flops, 2 * forward.bytes)
    assert cost_of(at_scale("dense", "small").cases("forward", "bfloat16"), "forward").bytes == forward.bytes / 2


def test_padding_costs_nothing() -> None:
    stage = WorkloadStage("crf_score", ("forward",), lengths=True)
    (case,) = Workload("mine", "", {"B": 6, "T": 20, "K": 3}, (stage,)).cases("forward", "float32")
    valid = round(case.call.inputs["lengths"].mean())
    assert valid < 20
    assert cost_of([case], "forward").flops == 2 * 6 * valid


def test_the_roofline_is_the_slower_of_arithmetic_and_memory() -> None:
    peak = Peak(flops=100.0, bandwidth=10.0)
    assert peak.seconds(Cost(200.0, 10.0)) == 2.0
    assert peak.bound_by(Cost(200.0, 10.0)) == "arithmetic"
    assert peak.seconds(Cost(200.0, 50.0)) == 5.0
    assert peak.bound_by(Cost(200.0, 50.0)) == "memory"


def test_a_projection_costs_where_there_is_one() -> None:
    sizes = {"B": 2, "T": 3, "D": 4, "H": 6}
    plain = Workload("mine", "", sizes, (WorkloadStage("lstm", ("forward",)),))
    projected = Workload(
        "mine", "", {**sizes, "S": 5}, (WorkloadStage("lstm", ("forward",), attributes={"projection": True}),)
    )
    without = cost_of(plain.cases("forward", "float32"), "forward")
    assert without.flops == 3 * (2 * 2 * 4 * 6 * (4 + 6) + 2 * 6 * (4 * 4 + 9))
    with_projection = cost_of(projected.cases("forward", "float32"), "forward")
    assert with_projection.flops == 3 * (2 * 2 * 4 * 6 * (4 + 5) + 2 * 6 * (4 * 4 + 9) + 2 * 2 * 5 * 6)


def test_an_option_that_is_given_twice_has_the_values_of_both() -> None:
    given = bench_run.make_context("bench", ["numpy", "-T", "3,4", "-T", "4,5", "--inputs", "a", "--inputs", "b,a"])
    assert (given.params["size_t"], given.params["size_b"], given.params["inputs"]) == ((3, 4, 5), (), ("a", "b"))
