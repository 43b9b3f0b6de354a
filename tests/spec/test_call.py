"""Which calls the specification defines; any other gets one clear error: what was expected, and what came."""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

from rnnspec.spec import CallError, UnknownOperationError, check_call

Arrays = dict[str, Any]


def lstm_inputs(**changed: Any) -> Arrays:
    """Two sequences of three steps, four features and five units; an input changed to None is left out."""
    inputs = {"x": np.ones((2, 3, 4)), "W": np.ones((4, 5, 4)), "R": np.ones((4, 5, 5)), "b": np.ones((4, 5))}
    return {key: array for key, array in {**inputs, **changed}.items() if array is not None}


def gru_inputs(**changed: Any) -> Arrays:
    inputs = {"x": np.ones((2, 3, 4)), "W": np.ones((3, 5, 4)), "R": np.ones((3, 5, 5)), "b": np.ones((3, 5))}
    return {**inputs, **changed}


@pytest.mark.parametrize(
    ("inputs", "attributes", "message"),
    [
        # Rank
        (lstm_inputs(x=np.ones((3, 4))), {}, "x: expected 3 axes, (B, T, D), got 2: shape (3, 4)"),
        (lstm_inputs(x=np.float64(1)), {}, "x: expected 3 axes, (B, T, D), got 0: shape ()"),
        (lstm_inputs(lengths=np.array([[1, 2]])), {}, "lengths: expected 1 axis, (B,), got 2: shape (1, 2)"),
        # Size
        (
            lstm_inputs(R=np.ones((4, 5, 6))),
            {},
            "R: expected shape (G, H, S) = (4, 5, 5), got (4, 5, 6); H = 5 from W",
        ),
        (lstm_inputs(h0=np.ones((3, 5))), {}, "h0: expected shape (B, S) = (2, 5), got (3, 5); B = 2 from x"),
        (lstm_inputs(b=np.ones((4, 1))), {}, "b: expected shape (G, H) = (4, 5), got (4, 1); H = 5 from W"),
        (
            lstm_inputs(W=np.ones((3, 5, 4))),
            {},
            "W: expected shape (G, H, D) = (4, H, 4), got (3, 5, 4); G = 4: the gates are i, f, g, o",
        ),
        (
            lstm_inputs(),
            {"coupled": True},
            "W: expected shape (G, H, D) = (3, H, 4), got (4, 5, 4); G = 3: the gates are i, g, o",
        ),
        (lstm_inputs(lengths=np.ones(3, int)), {}, "lengths: expected shape (B,) = (2,), got (3,); B = 2 from x"),
        (lstm_inputs(mask=np.ones((2, 4), bool)), {}, "mask: expected shape (B, T) = (2, 3), got (2, 4); T = 3 from x"),
        (
            lstm_inputs(P=np.ones((2, 5))),
            {"projection": True},
            "P: expected shape (S, H) = (5, 5), got (2, 5); S = 5 from R",
        ),
        (
            lstm_inputs(x=np.ones((2, 3, 0)), W=np.ones((4, 5, 0))),
            {},
            "D (features of the input): expected at least 1, got D = 0 from x",
        ),
        # Type
        (
            lstm_inputs(x=np.ones((2, 3, 4), int)),
            {},
            "x: expected one of float16, bfloat16, float32, float64, got int64",
        ),
        (
            lstm_inputs(x=np.ones((2, 3, 4), object)),
            {},
            "x: expected one of float16, bfloat16, float32, float64, got object",
        ),
        (
            lstm_inputs(b=np.ones((4, 5), np.float32)),
            {},
            "b: expected float64 like x, got float32; all float inputs have one type",
        ),
        (
            lstm_inputs(h0=np.ones((2, 5), ml_dtypes.bfloat16)),
            {},
            "h0: expected float64 like x, got bfloat16; all float inputs have one type",
        ),
        (
            lstm_inputs(lengths=np.ones(2, np.int32)),
            {},
            "lengths: expected int64, got int32; use lengths.astype('int64')",
        ),
        (
            lstm_inputs(lengths=np.ones(2)),
            {},
            "lengths: expected int64, got float64; use lengths.astype('int64')",
        ),
        (
            lstm_inputs(mask=np.ones((2, 3))),
            {},
            "mask: expected bool, got float64; use mask != 0 if it marks valid steps",
        ),
        (lstm_inputs(lengths=[1, 2]), {}, "lengths: expected an array of shape (B,), got list"),
        (lstm_inputs(x=[[[1.0]]]), {}, "x: expected an array of shape (B, T, D), got list"),
        # Valid steps
        (lstm_inputs(lengths=np.array([1, 4])), {}, "lengths[1]: expected 0 .. 3 (the steps of x), got 4"),
        (lstm_inputs(lengths=np.array([-1, 2])), {}, "lengths[0]: expected 0 .. 3 (the steps of x), got -1"),
        (
            lstm_inputs(lengths=np.array([1, 2]), mask=np.ones((2, 3), bool)),
            {},
            "expected lengths or mask, got both; leave one out",
        ),
        # Which inputs
        (lstm_inputs(W=None), {}, "W is missing: expected an array of shape (G, H, D) (input weights)"),
        (
            lstm_inputs(),
            {"projection": True},
            "P is missing: expected an array of shape (S, H), with projection=True (projection)",
        ),
        (
            lstm_inputs(P=np.ones((5, 5))),
            {},
            "P: expected with projection=True only, got projection=False; leave it out",
        ),
        (
            lstm_inputs(V=np.ones(3)),
            {},
            "unknown input 'V': expected x, h0, c0, W, R, b, lengths, mask; leave it out",
        ),
        # Attributes
        (
            lstm_inputs(),
            {"forget_bias": 1},
            "unknown attribute 'forget_bias': expected activations, clip, coupled, projection, direction; leave it out",
        ),
        (lstm_inputs(), {"direction": "back"}, "direction: expected one of 'forward', 'reverse', got 'back'"),
        (lstm_inputs(), {"coupled": 1}, "coupled: expected one of False, True, got 1"),
        (lstm_inputs(), {"coupled": None}, "coupled: expected one of False, True, got None"),
        (lstm_inputs(), {"clip": 0}, "clip: expected a positive number or None, got 0"),
        (lstm_inputs(), {"clip": True}, "clip: expected a positive number or None, got True"),
        (lstm_inputs(), {"clip": "none"}, "clip: expected a positive number or None, got 'none'"),
        (lstm_inputs(), {"clip": float("nan")}, "clip: expected a positive number or None, got nan"),
        (lstm_inputs(), {"clip": float("inf")}, "clip: expected a positive number or None, got inf"),
        *(
            (
                lstm_inputs(),
                {"activations": value},
                "activations: expected a tuple of 3, for gate, candidate, output, each one of "
                f"'logistic', 'tanh', 'relu', got {value!r}",
            )
            for value in ("tanh", ("tanh", "tanh"), ("logistic", "tanh", "sin"))
        ),
    ],
)
def test_a_call_that_lstm_does_not_define_is_refused(inputs: Arrays, attributes: Arrays, message: str) -> None:
    with pytest.raises(CallError) as refusal:
        check_call("lstm", inputs, attributes)
    assert str(refusal.value) == f"lstm: {message}"


def test_the_resets_bias_is_required_after_the_product_and_refused_before() -> None:
    with pytest.raises(CallError) as missing:
        check_call("gru", gru_inputs())
    assert str(missing.value) == (
        "gru: b_rn is missing: expected an array of shape (H,), with reset='after' "
        "(the candidate's recurrent bias, inside the reset)"
    )
    with pytest.raises(CallError) as refused:
        check_call("gru", gru_inputs(b_rn=np.ones(5)), {"reset": "before"})
    assert str(refused.value) == "gru: b_rn: expected with reset='after' only, got reset='before'; leave it out"


def test_a_cell_takes_no_lengths() -> None:
    with pytest.raises(CallError, match="unknown input 'lengths': expected x, h_prev, W, R, b; leave it out"):
        check_call("rnn_cell", {"x": np.ones((2, 4)), "lengths": np.array([1, 1])})


def test_an_unknown_operation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownOperationError, match=r"unknown operation 'lstn': expected one of .*lstm"):
        check_call("lstn", {})


def test_a_good_call_gives_complete_attributes_the_sizes_and_the_valid_steps() -> None:
    checked = check_call("lstm", lstm_inputs(lengths=np.array([0, 2])), {"clip": 3})
    assert checked.attributes == {
        "activations": ("logistic", "tanh", "tanh"),
        "clip": 3,
        "coupled": False,
        "projection": False,
        "direction": "forward",
    }
    assert checked.sizes == {"B": 2, "T": 3, "D": 4, "H": 5, "S": 5, "G": 4}
    assert checked.valid is not None
    assert checked.valid.tolist() == [[False, False, False], [True, True, False]]


def test_all_steps_are_valid_without_lengths_and_mask() -> None:
    valid = check_call("lstm", lstm_inputs()).valid
    assert valid is not None
    assert valid.tolist() == [[True] * 3] * 2


def test_a_cell_has_no_steps() -> None:
    inputs = {"x": np.ones((2, 4)), "h_prev": np.ones((2, 5)), "W": np.ones((1, 5, 4)), "R": np.ones((1, 5, 5))}
    assert check_call("rnn_cell", {**inputs, "b": np.ones((1, 5))}).valid is None


def test_optional_inputs_may_be_none() -> None:
    inputs = {**lstm_inputs(), "h0": None, "c0": None, "P": None, "lengths": None, "mask": None}
    assert check_call("lstm", inputs).sizes["T"] == 3


def test_a_list_of_activations_is_as_good_as_a_tuple() -> None:
    checked = check_call("lstm", lstm_inputs(), {"activations": ["tanh", "relu", "tanh"]})
    assert checked.attributes["activations"] == ("tanh", "relu", "tanh")


def test_batch_and_steps_may_be_empty() -> None:
    assert check_call("lstm", lstm_inputs(x=np.ones((0, 3, 4)))).sizes["B"] == 0
    assert check_call("lstm", lstm_inputs(x=np.ones((2, 0, 4)), lengths=np.array([0, 0]))).sizes["T"] == 0


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, np.complex128], ids=str
)
def test_all_float_inputs_may_have_any_one_of_these_types(dtype: Any) -> None:
    inputs = {key: array.astype(dtype) for key, array in lstm_inputs().items()}
    assert check_call("lstm", inputs).sizes["D"] == 4


def test_whatever_has_a_shape_and_a_type_is_an_array() -> None:
    class Described(NamedTuple):
        shape: tuple[int, ...]
        dtype: np.dtype[Any]

    inputs = {key: Described(array.shape, array.dtype) for key, array in lstm_inputs().items()}
    assert check_call("lstm", inputs).sizes["H"] == 5
