"""The composed recurrent operations as programs: what the suite, which sees their results, does not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from rnnspec import reference, spec  # noqa: E402
from rnnspec.backends.composed.arrays import Many, Step  # noqa: E402
from rnnspec.backends.composed.cells import CELLS  # noqa: E402
from rnnspec.backends.composed.operations import OPERATIONS  # noqa: E402
from rnnspec.backends.torch.arrays import TorchArrays  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402

LAYERS = [cell.removesuffix("_cell") for cell in CELLS]
OF_LAYERS = ["one_to_many", "bidirectional", "stacked", "alternating_stack", "gate_once_stack", "state_jacobian"]
SIZES = {"B": 3, "T": 5, "D": 2, "H": 4, "S": 4, "N": 1, "M": 2, "L": 3, "A": 2, "E": 4, "J": 1, "K": 2}
LENGTHS = torch.tensor([5, 2, 0])
HOLES = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.bool)


def arguments(name: str, seed: int = 0, **given: Any) -> dict[str, Any]:
    """All inputs but lengths, mask and bits, in float64, and all attributes."""
    generator = torch.Generator().manual_seed(seed)
    operation = spec.operation(name)
    attributes = {**operation.defaults(), **{key: value for key, value in given.items() if key in operation.attributes}}
    operation = spec.resolved(operation, attributes)
    sizes = {**SIZES, "G": len(operation.gates_for(attributes))}
    made = {
        key: torch.randn(
            [int(s) if s.isdigit() else sizes[s] for s in item.shape], generator=generator, dtype=torch.float64
        )
        for key, item in operation.inputs_for(attributes).items()
        if item.kind == "float"
    }
    return {**made, **attributes, **given}


def on_meta(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value.to("meta") if isinstance(value, torch.Tensor) else value for key, value in given.items()}


class Traced(TorchArrays):
    """A scan as of a framework that traces: the step is called once, and what it recorded is run for every step."""

    traces = 0

    def scan(self, step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
        self.traces += 1
        recorded = make_fx(step)(carry, tuple(array[0] for array in entering))
        return super().scan(recorded, carry, entering, length)


class Counting(TorchArrays):
    """Counts the calls of some functions."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.counts: Counter[str] = Counter()

    def add_matmul(self, a: Any, b: Any, c: Any) -> Any:
        self.counts["add_matmul"] += 1
        return super().add_matmul(a, b, c)

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        self.counts["where"] += 1
        return super().where(condition, yes, no)

    def stop_gradient(self, array: Any) -> Any:
        self.counts["stop_gradient"] += 1
        return super().stop_gradient(array)


def assert_same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(
    "steps",
    [{}, {"lengths": LENGTHS}, {"mask": HOLES, "truncate": 2}],
    ids=["all steps", "lengths", "mask with holes, truncated"],
)
def test_a_step_that_is_traced_once_serves_for_all(layer: str, direction: str, steps: dict[str, Any]) -> None:
    given = arguments(layer, direction=direction, **steps)
    traced = Traced("cpu")
    found = OPERATIONS[layer](traced, **given)
    assert traced.traces == 1
    assert_same(found, OPERATIONS[layer](TorchArrays("cpu"), **given))


@pytest.mark.parametrize("name", ["one_to_many", "bidirectional", "stacked", "alternating_stack", "gate_once_stack"])
def test_every_layer_of_layers_is_one_recurrence(name: str) -> None:
    given = arguments(name) if name == "one_to_many" else arguments(name, mask=HOLES)
    traced = Traced("cpu")
    found = OPERATIONS[name](traced, **given)
    assert traced.traces == {"one_to_many": 1, "bidirectional": 2}.get(name, SIZES["L"])
    assert_same(found, OPERATIONS[name](TorchArrays("cpu"), **given))


@pytest.mark.parametrize("name", [*LAYERS, *OF_LAYERS, "output_projection"])
def test_no_value_is_looked_at(name: str) -> None:
    """Tensors of the device `meta` have no values: asking for one is an error."""
    given = on_meta(arguments(name) if name == "one_to_many" else arguments(name, mask=HOLES))
    for output in OPERATIONS[name](TorchArrays("meta"), **given):
        assert output.device.type == "meta"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *(("bahdanau_decoder", {"cell": f"{kind}_cell"}) for kind in ("rnn", "lstm")),
        ("bahdanau_decoder", {"cell": "gru_cell", "reset": "before"}),
        *(("luong_decoder", {"cell": f"{kind}_cell", "input_feeding": True}) for kind in ("rnn", "lstm", "gru")),
        *(("seq2seq", {"layer": kind, "context_use": "every_step"}) for kind in ("rnn", "lstm", "gru")),
    ],
)
def test_biases_count_once_where_the_input_has_two_parts(name: str, given: dict[str, Any]) -> None:
    attributes = {**spec.operation(name).defaults(), **given}
    call = Case(name, "float64", {}, attributes, seed=1).call
    found = OPERATIONS[name](TorchArrays("cpu"), **{k: torch.tensor(v) for k, v in call.inputs.items()}, **attributes)
    for got, right in zip(found, getattr(reference, name)(**call.inputs, **attributes), strict=True):
        torch.testing.assert_close(got, torch.tensor(right), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_products_of_the_inputs_are_one_for_all_steps(layer: str) -> None:
    counting = Counting("cpu")
    OPERATIONS[layer](counting, **arguments(layer))
    a_step = 2 if layer == "nested_lstm" else 1
    before = 0 if layer == "layer_norm_lstm" else 1  # whose biases come later
    assert counting.counts["add_matmul"] == before + a_step * SIZES["T"]


@pytest.mark.parametrize("layer", LAYERS)
def test_padding_and_truncation_cost_nothing_where_there_are_none(layer: str) -> None:
    counting = Counting("cpu")
    OPERATIONS[layer](counting, **arguments(layer))
    assert counting.counts["where"] == counting.counts["stop_gradient"] == 0
    OPERATIONS[layer](counting, **arguments(layer, mask=HOLES, truncate=2))
    assert counting.counts["where"] > 0
    assert counting.counts["stop_gradient"] > 0


@pytest.mark.parametrize("layer", LAYERS)
def test_truncation_counts_the_steps_that_are_there(layer: str) -> None:
    """The sequence with holes has the gradient of the one that is left without them."""
    given = arguments(layer, truncate=2, seed=1)
    there = HOLES[1]

    def gradient(x: Any, **more: Any) -> Any:
        x = x.requires_grad_()
        states = {key: given[key][:1] for key in ("h0", "c0") if key in given}
        y = OPERATIONS[layer](TorchArrays("cpu"), **{**given, **states, "x": x, **more})[0]
        return torch.autograd.grad(y.sum(), x)[0][0]

    x = given["x"][:1]
    whole = gradient(x.clone(), mask=there[None])
    torch.testing.assert_close(whole[there], gradient(x[:, there].clone()), rtol=1e-12, atol=1e-12)
    assert not whole[~there].any()
    full = gradient(x[:, there].clone(), truncate=None)
    assert not torch.allclose(whole[there], full)


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_reaches_or_leaves_the_padding(layer: str) -> None:
    given = arguments(layer)
    clean = given["x"].clone().requires_grad_()
    spoilt = torch.where(HOLES[..., None], given["x"], torch.nan).requires_grad_()
    gradients = []
    for x in (clean, spoilt):
        outputs = OPERATIONS[layer](TorchArrays("cpu"), **{**given, "x": x, "mask": HOLES})
        gradients.append(torch.autograd.grad(sum((output**2).sum() for output in outputs), x)[0])
    assert torch.equal(*gradients)
    assert not gradients[1][~HOLES].any()
    assert gradients[1][HOLES].all()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_batch_without_steps_gives_its_initial_states(layer: str) -> None:
    given = arguments(layer)
    y, *finals = OPERATIONS[layer](TorchArrays("cpu"), **{**given, "x": given["x"][:, :0]})
    assert y.shape == (SIZES["B"], 0, SIZES["S"])
    assert_same(finals, [given[key] for key in ("h0", "c0") if key in given])
