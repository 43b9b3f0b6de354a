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
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import call
from rnnspec.backends.tensorflow.natives.recurrent import Network, layer_native, outputs_of
from rnnspec.backends.tensorflow.natives.stacks import NETWORKS, refuse_stack, with_input_weights
from rnnspec.backends.tensorflow.sequences import valid_steps


@lru_cache(maxsize=256)
def _unrolled(
    keras_name: str,
    layers: int,
    features: int,
    units: int,
    dtype: str,
    *,
    reverse: bool = False,
    output: str = "sequence",
    **options: Any,
) -> Any:
    """Return a layer that unrolls so many cells, one on another, built."""
    kind = getattr(keras.layers, f"{keras_name}Cell")
    with tf.init_scope():  # not inside the graph that may just be traced
        cells = [kind(units, dtype=dtype, **options) for _ in range(layers)]
        layer = keras.layers.RNN(
            cells[0] if layers == 1 else keras.layers.StackedRNNCells(cells, dtype=dtype),
            go_backwards=reverse,
            **outputs_of({"output": output}),
            dtype=dtype,
        )
        layer.build((None, None, features))
    return layer


def _of_one_cell(
    kind: Network, x: Tensor, units: int, mask: Tensor | None, attributes: Mapping[str, Any], *, reverse: bool
) -> Any:
    """Return a layer that unrolls a cell, built."""
    own = {"reverse": reverse, "output": attributes["output"]}
    return _unrolled(kind.keras, 1, x.shape[2], units, x.dtype.name, **own, **kind.options(attributes))


def _stacked(
    *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None, layer: str, **arguments: Any
) -> Outputs:
    kind, units, layers = NETWORKS[layer], arguments["W"].shape[1], arguments["R"].shape[0]
    stack = _unrolled(kind.keras, layers, x.shape[2], units, x.dtype.name, **kind.options(arguments))
    each = list(kind.each(x, with_input_weights(**arguments), layers))
    weights = [weight for own, _ in each for weight in kind.weights(own)]
    states: list[Any] = [before for _, before in each]
    # A stack of one is its cell, and one state a layer goes without a list of its own.
    given = states[0] if layers == 1 else [state[0] if len(state) == 1 else state for state in states]
    y, *after = call(stack, weights, x, initial_state=given, mask=valid_steps(x.shape[1], lengths, mask))
    finals = [after] if layers == 1 else [state if isinstance(state, list | tuple) else [state] for state in after]
    return y, *(tf.stack(state, 1) for state in zip(*finals, strict=True))


class TensorFlowCellsBackend(TensorFlowBackend):
    """Keras's cells unrolled by ``keras.layers.RNN``; it has the layers alone that can be made so."""

    name: ClassVar[str] = "tensorflow-cells"
    by_default: ClassVar[bool] = False
    natives: ClassVar[Mapping[str, Native]] = {
        **{
            name: layer_native(kind, f"keras.layers.RNN of {kind.keras}Cell", _of_one_cell)
            for name, kind in NETWORKS.items()
        },
        "stacked": Native("keras.layers.RNN of StackedRNNCells", _stacked, refuse_stack),
    }

    drawing: ClassVar[Mapping[str, Native]] = {}

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Those four: all else is as `tensorflow` has it."""
        return tuple(cls.natives)

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """None: TensorFlow's scripts call the layers."""
        return None
