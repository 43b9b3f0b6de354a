"""Edits of equations, misreadings of calls, and two at once are named; any other fault is not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Cotangents, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.diagnosis import Diagnosis, FoundFault, diagnose
from rnnspec.conformance.diagnosis.misreadings import misreadings
from rnnspec.conformance.edits.changing import changed
from rnnspec.conformance.edits.single import Edit, single_edits
from rnnspec.conformance.edits.summed import summed_edits
from rnnspec.conformance.faults.altered import valid_of, with_steps
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.equations import changed_equations
from rnnspec.conformance.faults.variants import VARIANTS, Variant
from rnnspec.conformance.run.runner import Failed
from rnnspec.spec import check_call, operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Block

FaultsOf = Callable[..., list[FoundFault]]
Make = Callable[..., Backend]
Outputs = dict[str, Array]


def backend_with(name: str, *texts: str) -> Backend:
    """An implementation by the equations with these lines, each an edit of the right ones."""
    op = operation(name)
    for text in texts:
        op = next(edit.operation for edit in single_edits(op) if edit.text == text)
    return backend_of(op)()


def suspected(faults: Sequence[FoundFault]) -> list[str]:
    """All suspects of all faults, in words."""
    return [str(suspect) for fault in faults for suspect in fault.suspects]


# Edits.


@pytest.mark.parametrize(
    ("name", "part", "text", "right"),
    [
        ("rnn_cell", "values", "a = W_h @ x + R_h @ h_prev + b_R_h", "a = W_h @ x + R_h @ h_prev + b_h + b_R_h"),
        ("rnn_cell", "values", "a = W_h @ x - R_h @ h_prev + b_h + b_R_h", "a = W_h @ x + R_h @ h_prev + b_h + b_R_h"),
        ("rnn_cell", "gradients", "da = (dh + f_prime(arg(a))) * within(a)", "da = dh * f_prime(arg(a)) * within(a)"),
        ("rnn_cell", "gradients", "dh_prev = R_h @ da", "dh_prev = R_h.T @ da"),
        ("gru_cell", "values", "s = r", "s = r * h_prev"),
        ("gru_cell", "values", "h = (1 - n) * n + z * h_prev", "h = (1 - z) * n + z * h_prev"),
        ("gru_cell", "gradients", "dz = dh * (h_prev + n)", "dz = dh * (h_prev - n)"),
        ("lstm_cell", "values", "c = f * c_prev + i * g + 1", "c = f * c_prev + i * g"),
        ("lstm_cell", "gradients", "dc_prev = f", "dc_prev = dc_all * f"),
        ("softmax", "values", None, ""),
        ("mean_squared_error", "gradients", None, ""),
    ],
)
def test_an_edit_is_named(name: str, part: str, text: str | None, right: str, faults_of: FaultsOf) -> None:
    if text is None:
        edit = next(edit for edit in single_edits(operation(name)) if edit.part == part)
        text, right = edit.text, edit.right
    faults = [fault for fault in faults_of(backend_with(name, text), name) if fault.part == part]
    assert f"`{text}`, where the specification has `{right}`" in suspected(faults)
    assert len(faults) == 1
    assert len(suspected(faults)) <= 4, "it is told from most others"


def test_an_edit_of_a_part_is_named_with_its_part(faults_of: FaultsOf) -> None:
    text = "a = W_h @ x - R_h @ h_prev + b_h + b_R_h"
    op = next(edit.operation for edit in single_edits(operation("rnn")) if edit.text == text)
    named = f"`{text}` (of rnn_cell), where the specification has `a = W_h @ x + R_h @ h_prev + b_h + b_R_h`"
    assert named in suspected(faults_of(backend_of(op)(), "rnn", "values"))


@pytest.mark.parametrize(
    ("of", "wrong_line"),
    [("best", "log_sum_exp"), ("delta[t, j]", "min"), ("path[t]", "delta[t, i] - move")],
)
def test_an_edit_of_a_best_path_is_named(of: str, wrong_line: str, faults_of: FaultsOf) -> None:
    edit = next(
        edit
        for edit in single_edits(operation("crf_viterbi"))
        if edit.text.startswith(f"{of} = ") and wrong_line in edit.text
    )
    faults = faults_of(backend_of(edit.operation)(), "crf_viterbi", "values")
    assert f"`{edit.text}`, where the specification has `{edit.right}`" in suspected(faults)


class EpsilonOutside(NumpyBackend):
    """RMSProp whose epsilon is outside the root wherever it is centred."""

    def run(self, call: Call) -> tuple[Array, ...]:
        where = "outside" if call.attributes["centred"] else call.attributes["epsilon_at"]
        return super().run(replace(call, attributes={**call.attributes, "epsilon_at": where}))


def test_of_one_value_that_is_misread_the_other_is_not_suspected(faults_of: FaultsOf) -> None:
    found = suspected(faults_of(EpsilonOutside(), "rmsprop_step", "values"))
    assert "epsilon_at is not read: it is taken as outside" in found
    assert not any("the other way round" in one for one in found)


def test_what_gives_the_same_by_other_words_is_listed_too(faults_of: FaultsOf) -> None:
    faults = faults_of(backend_with("rnn_cell", "a = W_h @ x + R_h @ h_prev - b_h + b_R_h"), "rnn_cell", "values")
    found = suspected(faults)
    assert "b has the other sign" in found
    assert any("- b_h + b_R_h`" in one for one in found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_edit_is_named_whatever_the_type(dtype: str, faults_of: FaultsOf) -> None:
    text = "a = W_h @ x - R_h @ h_prev + b_h + b_R_h"
    found = suspected(faults_of(backend_with("rnn_cell", text), "rnn_cell", "values", dtypes=(dtype,)))
    assert f"`{text}`, where the specification has `a = W_h @ x + R_h @ h_prev + b_h + b_R_h`" in found


# Two edits.


def test_two_edits_of_the_values_are_both_named(faults_of: FaultsOf) -> None:
    both = backend_with("lstm_cell", "c = f * c_prev + i * g + 1", "m = o + output(arg(c))")
    found = suspected(faults_of(both, "lstm_cell", "values"))
    assert any("`c = f * c_prev + i * g + 1`" in text and "`m = o + output(arg(c))`" in text for text in found), found


def test_an_edit_and_a_misreading_are_both_named(faults_of: FaultsOf) -> None:
    found = suspected(
        faults_of(
            backend_with("rnn_cell", "a = W_h @ x - R_h @ h_prev + b_h + b_R_h", "h = f(arg(a)) + 1"),
            "rnn_cell",
            "values",
        )
    )
    assert any("h_prev" in text for text in found), found
    assert any("`h = f(arg(a)) + 1`" in text for text in found), found


def test_two_edits_of_the_gradient_are_both_named(faults_of: FaultsOf) -> None:
    found = suspected(faults_of(backend_with("rnn_cell", "dh_prev = R_h @ da", "dW_h = 2 * outer(da, x)"), "rnn_cell"))
    assert any("where the specification has `dh_prev = R_h.T @ da`" in text for text in found), found
    assert any("dW is doubled" in text or "`dW_h = 2 * outer(da, x)`" in text for text in found), found


def test_an_edit_of_the_values_and_one_of_the_gradient_are_two_faults(faults_of: FaultsOf) -> None:
    both = backend_with("gru_cell", "h = (1 - z) * n + h_prev", "da_n = (dn + f_prime(arg(a_n))) * within(a_n)")
    values, gradients = faults_of(both, "gru_cell")
    assert (values.part, gradients.part) == ("values", "gradients")
    assert any("`h = (1 - z) * n + h_prev`" in text for text in suspected([values])), values.suspects
    named = "`da_n = (dn + f_prime(arg(a_n))) * within(a_n)`"
    assert any(named in text for text in suspected([gradients])), gradients.suspects
    # Where the values are wrong, no gradient is judged.
    assert str(gradients.cause) == "only with update=admits"


def test_what_is_wrong_with_one_value_of_an_attribute_is_limited_to_it(wrong: Make, faults_of: FaultsOf) -> None:
    """An attribute that is read at all other values is not said never to be read."""

    def alter(call: Call) -> Call:
        if call.attributes["activation"] != "relu":
            return call
        return replace(call, attributes={**call.attributes, "activation": "tanh"})

    (fault,) = faults_of(wrong(alter, altered_gradients=False), "rnn_cell", "values")
    assert str(fault.cause).startswith("only with activation=relu")
    assert fault.known
    assert all(isinstance(slip.change, Edit) or slip.where is not None for slip in fault.known.slips)


def test_an_order_of_gates_beside_an_edit_is_named(faults_of: FaultsOf) -> None:
    """Both change every result: neither gives any by itself."""
    op = changed(operation("lstm_cell"), [Block("c = f * c_prev + (1 - f) * g", "here")])
    right = backend_of(op)()

    class Both(NumpyBackend):
        """The changed equations, with the gates in another order."""

        name = "both"

        def run(self, call: Call) -> tuple[Array, ...]:
            if call.attributes["coupled"]:
                raise Unsupported("not coupled")
            return right.run(taken("W", "R", "b", "b_R", order=(1, 0, 3, 2))(call))

        def has_gradients(self, operation: str) -> bool:
            return False

    found = suspected(faults_of(Both(), "lstm_cell", "values"))
    assert any("gates are read in the order" in one and "where the specification has" in one for one in found), found


def backend_of_faults(name: str, *planted: str) -> Backend:
    """An implementation with faults of the catalogue, by their lines."""
    known = {one.fault.name: one.blocks for one in changed_equations((name,))}
    return backend_of(changed(operation(name), [block for one in planted for block in known[one]]))()


def test_two_faults_of_the_catalogue_are_both_named(faults_of: FaultsOf) -> None:
    planted = "adam-step-betas-exchanged", "adam-step-second-mean-uncorrected"
    found = suspected(faults_of(backend_of_faults("adam_step", *planted), "adam_step", "values"))
    assert any(all(f"`{name}` of the catalogue" in text for name in planted) for text in found), found


def test_a_suspect_that_gives_nothing_at_some_sizes_gives_way(faults_of: FaultsOf) -> None:
    """There may be more keys than queries: the mask of the queries has no entry for the last ones."""
    planted = "attention-queries-taken-out-are-read", "attention-query-mask-for-the-first-keys"
    found = suspected(faults_of(backend_of_faults("attention", *planted), "attention", "values", dtypes=("float32",)))
    assert any("`attention-query-mask-for-the-first-keys` of the catalogue" in text for text in found), found
    assert not any(text.startswith("`sees(u, t) = there(t)`") for text in found), found


def test_steps_left_out_of_a_parameters_gradient_are_edits() -> None:
    op = operation("rnn")
    texts = [edit.text for edit in summed_edits(op, op.defaults())]
    assert any("h_prev[t]) for t in range(n - 1)" in text for text in texts), texts
    assert any("h[t]) for t in range(n)" in text for text in texts), texts


def test_exponentials_that_overflow_are_told(failures: Callable[..., list[Failed]]) -> None:
    class Careless(NumpyBackend):
        """Takes exponentials as they come."""

        name = "careless"

        def run(self, call: Call) -> tuple[Array, ...]:
            if call.inputs.keys() != {"x"}:
                raise Unsupported("no padding")
            exponentials = np.exp(call.inputs["x"])
            return (exponentials / exponentials.sum(axis=1, keepdims=True),)

    failed = failures(Careless(), "softmax", ("values",), ("float32",))
    (fault,) = Diagnosis(Careless(), "softmax", seconds=60, parts=("values",)).find(failed)
    assert [str(one) for one in fault.suspects] == [
        "exponentials exceed the type, or all vanish: the largest number is to be subtracted first"
    ]


# Misreadings.


def test_the_state_after_a_step_that_does_not_count_may_be_0(small_case: Callable[..., Case]) -> None:
    case = small_case("rnn", steps="lengths", seed=3)
    (misreading,) = (
        one for one in misreadings(case.call) if one.text == "the state is 0 after a step that does not count"
    )
    found = misreading.outputs(case.call, dict(zip(case.results, NumpyBackend().run(case.call), strict=True)))
    ended = case.valid[:, -1]
    assert not ended.all(), "a sequence is shorter"
    assert np.array_equal(found["h_n"].any(axis=1), ended)


def test_a_small_number_that_stands_for_an_attribute_is_suspected(small_case: Callable[..., Case]) -> None:
    texts = [one.text for one in misreadings(small_case("layer_norm_lstm_cell").call)]
    assert "epsilon is not read: it is always taken as 0.001" in texts


def taken(*names: str, order: Sequence[int]) -> Callable[[Call], Call]:
    """A call with the gates of some inputs in another order."""
    return lambda call: replace(
        call, inputs={**call.inputs, **{name: call.inputs[name][list(order)] for name in names}}
    )


def transposed(name: str) -> Callable[[Call], Call]:
    """A call with the last two axes of an input exchanged."""
    return lambda call: replace(call, inputs={**call.inputs, name: call.inputs[name].swapaxes(-1, -2)})


def exchanged(one: str, other: str) -> Callable[[Call], Call]:
    """A call with two inputs in each other's place; what is absent in one is so in the other."""
    turned = {one: other, other: one}
    return lambda call: replace(call, inputs={turned.get(name, name): array for name, array in call.inputs.items()})


def with_attribute(**taken_as: Any) -> Callable[[Call], Call]:
    """A call with other attributes."""
    return lambda call: replace(call, attributes={**call.attributes, **taken_as})


def with_reset_before(call: Call) -> Call:
    """A call of a GRU that knows one place of the reset gate, at which there is no hidden bias."""
    inputs = {name: array for name, array in call.inputs.items() if name != "b_rn"}
    return replace(call, inputs=inputs, attributes={**call.attributes, "reset": "before"})


def without_steps(call: Call) -> Call:
    """A call of which every step counts."""
    return replace(call, inputs={name: a for name, a in call.inputs.items() if name not in ("lengths", "mask")})


def with_holes_closed(call: Call) -> Call:
    """A call with a mask that has no holes: every step up to the last valid one counts."""
    if "mask" not in call.inputs:
        return call
    mask = np.flip(np.logical_or.accumulate(np.flip(call.inputs["mask"], 1), axis=1), 1)
    return replace(call, inputs={**call.inputs, "mask": np.ascontiguousarray(mask)})


def packed(call: Call) -> Call:
    """A call with as many steps as are valid, taken to stand first."""
    if "mask" not in call.inputs:
        return call
    lengths = call.inputs["mask"].sum(axis=1, keepdims=True)
    return replace(call, inputs={**call.inputs, "mask": np.arange(call.inputs["mask"].shape[1]) < lengths})


def one_step_more(call: Call) -> Call:
    """A call that counts its steps from 0, and adds 1."""
    return replace(call, attributes={**call.attributes, "step": call.attributes["step"] + 1})


def masked_late(call: Call) -> Call:
    """A call with each step masked as the one before it is."""
    if "mask" not in call.inputs:
        return call
    return replace(call, inputs={**call.inputs, "mask": np.pad(call.inputs["mask"], ((0, 0), (1, 0)), "edge")[:, :-1]})


def masked_the_other_way_round(call: Call) -> Call:
    """A call of which the steps count that should not; all steps should where it has no mask."""
    return with_steps(call, ~valid_of(call))


def without_the_last_step(call: Call) -> Call:
    """A call of which the last step that counts is left out."""
    valid = valid_of(call)
    later = np.cumsum(valid[:, ::-1], axis=1)[:, ::-1]
    return with_steps(call, valid & (later > 1))


def in_blocks(call: Call) -> Call:
    """A call of which four states are read again and again."""
    h = call.inputs["h_prev"]
    return replace(call, inputs={**call.inputs, "h_prev": h[np.arange(len(h)) % 4]})


@pytest.mark.parametrize(
    ("name", "alter", "words"),
    [
        ("gru_cell", taken("W", "R", "b", "b_R", order=(1, 0, 2)), "gates are read in the order z, r, n"),
        ("lstm_cell", taken("b", order=(0, 2, 1, 3)), "the gates of b are read in the order"),
        ("rnn_cell", transposed("R"), "R is transposed (axes 1 and 2)"),
        ("crf_viterbi", transposed("transitions"), "transitions is transposed"),
        ("crf_viterbi", exchanged("start", "end"), "start and end are exchanged"),
        ("gru_cell", with_attribute(update="keeps"), "update is not read: it is taken as keeps"),
        ("rnn_cell", with_attribute(activation="tanh"), "activation is not read: it is taken as tanh"),
        ("rnn", without_steps, "every step counts: padding is not seen"),
        ("gru", with_reset_before, "reset is not read: it is always taken as before"),
        ("crf_viterbi", without_steps, "every step counts: padding is not seen"),
        ("rnn", with_holes_closed, "every step up to the last valid one counts: holes of the mask are not seen"),
        ("rnn", packed, "the valid steps are taken to stand first"),
        ("rnn", masked_late, "each step is masked as the one before it is"),
        ("adam_step", one_step_more, "step is read as a number that is one more"),
        ("attention_weights", masked_the_other_way_round, "the mask is read the other way round, in calls without"),
        ("softmax", without_the_last_step, "the last valid step is left out, in calls without lengths and mask too"),
    ],
)  # fmt: skip
def test_a_misread_call_is_named(
    name: str, alter: Callable[[Call], Call], words: str, wrong: Make, faults_of: FaultsOf
) -> None:
    faults = faults_of(wrong(alter, altered_gradients=False), name, "values")
    assert any(words in found for found in suspected(faults)), suspected(faults)


def test_a_block_of_sequences_that_is_read_again_is_named(wrong: Make, faults_of: FaultsOf) -> None:
    faults = faults_of(wrong(in_blocks, altered_gradients=False), "rnn_cell", "values", dtypes=("float32",))
    assert suspected(faults) == ["h_prev of a sequence b is read at b % 4"]


def in_reading_order(call: Call, results: Outputs) -> Outputs:
    """Steps of a reversed layer from the last to the first."""
    return {**results, "y": results["y"][:, ::-1].copy()} if call.attributes["direction"] == "reverse" else results


def one_step_late(call: Call, results: Outputs) -> Outputs:
    """Each output where the next one belongs."""
    return {**results, "y": np.roll(results["y"], 1, axis=1)}


def of_the_last_step(call: Call, results: Outputs) -> Outputs:
    """The last output as the last state, whatever steps are valid."""
    return {**results, "h_n": results["y"][:, -1].copy()} if results["y"].shape[1] else results


def held(call: Call, results: Outputs) -> Outputs:
    """Outputs that stay what they were at padded steps."""
    valid, y = check_call(call.operation, call.inputs, call.attributes).valid, results["y"].copy()
    assert valid is not None
    for step in range(1, y.shape[1]):
        y[~valid[:, step], step] = y[~valid[:, step], step - 1]
    return {**results, "y": y}


def left_sorted(call: Call, results: Outputs) -> Outputs:
    """A last state that stands in the order of the lengths."""
    order = np.argsort(-call.inputs["lengths"], kind="stable") if "lengths" in call.inputs else slice(None)
    return {**results, "h_n": results["h_n"][order]}


@pytest.mark.parametrize(
    ("show", "words"),
    [
        (left_sorted, "with lengths, h_n is left sorted by length, the longest first"),
        (in_reading_order, "y is given in the order in which steps are read"),
        (one_step_late, "y is given one step late"),
        (of_the_last_step, "h_n is y at step T - 1"),
        (held, "y keeps its last value at padded steps"),
    ],
)
def test_a_result_that_is_given_wrongly_is_named(
    show: Callable[[Call, Outputs], Outputs], words: str, wrong: Make, faults_of: FaultsOf
) -> None:
    faults = faults_of(wrong(outputs=show), "rnn", "values")
    assert any(words in found for found in suspected(faults)), suspected(faults)


def averaged(call: Call, results: Outputs) -> Outputs:
    """Parameters' gradients divided by the number of sequences."""
    count = max(1, len(call.inputs["x"]))
    return {name: d / d.dtype.type(count) if name in ("W", "R", "b", "b_R") else d for name, d in results.items()}


def without_b(call: Call, results: Outputs) -> Outputs:
    """No gradient of the bias."""
    return {**results, "b": np.zeros_like(results["b"])}


def swapped(call: Call, results: Outputs) -> Outputs:
    """The recurrent weights' gradient transposed."""
    return {**results, "R": results["R"].swapaxes(1, 2).copy()}


@pytest.mark.parametrize(
    ("show", "words"),
    [
        (averaged, "the gradient of W, R, b, b_R is the mean over the sequences, where it is their sum"),
        (without_b, "db is 0"),
        (swapped, "dR is transposed"),
    ],
)
def test_a_gradient_that_is_given_wrongly_is_named(
    show: Callable[[Call, Outputs], Outputs], words: str, wrong: Make, faults_of: FaultsOf
) -> None:
    (fault,) = faults_of(wrong(gradients=show), "rnn_cell")
    assert fault.part == "gradients"
    assert words in suspected([fault])


class Padded(NumpyBackend):
    """What the padding's outputs get reaches the last state."""

    name = "padded"

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> Outputs:
        dy, dh = cotangents
        valid = check_call(call.operation, call.inputs, call.attributes).valid
        if dy is not None and dh is not None and dy.ndim == 3 and valid is not None:
            dh = dh + np.where(valid[..., None], 0, dy).sum(axis=1, dtype=dy.dtype)
        return super().gradients(call, (dy, dh), wanted)


def test_a_gradient_of_the_padding_that_reaches_the_last_state_is_named(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(Padded(), "rnn")
    assert suspected([fault])[0] == "the gradient of y in the padding reaches h_n"


# Faults that are neither.


def noisy(call: Call, results: Outputs) -> Outputs:
    """Results with noise that follows from no equation."""
    return {name: array * (1 + 0.01 * np.sin(1e6 * array)) for name, array in results.items()}


def in_float16(call: Call, results: Outputs) -> Outputs:
    """Results that were rounded to two bytes."""
    return {name: array.astype(np.float16).astype(array.dtype) for name, array in results.items()}


@pytest.mark.parametrize("show", [noisy, in_float16])
def test_what_is_no_edit_and_no_misreading_is_not_named(
    show: Callable[[Call, Outputs], Outputs], wrong: Make, faults_of: FaultsOf
) -> None:
    (fault,) = faults_of(wrong(outputs=show, gradients=show), "rnn_cell", "values")
    assert suspected([fault]) == []
    assert fault.checks == ["values"]


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        pytest.param(variant, name, id=f"{variant.name}-{name}")
        for variant in VARIANTS
        for name in ("rnn_cell", "gru_cell", "crf_viterbi")
        if name in variant.operations
    ],
)
def test_a_right_variant_has_no_failure_and_so_no_fault(
    variant: Variant, name: str, failures: Callable[..., list[Failed]]
) -> None:
    assert failures(variant.implementation(), name, ("values", "gradients"), ("float32",)) == []


def test_without_a_failure_there_is_no_fault() -> None:
    assert Diagnosis(NumpyBackend(), "rnn_cell").find([]) == []
    assert diagnose(NumpyBackend(), "rnn_cell", []) == []
