"""Keras's layers in both directions and in stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.framework import Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import call
from rnnspec.backends.tensorflow.recurrent import (
    LAYERS,
    initial_state,
    keras_weights,
    layer_options,
    refuse_layer,
    run_layer,
)
from rnnspec.backends.tensorflow.sequences import valid_steps

Outputs = tuple[Tensor, ...]


def refuse_stack(*, layer: str, dropout: float | None = None, **attributes: Any) -> None:
    """Unsupported for what Keras's layers, one on another, have not."""
    if layer not in LAYERS:
        raise Unsupported(f"Keras has no layer {layer}")
    if dropout is not None:
        raise Unsupported("Keras's layers draw the masks of their dropout themselves")
    refuse_layer(**attributes)


def _bidirectional(
    *,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    layer: Any,
    merge: str,
    **attributes: Any,
) -> Outputs:
    valid = valid_steps(x.shape[1], lengths, mask)
    features, units = x.shape[2], W.shape[2]
    weights, states = [], []
    for way in range(2):
        weights += keras_weights(layer, W[way], R[way], b[way], None if b_rn is None else b_rn[way], attributes)
        states += initial_state(layer, x, units, *(None if given is None else given[:, way] for given in (h0, c0)))
    chosen = layer_options(layer, valid, attributes)
    both = _both_ways(LAYERS[layer], None if merge == "none" else merge, features, x.dtype.name, units=units, **chosen)
    outputs = call(both, weights, x, initial_state=states, mask=valid)
    given = 2 if merge == "none" else 1
    after = outputs[given:]
    each = len(after) // 2
    pairs = zip(after[:each], after[each:], strict=True)
    return *outputs[:given], *(tf.stack(pair, 1) for pair in pairs)


@lru_cache(maxsize=256)
def _both_ways(kind: str, merge: str | None, features: int, dtype: str, **options: Any) -> Any:
    """Return a Bidirectional of two layers of that kind, built."""
    with tf.init_scope():
        one = getattr(keras.layers, kind)(dtype=dtype, **options)
        both = keras.layers.Bidirectional(one, merge_mode=merge, dtype=dtype)
        both.build((None, None, features))
    return both


def _stack(reverse: Callable[[int], bool]) -> Callable[..., Outputs]:
    """A stack of Keras's layers, the layer of each number reading in reverse or not."""

    def stack(
        *,
        x: Tensor,
        W: Tensor,
        W_above: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        layer: Any,
        **attributes: Any,
    ) -> Outputs:
        valid = valid_steps(x.shape[1], lengths, mask)
        finals: list[Outputs] = []
        y = x
        for number in range(R.shape[0]):
            y, *after = run_layer(
                layer,
                y,
                W if number == 0 else W_above[number - 1],
                R[number],
                b[number],
                None if b_rn is None else b_rn[number],
                initial_state(layer, x, W.shape[1], *(None if s is None else s[:, number] for s in (h0, c0))),
                valid,
                reverse=reverse(number),
                attributes=attributes,
            )
            finals.append(tuple(after))
        return y, *(tf.stack(state, 1) for state in zip(*finals, strict=True))

    return stack


NATIVES: Final[Mapping[str, Native]] = {
    "bidirectional": Native("keras.layers.Bidirectional", _bidirectional, refuse_stack),
    "stacked": Native(
        "keras.layers of LSTM, GRU or SimpleRNN, one on another", _stack(lambda number: False), refuse_stack
    ),
    "alternating_stack": Native(
        "keras.layers of LSTM, GRU or SimpleRNN, every second with go_backwards",
        _stack(lambda number: number % 2 == 1),
        refuse_stack,
    ),
}
