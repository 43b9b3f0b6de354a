"""Evaluation of batched calls, worked by hand: lengths, masks, direction, empty sequences, padding."""

import math
from typing import Any

import numpy as np
import pytest

from rnnspec.spec import CallError, evaluate, evaluate_gradient

NAN = math.nan


def running_total(*sequences: list[float], **more: Any) -> dict[str, Any]:
    """Inputs of an rnn with all weights 1 and no bias; with relu and positive inputs its state is a running total."""
    one = np.ones((1, 1, 1))
    return {"x": np.array(sequences, float)[:, :, np.newaxis], "W": one, "R": one, "b": np.zeros((1, 1)), **more}


def totals(*sequences: list[float], direction: str = "forward", **more: Any) -> tuple[list[Any], list[float]]:
    inputs = running_total(*sequences, **more)
    y, h_n = evaluate("rnn", inputs, {"activation": "relu", "direction": direction})
    return y[:, :, 0].tolist(), h_n[:, 0].tolist()


def total_gradients(
    *sequences: list[float], dy: list[list[float]], dh_n: list[float], direction: str = "forward", **more: Any
) -> dict[str, Any]:
    inputs = running_total(*sequences, **more)
    cotangents = (np.array(dy)[:, :, np.newaxis], np.array(dh_n)[:, np.newaxis])
    gradients = evaluate_gradient("rnn", inputs, cotangents, {"activation": "relu", "direction": direction})
    return {key: array[..., 0].tolist() for key, array in gradients.items()}


def test_all_steps_without_lengths() -> None:
    assert totals([1, 2, 3]) == ([[1, 3, 6]], [6])


def test_an_initial_state_is_where_the_sequence_starts_and_zero_if_absent_or_none() -> None:
    assert totals([1, 2, 3], h0=np.array([[10.0]])) == ([[11, 13, 16]], [16])
    assert totals([1, 2, 3], h0=None) == ([[1, 3, 6]], [6])


def test_after_its_length_a_sequence_gives_zero_and_keeps_its_state() -> None:
    assert totals([1, 2, 3], [4, 5, 6], lengths=np.array([2, 3])) == ([[1, 3, 0], [4, 9, 15]], [3, 15])


def test_a_step_that_the_mask_takes_out_gives_zero_and_the_state_passes_it_by() -> None:
    mask = np.array([[True, False, True], [False, True, True]])
    assert totals([1, 2, 3], [4, 5, 6], mask=mask) == ([[1, 0, 4], [0, 5, 11]], [4, 11])


def test_reverse_reads_from_the_end_and_answers_in_the_order_of_the_inputs() -> None:
    assert totals([1, 2, 4], direction="reverse") == ([[7, 6, 4]], [7])


def test_reverse_runs_over_valid_steps_only() -> None:
    assert totals([1, 2, 4], lengths=np.array([2]), direction="reverse") == ([[3, 2, 0]], [3])
    mask = np.array([[True, False, True]])
    assert totals([1, 2, 4], mask=mask, direction="reverse") == ([[5, 0, 4]], [5])


def test_padding_changes_nothing_even_if_it_is_nan() -> None:
    assert totals([1, 2, NAN], lengths=np.array([2])) == ([[1, 3, 0]], [3])
    assert totals([1, 2, NAN], lengths=np.array([2]), direction="reverse") == ([[3, 2, 0]], [3])
    assert totals([1, NAN, 4], mask=np.array([[True, False, True]])) == ([[1, 0, 5]], [5])


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_sequence_of_no_steps_ends_where_it_starts(direction: str) -> None:
    h0 = np.array([[10.0], [20.0]])
    assert totals([1, 2], [3, 4], h0=h0, lengths=np.array([0, 0]), direction=direction) == ([[0, 0]] * 2, [10, 20])
    assert totals([], [], h0=h0, direction=direction) == ([[], []], [10, 20])
    assert totals([], [], direction=direction) == ([[], []], [0, 0])


def test_a_batch_of_no_sequences_gives_empty_outputs_and_zero_gradients() -> None:
    inputs = running_total([1, 2])
    inputs["x"] = inputs["x"][:0]
    y, h_n = evaluate("rnn", inputs)
    assert (y.shape, h_n.shape) == ((0, 2, 1), (0, 1))
    assert evaluate_gradient("rnn", inputs, (y, h_n))["W"].tolist() == [[[0]]]


def test_the_gradient_flows_back_through_every_later_step() -> None:
    # da = 3, 2, 1 at the three steps, before which the state is 10, 11, 13
    gradients = total_gradients([1, 2, 3], dy=[[1, 1, 1]], dh_n=[0], h0=np.array([[10.0]]))
    assert gradients == {"x": [[3, 2, 1]], "h0": [3], "W": [[3 + 4 + 3]], "R": [[30 + 22 + 13]], "b": [6]}


def test_the_gradient_of_the_final_state_joins_at_the_last_valid_step() -> None:
    gradients = total_gradients([1, 2, 3], dy=[[1, 1, 1]], dh_n=[10], lengths=np.array([2]))
    assert gradients == {"x": [[12, 11, 0]], "W": [[12 + 22]], "R": [[11 * 1]], "b": [23]}


def test_the_gradient_of_a_reverse_sequence_flows_the_other_way() -> None:
    gradients = total_gradients([1, 2, 4], dy=[[1, 1, 1]], dh_n=[10], direction="reverse")
    assert gradients == {"x": [[11, 12, 13]], "W": [[11 + 24 + 52]], "R": [[11 * 6 + 12 * 4]], "b": [36]}


def test_gradients_of_parameters_add_up_over_the_batch() -> None:
    gradients = total_gradients([1, 2], [3, 4], dy=[[1, 0], [0, 1]], dh_n=[0, 0])
    assert gradients == {"x": [[1, 0], [1, 1]], "W": [[1 + 3 + 4]], "R": [[3]], "b": [3]}


def test_the_gradient_at_steps_taken_out_is_zero_whatever_stands_there() -> None:
    mask = np.array([[True, False, True]])
    gradients = total_gradients([1, NAN, 4], dy=[[1, NAN, 1]], dh_n=[0], mask=mask)
    assert gradients == {"x": [[2, 0, 1]], "W": [[2 + 4]], "R": [[1]], "b": [3]}


def test_the_gradient_of_no_steps_is_that_of_the_final_state() -> None:
    gradients = total_gradients([1], dy=[[5]], dh_n=[7], h0=np.array([[10.0]]), lengths=np.array([0]))
    assert gradients == {"x": [[0]], "h0": [7], "W": [[0]], "R": [[0]], "b": [0]}


def test_an_initial_state_that_is_absent_has_no_gradient() -> None:
    assert set(total_gradients([1], dy=[[1]], dh_n=[0], h0=None)) == {"x", "W", "R", "b"}


def lstm_step(b: list[float], c_prev: float, P: np.ndarray[Any, Any] | None = None, **attributes: Any) -> list[Any]:
    """State and memory after a step of biases alone, all activations relu."""
    gates, state = len(b), 1 if P is None else len(P)
    inputs = {"x": np.ones((1, 1)), "h_prev": np.ones((1, state)), "c_prev": np.array([[c_prev]], float), "P": P}
    inputs |= {"W": np.zeros((gates, 1, 1)), "R": np.zeros((gates, 1, state)), "b": np.array(b)[:, np.newaxis]}
    attributes = {"activations": ("relu", "relu", "relu"), **attributes}
    return [output[0].tolist() for output in evaluate("lstm_cell", inputs, attributes)]


def test_lstm_gates_stand_in_the_order_i_f_g_o() -> None:
    c = 3 * 11 + 2 * 5
    assert lstm_step([2.0, 3.0, 5.0, 7.0], c_prev=11) == [[7 * c], [c]]


def test_lstm_coupled_gates_stand_in_the_order_i_g_o_and_forget_is_the_rest_of_input() -> None:
    c = (1 - 2) * -11 + 2 * 5
    assert lstm_step([2.0, 5.0, 7.0], c_prev=-11, coupled=True) == [[7 * c], [c]]


def test_lstm_clips_every_argument_the_outputs_included_and_not_the_memory() -> None:
    c = 3 * 11 + 2 * 4
    assert lstm_step([2.0, 3.0, 5.0, 7.0], c_prev=11, clip=4) == [[4 * 4], [c]]


def test_lstm_projection_makes_the_state_of_the_output() -> None:
    assert lstm_step([2.0, 3.0, 5.0, 7.0], 11, P=np.array([[1.0], [10.0]]), projection=True) == [[301, 3010], [43]]


def gru_step(r: float = 0, z: float = 0, n: float = 0, R_n: float = 0, b_rn: float | None = 0, **choices: str) -> float:
    """State after one step from the state 4; r, z and n are the biases."""
    R = np.array([[[0]], [[0]], [[R_n]]], float)
    inputs = {"x": np.ones((1, 1)), "h_prev": np.array([[4.0]]), "W": np.zeros((3, 1, 1)), "R": R}
    inputs |= {"b": np.array([[r], [z], [n]], float)} | ({} if b_rn is None else {"b_rn": np.array([b_rn], float)})
    (h,) = evaluate("gru_cell", inputs, choices)
    return float(h[0, 0])


def test_gru_update_gate_keeps_the_state_or_admits_the_candidate() -> None:
    three_quarters = math.log(3)
    assert gru_step(z=three_quarters) == pytest.approx(3)
    assert gru_step(z=three_quarters, update="admits") == pytest.approx(1)


def test_gru_reset_gate_stands_on_the_product_and_its_bias_or_on_the_state() -> None:
    half_of_the_state = 4 / 2
    # after: n = tanh(-3 + 1/2 · (4 + 2)) = 0; before: n = tanh(-2 + 1 · (1/2 · 4)) = 0
    assert gru_step(n=-3, R_n=1, b_rn=2) == half_of_the_state
    assert gru_step(n=-2, R_n=1, b_rn=None, reset="before") == half_of_the_state


def test_gru_gates_stand_in_the_order_r_z_n() -> None:
    closed = -1000.0
    assert gru_step(r=closed, R_n=1, b_rn=2) == 2
    assert gru_step(z=closed) == 0
    assert gru_step(n=closed) == (4 - 1) / 2


def test_the_result_is_float64_or_complex128_whatever_the_inputs_type() -> None:
    inputs = running_total([1, 2])
    for given, computed in [("f2", "f8"), ("f4", "f8"), ("f8", "f8"), ("c8", "c16"), ("c16", "c16")]:
        y, h_n = evaluate("rnn", {key: array.astype(given) for key, array in inputs.items()})
        assert y.dtype == h_n.dtype == np.dtype(computed)


def test_a_bad_call_is_refused() -> None:
    with pytest.raises(CallError, match="rnn: W is missing"):
        evaluate("rnn", {"x": np.ones((1, 1, 1))})
    with pytest.raises(CallError, match="rnn: W is missing"):
        evaluate_gradient("rnn", {"x": np.ones((1, 1, 1))}, ())


def test_a_long_sequence_is_evaluated_in_either_direction() -> None:
    steps = 500
    for direction in ("forward", "reverse"):
        assert totals([1.0] * steps, direction=direction)[1] == [steps]
        gradients = total_gradients([1.0] * steps, dy=[[0.0] * steps], dh_n=[1], direction=direction)
        assert gradients["b"] == [steps]
