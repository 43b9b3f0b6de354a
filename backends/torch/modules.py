"""Call torch.nn's recurrent modules with weights and states of the specification."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence

from rnnspec.backends.layouts.gates import Update
from rnnspec.backends.layouts.torch import NAMES
from rnnspec.backends.torch.sequences import States, run_layer
from rnnspec.backends.torch.weights import flat_weights

LAYERS: Final[Mapping[str, Callable[..., nn.RNNBase]]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS: Final[Mapping[str, Callable[..., nn.RNNCellBase]]] = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def run_cell(kind: str, x: Tensor, states: States, weights: Sequence[Tensor], **options: Any) -> States:
    """States after one step of torch's cell."""
    cell = _cell(kind, x.shape[1], states[0].shape[1], **options)
    after = functional_call(cell, dict(zip(NAMES, weights, strict=False)), (x, _as_torch(states)))
    return after if isinstance(after, tuple) else (after,)


def run_module(
    kind: str,
    x: Tensor,
    parts: Sequence[Mapping[str, Tensor]],
    states: Sequence[Tensor | None],
    lengths: Tensor | None,
    *,
    update: Update = "keeps",
    reverse: bool = False,
    **options: Any,
) -> tuple[Tensor, States]:
    """Outputs (B, T, …) and final states (layers and directions, B, …) of torch's layer over a ragged batch.

    Parameters
    ----------
    kind
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    parts
        W, R, b and, where there are any, b_rn and P of each layer and direction, in torch's order.
    states
        Initial states (B, layers and directions, …), h0 before c0; those that are None are 0.
    lengths
        Steps of each sequence that are read; None for all.
    update
        The attribute of the GRU.
    reverse
        Whether the sequences are read from their ends.
    options
        Of torch's module: ``num_layers``, ``bidirectional``, ``nonlinearity``.
    """
    first = parts[0]
    hidden, width = first["W"].shape[1], first["R"].shape[2]
    if "P" in first:
        options["proj_size"] = width
    module = _module(kind, x.shape[2], hidden, **options)
    weights = [weight for part in parts for weight in flat_weights(**part, update=update)]
    before = None
    if any(state is not None for state in states):
        before = tuple(
            x.new_zeros(len(parts), len(x), size) if state is None else state.transpose(0, 1).contiguous()
            for state, size in zip(states, (width, hidden), strict=False)
        )

    def layer(x: Tensor | PackedSequence, states: States | None) -> tuple[Tensor | PackedSequence, States]:
        y, finals = module(x, None if states is None else _as_torch(states))
        return y, finals if isinstance(finals, tuple) else (finals,)

    with _holding(module, weights):
        return run_layer(layer, x, before, lengths, reverse=reverse)


@lru_cache(maxsize=64)
def _cell(kind: str, features: int, hidden: int, **options: Any) -> nn.RNNCellBase:
    """Return torch's cell, without data: each call brings the parameters."""
    return CELLS[kind](features, hidden, device="meta", **options)


@lru_cache(maxsize=64)
def _module(kind: str, features: int, hidden: int, **options: Any) -> nn.RNNBase:
    """Return torch's layer, without data: each call brings the weights."""
    module = LAYERS[kind](features, hidden, batch_first=True, device="meta", **options)
    module._flat_weight_refs = [None] * len(module._flat_weight_refs)  # or it takes its own parameters again
    return module


@contextmanager
def _holding(module: nn.RNNBase, weights: Sequence[Tensor]) -> Iterator[None]:
    """Have a layer compute with these weights, and gradients flow to them.

    torch.func.functional_call does so too, and takes a tenth of a millisecond: more than all the rest of an adapter.
    """
    # What torch says once about speed changes nothing in what it computes.
    quiet = module.proj_size > 0 or weights[0].is_cuda
    # As an object's: a module's way of setting attributes looks for parameters first, which takes longer than the rest.
    object.__setattr__(module, "_flat_weights", list(weights))
    try:
        if not quiet:
            yield
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk of memory")
            yield
    finally:
        object.__setattr__(module, "_flat_weights", [])


def _as_torch(states: States) -> Tensor | States:
    """Torch's LSTM takes a pair of states, its other modules one."""
    return states[0] if len(states) == 1 else states
