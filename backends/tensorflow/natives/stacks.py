"""Keras's layers in both directions and in stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.gates import PARAMETERS
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script, hidden, indented
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import call
from rnnspec.backends.tensorflow.natives.gru import GRU
from rnnspec.backends.tensorflow.natives.lstm import LSTM
from rnnspec.backends.tensorflow.natives.recurrent import (
    Network,
    refuse_padded,
    refusing_layer,
    run_drawing,
    run_layer,
)
from rnnspec.backends.tensorflow.natives.recurrent_source import (
    INPUT_WEIGHTS,
    before,
    build,
    called,
    layer_options,
    layout,
    made,
    weights,
)
from rnnspec.backends.tensorflow.natives.rnn import RNN
from rnnspec.backends.tensorflow.sequences import valid_steps
from rnnspec.spec import operation, with_function
from rnnspec.spec.operation import SAME

NETWORKS: Final[Mapping[str, Network]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def _refuse_kind(*, layer: str, dropout: float | None = None, reverse_activation: str = SAME, **arguments: Any) -> None:
    if layer not in NETWORKS:
        raise Unsupported("Keras has no layer but the RNN, the LSTM and the GRU")
    if dropout is not None:
        raise Unsupported("Keras's layers draw the masks of their dropout themselves")
    NETWORKS[layer].refuse(**arguments)
    NETWORKS[layer].refuse(**with_function(operation(layer), arguments, reverse_activation))


refuse_stack: Final = refusing_layer(_refuse_kind)
"""Unsupported for what Keras's layers, one on another, have not."""


def _bidirectional(
    *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None, layer: str, merge: str, **arguments: Any
) -> Outputs:
    merged, states = _run_both_ways(layer, x, arguments, valid_steps(x.shape[1], lengths, mask), merge)
    return *merged, *states


def _bidirectional_stack(
    *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None, layer: str, merge: str, **arguments: Any
) -> Outputs:
    valid, arguments = valid_steps(x.shape[1], lengths, mask), with_input_weights(**arguments)
    finals = []
    for place in range(arguments["R"].shape[0]):
        own: dict[str, Any] = {name: arguments[name][place] for name in PARAMETERS if name in arguments}
        own |= {name: arguments[name][:, place] for name in ("h0", "c0") if arguments.get(name) is not None}
        (x,), states = _run_both_ways(layer, x, {**arguments, **own}, valid, merge)
        finals.append(states)
    return x, *(tf.stack(states, 1) for states in zip(*finals, strict=True))


def _run_both_ways(
    layer: str, x: Tensor, arguments: Mapping[str, Any], valid: Tensor | None, merge: str
) -> tuple[Outputs, Outputs]:
    """Merged outputs of Keras's Bidirectional, and the states (B, 2, …)."""
    kind, both_weights, states = NETWORKS[layer], list[Tensor](), list[Tensor]()
    for own, before_first in kind.each(x, arguments, 2):
        both_weights += kind.weights(own)
        states += before_first
    chosen = {"units": arguments["W"].shape[2], **kind.layer_options(valid, arguments)}
    merge_mode, in_reverse = None if merge == "none" else merge, _activation_in_reverse(layer, arguments)
    both = _both_ways(kind.keras, merge_mode, x.shape[2], x.dtype.name, in_reverse, **chosen)
    outputs = call(both, both_weights, x, initial_state=states, mask=valid)
    given = 2 if merge == "none" else 1
    after = outputs[given:]
    each = len(after) // 2
    pairs = zip(after[:each], after[each:], strict=True)
    return tuple(outputs[:given]), tuple(tf.stack(pair, 1) for pair in pairs)


def _activation_in_reverse(layer: str, attributes: Mapping[str, Any]) -> str | None:
    """Keras's name of the function of the layer in reverse; None if it is that of the forward layer."""
    other = attributes["reverse_activation"]
    changed = with_function(operation(layer), attributes, other)
    return None if other == SAME else str(NETWORKS[layer].options(changed)["activation"])


@lru_cache(maxsize=256)
def _both_ways(kind: str, merge: str | None, features: int, dtype: str, in_reverse: str | None, **options: Any) -> Any:
    """Return a Bidirectional of two layers of that kind, built; that in reverse may have another function."""
    make = getattr(keras.layers, kind)
    with tf.init_scope():
        one, other = make(dtype=dtype, **options), None
        if in_reverse is not None:
            other = make(dtype=dtype, go_backwards=True, **{**options, "activation": in_reverse})
        both = keras.layers.Bidirectional(one, merge_mode=merge, backward_layer=other, dtype=dtype)
        both.build((None, None, features))
    return both


def with_input_weights(*, W: Tensor, W_above: Tensor, **arguments: Any) -> dict[str, Any]:
    """A stack's arguments, with the input weights of all its layers as ``W``."""
    return {**arguments, "W": [W, *(W_above[number] for number in range(W_above.shape[0]))]}


def _stack(reverse: Callable[[int], bool]) -> Callable[..., Outputs]:
    """A stack of Keras's layers, the layer of each number reading in reverse or not."""

    def stack(
        *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None, layer: str, **arguments: Any
    ) -> Outputs:
        valid = valid_steps(x.shape[1], lengths, mask)
        kind, finals, y = NETWORKS[layer], [], x
        layers = kind.each(x, with_input_weights(**arguments), arguments["R"].shape[0])
        for number, (own, states) in enumerate(layers):
            y, *after = run_layer(kind, y, own, states, valid, reverse=reverse(number))
            finals.append(tuple(after))
        return y, *(tf.stack(state, 1) for state in zip(*finals, strict=True))

    return stack


def _refuse_drawing(*, shared_over: str, **arguments: Any) -> None:
    if shared_over != "time":
        raise Unsupported("Keras's layers draw one mask for all steps")
    refuse_padded(**arguments)
    refuse_stack(**arguments)


def _drawn_stack(
    *, x: Tensor, layer: str, rate: float, training: bool, seed: int | None, shared_over: str, **arguments: Any
) -> Outputs:
    """Layers one on another, of which all but the first drop some of their inputs."""
    kind, finals, y = NETWORKS[layer], [], x
    layers = kind.each(x, with_input_weights(**arguments), arguments["R"].shape[0])
    for number, (own, states) in enumerate(layers):
        own_seed = None if seed is None else seed + number
        y, *after = run_drawing(kind, y, own, states, training=training, seed=own_seed, dropout=rate if number else 0.0)
        finals.append(tuple(after))
    return y, *(tf.stack(state, 1) for state in zip(*finals, strict=True))


def _bidirectional_source(call: Call) -> Lines:
    kind = NETWORKS[call.attributes["layer"]]
    merge = None if call.attributes["merge"] == "none" else call.attributes["merge"]
    outputs, count = "y" if merge else "y, z", len(kind.states)
    return Lines(
        [
            f"own = lambda i: {weights(call, f'{INPUT_WEIGHTS}[i]', '[i]')}",
            "weights = own(0) + own(1)",
            f"before = {before(kind, call, '[:, 0]')} + {before(kind, call, '[:, 1]')}",
            *called(call, f"{outputs}, *after", 't["x"]'),
            f"results = [{outputs}, *(tf.stack(both, 1) for both in zip(after[:{count}], after[{count}:]))]",
        ],
        (
            *layout(kind, call),
            *layer_options(kind, call),
            *_both_source(kind, call, merge),
            build(call),
        ),
    )


def _both_source(kind: Network, call: Call, merge: str | None) -> list[str]:
    """Lines that make the layer in both directions."""
    in_reverse = _activation_in_reverse(call.attributes["layer"], call.attributes)
    other, made_apart = "", list[str]()
    if in_reverse is not None:
        made_apart = [
            f"back = keras.layers.{kind.keras}(go_backwards=True, **options | dict(activation={in_reverse!r}))"
        ]
        other = "backward_layer=back, "
    return [*made_apart, f"layer = keras.layers.Bidirectional({made(kind)}, {merge!r}, {other}dtype=dtype)"]


def _stack_source(call: Call) -> Lines:
    """Layers one on another, in the alternating stack every second of them backwards."""
    kind = NETWORKS[call.attributes["layer"]]
    number, alternating = len(call.inputs["R"]), call.operation == "alternating_stack"
    sizes = [call.inputs["x"].shape[2], *[hidden(call)] * (number - 1)]
    then = ["    finals.append(after)"]
    if alternating:
        then = ["    y, finals = tf.reverse(y, [1]) if i % 2 == 1 else y, [*finals, after]"]
    return Lines(
        [
            'y, finals = t["x"], []',
            'for i, (layer, W) in enumerate(zip(layers, [t["W"], *tf.unstack(t["W_above"])])):',
            f"    weights = {weights(call, 'W', '[i]')}",
            f"    before = {before(kind, call, '[:, i]')}",
            *indented(called(call, "y, *after", "y")),
            *then,
            "results = [y, *(tf.stack(state, 1) for state in zip(*finals))]",
        ],
        (
            *layout(kind, call),
            *layer_options(kind, call),
            f"layers = [{made(kind, 'i % 2 == 1' if alternating else '')} for i in range({number})]",
            f"built = [layer.build((None, None, size)) for layer, size in zip(layers, {sizes})]",
        ),
    )


NATIVES: Final[Mapping[str, Native]] = {
    "bidirectional": Native("keras.layers.Bidirectional", _bidirectional, refuse_stack),
    "bidirectional_stack": Native("keras.layers.Bidirectional, one on another", _bidirectional_stack, refuse_stack),
    "stacked": Native(
        "keras.layers of LSTM, GRU or SimpleRNN, one on another", _stack(lambda number: False), refuse_stack
    ),
    "alternating_stack": Native(
        "keras.layers of LSTM, GRU or SimpleRNN, every second with go_backwards",
        _stack(lambda number: number % 2 == 1),
        refuse_stack,
    ),
}
DRAWING: Final[Mapping[str, Native]] = {
    "stacked": Native(
        "keras.layers of LSTM, GRU or SimpleRNN (dropout=rate), one on another", _drawn_stack, _refuse_drawing
    ),
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "bidirectional": _bidirectional_source,
    "stacked": _stack_source,
    "alternating_stack": _stack_source,
}
"""A stack in both directions has none, as it does not fit into a script: one of its layers shows which is at fault."""
