"""Calls of Keras's recurrent cells and layers as source: what is written is what the call needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import RECURRENT, Lines, Script, family, hidden, indented, states
from rnnspec.backends.tensorflow.recurrent import LAYERS as CLASSES
from rnnspec.backends.tensorflow.recurrent import options
from rnnspec.backends.tensorflow.script_functions import mask_of

_W: Final = 't["W"]'
_OTHERS: Final = "[v.value for v in layer.non_trainable_variables]"
"""Seeds of dropout, which is off."""


def _cell(call: Call) -> Lines:
    before = ", ".join(f't["{name}"]' for name in ("h_prev", "c_prev") if name in call.inputs)
    return Lines(
        [
            f"weights = {_weights(call, _W, '')}",
            f"others = {_OTHERS}",
            f'(_, results), _ = layer.stateless_call(weights, others, t["x"], [{before}])',
        ],
        (
            *_layout(call),
            *_options(call),
            f"layer = keras.layers.{CLASSES[family(call)]}Cell(**options)",
            f"layer.build((None, {call.inputs['x'].shape[1]}))",
        ),
    )


def _layer(call: Call) -> Lines:
    reverse = call.attributes["direction"] == "reverse"
    return Lines(
        [
            f"weights = {_weights(call, _W, '')}",
            f"before = {_before(call, '')}",
            *_called(call, "y, *after", 't["x"]'),
            f"results = [{'tf.reverse(y, [1])' if reverse else 'y'}, *after]",
        ],
        (*_layout(call), *_options(call), f"layer = {_made(call, 'True' if reverse else '')}", _built(call)),
    )


def _bidirectional(call: Call) -> Lines:
    merge = None if call.attributes["merge"] == "none" else call.attributes["merge"]
    outputs, count = "y" if merge else "y, z", len(states(call))
    each = _weights(call, f"{_W}[i]", "[i]")
    return Lines(
        [
            f"weights = [w for i in (0, 1) for w in {each}]",
            f"before = {_before(call, '[:, 0]')} + {_before(call, '[:, 1]')}",
            *_called(call, f"{outputs}, *after", 't["x"]'),
            f"results = [{outputs}, *(tf.stack(both, 1) for both in zip(after[:{count}], after[{count}:]))]",
        ],
        (
            *_layout(call),
            *_options(call),
            f"layer = keras.layers.Bidirectional({_made(call)}, merge_mode={merge!r}, dtype=dtype)",
            _built(call),
        ),
    )


def _stack(call: Call) -> Lines:
    """Layers one on another, in the alternating stack every second of them backwards."""
    number, alternating = len(call.inputs["R"]), call.operation == "alternating_stack"
    sizes = [call.inputs["x"].shape[2], *[hidden(call)] * (number - 1)]
    turned = ["    y = tf.reverse(y, [1]) if i % 2 == 1 else y"] if alternating else []
    return Lines(
        [
            'y, finals = t["x"], []',
            'for i, (layer, W) in enumerate(zip(layers, [t["W"], *tf.unstack(t["W_above"])])):',
            f"    weights = {_weights(call, 'W', '[i]')}",
            f"    before = {_before(call, '[:, i]')}",
            *indented(_called(call, "y, *after", "y")),
            *turned,
            "    finals.append(after)",
            "results = [y, *(tf.stack(state, 1) for state in zip(*finals))]",
        ],
        (
            *_layout(call),
            *_options(call),
            f"layers = [{_made(call, 'i % 2 == 1' if alternating else '')} for i in range({number})]",
            f"built = [layer.build((None, None, size)) for layer, size in zip(layers, {sizes})]",
        ),
    )


def _options(call: Call) -> list[str]:
    """Options of the layer, or of the cell; what it begins with is never used."""
    chosen = options(family(call), call.attributes)
    chosen = {name: chosen[name] for name in chosen if name not in ("kernel_initializer", "unit_forget_bias")}
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    given = [f"{name}={value!r}" for name, value in chosen.items() if usual.get(name) != value]
    lines = [f"options = dict(units={hidden(call)}, {', '.join(given)}, dtype=dtype)"]
    if not call.operation.endswith("_cell"):
        on_gpu = "" if family(call) == "rnn" else ", use_cudnn=False"
        lines.append(f"options |= dict(return_sequences=True, return_state=True, zero_output_for_mask=True{on_gpu})")
    return lines


def _made(call: Call, backwards: str = "") -> str:
    own = f", go_backwards={backwards}" if backwards else ""
    return f"keras.layers.{CLASSES[family(call)]}(**options{own})"


def _built(call: Call) -> str:
    return f"layer.build((None, None, {call.inputs['x'].shape[2]}))"


def _layout(call: Call) -> list[str]:
    """Functions that bring weights into Keras's layout: the gates, z before r, along the columns."""
    gates = "W"
    if family(call) == "gru":
        z = "-W[1]" if call.attributes["update"] == "admits" else "W[1]"
        gates = f"tf.stack([{z}, W[0], W[2]])"
    lines = [
        f"kernel = lambda W: tf.reshape(tf.transpose({gates}, [2, 0, 1]), [W.shape[2], -1])",
        "bias = lambda b: kernel(b[..., None])[0]",
    ]
    if "b_rn" in call.inputs:
        lines[1] = f"bias = lambda b, n: tf.stack([kernel(b[..., None])[0], tf.pad(n, [[{2 * hidden(call)}, 0]])])"
    return lines


def _weights(call: Call, W: str, place: str) -> str:
    """Keras's weights for the specification's arrays."""
    biases = ", ".join(f't["{name}"]{place}' for name in ("b", "b_rn") if name in call.inputs)
    return f'[kernel({W}), kernel(t["R"]{place}), bias({biases})]'


def _before(call: Call, place: str) -> str:
    """The initial states; those that are absent are 0."""
    zeros = f"tf.zeros(({len(call.inputs['x'])}, {hidden(call)}), dtype)"
    return f"[{', '.join(f't[{name!r}]{place}' if name in call.inputs else zeros for name in states(call))}]"


def _called(call: Call, outputs: str, x: str) -> list[str]:
    mask = mask_of(call, str(call.inputs["x"].shape[1]))
    return [
        f"others, mask = {_OTHERS}, {mask}",
        f"({outputs}), _ = layer.stateless_call(weights, others, {x}, initial_state=before, mask=mask)",
    ]


LAYERS: Final[Mapping[str, Script]] = {
    **{name: _cell for name in RECURRENT if name.endswith("_cell")},
    **dict.fromkeys(("rnn", "lstm", "gru"), _layer),
    "bidirectional": _bidirectional,
    "stacked": _stack,
    "alternating_stack": _stack,
}
"""Operations that a recurrent layer of Keras does."""
