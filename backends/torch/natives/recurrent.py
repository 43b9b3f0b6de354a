"""The part that torch's RNN, LSTM and GRU share: cells and layers called with the weights and states of a call.

Each of them has a file of its own, which hands over its peculiarities as its `Network`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.gates import PARAMETERS, Update
from rnnspec.backends.layouts.torch import NAMES
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.sequences import States, refuse_sequences, run_ragged
from rnnspec.backends.torch.weights import flat_weights


@dataclass(frozen=True)
class GateSource:
    """Weights of a layer as source, `W`, `R` and its two biases in torch's layout, after `lines` that they need."""

    W: str
    R: str
    bias_ih: str
    bias_hh: str
    lines: tuple[str, ...] = ()


def _no_options(**arguments: Any) -> dict[str, Any]:
    return {}


def second_bias(call: Call, b: str, place: str) -> str:
    """The recurrent bias as source, ``(G, H)``: zeros where it is absent."""
    return f't["b_R"]{place}' if "b_R" in call.inputs else f"torch.zeros_like({b})"


def _as_they_are(call: Call, W: str, R: str, b: str, place: str) -> GateSource:
    return GateSource(W, R, f"{b}.flatten()", f"{second_bias(call, b, place)}.flatten()")


@dataclass(frozen=True)
class Network:
    """One of torch's recurrent networks, and its own properties.

    `name` is that of its `layer` in torch.nn; the cell's ends in ``Cell``. `states` are the initial states of the
    layer. `refuse` takes the arguments of a call and raises `Unsupported` for
    what neither cell nor layer can do. `options` takes the arguments too, and gives the options of torch's module that
    are not torch's defaults. `gates` writes the weights as source, for a script, from expressions for the
    specification's arrays; `place` is the index of one layer among several, ``""`` where there is one.
    """

    name: str
    layer: Callable[..., nn.RNNBase]
    states: tuple[str, ...]
    refuse: Callable[..., None]
    options: Callable[..., dict[str, Any]] = _no_options
    gates: Callable[[Call, str, str, str, str], GateSource] = _as_they_are


def refuse_unrolling(*, truncate: int | None, recurrent_dropout: float | None = None, **others: Any) -> None:
    """Refuse what torch's layers do not do between the steps."""
    if truncate is not None:
        raise Unsupported("torch's layers do not truncate the gradient within a sequence")
    if recurrent_dropout is not None:
        raise Unsupported("torch's layers have no dropout between the steps")


def refusing_layer(refuse: Callable[..., None]) -> Callable[..., None]:
    """Return what refuses a layer's calls: those that its kind refuses, and those that every layer of torch does."""

    def refuse_layer(**arguments: Any) -> None:
        refuse(**arguments)
        refuse_unrolling(**arguments)
        refuse_sequences(**arguments)
        if arguments.get("output") == "held" and ("lengths" in arguments or "mask" in arguments):
            raise Unsupported("torch's layers have outputs of 0 at steps taken out")

    return refuse_layer


def run_cell(
    cell: Callable[..., nn.RNNCellBase], x: Tensor, states: States, weights: Sequence[Tensor], **options: Any
) -> States:
    """States after one step of torch's cell."""
    module = _cell(cell, x.shape[1], states[0].shape[1], **options)
    after = functional_call(module, dict(zip(NAMES, weights, strict=False)), (x, _as_torch(states)))
    return after if isinstance(after, tuple) else (after,)


def run_layer(
    kind: Network,
    *,
    x: Tensor,
    direction: str,
    output: str,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    **arguments: Any,
) -> Outputs:
    """Outputs (B, T, …) and final states (B, …) of torch's layer, for the arguments of the specification's.

    The last output is torch's final state, which torch's own callers take; without any step it is 0.
    """
    states = [arguments.get(name) for name in kind.states]
    lengths = lengths if mask is None else mask.sum(1)
    y, finals = run_module(
        kind,
        x,
        [parameters(arguments)],
        [None if state is None else state[:, None] for state in states],
        lengths,
        arguments,
        reverse=direction == "reverse",
    )
    if output == "last":
        y = finals[0][0] if lengths is None else finals[0][0].where(lengths[:, None] > 0, 0)
    return (y, *(final[0] for final in finals))


def parameters(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Those of a call's arguments that are parameters of torch's layers."""
    return {name: arguments[name] for name in PARAMETERS if name in arguments}


def run_module(
    kind: Network,
    x: Tensor,
    parts: Sequence[Mapping[str, Tensor]],
    states: Sequence[Tensor | None],
    lengths: Tensor | None,
    attributes: Mapping[str, Any],
    *,
    reverse: bool = False,
    training: bool = True,
    **options: Any,
) -> tuple[Tensor, States]:
    """Outputs (B, T, …) and final states (layers and directions, B, …) of torch's layer over a ragged batch.

    Parameters
    ----------
    kind
        Which of torch's layers.
    parts
        W, R, b and, where there are any, b_rn, P and b_R of each layer and direction, in torch's order.
    states
        Initial states (B, layers and directions, …), h0 before c0; those that are None are 0.
    lengths
        Steps of each sequence that are read; None for all.
    attributes
        Attributes of the call; there may be other arguments among them.
    reverse
        Whether the sequences are read from their ends.
    training
        Whether the module is in training, which matters to its own dropout alone.
    options
        Of torch's module: ``num_layers``, ``bidirectional``, ``dropout``.
    """
    first = parts[0]
    hidden, width = first["W"].shape[1], first["R"].shape[2]
    module = _module(kind.layer, x.shape[2], hidden, **kind.options(**{**attributes, **first}), **options)
    if module.training is not training:
        module.train(training)
    update: Update = attributes.get("update", "keeps")
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
        return run_ragged(layer, x, before, lengths, reverse=reverse)


@lru_cache(maxsize=64)
def _cell(cell: Callable[..., nn.RNNCellBase], features: int, hidden: int, **options: Any) -> nn.RNNCellBase:
    """Return torch's cell, without data: each call brings the parameters."""
    return cell(features, hidden, device="meta", **options)


@lru_cache(maxsize=64)
def _module(layer: Callable[..., nn.RNNBase], features: int, hidden: int, **options: Any) -> nn.RNNBase:
    """Return torch's layer, without data: each call brings the weights."""
    module = layer(features, hidden, batch_first=True, device="meta", **options)
    module._flat_weight_refs = [None] * len(module._flat_weight_refs)  # or it takes its own parameters again
    return module


@contextmanager
def _holding(module: nn.RNNBase, weights: Sequence[Tensor]) -> Iterator[None]:
    """Have a layer compute with these weights, and gradients flow to them.

    torch.func.functional_call does so too, and takes a tenth of a millisecond: more than all the rest of an adapter.
    """
    # torch's one message about speed changes no result.
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
