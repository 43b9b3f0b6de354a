"""Training of a model as `keras.Model` by its `fit`, with `keras.optimizers`: one batch a call.

`fit` keeps the gradients for itself: a judge sees the loss, the optimizer's state and the parameters. Dropout
multiplies by masks that come with the batch, since a layer's own masks are nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts import keras as layout
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.tensorflow.framework import Tensor, keras
from rnnspec.backends.tensorflow.graphs import no_retracing_warnings
from rnnspec.backends.tensorflow.keras_layers import refuse_functions
from rnnspec.backends.training import Program, StepTaken
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model, Read, Stage, Step, shapes
from rnnspec.spec.models.shapes import viewed
from rnnspec.spec.operation import SAME

_LAYERS: Final = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
_LOSSES: Final[Mapping[str, Callable[[], Any]]] = {
    "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "binary_cross_entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
}
_XP: Final = NumpyShaping()


@dataclass(frozen=True)
class _Weights:
    """A layer's weights as parameters of the specification: its own to ours, and back."""

    layer: Any
    own: Callable[[dict[str, Any]], list[Array]]
    ours: Callable[[list[Array]], NamedArrays]


class _Builder:
    """The layers of a model, each called on what its stage reads."""

    def __init__(self, model: Model, sizes: Mapping[str, int], dtype: str) -> None:
        self.model, self.dtype, self.sizes = model, dtype, model.at(sizes)
        self.known = shapes(model, sizes)
        self.weights: dict[str, _Weights] = {}
        self.values: dict[str, Tensor] = {}
        kinds = {"ids": "int64", "bits": dtype}
        reads = model.stages[-1].reads
        if model.stages[-1].operation.name not in _LOSSES or len(model.losses) != 1 or model.losses[0].weight != 1:
            raise Unsupported(f"Keras has no loss {model.stages[-1].operation.name}")
        self.target = reads["ids" if "ids" in reads else "target"].sources[0]
        for name, item in model.data.items():
            if item.kind == "lengths" or name in model.carries:
                raise Unsupported(f"data {name}: fit carries no states and takes no lengths")
            if name != self.target:
                shape = tuple(self.known.data[name][1:])
                self.values[name] = keras.Input(shape, dtype=kinds.get(item.kind, dtype), name=name)
        self.inputs = dict(self.values)
        for stage in model.stages[:-1]:
            self._add(stage)
        self.answer = self.values[next(iter(model.stages[-1].reads.values())).sources[0]]

    def _add(self, stage: Stage) -> None:
        name, read = stage.operation.name, {key: self._read(one, stage) for key, one in stage.reads.items()}
        if stage.shares:
            raise Unsupported(f"stage {stage.name}: shared parameters")
        builders: dict[str, Callable[..., dict[str, Tensor]]] = {
            "embedding": self._embedding, "dense": self._dense, "output_projection": self._dense,
            "dropout": self._dropout, "stacked": self._stacked, "bidirectional": self._bidirectional,
            **dict.fromkeys(_LAYERS, self._recurrent),
        }  # fmt: skip
        if name not in builders:
            raise Unsupported(f"stage {stage.name}: Keras has no layer {name}")
        outputs = builders[name](stage, self.known.sizes[stage.name], **read)
        self.values |= {f"{stage.name}.{key}": output for key, output in outputs.items()}

    def _read(self, read: Read, stage: Stage) -> Tensor:
        parts = [self.values[source] for source in read.sources]
        whole = parts[0] if len(parts) == 1 else keras.layers.Concatenate(dtype=self.dtype)(parts)
        if not read.view:
            return whole
        batch = self.sizes["B"]
        shape = viewed(read, (batch, *whole.shape[1:]), self.sizes, f"stage {stage.name}")
        return keras.layers.Reshape(shape[1:], dtype=self.dtype)(whole)

    def _embedding(self, stage: Stage, sizes: Mapping[str, int], ids: Tensor) -> dict[str, Tensor]:
        layer = keras.layers.Embedding(sizes["V"], sizes["D"], dtype=self.dtype)
        self.weights[stage.name] = _Weights(layer, lambda a: [a["E"]], lambda w: {"E": w[0]})
        return {"y": layer(ids)}

    def _dense(self, stage: Stage, sizes: Mapping[str, int], **read: Tensor) -> dict[str, Tensor]:
        (x,) = read.values()
        dense = stage.operation.name == "dense"
        chosen = stage.attributes["activation"] if dense else "identity"
        refuse_functions(chosen)
        matrix, vector = ("W", "b") if dense else ("V", "c")
        layer = keras.layers.Dense(sizes["H" if dense else "K"], activation=ACTIVATIONS[chosen], dtype=self.dtype)
        self.weights[stage.name] = _Weights(
            layer, lambda a: [a[matrix].T, a[vector]], lambda w: {matrix: w[0].T, vector: w[1]}
        )
        return {"y": layer(x[:, -1] if stage.attributes.get("at") == "last" else x)}

    def _layer(self, stage: Stage, sizes: Mapping[str, int], **options: Any) -> Any:
        attributes = stage.attributes
        family = attributes.get("layer", stage.operation.name)
        if family not in _LAYERS:
            raise Unsupported(f"stage {stage.name}: Keras has no layer {family}")
        for name in ("clip", "forget_bias", "recurrent_dropout", "truncate", "dropout"):
            if attributes.get(name) is not None:
                raise Unsupported(f"stage {stage.name}: Keras's layers have no {name} by masks or numbers given")
        if family == "lstm":
            if attributes["coupled"] or attributes["projection"] or attributes["gradient"] != "full":
                raise Unsupported(f"stage {stage.name}: Keras's LSTM is the plain one")
            gate, candidate, output = attributes["activations"]
            if candidate != output:
                raise Unsupported(f"stage {stage.name}: Keras's LSTM has one activation for candidate and output")
            refuse_functions(gate, candidate)
            options |= {"activation": ACTIVATIONS[candidate], "recurrent_activation": ACTIVATIONS[gate]}
        return _LAYERS[family](sizes["H"], return_sequences=True, return_state=True, dtype=self.dtype, **options)

    def _recurrent(self, stage: Stage, sizes: Mapping[str, int], x: Tensor, **states: Tensor) -> dict[str, Tensor]:
        reverse = stage.attributes["direction"] == "reverse"
        layer = self._layer(stage, sizes, go_backwards=reverse)
        family: Any = stage.operation.name
        self.weights[stage.name] = _Weights(
            layer, lambda a: list(layout.from_spec(_XP, family, **a).values()), lambda w: _read_back(family, w)
        )
        y, *finals = layer(x, initial_state=[states[name] for name in ("h0", "c0") if name in states] or None)
        return {"y": y[:, ::-1] if reverse else y, **dict(zip(("h_n", "c_n"), finals, strict=False))}

    def _stacked(self, stage: Stage, sizes: Mapping[str, int], x: Tensor) -> dict[str, Tensor]:
        family: Any = stage.attributes["layer"]
        for k in range(sizes["L"]):
            layer = self._layer(stage, sizes)
            x, *_ = layer(x)

            def own(arrays: NamedArrays, k: int = k) -> list[Array]:
                inward = arrays["W"] if k == 0 else arrays["W_above"][k - 1]
                return list(layout.from_spec(_XP, family, inward, arrays["R"][k], arrays["b"][k]).values())

            self.weights[f"{stage.name}:{k}"] = _Weights(layer, own, lambda w: _read_back(family, w))
        return {"y": x}

    def _bidirectional(self, stage: Stage, sizes: Mapping[str, int], x: Tensor) -> dict[str, Tensor]:
        if stage.attributes["merge"] != "concat":
            raise Unsupported(f"stage {stage.name}: directions that are joined only")
        if stage.attributes["reverse_activation"] != SAME:
            raise Unsupported(f"stage {stage.name}: directions of the same functions only")
        family: Any = stage.attributes["layer"]
        layer = keras.layers.Bidirectional(self._layer(stage, sizes), dtype=self.dtype)
        each = 3  # kernel, recurrent kernel and bias of a direction

        def own(arrays: NamedArrays) -> list[Array]:
            both: list[dict[str, Any]] = [{name: array[d] for name, array in arrays.items()} for d in (0, 1)]
            return [weight for one in both for weight in layout.from_spec(_XP, family, **one).values()]

        def ours(weights: list[Array]) -> NamedArrays:
            both = [_read_back(family, weights[k * each : (k + 1) * each]) for k in (0, 1)]
            return {name: np.stack([one[name] for one in both]) for name in both[0]}

        self.weights[stage.name] = _Weights(layer, own, ours)
        y, *finals = layer(x)
        half = len(finals) // 2
        ends = [keras.ops.stack([finals[k], finals[half + k]], axis=1) for k in range(half)]
        return {"y": y, **dict(zip(("h_n", "c_n"), ends, strict=False))}

    def _dropout(self, stage: Stage, sizes: Mapping[str, int], x: Tensor, keep: Tensor) -> dict[str, Tensor]:
        mask = keep[:, None] if stage.attributes["shared_over"] == "time" else keep
        return {"y": x * mask * (1 / (1 - stage.attributes["p"]))}


def _read_back(family: Any, weights: list[Array]) -> NamedArrays:
    names = ("kernel", "recurrent_kernel", "bias")
    return layout.to_spec(_XP, family, dict(zip(names, weights, strict=True)))


class Fitting:
    """One model's training; see `Program.begin`."""

    def __init__(self, model: Model, sizes: Mapping[str, int], parameters: NamedArrays, dtype: str) -> None:
        if model.clipping is not None or model.schedule is not None:
            raise Unsupported("clipping and schedules are options of Keras's optimizers that are not built here")
        self._model, self._dtype = model, dtype
        self._built = _Builder(model, sizes, dtype)
        self._keras = keras.Model(self._built.inputs, self._built.answer)
        self._optimizer = _optimizer(model.optimizer)
        self._keras.compile(optimizer=self._optimizer, loss=_LOSSES[model.stages[-1].operation.name]())
        for place, one in self._built.weights.items():
            own = {name.partition(".")[2]: a for name, a in parameters.items() if _stage_of(name) == _stage_of(place)}
            one.layer.set_weights([array.astype(dtype) for array in one.own(own)])

    def do(self, batch: NamedArrays) -> StepTaken:
        """Fit to one batch."""
        given = {name: self._typed(array) for name, array in batch.items()}
        target = given.pop(self._built.target)
        with no_retracing_warnings():
            history = self._keras.fit(
                given, target.reshape(len(target), -1), batch_size=len(target), epochs=1, shuffle=False, verbose=0
            )
        states: dict[tuple[str, str], Array] = {}
        for key, remembered in self._remembered().items():
            found = self._ours(dict(zip(map(id, self._keras.trainable_variables), remembered, strict=True)))
            states |= {(name, key): array.ravel() for name, array in found.items()}
        own = {id(variable): variable for variable in self._keras.trainable_variables}
        return StepTaken(np.asarray(history.history["loss"][0]), self._ours(own), states)

    def _remembered(self) -> dict[str, list[Any]]:
        optimizer = self._optimizer
        if self._model.optimizer.operation.name == "rmsprop_step":
            return {"v": optimizer._velocities}
        return {"m": optimizer._momentums, "v": optimizer._velocities}

    def _ours(self, of: Mapping[int, Any]) -> NamedArrays:
        """A property of all variables, by the specification's names and in its arrays."""
        found: dict[str, NamedArrays] = {}
        for place, one in self._built.weights.items():
            numbers = [np.array(of[id(variable)].numpy()) for variable in one.layer.trainable_variables]
            found[place] = one.ours(numbers)
        whole: NamedArrays = {}
        for stage in self._model.stages:
            parts = [found[place] for place in found if _stage_of(place) == stage.name]
            if len(parts) > 1 or f"{stage.name}:0" in found:
                joined = {name: np.stack([part[name] for part in parts]) for name in ("R", "b")}
                joined |= {"W": parts[0]["W"], "W_above": np.stack([part["W"] for part in parts[1:]])}
                parts = [joined]
            whole |= {f"{stage.name}.{name}": array for part in parts for name, array in part.items()}
        return whole

    def _typed(self, array: Array) -> Array:
        return array.astype(self._dtype) if array.dtype.kind in "fb" else array


def _stage_of(place: str) -> str:
    return place.partition(":")[0].partition(".")[0]


def _optimizer(step: Step) -> Any:
    """Keras's optimizer with these attributes."""
    name, given = step.operation.name, step.attributes
    if name == "adam_step" and given["epsilon_at"] == "uncorrected" and given["correction"]:
        return keras.optimizers.Adam(given["learning_rate"], given["beta1"], given["beta2"], given["epsilon"])
    if name == "rmsprop_step" and given["epsilon_at"] == "inside" and not given["centred"]:
        return keras.optimizers.RMSprop(given["learning_rate"], given["decay"], epsilon=given["epsilon"])
    raise Unsupported(f"{name}: Keras adds epsilon elsewhere, or has no such step; --set changes the optimizer")


PROGRAM: Final = Program(
    "keras-fit",
    "keras.Model and its fit, with keras.optimizers",
    lambda: {name: version(name) for name in ("tensorflow", "keras")},
    Fitting,
)
