"""The part that Keras's SimpleRNN, LSTM and GRU share: cells and layers called with the weights and states of a call.

Each of them has a file of its own, which hands over its peculiarities as its `Network`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.gates import PARAMETERS, Family
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, tf
from rnnspec.backends.tensorflow.keras_layers import built, call, call_drawing, cudnn, drawing
from rnnspec.backends.tensorflow.sequences import valid_steps
from rnnspec.backends.tensorflow.weights import from_spec

Arguments = Mapping[str, Any]
"""Parameters, states and attributes of a call, by name; there may be others."""


def _refuse_nothing(**arguments: Any) -> None:
    """Every call that the specification allows can be done."""


def _as_it_is(call: Call) -> str:
    return "W"


@dataclass(frozen=True)
class Network:
    """One of Keras's recurrent networks, and its own properties.

    `family` is its name in the specification, `keras` that of its layer; the cell's ends in ``Cell``. `states` are the
    initial states of the layer. `choices` gives the options of cell and layer for the attributes of a call. `refuse`
    takes the arguments of a call and raises `Unsupported` for what neither cell nor layer can do. `cudnn` tells whether
    the layer has a kernel of cuDNN. `gates` writes a parameter ``W`` with its gates as Keras has them, for a script.
    """

    family: Family
    keras: str
    states: tuple[str, ...]
    choices: Callable[[Mapping[str, Any]], dict[str, Any]]
    refuse: Callable[..., None] = _refuse_nothing
    cudnn: bool = True
    gates: Callable[[Call], str] = _as_it_is

    def options(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the cell or layer for attributes of the specification."""
        # The layer's initial weights are never used: zeros cost least.
        return {"kernel_initializer": "zeros", "recurrent_initializer": "zeros", **self.choices(attributes)}

    def layer_options(self, mask: Tensor | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of a layer that gives its outputs, as the attribute says, and its states."""
        on_gpu = {"use_cudnn": cudnn(mask)} if self.cudnn else {}
        return {**self.options(attributes), **on_gpu, **outputs_of(attributes)}

    def weights(self, arguments: Arguments) -> list[Tensor]:
        """Keras's weights, in the order in which its layers list them, from the arguments of a call."""
        given = {name: arguments[name] for name in PARAMETERS if name in arguments}
        chosen = {name: arguments[name] for name in ("update", "reset") if name in arguments}
        return list(from_spec(self.family, **given, **chosen).values())

    def initial(self, x: Tensor, units: int, *given: Tensor | None) -> list[Tensor]:
        """States before the first step, as Keras takes them, from h0 and c0."""
        states = given[: len(self.states)]
        return [tf.zeros((x.shape[0], units), x.dtype) if state is None else state for state in states]

    def each(self, x: Tensor, arguments: Arguments, count: int) -> Iterator[tuple[dict[str, Any], list[Tensor]]]:
        """The arguments of each of so many layers or directions, and its states before the first step."""
        several = [name for name in PARAMETERS if name in arguments]
        for place in range(count):
            own = {**arguments, **{name: arguments[name][place] for name in several}}
            states = (arguments.get(name) for name in ("h0", "c0"))
            given = (None if state is None else state[:, place] for state in states)
            yield own, self.initial(x, own["W"].shape[1], *given)


def outputs_of(attributes: Mapping[str, Any]) -> dict[str, bool]:
    """Keyword arguments of a layer that gives its states, and of its outputs those that the attribute names.

    Keras's last output is that of the last step of the array: the last valid one only where outputs are held.
    """
    output = attributes.get("output", "sequence")
    return {
        "return_sequences": output != "last",
        "return_state": True,
        "zero_output_for_mask": output == "sequence",
    }


def refusing_layer(refuse: Callable[..., None]) -> Callable[..., None]:
    """Return what refuses a layer's calls: those that its kind refuses, and those that every layer of Keras does."""

    def refuse_layer(
        *, x: Tensor, truncate: int | None = None, recurrent_dropout: float | None = None, **arguments: Any
    ) -> None:
        refuse(**arguments)
        if truncate is not None:
            raise Unsupported("Keras's layers do not truncate the gradient within a sequence")
        if recurrent_dropout is not None:
            raise Unsupported("Keras's layers draw the mask of their recurrent dropout themselves")
        if x.shape[1] == 0:
            raise Unsupported("Keras's layers refuse sequences of no steps (T = 0)")

    return refuse_layer


def cell_native(kind: Network) -> Native:
    """One step by Keras's cell."""

    def cell(*, x: Tensor, h_prev: Tensor, c_prev: Tensor | None = None, **arguments: Any) -> Outputs:
        states = [h_prev] if c_prev is None else [h_prev, c_prev]
        shape, units = (None, x.shape[1]), arguments["W"].shape[1]
        one = built(f"{kind.keras}Cell", shape, x.dtype.name, units=units, **kind.options(arguments))
        _, after = call(one, kind.weights(arguments), x, states)
        return tuple(after)

    return Native(f"keras.layers.{kind.keras}Cell", cell, kind.refuse)


Made = Callable[..., Any]
"""``made(kind, x, units, mask, attributes, reverse=…)``: a layer for calls with such inputs, built."""


def own_layer(
    kind: Network, x: Tensor, units: int, mask: Tensor | None, attributes: Mapping[str, Any], *, reverse: bool
) -> Any:
    """Keras's layer of that kind, built."""
    options = {"units": units, "go_backwards": reverse, **kind.layer_options(mask, attributes)}
    return built(kind.keras, (None, None, x.shape[2]), x.dtype.name, **options)


def layer_native(kind: Network, calls: str = "", made: Made = own_layer) -> Native:
    """A sequence by Keras's layer, or by another that is `made`, as which it `calls` itself."""

    def layer(
        *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None, direction: str, **arguments: Any
    ) -> Outputs:
        states = kind.initial(x, arguments["W"].shape[1], arguments.get("h0"), arguments.get("c0"))
        valid = valid_steps(x.shape[1], lengths, mask)
        return run_layer(kind, x, arguments, states, valid, reverse=direction == "reverse", made=made)

    return Native(calls or f"keras.layers.{kind.keras}", layer, refusing_layer(kind.refuse))


def run_layer(
    kind: Network,
    x: Tensor,
    arguments: Arguments,
    states: list[Tensor],
    mask: Tensor | None,
    *,
    reverse: bool,
    made: Made = own_layer,
) -> Outputs:
    """Outputs and final states of Keras's layer, or of another that is `made`.

    Keras gives the outputs of a layer that goes backwards in the order of its reading.
    """
    layer = made(kind, x, arguments["W"].shape[1], mask, arguments, reverse=reverse)
    y, *after = call(layer, kind.weights(arguments), x, initial_state=states, mask=mask)
    turned = reverse and arguments.get("output") != "last"
    return (tf.reverse(y, [1]) if turned else y, *after)


def refuse_padded(*, lengths: Tensor | None = None, mask: Tensor | None = None, **others: Any) -> None:
    """Refuse steps that are taken out: what draws masks here is given whole sequences."""
    if lengths is not None or mask is not None:
        raise Unsupported("layers that draw masks are given whole sequences")


def run_drawing(
    kind: Network,
    x: Tensor,
    arguments: Arguments,
    states: list[Tensor],
    *,
    training: bool,
    seed: int | None,
    reverse: bool = False,
    **rates: float,
) -> Outputs:
    """Outputs and final states of Keras's layer with rates of dropout, whose masks hold for all steps."""
    options = {"units": arguments["W"].shape[1], "go_backwards": reverse, **kind.layer_options(None, arguments)}
    layer = drawing(kind.keras, (None, None, x.shape[2]), x.dtype.name, seed, **options, **rates)
    y, *after = call_drawing(layer, kind.weights(arguments), x, initial_state=states, training=training)
    turned = reverse and arguments.get("output") != "last"
    return (tf.reverse(y, [1]) if turned else y, *after)
