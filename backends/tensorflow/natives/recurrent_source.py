"""Calls of Keras's recurrent cells and layers as source: the lines that the call needs, and no more."""

from __future__ import annotations

from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import Lines, Script, hidden
from rnnspec.backends.tensorflow.natives.recurrent import Network, outputs_of
from rnnspec.backends.tensorflow.sequences import mask_source

INPUT_WEIGHTS: Final = 't["W"]'
_OTHERS: Final = "[v.value for v in layer.non_trainable_variables]"
"""Seeds of dropout, which is off."""


def cell_source(kind: Network) -> Script:
    """Return what writes the calls of a kind's cell."""

    def lines(call: Call) -> Lines:
        before = ", ".join(f't["{name}"]' for name in ("h_prev", "c_prev") if name in call.inputs)
        return Lines(
            [
                f"weights = {weights(call, INPUT_WEIGHTS, '')}",
                f"others = {_OTHERS}",
                f'(_, results), _ = layer.stateless_call(weights, others, t["x"], [{before}])',
            ],
            (
                *layout(kind, call),
                _options(kind, call),
                f"layer = keras.layers.{kind.keras}Cell(**options)",
                f"layer.build((None, {call.inputs['x'].shape[1]}))",
            ),
        )

    return lines


def layer_source(kind: Network) -> Script:
    """Return what writes the calls of a kind's layer."""

    def lines(call: Call) -> Lines:
        reverse = call.attributes["direction"] == "reverse"
        turned = reverse and call.attributes["output"] != "last"
        return Lines(
            [
                f"weights = {weights(call, INPUT_WEIGHTS, '')}",
                f"before = {before(kind, call, '')}",
                *called(call, "y, *after", 't["x"]'),
                f"results = [{'tf.reverse(y, [1])' if turned else 'y'}, *after]",
            ],
            (
                *layout(kind, call),
                *layer_options(kind, call),
                f"layer = {made(kind, 'True' if reverse else '')}",
                build(call),
            ),
        )

    return lines


def layout(kind: Network, call: Call) -> list[str]:
    """Functions that bring weights into Keras's layout: the gates along the columns."""
    lines = [
        f"kernel = lambda W: tf.reshape(tf.transpose({kind.gates(call)}, [2, 0, 1]), [W.shape[2], -1])",
        "bias = lambda b: kernel(b[..., None])[0]",
    ]
    if _has_two_biases(call):
        padded = f"tf.pad(b_rn, [[{2 * hidden(call)}, 0]])"
        lines.append(f"biases = lambda b, b_R, b_rn: tf.stack([bias(b), bias(b_R) + {padded}])")
    return lines


def _has_two_biases(call: Call) -> bool:
    """Whether Keras's layer has a bias beside the product with the state: the GRU that resets the product."""
    return "b_rn" in call.spec.inputs_for(call.attributes)


def layer_options(kind: Network, call: Call) -> list[str]:
    """Options of a layer that gives its outputs and its states."""
    on_gpu = {"use_cudnn": False} if kind.cudnn else {}
    of_layers = ", ".join(f"{name}={value}" for name, value in {**outputs_of(call.attributes), **on_gpu}.items())
    return [_options(kind, call), f"options |= dict({of_layers})"]


def _options(kind: Network, call: Call) -> str:
    """Options of the layer, or of the cell; its initial weights are never used."""
    chosen = kind.options(call.attributes)
    chosen = {name: chosen[name] for name in chosen if name not in ("kernel_initializer", "unit_forget_bias")}
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    given = [f"{name}={value!r}" for name, value in chosen.items() if usual.get(name) != value]
    return f"options = dict(units={hidden(call)}, {', '.join(given)}, dtype=dtype)"


def made(kind: Network, backwards: str = "") -> str:
    """An expression that makes the layer."""
    own = f", go_backwards={backwards}" if backwards else ""
    return f"keras.layers.{kind.keras}(**options{own})"


def build(call: Call) -> str:
    """A line that builds the layer for the input's features."""
    return f"layer.build((None, None, {call.inputs['x'].shape[2]}))"


def weights(call: Call, W: str, place: str) -> str:
    """Keras's weights for the specification's arrays."""
    b, b_R = (f't["{name}"]{place}' if name in call.inputs else "" for name in ("b", "b_R"))
    if _has_two_biases(call):
        b_rn = f't["b_rn"]{place}' if "b_rn" in call.inputs else f"tf.zeros_like({b}[0])"
        bias = f"biases({b}, {b_R or f'tf.zeros_like({b})'}, {b_rn})"
    else:
        bias = f"bias({b} + {b_R})" if b_R else f"bias({b})"
    return f'[kernel({W}), kernel(t["R"]{place}), {bias}]'


def before(kind: Network, call: Call, place: str) -> str:
    """The initial states; those that are absent are 0."""
    zeros = f"tf.zeros(({len(call.inputs['x'])}, {hidden(call)}), dtype)"
    return f"[{', '.join(f't[{name!r}]{place}' if name in call.inputs else zeros for name in kind.states)}]"


def called(call: Call, outputs: str, x: str) -> list[str]:
    """Lines that call the layer with weights and states of its own."""
    mask = mask_source(call, str(call.inputs["x"].shape[1]))
    return [
        f"others, mask = {_OTHERS}, {mask}",
        f"({outputs}), _ = layer.stateless_call(weights, others, {x}, initial_state=before, mask=mask)",
    ]
