"""Which calls the specification defines; any other gets one clear error: what was expected, and what came."""

from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

from rnnspec.spec import CallError, UnknownOperationError, check_attributes, check_call, operation, operations, resolved
from rnnspec.spec.operation import DOMAINS, Attribute

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
        (lstm_inputs(h0=np.ones((3, 5))), {}, "h0: expected shape (B, S) = (2, S), got (3, 5); B = 2 from x"),
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
            "unknown input 'V': expected x, h0, c0, W, R, b, b_R, lengths, mask; leave it out",
        ),
        # Attributes
        (
            lstm_inputs(),
            {"unit_size": 1},
            "unknown attribute 'unit_size': expected one of activations, clip, coupled, forget_bias, projection, "
            "gradient, direction, truncate, recurrent_dropout, output; leave it out",
        ),
        (lstm_inputs(), {"direction": "back"}, "direction: expected one of 'forward', 'reverse', got 'back'"),
        (lstm_inputs(), {"coupled": 1}, "coupled: expected one of False, True, got 1"),
        (lstm_inputs(), {"coupled": None}, "coupled: expected one of False, True, got None"),
        (lstm_inputs(), {"clip": 0}, "clip: expected a positive number or None, got 0"),
        (lstm_inputs(), {"clip": True}, "clip: expected a positive number or None, got True"),
        (lstm_inputs(), {"clip": "none"}, "clip: expected a positive number or None, got 'none'"),
        (lstm_inputs(), {"clip": float("nan")}, "clip: expected a positive number or None, got nan"),
        (lstm_inputs(), {"clip": float("inf")}, "clip: expected a positive number or None, got inf"),
        (lstm_inputs(), {"truncate": 0}, "truncate: expected a whole number, at least 1 or None, got 0"),
        (lstm_inputs(), {"truncate": 2.0}, "truncate: expected a whole number, at least 1 or None, got 2.0"),
        (lstm_inputs(), {"truncate": True}, "truncate: expected a whole number, at least 1 or None, got True"),
        *(
            (
                lstm_inputs(),
                {"recurrent_dropout": value},
                f"recurrent_dropout: expected a number from 0 to below 1 or None, got {value!r}",
            )
            for value in (1, 1.0, -0.1, float("nan"), "half")
        ),
        (
            lstm_inputs(),
            {"recurrent_dropout": 0.5},
            "recurrent_keep is missing: expected an array of shape (B, S), with recurrent_dropout='number' "
            "(which units of the state before every step sees)",
        ),
        (
            lstm_inputs(recurrent_keep=np.ones((2, 5))),
            {"recurrent_dropout": 0.5},
            "recurrent_keep: expected bool, got float64; use recurrent_keep != 0 if it marks kept elements",
        ),
        (
            lstm_inputs(recurrent_keep=np.ones((2, 5), bool)),
            {},
            "recurrent_keep: expected with recurrent_dropout='number' only, got recurrent_dropout=None; leave it out",
        ),
        *(
            (
                lstm_inputs(),
                {"activations": value},
                "activations: expected a tuple of 3, for gate, candidate, output, each one of "
                "'logistic', 'tanh', 'relu', 'identity', 'hard_sigmoid', 'leaky_relu', 'thresholded_relu', "
                "'scaled_tanh', 'affine', 'elu', 'selu', 'softsign', 'softplus', 'relu6', with numbers as in "
                f"'leaky_relu:0.2', got {value!r}",
            )
            for value in ("tanh", ("tanh", "tanh"), ("logistic", "tanh", "sin"))
        ),
    ],
)
def test_a_call_that_lstm_does_not_define_is_refused(inputs: Arrays, attributes: Arrays, message: str) -> None:
    with pytest.raises(CallError) as refusal:
        check_call("lstm", inputs, attributes)
    assert str(refusal.value) == f"lstm: {message}"


def test_an_input_that_an_attribute_brings_is_required_with_it() -> None:
    with pytest.raises(CallError) as missing:
        check_call("lstm", lstm_inputs(), {"projection": True})
    assert str(missing.value) == (
        "lstm: P is missing: expected an array of shape (S, H), with projection=True (projection)"
    )


def test_the_resets_bias_is_optional_after_the_product_and_refused_before() -> None:
    assert check_call("gru", gru_inputs()).attributes["reset"] == "after"
    with pytest.raises(CallError) as refused:
        check_call("gru", gru_inputs(b_rn=np.ones(5)), {"reset": "before"})
    assert str(refused.value) == "gru: b_rn: expected with reset='after' only, got reset='before'; leave it out"


def test_a_cell_takes_no_lengths() -> None:
    with pytest.raises(CallError, match="unknown input 'lengths': expected x, h_prev, W, R, b, b_R; leave it out"):
        check_call("rnn_cell", {"x": np.ones((2, 4)), "lengths": np.array([1, 1])})


def test_an_unknown_operation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownOperationError, match=r"unknown operation 'lstn': did you mean lstm\? expected one of .*lstm"
    ):
        check_call("lstn", {})


def test_a_good_call_gives_complete_attributes_the_sizes_and_the_valid_steps() -> None:
    checked = check_call("lstm", lstm_inputs(lengths=np.array([0, 2])), {"clip": 3})
    assert checked.attributes == {
        "activations": ("logistic", "tanh", "tanh"),
        "clip": 3,
        "coupled": False,
        "forget_bias": None,
        "projection": False,
        "gradient": "full",
        "direction": "forward",
        "truncate": None,
        "recurrent_dropout": None,
        "output": "sequence",
    }
    assert checked.sizes == {"B": 2, "T": 3, "D": 4, "H": 5, "S": 5, "G": 4, "T_all": 3}
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


# Attributes of several domains, and those that have a meaning under others alone.


@pytest.mark.parametrize(
    ("domain", "good", "bad"),
    [
        ("positive", [0.5, 1, 1e300], [0, -1, True, "1", float("inf"), float("nan")]),
        ("nonnegative", [0, 0.5], [-1e-9, False, float("inf")]),
        ("probability", [0, 0.5, 0.999], [1, -0.1, True, None]),
        ("count", [1, 7], [0, 1.0, True, -1]),
        ("index", [0, 7], [-1, 0.0, False]),
    ],
)
def test_a_numeric_attribute_lies_in_its_domain(domain: str, good: list[Any], bad: list[Any]) -> None:
    attribute = Attribute("a", "", 0.5, domain=domain, range=(0.5, 0.5))
    toy = replace(operation("rnn_cell"), name="toy", attributes={"a": attribute})
    for value in good:
        assert check_attributes(toy, {"a": value}) == {"a": value}
    for value in bad:
        with pytest.raises(CallError) as refusal:
            check_attributes(toy, {"a": value})
        assert str(refusal.value) == f"toy: a: expected {DOMAINS[domain]}, got {value!r}"


def test_none_is_allowed_where_it_is_the_default() -> None:
    attribute = Attribute("a", "", None, domain="count", range=(1, 1))
    toy = replace(operation("rnn_cell"), name="toy", attributes={"a": attribute})
    assert check_attributes(toy, {"a": None}) == check_attributes(toy, {}) == {"a": None}
    with pytest.raises(CallError, match="a: expected a whole number, at least 1 or None, got 0"):
        check_attributes(toy, {"a": 0})


@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_is_tried_and_every_default_lies_in_its_domain(size: int) -> None:
    for op in operations().values():
        for name, attribute in op.attributes.items():
            sizes = {symbol: max(size, int(symbol not in ("B", "T"))) for symbol in resolved(op, op.defaults()).sizes}
            needed = {
                key: value[0] if isinstance(value, (list, tuple)) else value for key, value in attribute.when.items()
            }
            needed |= {key: op.attributes[key].ends(sizes)[0] for key, value in needed.items() if value == "number"}
            ends = attribute.ends(sizes) if attribute.range else ()
            for value in (*ends, *attribute.usual, attribute.default):
                assert check_attributes(op, {**needed, name: value})[name] == value


def test_an_attribute_of_another_choice_is_refused_unless_it_is_the_default() -> None:
    stacked = operation("stacked")
    assert check_attributes(stacked, {"layer": "gru", "reset": "before"})["reset"] == "before"
    assert check_attributes(stacked, {"layer": "lstm", "reset": "after"})["reset"] == "after"
    with pytest.raises(CallError) as refusal:
        check_attributes(stacked, {"layer": "lstm", "memory": "normalised"})
    assert str(refusal.value) == (
        "stacked: memory: expected with layer = layer_norm_lstm only, got 'normalised'; leave it out"
    )
    with pytest.raises(CallError, match=r"reset: expected with layer = gru.* only, got 'before'; leave it out"):
        check_attributes(stacked, {"layer": "lstm", "reset": "before"})
    with pytest.raises(CallError, match=r"gradient: expected with layer = lstm or .* only, got 'cell_only'"):
        check_attributes(stacked, {"layer": "rnn", "gradient": "cell_only"})


# Sizes that follow from others.


def stacked_inputs(above: int = 1, layers: int = 2, **changed: Any) -> Arrays:
    inputs = {"x": np.ones((2, 3, 4)), "W": np.ones((1, 5, 4)), "W_above": np.ones((above, 1, 5, 5))}
    return {**inputs, "R": np.ones((layers, 1, 5, 5)), "b": np.ones((layers, 1, 5)), **changed}


def test_a_derived_size_is_worked_out() -> None:
    for layers in (1, 2, 4):
        sizes = check_call("stacked", stacked_inputs(layers - 1, layers), {"layer": "rnn"}).sizes
        assert (sizes["L"], sizes["A"], sizes["S"], sizes["H"]) == (layers, layers - 1, 5, 5)
    call = {"R": np.ones((2, 1, 5, 5)), "b": np.ones((2, 1, 5)), "W": np.ones((2, 1, 5, 4)), "x": np.ones((2, 3, 4))}
    assert check_call("bidirectional", call, {"layer": "rnn"}).sizes["Q"] == 10
    assert check_call("bidirectional", call, {"layer": "rnn", "merge": "sum"}).sizes["Q"] == 5


def test_an_array_that_contradicts_a_derived_size_is_refused() -> None:
    with pytest.raises(CallError) as refusal:
        check_call("stacked", stacked_inputs(above=2, layers=2), {"layer": "rnn"})
    assert str(refusal.value) == (
        "stacked: A (layers above the first): expected L - 1 = 1, got A = 2 from W_above; L = 2 from R"
    )


def test_an_axis_of_a_fixed_length_is_held_to_it() -> None:
    call = {"x": np.ones((2, 3, 4)), "W": np.ones((3, 1, 5, 4)), "R": np.ones((2, 1, 5, 5)), "b": np.ones((2, 1, 5))}
    with pytest.raises(CallError) as refusal:
        check_call("bidirectional", call, {"layer": "rnn"})
    assert str(refusal.value) == (
        "bidirectional: W: expected shape (2, G, H, D) = (2, 1, H, 4), got (3, 1, 5, 4); this axis always has 2"
    )


def test_an_attribute_may_be_a_size() -> None:
    call = {"x": np.ones((2, 4)), "W": np.ones((1, 5, 4)), "R": np.ones((1, 5, 5)), "b": np.ones((1, 5))}
    assert check_call("one_to_many", call, {"layer": "rnn", "steps": 7}).sizes["N"] == 7


# Ids, probabilities, labels of the padding.


def score_inputs(**changed: Any) -> Arrays:
    """Two sequences of three steps, four tags."""
    return {
        "emissions": np.ones((2, 3, 4)),
        "transitions": np.ones((4, 4)),
        "tags": np.array([[0, 1, 2], [3, 2, 0]]),
        **changed,
    }


@pytest.mark.parametrize("wrong", [4, -1, 1 << 40])
def test_an_id_out_of_range_is_refused_where_it_is_read(wrong: int) -> None:
    tags = np.array([[0, 1, wrong], [3, 2, 0]])
    with pytest.raises(CallError) as refusal:
        check_call("crf_score", score_inputs(tags=tags))
    assert str(refusal.value) == f"crf_score: tags: expected 0 .. 3 (K = 4), got {wrong}"
    assert check_call("crf_score", score_inputs(tags=tags, lengths=np.array([2, 3]))).sizes["K"] == 4
    with pytest.raises(CallError, match="tags: expected int64, got int32"):
        check_call("crf_score", score_inputs(tags=np.ones((2, 3), np.int32)))


@pytest.mark.parametrize("wrong", [-0.01, 1.01, np.nan, np.inf])
def test_what_is_no_probability_is_refused_where_it_is_read(wrong: float) -> None:
    target = np.array([[0.0, 1.0, wrong]])
    call = {"logits": np.ones((1, 3)), "target": target}
    with pytest.raises(CallError) as refusal:
        check_call("binary_cross_entropy", call)
    assert str(refusal.value) == f"binary_cross_entropy: target: expected a probability, 0 .. 1, got {wrong}"
    check_call("binary_cross_entropy", {**call, "lengths": np.array([2])})


def test_a_label_of_its_own_marks_the_padding() -> None:
    labelled = {"padding": "label"}
    valid = check_call("crf_score", score_inputs(tags=np.array([[0, 1, 4], [4, 2, 0]])), labelled).valid
    assert valid is not None
    assert valid.tolist() == [[True, True, False], [False, True, True]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tags": np.array([[0, 1, 5], [3, 2, 0]])}, "tags: expected 0 .. 4 (4 marks padding), got 5"),
        ({"tags": np.array([[0, 1, -1], [3, 2, 0]])}, "tags: expected 0 .. 4 (4 marks padding), got -1"),
        ({"lengths": np.array([1, 2])}, "lengths: the padding is marked in tags; leave lengths out"),
        ({"mask": np.ones((2, 3), bool)}, "mask: the padding is marked in tags; leave mask out"),
    ],
)
def test_beside_the_label_there_is_no_other_mark(changed: Arrays, message: str) -> None:
    with pytest.raises(CallError) as refusal:
        check_call("crf_score", score_inputs(**changed), {"padding": "label"})
    assert str(refusal.value) == f"crf_score: {message}"


def test_without_label_padding_the_label_is_out_of_range() -> None:
    with pytest.raises(CallError, match=r"tags: expected 0 \.\. 3 \(K = 4\), got 4"):
        check_call("crf_score", score_inputs(tags=np.array([[0, 1, 4], [3, 2, 0]])))
