"""Operations built of layers, against loops over single sequences that call one cell, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.reference import (
    alternating_stack,
    alternating_stack_vjp,
    bidirectional,
    bidirectional_vjp,
    gate_once_stack,
    gate_once_stack_vjp,
    lstm_vjp,
    one_to_many,
    one_to_many_vjp,
    output_projection,
    output_projection_vjp,
    stacked,
    stacked_vjp,
)
from rnnspec.spec import CallError
from rnnspec.spec.arrays import Array, NamedArrays

B, T, D, H, S = 3, 5, 2, 3, 4
GATES = {"rnn": 1, "lstm": 4, "lstm_1997": 3, "forget_only_lstm": 2, "peephole_lstm": 4, "layer_norm_lstm": 4, "gru": 3,
         "nested_lstm": 4}  # fmt: skip
KINDS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in GATES),
    ("rnn", {"activation": "logistic"}),
    ("lstm", {"projection": True, "coupled": True, "clip": 0.7, "activations": ("logistic", "relu", "tanh")}),
    ("gru", {"reset": "before", "update": "admits"}),
    ("layer_norm_lstm", {"memory": "normalised", "epsilon": 1e-3}),
]
EVERY_KIND = pytest.mark.parametrize(
    ("kind", "attributes"), KINDS, ids=lambda v: v if isinstance(v, str) else "-".join(v)
)
"""As the layer and its attributes."""

MASK = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], np.bool_)


def size(kind: str, attributes: Mapping[str, Any]) -> int:
    """Units of the state."""
    return S if attributes.get("projection") else H


def parameters(kind: str, attributes: Mapping[str, Any], random: np.random.Generator, features: int = D) -> NamedArrays:
    """One layer's."""
    gates, units = GATES[kind] - bool(attributes.get("coupled")), size(kind, attributes)
    shapes: dict[str, tuple[int, ...]] = {"W": (gates, H, features), "R": (gates, H, units), "b": (gates, H)}
    if attributes.get("projection"):
        shapes["P"] = (S, H)
    if kind == "peephole_lstm":
        shapes["P"] = (3, H)
    if kind == "gru" and attributes.get("reset") != "before":
        shapes["b_rn"] = (H,)
    if kind == "layer_norm_lstm":
        shapes |= {"gain": (gates, H), "gain_c": (H,), "b_c": (H,)}
    if kind == "nested_lstm":
        shapes |= {"W_inner": (2, 4, H, H), "R_inner": (2, 4, H, H), "b_inner": (2, 4, H)}
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def states(kind: str, attributes: Mapping[str, Any], random: np.random.Generator) -> NamedArrays:
    """One layer's initial states, of a batch."""
    shapes: dict[str, tuple[int, ...]] = {"h0": (B, size(kind, attributes))}
    if kind not in ("rnn", "gru", "forget_only_lstm"):
        shapes["c0"] = (B, 3, H) if kind == "nested_lstm" else (B, H)
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def joined(each: list[NamedArrays], axis: int = 0) -> NamedArrays:
    """The parameters, or states, of some layers on an axis of layers."""
    return {name: np.stack([one[name] for one in each], axis=axis) for name in each[0]}


def by_hand(
    kind: str, x: Array, p: NamedArrays, begin: NamedArrays, attributes: Mapping[str, Any], reverse: bool = False
) -> tuple[Array, list[Array]]:
    """Outputs and final states of one sequence, ``x (n, D)``, without padding."""
    cell: Callable[..., tuple[Array, ...]] = getattr(reference, f"{kind}_cell")
    now = {f"{name[0]}_prev": state[np.newaxis] for name, state in begin.items()}
    y = np.zeros((len(x), size(kind, attributes)))
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        after = cell(x=x[t : t + 1], **now, **p, **attributes)
        now = dict(zip(now, after, strict=True))
        y[t] = after[0][0]
    return y, [state[0] for state in now.values()]


def of(b: int, begin: NamedArrays) -> NamedArrays:
    """The states of one sequence."""
    return {name: state[b] for name, state in begin.items()}


def with_padding(x: Array) -> Array:
    """The input with nonsense where the mask takes steps out."""
    return np.where(MASK[:, :, np.newaxis], x, np.nan)


def complex_step(
    operation: Callable[..., tuple[Array, ...]], floats: NamedArrays, cotangents: list[Array], **rest: Any
) -> NamedArrays:
    """Gradients of an operation by its own values at inputs that are moved along the imaginary axis."""
    wide = {name: array.astype(np.complex128) for name, array in floats.items()}
    gradients = {name: np.zeros(array.shape) for name, array in floats.items()}
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            moved = wide[name].copy()
            moved[index] += 1e-30j
            outputs = operation(**{**wide, name: moved}, **rest)
            pairs = zip(cotangents, outputs, strict=True)
            gradient[index] = sum(np.sum(d * output.imag) for d, output in pairs) / 1e-30
    return gradients


def check_gradients(
    operation: Callable[..., tuple[Array, ...]],
    with_vjp: Callable[..., tuple[tuple[Array, ...], Callable[..., NamedArrays]]],
    floats: NamedArrays,
    **rest: Any,
) -> None:
    """The vjp, called twice, gives what the complex step does."""
    outputs = operation(**floats, **rest)
    again, vjp = with_vjp(**floats, **rest)
    assert all(np.array_equal(a, b) for a, b in zip(outputs, again, strict=True))
    random = np.random.default_rng(7)
    cotangents = [random.standard_normal(output.shape) for output in outputs]
    wanted = complex_step(operation, floats, cotangents, **rest)
    for found in (vjp(*cotangents), vjp(*cotangents)):
        assert set(found) == set(floats)
        for name, gradient in wanted.items():
            np.testing.assert_allclose(found[name], gradient, rtol=1e-11, atol=1e-12, err_msg=name)


def two_directions(
    kind: str, attributes: Mapping[str, Any], seed: int = 0
) -> tuple[Array, list[NamedArrays], list[NamedArrays]]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((B, T, D))
    ps = [parameters(kind, attributes, random) for _ in range(2)]
    return x, ps, [states(kind, attributes, random) for _ in range(2)]


@EVERY_KIND
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", "none"])
def test_bidirectional_reads_every_sequence_once_in_each_direction(
    kind: str, attributes: dict[str, Any], merge: str
) -> None:
    x, ps, begin = two_directions(kind, attributes)
    outputs = bidirectional(
        with_padding(x), **joined(ps), **joined(begin, 1), mask=MASK, layer=kind, merge=merge, **attributes
    )
    ys = outputs[: 2 if merge == "none" else 1]
    finals = outputs[len(ys) :]
    for b in range(B):
        read = [
            by_hand(kind, x[b, MASK[b]], p, of(b, start), attributes, reverse)
            for p, start, reverse in zip(ps, begin, (False, True), strict=True)
        ]
        f, r = read[0][0], read[1][0]
        wanted = {
            "concat": (np.concatenate([f, r], axis=1),), "sum": (f + r,), "mul": (f * r,), "ave": ((f + r) / 2,),
            "none": (f, r),
        }[merge]  # fmt: skip
        for y, array in zip(ys, wanted, strict=True):
            np.testing.assert_allclose(y[b, MASK[b]], array, rtol=1e-12, atol=1e-14)
            assert np.all(y[b, ~MASK[b]] == 0)
        for k, (_, after) in enumerate(read):
            for final, state in zip(finals, after, strict=True):
                np.testing.assert_allclose(final[b, k], state, rtol=1e-12, atol=1e-14)


@EVERY_KIND
def test_bidirectional_has_the_gradient_of_the_complex_step(kind: str, attributes: dict[str, Any]) -> None:
    x, ps, begin = two_directions(kind, attributes, 1)
    floats = {"x": x, **joined(ps), **joined(begin, 1)}
    check_gradients(bidirectional, bidirectional_vjp, floats, mask=MASK, layer=kind, **attributes)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", "none"])
def test_bidirectional_has_the_gradient_of_the_complex_step_however_it_merges(merge: str) -> None:
    x, ps, begin = two_directions("gru", {}, 2)
    floats = {"x": x, **joined(ps), **joined(begin, 1)}
    check_gradients(bidirectional, bidirectional_vjp, floats, lengths=np.array([5, 3, 0]), layer="gru", merge=merge)


@pytest.mark.parametrize(("truncate", "gradient"), [(2, "full"), (None, "cell_only"), (1, "cell_only")])
def test_bidirectional_hands_on_how_gradients_are_cut(truncate: int | None, gradient: str) -> None:
    x, ps, begin = two_directions("lstm", {}, 3)
    cut: dict[str, Any] = {"truncate": truncate, "gradient": gradient}
    (_, h_n, c_n), vjp = bidirectional_vjp(x, **joined(ps), **joined(begin, 1), mask=MASK, **cut)
    random = np.random.default_rng(4)
    dy, dh_n, dc_n = random.standard_normal((B, T, 2 * H)), *(random.standard_normal(s.shape) for s in (h_n, c_n))
    found = vjp(dy, dh_n, dc_n)
    dx = np.zeros_like(x)
    for k, direction in enumerate(("forward", "reverse")):
        _, part = lstm_vjp(x, **ps[k], **begin[k], mask=MASK, direction=direction, **cut)
        wanted = part(dy[:, :, k * H : (k + 1) * H], dh_n[:, k], dc_n[:, k])
        dx += wanted.pop("x")
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name][:, k] if name in ("h0", "c0") else found[name][k], array, atol=1e-12)
    np.testing.assert_allclose(found["x"], dx, atol=1e-12)


def a_stack(
    kind: str, attributes: Mapping[str, Any], layers: int, seed: int = 0
) -> tuple[Array, list[NamedArrays], list[NamedArrays], NamedArrays]:
    """Input, parameters and states of each layer, and the parameters and states as a stack has them."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((B, T, D))
    units = size(kind, attributes)
    ps = [parameters(kind, attributes, random, units if k else D) for k in range(layers)]
    begin = [states(kind, attributes, random) for _ in range(layers)]
    others = joined([{name: array for name, array in p.items() if name != "W"} for p in ps])
    above = [p["W"] for p in ps[1:]]
    W = ps[0]["W"]
    W_above = np.stack(above) if above else np.zeros((0, *W.shape[:2], units))
    return x, ps, begin, {"W": W, "W_above": W_above, **others, **joined(begin, 1)}


@EVERY_KIND
@pytest.mark.parametrize("dropout", [None, 0.25])
@pytest.mark.parametrize("operation", [stacked, alternating_stack])
@pytest.mark.parametrize("layers", [1, 3])
def test_each_layer_of_a_stack_reads_the_outputs_of_the_one_below(
    kind: str,
    attributes: dict[str, Any],
    dropout: float | None,
    operation: Callable[..., tuple[Array, ...]],
    layers: int,
) -> None:
    x, ps, begin, given = a_stack(kind, attributes, layers)
    keep = np.random.default_rng(5).random((B, layers - 1, T, size(kind, attributes))) < 0.7
    masks = {} if dropout is None else {"keep": keep, "dropout": dropout}
    y, *finals = operation(with_padding(x), **given, mask=MASK, layer=kind, **masks, **attributes)
    assert np.all(y[~MASK] == 0)
    for b in range(B):
        now = x[b, MASK[b]]
        for k, p in enumerate(ps):
            if k and dropout is not None:
                now = now * keep[b, k - 1, MASK[b]] / (1 - dropout)
            reverse = operation is alternating_stack and k % 2 == 1
            now, after = by_hand(kind, now, p, of(b, begin[k]), attributes, reverse)
            for final, state in zip(finals, after, strict=True):
                np.testing.assert_allclose(final[b, k], state, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(y[b, MASK[b]], now, rtol=1e-12, atol=1e-14)


@EVERY_KIND
def test_stacked_has_the_gradient_of_the_complex_step(kind: str, attributes: dict[str, Any]) -> None:
    x, _, _, given = a_stack(kind, attributes, 2, 1)
    check_gradients(stacked, stacked_vjp, {"x": x, **given}, mask=MASK, layer=kind, **attributes)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    ("operation", "with_vjp"), [(stacked, stacked_vjp), (alternating_stack, alternating_stack_vjp)]
)
def test_stacks_with_dropout_have_the_gradient_of_the_complex_step(
    operation: Callable[..., Any], with_vjp: Callable[..., Any], layers: int
) -> None:
    x, _, _, given = a_stack("gru", {}, layers, 1)
    keep = np.random.default_rng(5).random((B, layers - 1, T, H)) < 0.7
    lengths = np.array([3, 5, 0])
    floats = {"x": x, **given}
    check_gradients(operation, with_vjp, floats, lengths=lengths, layer="gru", keep=keep, dropout=0.4)


def test_where_no_mask_takes_anything_out_dropout_only_rescales() -> None:
    x, _, _, given = a_stack("rnn", {}, 2)
    keep = np.ones((B, 1, T, H), np.bool_)
    rescaled = {**given, "W_above": given["W_above"] / (1 - 0.5)}
    for found, wanted in zip(
        stacked(x, **given, layer="rnn", keep=keep, dropout=0.5), stacked(x, **rescaled, layer="rnn"), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def gate_once(layers: int, seed: int = 0) -> NamedArrays:
    random = np.random.default_rng(seed)
    below = D if layers == 1 else H
    shapes = {
        "x": (B, T, D), "W": (3, H, D), "W_above": (layers - 1, 3, H, H), "R": (layers, 3, H, H), "b": (layers, 3, H),
        "W_o": (H, below), "R_o": (H, H), "b_o": (H,), "h0": (B, layers, H), "c0": (B, layers, H),
    }  # fmt: skip
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def logistic(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def gate_once_by_hand(p: NamedArrays, b: int, steps: Array) -> tuple[list[Array], Array, Array]:
    """Outputs and final states of one sequence, all layers of a step before the next step."""
    h, c = p["h0"][b].copy(), p["c0"][b].copy()
    W = [p["W"], *p["W_above"]]
    outputs = []
    for x in p["x"][b, steps]:
        below = x
        for k in range(len(W)):
            a = W[k] @ below + p["R"][k] @ h[k] + p["b"][k]
            o = logistic(p["W_o"] @ below + p["R_o"] @ h[k] + p["b_o"]) if k == len(W) - 1 else 1.0
            c[k] = logistic(a[1]) * c[k] + logistic(a[0]) * np.tanh(a[2])
            h[k] = below = o * np.tanh(c[k])
        outputs.append(below)
    return outputs, h, c


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_gate_once_stack_has_one_output_gate(layers: int) -> None:
    p = gate_once(layers)
    y, h_n, c_n = gate_once_stack(**{**p, "x": with_padding(p["x"])}, mask=MASK)
    assert np.all(y[~MASK] == 0)
    for b in range(B):
        outputs, h, c = gate_once_by_hand(p, b, MASK[b])
        np.testing.assert_allclose(y[b, MASK[b]], np.reshape(outputs, (-1, H)), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(h_n[b], h, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(c_n[b], c, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_gate_once_stack_has_the_gradient_of_the_complex_step(layers: int) -> None:
    check_gradients(gate_once_stack, gate_once_stack_vjp, gate_once(layers, 1), lengths=np.array([5, 0, 3]))


def test_gate_once_stack_of_one_layer_is_an_lstm() -> None:
    p = gate_once(1)
    outputs, vjp = gate_once_stack_vjp(**p, mask=MASK)
    whole = {
        name: np.concatenate([p[name] if name == "W" else p[name][0], p[f"{name}_o"][np.newaxis]]) for name in "WRb"
    }
    wanted, lstm_back = lstm_vjp(p["x"], **whole, h0=p["h0"][:, 0], c0=p["c0"][:, 0], mask=MASK)
    d = [np.ones_like(output) for output in wanted]
    found, gradients = vjp(d[0], d[1][:, np.newaxis], d[2][:, np.newaxis]), lstm_back(*d)
    assert np.array_equal(outputs[0], wanted[0])
    assert np.array_equal(outputs[1][:, 0], wanted[1])
    assert np.array_equal(found["x"], gradients["x"])
    assert np.array_equal(np.concatenate([found["W"], found["W_o"][np.newaxis]]), gradients["W"])


@EVERY_KIND
@pytest.mark.parametrize("feed", ["first", "every"])
@pytest.mark.parametrize("steps", [1, 4])
def test_one_to_many_feeds_its_input_once_or_always(
    kind: str, attributes: dict[str, Any], feed: str, steps: int
) -> None:
    random = np.random.default_rng(0)
    x, p, begin = random.standard_normal((B, D)), parameters(kind, attributes, random), states(kind, attributes, random)
    y, *finals = one_to_many(x, **p, **begin, layer=kind, feed=feed, steps=steps, **attributes)
    for b in range(B):
        fed = np.tile(x[b], (steps, 1))
        if feed == "first":
            fed[1:] = 0
        wanted, after = by_hand(kind, fed, p, of(b, begin), attributes)
        np.testing.assert_allclose(y[b], wanted, rtol=1e-12, atol=1e-14)
        for final, state in zip(finals, after, strict=True):
            np.testing.assert_allclose(final[b], state, rtol=1e-12, atol=1e-14)


@EVERY_KIND
@pytest.mark.parametrize("feed", ["first", "every"])
def test_one_to_many_has_the_gradient_of_the_complex_step(kind: str, attributes: dict[str, Any], feed: str) -> None:
    random = np.random.default_rng(1)
    floats = {"x": random.standard_normal((B, D)), **parameters(kind, attributes, random)}
    floats |= states(kind, attributes, random)
    check_gradients(one_to_many, one_to_many_vjp, floats, layer=kind, feed=feed, steps=3, **attributes)


@pytest.mark.parametrize("at", ["every", "last"])
def test_output_projection_sees_no_padding(at: str) -> None:
    random = np.random.default_rng(0)
    h, V, c = random.standard_normal((B, T, H)), random.standard_normal((2, H)), random.standard_normal(2)
    (y,) = output_projection(with_padding(h), V, c, mask=MASK, at=at)
    for b in range(B):
        valid = [t for t in range(T) if MASK[b, t]]
        if at == "last":
            np.testing.assert_allclose(y[b], V @ h[b, valid[-1]] + c if valid else np.zeros(2), rtol=1e-13)
            continue
        for t in range(T):
            np.testing.assert_allclose(y[b, t], V @ h[b, t] + c if t in valid else np.zeros(2), rtol=1e-13)
    check_gradients(output_projection, output_projection_vjp, {"h": h, "V": V, "c": c}, mask=MASK, at=at)
    _, vjp = output_projection_vjp(with_padding(h), V, c, mask=MASK, at=at)
    assert np.all(vjp(np.ones_like(y))["h"][~MASK] == 0)


def test_output_projection_by_hand() -> None:
    h = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    V, c = np.array([[1.0, 10.0]]), np.array([0.5])
    assert output_projection(h, V, c)[0].tolist() == [[[21.5], [43.5]]]
    assert output_projection(h, V, c, at="last")[0].tolist() == [[43.5]]
    assert output_projection(h, V, c, lengths=np.array([1]), at="last")[0].tolist() == [[21.5]]


def calls_of_nothing() -> Iterator[tuple[Callable[..., Any], NamedArrays, dict[str, Any], int]]:
    """Every operation with steps, its inputs at lengths of 0 or no steps, and how many outputs are initial states."""
    x, ps, begin = two_directions("lstm", {})
    yield bidirectional_vjp, {"x": x, **joined(ps), **joined(begin, 1)}, {"layer": "lstm"}, 2
    _, _, _, given = a_stack("lstm", {}, 2)
    yield stacked_vjp, {"x": x, **given}, {"layer": "lstm"}, 2
    yield alternating_stack_vjp, {"x": x, **given}, {"layer": "lstm"}, 2
    yield gate_once_stack_vjp, gate_once(2), {}, 2
    random = np.random.default_rng(0)
    h, V, c = random.standard_normal((B, T, H)), random.standard_normal((2, H)), random.standard_normal(2)
    for at in ("every", "last"):
        yield output_projection_vjp, {"h": h, "V": V, "c": c}, {"at": at}, 0


@pytest.mark.parametrize("edge", ["no steps", "no sequences", "lengths of 0"])
@pytest.mark.parametrize("number", range(6))
def test_where_there_is_nothing_to_read_the_states_pass(number: int, edge: str) -> None:
    with_vjp, floats, attributes, carried = list(calls_of_nothing())[number]
    rest: dict[str, Any] = {}
    for name in ("x", "h", "h0", "c0"):
        if name in floats:
            if edge == "no steps" and name in ("x", "h"):
                floats[name] = floats[name][:, :0]
            if edge == "no sequences":
                floats[name] = floats[name][:0]
    if edge == "lengths of 0":
        rest["lengths"] = np.zeros(B, np.int64)
    (y, *finals), vjp = with_vjp(**floats, **attributes, **rest)
    assert np.all(y == 0)
    for final, name in zip(finals, ("h0", "c0")[:carried], strict=True):
        assert np.array_equal(final, floats[name])
    d = [np.ones_like(output) for output in (y, *finals)]
    for name, gradient in vjp(*d).items():
        assert gradient.shape == floats[name].shape
        assert np.all(gradient == (1 if name in ("h0", "c0") else 0))


@pytest.mark.parametrize("operation", [bidirectional, stacked, one_to_many])
def test_what_the_layer_has_not_is_refused(operation: Callable[..., Any]) -> None:
    random = np.random.default_rng(0)
    if operation is stacked:
        x, _, _, given = a_stack("rnn", {}, 2)
    elif operation is bidirectional:
        x, ps, begin = two_directions("rnn", {})
        given = joined(ps) | joined(begin, 1)
    else:
        x, given = random.standard_normal((B, D)), parameters("rnn", {}, random)
    with pytest.raises(CallError, match="c0"):
        operation(x, **given, layer="rnn", c0=random.standard_normal((B, 2, H)))
    with pytest.raises(CallError, match="colour"):
        operation(x, **given, layer="rnn", colour="red")
