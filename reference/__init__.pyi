"""Types of the public functions, made of the specification by ``python -m rnnspec.reference.stub``."""

# fmt: off

from typing import Literal

from rnnspec.spec.arrays import Array, Vjp

def dense(
    x: Array, W: Array, b: Array, *, activation: Literal["identity", "tanh", "logistic", "relu", "softmax"] =
    "identity",
) -> tuple[Array]: ...
def dense_vjp(
    x: Array, W: Array, b: Array, *, activation: Literal["identity", "tanh", "logistic", "relu", "softmax"] =
    "identity",
) -> tuple[tuple[Array], Vjp]: ...
def embedding(ids: Array, E: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]: ...
def embedding_vjp(
    ids: Array, E: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def softmax(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]: ...
def softmax_vjp(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[tuple[Array], Vjp]: ...
def log_softmax(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]: ...
def log_softmax_vjp(
    x: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def dropout(
    x: Array, keep: Array, *, lengths: Array | None = None, mask: Array | None = None, p: float = 0.5, shared_over:
    Literal["none", "time"] = "none",
) -> tuple[Array]: ...
def dropout_vjp(
    x: Array, keep: Array, *, lengths: Array | None = None, mask: Array | None = None, p: float = 0.5, shared_over:
    Literal["none", "time"] = "none",
) -> tuple[tuple[Array], Vjp]: ...
def zoneout(h: Array, h_prev: Array, renewed: Array | None = None, *, p: float | None = None) -> tuple[Array]: ...
def zoneout_vjp(
    h: Array, h_prev: Array, renewed: Array | None = None, *, p: float | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def mean_absolute_error(
    prediction: Array, target: Array, weights: Array | None = None, *, lengths: Array | None = None, mask: Array | None
    = None, reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[Array]: ...
def mean_absolute_error_vjp(
    prediction: Array, target: Array, weights: Array | None = None, *, lengths: Array | None = None, mask: Array | None
    = None, reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def mean_squared_error(
    prediction: Array, target: Array, weights: Array | None = None, *, lengths: Array | None = None, mask: Array | None
    = None, reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[Array]: ...
def mean_squared_error_vjp(
    prediction: Array, target: Array, weights: Array | None = None, *, lengths: Array | None = None, mask: Array | None
    = None, reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def binary_cross_entropy(
    target: Array, logits: Array | None = None, probabilities: Array | None = None, weights: Array | None = None, *,
    lengths: Array | None = None, mask: Array | None = None, given: Literal["logits", "probabilities"] = "logits",
    reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[Array]: ...
def binary_cross_entropy_vjp(
    target: Array, logits: Array | None = None, probabilities: Array | None = None, weights: Array | None = None, *,
    lengths: Array | None = None, mask: Array | None = None, given: Literal["logits", "probabilities"] = "logits",
    reduction: Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def cross_entropy(
    logits: Array, ids: Array | None = None, target: Array | None = None, weights: Array | None = None, *, lengths:
    Array | None = None, mask: Array | None = None, targets: Literal["ids", "distribution"] = "ids", reduction:
    Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[Array]: ...
def cross_entropy_vjp(
    logits: Array, ids: Array | None = None, target: Array | None = None, weights: Array | None = None, *, lengths:
    Array | None = None, mask: Array | None = None, targets: Literal["ids", "distribution"] = "ids", reduction:
    Literal["none", "sum", "mean", "batch_mean"] = "mean", weighted: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def perplexity(
    logits: Array, ids: Array, *, lengths: Array | None = None, mask: Array | None = None, reduction: Literal["none",
    "sum", "mean"] = "mean",
) -> tuple[Array]: ...
def perplexity_vjp(
    logits: Array, ids: Array, *, lengths: Array | None = None, mask: Array | None = None, reduction: Literal["none",
    "sum", "mean"] = "mean",
) -> tuple[tuple[Array], Vjp]: ...
def rnn_cell(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_R: Array | None = None, *, activation: str = "tanh", clip:
    float | None = None,
) -> tuple[Array]: ...
def rnn_cell_vjp(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_R: Array | None = None, *, activation: str = "tanh", clip:
    float | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def rnn(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_R: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, activation: str = "tanh", clip: float |
    None = None, direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout:
    float | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array]: ...
def rnn_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_R: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, activation: str = "tanh", clip: float |
    None = None, direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout:
    float | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array], Vjp]: ...
def lstm_cell(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, b_R: Array | None = None, P: Array | None =
    None, *, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool
    = False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[Array, Array]: ...
def lstm_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, b_R: Array | None = None, P: Array | None =
    None, *, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool
    = False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[tuple[Array, Array], Vjp]: ...
def lstm(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool =
    False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None =
    None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array, Array]: ...
def lstm_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool =
    False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None =
    None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def layer_norm_lstm_cell(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, *,
    epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw", gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[Array, Array]: ...
def layer_norm_lstm_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, *,
    epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw", gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[tuple[Array, Array], Vjp]: ...
def layer_norm_lstm(
    x: Array, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, h0: Array | None = None, c0: Array |
    None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw", gradient: Literal["full", "cell_only"] =
    "full", direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float
    | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array, Array]: ...
def layer_norm_lstm_vjp(
    x: Array, W: Array, R: Array, b: Array, gain: Array, gain_c: Array, b_c: Array, h0: Array | None = None, c0: Array |
    None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw", gradient: Literal["full", "cell_only"] =
    "full", direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float
    | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def lstm_1997_cell(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, *, gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[Array, Array]: ...
def lstm_1997_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, *, gradient: Literal["full", "cell_only"] =
    "full",
) -> tuple[tuple[Array, Array], Vjp]: ...
def lstm_1997(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, gradient: Literal["full", "cell_only"] =
    "full", direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float
    | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array, Array]: ...
def lstm_1997_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, gradient: Literal["full", "cell_only"] =
    "full", direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float
    | None = None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def forget_only_lstm_cell(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[Array]: ...
def forget_only_lstm_cell_vjp(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[tuple[Array], Vjp]: ...
def forget_only_lstm(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, recurrent_keep: Array | None = None, *, lengths:
    Array | None = None, mask: Array | None = None, gradient: Literal["full", "cell_only"] = "full", direction:
    Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None = None,
    output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array]: ...
def forget_only_lstm_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, recurrent_keep: Array | None = None, *, lengths:
    Array | None = None, mask: Array | None = None, gradient: Literal["full", "cell_only"] = "full", direction:
    Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None = None,
    output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array], Vjp]: ...
def peephole_lstm_cell(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, P: Array, W_p: Array | None = None, *,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[Array, Array]: ...
def peephole_lstm_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, P: Array, W_p: Array | None = None, *,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[tuple[Array, Array], Vjp]: ...
def peephole_lstm(
    x: Array, W: Array, R: Array, b: Array, P: Array, h0: Array | None = None, c0: Array | None = None, W_p: Array |
    None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None =
    None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[Array, Array, Array]: ...
def peephole_lstm_vjp(
    x: Array, W: Array, R: Array, b: Array, P: Array, h0: Array | None = None, c0: Array | None = None, W_p: Array |
    None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    direction: Literal["forward", "reverse"] = "forward", truncate: int | None = None, recurrent_dropout: float | None =
    None, output: Literal["sequence", "held", "last"] = "sequence",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def gru_cell(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array | None = None, b_R: Array | None = None, *,
    reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh",
    recurrent_activation: str = "logistic", clip: float | None = None,
) -> tuple[Array]: ...
def gru_cell_vjp(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array | None = None, b_R: Array | None = None, *,
    reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh",
    recurrent_activation: str = "logistic", clip: float | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def gru(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_rn: Array | None = None, b_R: Array | None =
    None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, reset:
    Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh",
    recurrent_activation: str = "logistic", clip: float | None = None, direction: Literal["forward", "reverse"] =
    "forward", truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held",
    "last"] = "sequence",
) -> tuple[Array, Array]: ...
def gru_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_rn: Array | None = None, b_R: Array | None =
    None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, reset:
    Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh",
    recurrent_activation: str = "logistic", clip: float | None = None, direction: Literal["forward", "reverse"] =
    "forward", truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held",
    "last"] = "sequence",
) -> tuple[tuple[Array, Array], Vjp]: ...
def mgu_cell(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array | None = None, *, reset: Literal["before",
    "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
) -> tuple[Array]: ...
def mgu_cell_vjp(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, b_rn: Array | None = None, *, reset: Literal["before",
    "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
) -> tuple[tuple[Array], Vjp]: ...
def mgu(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_rn: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, reset: Literal["before", "after"] =
    "after", update: Literal["keeps", "admits"] = "keeps", direction: Literal["forward", "reverse"] = "forward",
    truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held", "last"] =
    "sequence",
) -> tuple[Array, Array]: ...
def mgu_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, b_rn: Array | None = None, recurrent_keep: Array |
    None = None, *, lengths: Array | None = None, mask: Array | None = None, reset: Literal["before", "after"] =
    "after", update: Literal["keeps", "admits"] = "keeps", direction: Literal["forward", "reverse"] = "forward",
    truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held", "last"] =
    "sequence",
) -> tuple[tuple[Array, Array], Vjp]: ...
def nested_lstm_cell(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner:
    Array, *, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[Array, Array]: ...
def nested_lstm_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner:
    Array, *, gradient: Literal["full", "cell_only"] = "full",
) -> tuple[tuple[Array, Array], Vjp]: ...
def nested_lstm(
    x: Array, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner: Array, h0: Array | None = None, c0:
    Array | None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, gradient: Literal["full", "cell_only"] = "full", direction: Literal["forward", "reverse"] = "forward",
    truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held", "last"] =
    "sequence",
) -> tuple[Array, Array, Array]: ...
def nested_lstm_vjp(
    x: Array, W: Array, R: Array, b: Array, W_inner: Array, R_inner: Array, b_inner: Array, h0: Array | None = None, c0:
    Array | None = None, recurrent_keep: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, gradient: Literal["full", "cell_only"] = "full", direction: Literal["forward", "reverse"] = "forward",
    truncate: int | None = None, recurrent_dropout: float | None = None, output: Literal["sequence", "held", "last"] =
    "sequence",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def output_projection(
    h: Array, V: Array, c: Array, *, lengths: Array | None = None, mask: Array | None = None, at: Literal["every",
    "last"] = "every",
) -> tuple[Array]: ...
def output_projection_vjp(
    h: Array, V: Array, c: Array, *, lengths: Array | None = None, mask: Array | None = None, at: Literal["every",
    "last"] = "every",
) -> tuple[tuple[Array], Vjp]: ...
def one_to_many(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, b_rn: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c:
    Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner:
    Array | None = None, *, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm",
    "peephole_lstm", "layer_norm_lstm", "nested_lstm"] = "lstm", feed: Literal["first", "every"] = "first", steps: int =
    3, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool =
    False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    truncate: int | None = None, activation: str = "tanh", reset: Literal["before", "after"] = "after", update:
    Literal["keeps", "admits"] = "keeps", recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def one_to_many_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, b_rn: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c:
    Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner:
    Array | None = None, *, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm",
    "peephole_lstm", "layer_norm_lstm", "nested_lstm"] = "lstm", feed: Literal["first", "every"] = "first", steps: int =
    3, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool =
    False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    truncate: int | None = None, activation: str = "tanh", reset: Literal["before", "after"] = "after", update:
    Literal["keeps", "admits"] = "keeps", recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def bidirectional(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, b_rn: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c:
    Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, layer: Literal["lstm", "rnn",
    "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm", "layer_norm_lstm", "nested_lstm"] = "lstm", merge:
    Literal["concat", "sum", "mul", "ave", "none"] = "concat", reverse_activation: str = "same", activations: tuple[str,
    str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float |
    None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None,
    activation: str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def bidirectional_vjp(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, b_rn: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c:
    Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, layer: Literal["lstm", "rnn",
    "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm", "layer_norm_lstm", "nested_lstm"] = "lstm", merge:
    Literal["concat", "sum", "mul", "ave", "none"] = "concat", reverse_activation: str = "same", activations: tuple[str,
    str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float |
    None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None,
    activation: str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def stacked(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", dropout: float | None = None, activations: tuple[str, str, str] =
    ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None,
    projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation:
    str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def stacked_vjp(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", dropout: float | None = None, activations: tuple[str, str, str] =
    ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None,
    projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation:
    str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def bidirectional_stack(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", merge: Literal["concat", "sum", "mul", "ave"] = "concat",
    reverse_activation: str = "same", dropout: float | None = None, activations: tuple[str, str, str] = ("logistic",
    "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None, projection:
    bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation: str =
    "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def bidirectional_stack_vjp(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", merge: Literal["concat", "sum", "mul", "ave"] = "concat",
    reverse_activation: str = "same", dropout: float | None = None, activations: tuple[str, str, str] = ("logistic",
    "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None, projection:
    bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation: str =
    "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def alternating_stack(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", dropout: float | None = None, activations: tuple[str, str, str] =
    ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None,
    projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation:
    str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def alternating_stack_vjp(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, keep: Array | None = None, h0: Array | None = None, c0:
    Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None = None, W_p: Array | None
    = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None =
    None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array |
    None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", dropout: float | None = None, activations: tuple[str, str, str] =
    ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False, forget_bias: float | None = None,
    projection: bool = False, gradient: Literal["full", "cell_only"] = "full", truncate: int | None = None, activation:
    str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def gate_once_stack(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, W_o: Array, R_o: Array, b_o: Array, h0: Array | None = None,
    c0: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[Array, Array, Array]: ...
def gate_once_stack_vjp(
    x: Array, W: Array, W_above: Array, R: Array, b: Array, W_o: Array, R_o: Array, b_o: Array, h0: Array | None = None,
    c0: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def clip_by_value(x: Array, *, threshold: float = 1.0) -> tuple[Array]: ...
def clip_by_value_vjp(x: Array, *, threshold: float = 1.0) -> tuple[tuple[Array], Vjp]: ...
def clip_by_norm(x: Array, *, threshold: float = 1.0, epsilon: float = 0.0) -> tuple[Array]: ...
def clip_by_norm_vjp(x: Array, *, threshold: float = 1.0, epsilon: float = 0.0) -> tuple[tuple[Array], Vjp]: ...
def clip_by_global_norm(
    x1: Array, x2: Array, x3: Array, *, threshold: float = 1.0, epsilon: float = 0.0,
) -> tuple[Array, Array, Array, Array]: ...
def clip_by_global_norm_vjp(
    x1: Array, x2: Array, x3: Array, *, threshold: float = 1.0, epsilon: float = 0.0,
) -> tuple[tuple[Array, Array, Array, Array], Vjp]: ...
def recurrent_power_spectrum(R: Array, *, powers: int = 8) -> tuple[Array, Array]: ...
def state_jacobian(
    x: Array, W: Array, R: Array, b: Array, h0: Array | None = None, c0: Array | None = None, b_R: Array | None = None,
    P: Array | None = None, b_rn: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c:
    Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, layer: Literal["lstm", "rnn",
    "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm", "layer_norm_lstm", "nested_lstm"] = "lstm", since:
    int = 0, truncate: int | None = None, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float
    | None = None, coupled: bool = False, forget_bias: float | None = None, projection: bool = False, gradient:
    Literal["full", "cell_only"] = "full", activation: str = "tanh", reset: Literal["before", "after"] = "after",
    update: Literal["keeps", "admits"] = "keeps", recurrent_activation: str = "logistic", epsilon: float = 1e-05,
    memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, Array]: ...
def sgd_step(
    theta: Array, g: Array, u: Array | None = None, *, learning_rate: float = 0.01, momentum: float | None = None,
    nesterov: bool = False, velocity: Literal["gradients", "updates"] = "gradients",
) -> tuple[Array, ...]: ...
def rmsprop_step(
    theta: Array, g: Array, v: Array, m: Array | None = None, *, learning_rate: float = 0.001, decay: float = 0.9,
    epsilon: float = 1e-08, epsilon_at: Literal["outside", "inside"] = "outside", centred: bool = False,
) -> tuple[Array, ...]: ...
def adam_step(
    theta: Array, g: Array, m: Array, v: Array, *, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float =
    0.999, epsilon: float = 1e-08, epsilon_at: Literal["outside", "inside", "uncorrected"] = "outside", correction: bool
    = True, step: int = 1,
) -> tuple[Array, Array, Array]: ...
def adamw_step(
    theta: Array, g: Array, m: Array, v: Array, *, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float =
    0.999, epsilon: float = 1e-08, epsilon_at: Literal["outside", "inside", "uncorrected"] = "outside", correction: bool
    = True, step: int = 1, decay: float = 0.01,
) -> tuple[Array, Array, Array]: ...
def crf_score(
    emissions: Array, transitions: Array, tags: Array, start: Array | None = None, end: Array | None = None, allowed:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, padding: Literal["lengths",
    "label"] = "lengths", masked_moves: bool = False,
) -> tuple[Array]: ...
def crf_score_vjp(
    emissions: Array, transitions: Array, tags: Array, start: Array | None = None, end: Array | None = None, allowed:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, padding: Literal["lengths",
    "label"] = "lengths", masked_moves: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def crf_log_partition(
    emissions: Array, transitions: Array, start: Array | None = None, end: Array | None = None, allowed: Array | None =
    None, possible: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool
    = False, partly_known: bool = False,
) -> tuple[Array]: ...
def crf_log_partition_vjp(
    emissions: Array, transitions: Array, start: Array | None = None, end: Array | None = None, allowed: Array | None =
    None, possible: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool
    = False, partly_known: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def crf_log_likelihood(
    emissions: Array, tags: Array, transitions: Array, start: Array | None = None, end: Array | None = None, allowed:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, padding: Literal["lengths",
    "label"] = "lengths", masked_moves: bool = False, reduction: Literal["none", "sum", "mean", "token_mean"] = "none",
) -> tuple[Array]: ...
def crf_log_likelihood_vjp(
    emissions: Array, tags: Array, transitions: Array, start: Array | None = None, end: Array | None = None, allowed:
    Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, padding: Literal["lengths",
    "label"] = "lengths", masked_moves: bool = False, reduction: Literal["none", "sum", "mean", "token_mean"] = "none",
) -> tuple[tuple[Array], Vjp]: ...
def crf_marginals(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[Array]: ...
def crf_marginals_vjp(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def crf_viterbi(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[Array, Array]: ...
def crf_viterbi_vjp(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[tuple[Array, Array], Vjp]: ...
def crf_best_paths(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False, paths: int = 2,
) -> tuple[Array, Array]: ...
def crf_best_paths_vjp(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False, paths: int = 2,
) -> tuple[tuple[Array, Array], Vjp]: ...
def crf_entropy(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[Array]: ...
def crf_entropy_vjp(
    emissions: Array, transitions: Array, possible: Array | None = None, start: Array | None = None, end: Array | None =
    None, allowed: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, masked_moves: bool =
    False, partly_known: bool = False,
) -> tuple[tuple[Array], Vjp]: ...
def framewise_log_likelihood(
    emissions: Array, tags: Array, *, lengths: Array | None = None, mask: Array | None = None, padding:
    Literal["lengths", "label"] = "lengths",
) -> tuple[Array]: ...
def framewise_log_likelihood_vjp(
    emissions: Array, tags: Array, *, lengths: Array | None = None, mask: Array | None = None, padding:
    Literal["lengths", "label"] = "lengths",
) -> tuple[tuple[Array], Vjp]: ...
def token_accuracy(
    predicted: Array, tags: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[Array]: ...
def ctc_loss(
    logits: Array, labels: Array, label_lengths: Array, *, lengths: Array | None = None, mask: Array | None = None,
    blank: Literal["first", "last"] = "first",
) -> tuple[Array]: ...
def ctc_loss_vjp(
    logits: Array, labels: Array, label_lengths: Array, *, lengths: Array | None = None, mask: Array | None = None,
    blank: Literal["first", "last"] = "first",
) -> tuple[tuple[Array], Vjp]: ...
def attention_scores(
    q: Array, k: Array, W_a: Array | None = None, W_q: Array | None = None, W_k: Array | None = None, b_a: Array | None
    = None, v_a: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, score: Literal["dot",
    "scaled_dot", "general", "additive", "concat", "cosine"] = "dot",
) -> tuple[Array]: ...
def attention_scores_vjp(
    q: Array, k: Array, W_a: Array | None = None, W_q: Array | None = None, W_k: Array | None = None, b_a: Array | None
    = None, v_a: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None, score: Literal["dot",
    "scaled_dot", "general", "additive", "concat", "cosine"] = "dot",
) -> tuple[tuple[Array], Vjp]: ...
def attention_weights(scores: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]: ...
def attention_weights_vjp(
    scores: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def attention_context(
    weights: Array, values: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[Array]: ...
def attention_context_vjp(
    weights: Array, values: Array, *, lengths: Array | None = None, mask: Array | None = None,
) -> tuple[tuple[Array], Vjp]: ...
def attention(
    q: Array, k: Array, values: Array, query_mask: Array | None = None, W_a: Array | None = None, W_q: Array | None =
    None, W_k: Array | None = None, b_a: Array | None = None, v_a: Array | None = None, *, lengths: Array | None = None,
    mask: Array | None = None, score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] = "dot",
    scale: float | None = None, causal: bool = False, masked_queries: bool = False,
) -> tuple[Array, Array]: ...
def attention_vjp(
    q: Array, k: Array, values: Array, query_mask: Array | None = None, W_a: Array | None = None, W_q: Array | None =
    None, W_k: Array | None = None, b_a: Array | None = None, v_a: Array | None = None, *, lengths: Array | None = None,
    mask: Array | None = None, score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] = "dot",
    scale: float | None = None, causal: bool = False, masked_queries: bool = False,
) -> tuple[tuple[Array, Array], Vjp]: ...
def multi_head_attention(
    q: Array, k: Array, values: Array, W_q: Array, W_k: Array, W_v: Array, W_o: Array, b_q: Array | None = None, b_k:
    Array | None = None, b_v: Array | None = None, b_o: Array | None = None, *, lengths: Array | None = None, mask:
    Array | None = None, divided: bool = True, causal: bool = False, averaged: bool = True,
) -> tuple[Array, Array]: ...
def multi_head_attention_vjp(
    q: Array, k: Array, values: Array, W_q: Array, W_k: Array, W_v: Array, W_o: Array, b_q: Array | None = None, b_k:
    Array | None = None, b_v: Array | None = None, b_o: Array | None = None, *, lengths: Array | None = None, mask:
    Array | None = None, divided: bool = True, causal: bool = False, averaged: bool = True,
) -> tuple[tuple[Array, Array], Vjp]: ...
def feature_attention(x: Array, W: Array, b: Array) -> tuple[Array]: ...
def feature_attention_vjp(x: Array, W: Array, b: Array) -> tuple[tuple[Array], Vjp]: ...
def bahdanau_decoder(
    x: Array, annotations: Array, W: Array, R: Array, b: Array, W_a: Array | None = None, W_q: Array | None = None, W_k:
    Array | None = None, b_a: Array | None = None, v_a: Array | None = None, h0: Array | None = None, b_rn: Array | None
    = None, b_R: Array | None = None, c0: Array | None = None, P: Array | None = None, W_p: Array | None = None, gain:
    Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner:
    Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] = "additive", cell:
    Literal["gru_cell", "lstm_cell", "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "gru_cell", reset: Literal["before", "after"] =
    "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str =
    "logistic", clip: float | None = None, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled:
    bool = False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] =
    "full", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def bahdanau_decoder_vjp(
    x: Array, annotations: Array, W: Array, R: Array, b: Array, W_a: Array | None = None, W_q: Array | None = None, W_k:
    Array | None = None, b_a: Array | None = None, v_a: Array | None = None, h0: Array | None = None, b_rn: Array | None
    = None, b_R: Array | None = None, c0: Array | None = None, P: Array | None = None, W_p: Array | None = None, gain:
    Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None = None, R_inner:
    Array | None = None, b_inner: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None,
    score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] = "additive", cell:
    Literal["gru_cell", "lstm_cell", "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "gru_cell", reset: Literal["before", "after"] =
    "after", update: Literal["keeps", "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str =
    "logistic", clip: float | None = None, activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled:
    bool = False, forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] =
    "full", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def luong_decoder(
    x: Array, annotations: Array, W_c: Array, W: Array, R: Array, b: Array, y0: Array | None = None, W_a: Array | None =
    None, W_q: Array | None = None, W_k: Array | None = None, b_a: Array | None = None, v_a: Array | None = None, h0:
    Array | None = None, c0: Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None =
    None, W_p: Array | None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None,
    W_inner: Array | None = None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None =
    None, mask: Array | None = None, score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] =
    "general", cell: Literal["lstm_cell", "rnn_cell", "gru_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "lstm_cell", input_feeding: bool = False,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    activation: str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def luong_decoder_vjp(
    x: Array, annotations: Array, W_c: Array, W: Array, R: Array, b: Array, y0: Array | None = None, W_a: Array | None =
    None, W_q: Array | None = None, W_k: Array | None = None, b_a: Array | None = None, v_a: Array | None = None, h0:
    Array | None = None, c0: Array | None = None, b_R: Array | None = None, P: Array | None = None, b_rn: Array | None =
    None, W_p: Array | None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None,
    W_inner: Array | None = None, R_inner: Array | None = None, b_inner: Array | None = None, *, lengths: Array | None =
    None, mask: Array | None = None, score: Literal["dot", "scaled_dot", "general", "additive", "concat", "cosine"] =
    "general", cell: Literal["lstm_cell", "rnn_cell", "gru_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "lstm_cell", input_feeding: bool = False,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    activation: str = "tanh", reset: Literal["before", "after"] = "after", update: Literal["keeps", "admits"] = "keeps",
    recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory: Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def context_vector(
    h: Array, W: Array | None = None, b: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, source: Literal["last", "projected_last", "projected_mean"] = "last",
) -> tuple[Array]: ...
def context_vector_vjp(
    h: Array, W: Array | None = None, b: Array | None = None, *, lengths: Array | None = None, mask: Array | None =
    None, source: Literal["last", "projected_last", "projected_mean"] = "last",
) -> tuple[tuple[Array], Vjp]: ...
def seq2seq(
    x: Array, z: Array, encoder_W: Array, encoder_R: Array, encoder_b: Array, decoder_W: Array, decoder_R: Array,
    decoder_b: Array, encoder_b_R: Array | None = None, encoder_P: Array | None = None, encoder_b_rn: Array | None =
    None, encoder_W_p: Array | None = None, encoder_gain: Array | None = None, encoder_gain_c: Array | None = None,
    encoder_b_c: Array | None = None, encoder_W_inner: Array | None = None, encoder_R_inner: Array | None = None,
    encoder_b_inner: Array | None = None, decoder_b_R: Array | None = None, decoder_P: Array | None = None,
    decoder_b_rn: Array | None = None, decoder_W_p: Array | None = None, decoder_gain: Array | None = None,
    decoder_gain_c: Array | None = None, decoder_b_c: Array | None = None, decoder_W_inner: Array | None = None,
    decoder_R_inner: Array | None = None, decoder_b_inner: Array | None = None, *, lengths: Array | None = None, mask:
    Array | None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", context_use: Literal["initial_state", "every_step"] = "initial_state",
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    truncate: int | None = None, activation: str = "tanh", reset: Literal["before", "after"] = "after", update:
    Literal["keeps", "admits"] = "keeps", recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[Array, ...]: ...
def seq2seq_vjp(
    x: Array, z: Array, encoder_W: Array, encoder_R: Array, encoder_b: Array, decoder_W: Array, decoder_R: Array,
    decoder_b: Array, encoder_b_R: Array | None = None, encoder_P: Array | None = None, encoder_b_rn: Array | None =
    None, encoder_W_p: Array | None = None, encoder_gain: Array | None = None, encoder_gain_c: Array | None = None,
    encoder_b_c: Array | None = None, encoder_W_inner: Array | None = None, encoder_R_inner: Array | None = None,
    encoder_b_inner: Array | None = None, decoder_b_R: Array | None = None, decoder_P: Array | None = None,
    decoder_b_rn: Array | None = None, decoder_W_p: Array | None = None, decoder_gain: Array | None = None,
    decoder_gain_c: Array | None = None, decoder_b_c: Array | None = None, decoder_W_inner: Array | None = None,
    decoder_R_inner: Array | None = None, decoder_b_inner: Array | None = None, *, lengths: Array | None = None, mask:
    Array | None = None, layer: Literal["lstm", "rnn", "gru", "mgu", "lstm_1997", "forget_only_lstm", "peephole_lstm",
    "layer_norm_lstm", "nested_lstm"] = "lstm", context_use: Literal["initial_state", "every_step"] = "initial_state",
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), clip: float | None = None, coupled: bool = False,
    forget_bias: float | None = None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full",
    truncate: int | None = None, activation: str = "tanh", reset: Literal["before", "after"] = "after", update:
    Literal["keeps", "admits"] = "keeps", recurrent_activation: str = "logistic", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, ...], Vjp]: ...
def greedy_decode(
    V: Array, c: Array, W: Array, R: Array, b: Array, start: Array | None = None, E: Array | None = None, first: Array |
    None = None, h0: Array | None = None, b_rn: Array | None = None, b_R: Array | None = None, c0: Array | None = None,
    P: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array
    | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner: Array | None = None, *, cell:
    Literal["gru_cell", "lstm_cell", "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "gru_cell", feedback: Literal["token", "vector"]
    = "token", begin: Literal["token", "vector"] = "token", embedding: Literal["table", "one_hot"] = "table", end: int |
    None = None, minimum: int = 0, steps: int = 3, reset: Literal["before", "after"] = "after", update: Literal["keeps",
    "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str = "logistic", clip: float | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled: bool = False, forget_bias: float | None =
    None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[Array, Array, Array]: ...
def greedy_decode_vjp(
    V: Array, c: Array, W: Array, R: Array, b: Array, start: Array | None = None, E: Array | None = None, first: Array |
    None = None, h0: Array | None = None, b_rn: Array | None = None, b_R: Array | None = None, c0: Array | None = None,
    P: Array | None = None, W_p: Array | None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array
    | None = None, W_inner: Array | None = None, R_inner: Array | None = None, b_inner: Array | None = None, *, cell:
    Literal["gru_cell", "lstm_cell", "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell",
    "peephole_lstm_cell", "layer_norm_lstm_cell", "nested_lstm_cell"] = "gru_cell", feedback: Literal["token", "vector"]
    = "token", begin: Literal["token", "vector"] = "token", embedding: Literal["table", "one_hot"] = "table", end: int |
    None = None, minimum: int = 0, steps: int = 3, reset: Literal["before", "after"] = "after", update: Literal["keeps",
    "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str = "logistic", clip: float | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled: bool = False, forget_bias: float | None =
    None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
def beam_search(
    start: Array, V: Array, c: Array, W: Array, R: Array, b: Array, E: Array | None = None, h0: Array | None = None,
    b_rn: Array | None = None, b_R: Array | None = None, c0: Array | None = None, P: Array | None = None, W_p: Array |
    None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None
    = None, R_inner: Array | None = None, b_inner: Array | None = None, *, cell: Literal["gru_cell", "lstm_cell",
    "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell", "peephole_lstm_cell", "layer_norm_lstm_cell",
    "nested_lstm_cell"] = "gru_cell", width: int = 2, normalise: bool = True, length_penalty: float | None = None,
    hypotheses: Literal["best", "all"] = "best", embedding: Literal["table", "one_hot"] = "table", end: int | None =
    None, minimum: int = 0, steps: int = 3, reset: Literal["before", "after"] = "after", update: Literal["keeps",
    "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str = "logistic", clip: float | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled: bool = False, forget_bias: float | None =
    None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[Array, Array, Array]: ...
def beam_search_vjp(
    start: Array, V: Array, c: Array, W: Array, R: Array, b: Array, E: Array | None = None, h0: Array | None = None,
    b_rn: Array | None = None, b_R: Array | None = None, c0: Array | None = None, P: Array | None = None, W_p: Array |
    None = None, gain: Array | None = None, gain_c: Array | None = None, b_c: Array | None = None, W_inner: Array | None
    = None, R_inner: Array | None = None, b_inner: Array | None = None, *, cell: Literal["gru_cell", "lstm_cell",
    "rnn_cell", "mgu_cell", "lstm_1997_cell", "forget_only_lstm_cell", "peephole_lstm_cell", "layer_norm_lstm_cell",
    "nested_lstm_cell"] = "gru_cell", width: int = 2, normalise: bool = True, length_penalty: float | None = None,
    hypotheses: Literal["best", "all"] = "best", embedding: Literal["table", "one_hot"] = "table", end: int | None =
    None, minimum: int = 0, steps: int = 3, reset: Literal["before", "after"] = "after", update: Literal["keeps",
    "admits"] = "keeps", activation: str = "tanh", recurrent_activation: str = "logistic", clip: float | None = None,
    activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"), coupled: bool = False, forget_bias: float | None =
    None, projection: bool = False, gradient: Literal["full", "cell_only"] = "full", epsilon: float = 1e-05, memory:
    Literal["raw", "normalised"] = "raw",
) -> tuple[tuple[Array, Array, Array], Vjp]: ...
