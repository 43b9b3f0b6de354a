"""All composed operations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rnnspec.backends.composed.attention import (
    attention,
    attention_context,
    attention_scores,
    attention_weights,
    feature_attention,
    multi_head_attention,
)
from rnnspec.backends.composed.attention_decoders import bahdanau_decoder, luong_decoder
from rnnspec.backends.composed.blocks import dense, dropout, embedding, zoneout
from rnnspec.backends.composed.cells import CELLS, cell_operation
from rnnspec.backends.composed.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from rnnspec.backends.composed.context_vector import context_vector
from rnnspec.backends.composed.crf import (
    crf_best_paths,
    crf_entropy,
    crf_log_likelihood,
    crf_log_partition,
    crf_marginals,
    crf_score,
    crf_viterbi,
    framewise_log_likelihood,
    token_accuracy,
)
from rnnspec.backends.composed.ctc import ctc_loss
from rnnspec.backends.composed.decoding import beam_search, greedy_decode
from rnnspec.backends.composed.layers import layer_operation
from rnnspec.backends.composed.losses import (
    binary_cross_entropy,
    cross_entropy,
    mean_absolute_error,
    mean_squared_error,
    perplexity,
)
from rnnspec.backends.composed.optimizers import adam_step, adamw_step, rmsprop_step, sgd_step
from rnnspec.backends.composed.projections import output_projection
from rnnspec.backends.composed.seq2seq import seq2seq
from rnnspec.backends.composed.softmax import log_softmax, softmax
from rnnspec.backends.composed.spectra import recurrent_power_spectrum
from rnnspec.backends.composed.stacks import (
    alternating_stack,
    bidirectional,
    bidirectional_stack,
    gate_once_stack,
    one_to_many,
    stacked,
)
from rnnspec.backends.composed.state_jacobian import state_jacobian

OPERATIONS: Final[Mapping[str, Callable[..., tuple[Any, ...]]]] = {
    "dense": dense,
    "embedding": embedding,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "dropout": dropout,
    "zoneout": zoneout,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "perplexity": perplexity,
    **{cell: cell_operation(cell) for cell in CELLS},
    **{layer: layer_operation(layer) for layer in (cell.removesuffix("_cell") for cell in CELLS)},
    "output_projection": output_projection,
    "one_to_many": one_to_many,
    "bidirectional": bidirectional,
    "bidirectional_stack": bidirectional_stack,
    "stacked": stacked,
    "alternating_stack": alternating_stack,
    "gate_once_stack": gate_once_stack,
    "clip_by_value": clip_by_value,
    "clip_by_norm": clip_by_norm,
    "clip_by_global_norm": clip_by_global_norm,
    "sgd_step": sgd_step,
    "rmsprop_step": rmsprop_step,
    "adam_step": adam_step,
    "adamw_step": adamw_step,
    "state_jacobian": state_jacobian,
    "recurrent_power_spectrum": recurrent_power_spectrum,
    "crf_score": crf_score,
    "crf_log_partition": crf_log_partition,
    "crf_log_likelihood": crf_log_likelihood,
    "crf_marginals": crf_marginals,
    "crf_viterbi": crf_viterbi,
    "crf_best_paths": crf_best_paths,
    "crf_entropy": crf_entropy,
    "framewise_log_likelihood": framewise_log_likelihood,
    "token_accuracy": token_accuracy,
    "ctc_loss": ctc_loss,
    "attention_scores": attention_scores,
    "attention_weights": attention_weights,
    "attention_context": attention_context,
    "attention": attention,
    "multi_head_attention": multi_head_attention,
    "feature_attention": feature_attention,
    "bahdanau_decoder": bahdanau_decoder,
    "luong_decoder": luong_decoder,
    "context_vector": context_vector,
    "seq2seq": seq2seq,
    "greedy_decode": greedy_decode,
    "beam_search": beam_search,
}
