"""Keras's cells, unrolled by ``keras.layers.RNN``: another way to the same layers, and the one to a cell of one's own.

A stack is one such layer of ``keras.layers.StackedRNNCells``: all its cells take a step before any takes the next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from rnnspec.backends.contract import Call
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.adapter import TensorFlowBackend
from rnnspec.backends.tensorflow.framework import Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import call
from rnnspec.backends.tensorflow.natives.recurrent import Kind, Outputs, layer_native
from rnnspec.backends.tensorflow.natives.stacks import KINDS, refuse_stack
from rnnspec.backends.tensorflow.sequences import valid_steps


@lru_cache(maxsize=256)
def _unrolled(
    keras_name: str, layers: int, features: int, units: int, dtype: str, reverse: bool, **options: Any
) -> Any:
    """Return a layer that unrolls so many cells, one on another, built."""
    kind = getattr(keras.layers, f"{keras_name}Cell")
    with tf.init_scope():  # not inside the graph that may just be traced
        cells = [kind(units, dtype=dtype, **options) for _ in range(layers)]
        layer = keras.layers.RNN(
            cells[0] if layers == 1 else keras.layers.StackedRNNCells(cells, dtype=dtype),
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            go_backwards=reverse,
            dtype=dtype,
        )
        layer.build((None, None, features))
    return layer


def _of_one_cell(
    kind: Kind, x: Tensor, units: int, mask: Tensor | None, attributes: Mapping[str, Any], *, reverse: bool
) -> Any:
    """Return a layer that unrolls a cell, built."""
    return _unrolled(kind.keras, 1, x.shape[2], units, x.dtype.name, reverse, **kind.options(attributes))


def _stacked(
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
    layer: str,
    **attributes: Any,
) -> Outputs:
    kind, features, units, layers = KINDS[layer], x.shape[2], W.shape[1], R.shape[0]
    stack = _unrolled(kind.keras, layers, features, units, x.dtype.name, False, **kind.options(attributes))
    weights: list[Tensor] = []
    states: list[Any] = []
    for number in range(layers):
        W_x = W if number == 0 else W_above[number - 1]
        weights += kind.weights(W_x, R[number], b[number], None if b_rn is None else b_rn[number], attributes)
        states.append(kind.initial(x, units, *(None if s is None else s[:, number] for s in (h0, c0))))
    # A stack of one is its cell, and one state a layer goes without a list of its own.
    given = states[0] if layers == 1 else [state[0] if len(state) == 1 else state for state in states]
    y, *after = call(stack, weights, x, initial_state=given, mask=valid_steps(x.shape[1], lengths, mask))
    finals = [after] if layers == 1 else [state if isinstance(state, list | tuple) else [state] for state in after]
    return y, *(tf.stack(state, 1) for state in zip(*finals, strict=True))


class TensorFlowCellsBackend(TensorFlowBackend):
    """What ``keras.layers.RNN`` makes of Keras's cells; it has the layers alone that can be made so."""

    name: ClassVar[str] = "tensorflow-cells"
    by_default: ClassVar[bool] = False
    natives: ClassVar[Mapping[str, Native]] = {
        **{
            name: layer_native(kind, f"keras.layers.RNN of {kind.keras}Cell", _of_one_cell)
            for name, kind in KINDS.items()
        },
        "stacked": Native("keras.layers.RNN of StackedRNNCells", _stacked, refuse_stack),
    }

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Those four: all else is as `tensorflow` has it."""
        return tuple(cls.natives)

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """None: what TensorFlow's scripts call is the layers."""
        return None
