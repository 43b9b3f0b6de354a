"""Models as `torch.nn.Module`: each stage is a module of torch, as people write it; parameters have torch's layouts.

Two things are not as in a script: dropout multiplies by masks that come with the batch, since a module's own masks are
nobody else's; and the second bias of recurrent layers, which the specification has not, stays 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.torch.natives.recurrent import refuse_unrolling
from rnnspec.backends.torch.natives.stacks import NETWORKS
from rnnspec.backends.torch.weights import from_spec, to_spec
from rnnspec.spec.models import Model, Stage, shapes
from rnnspec.spec.models.shapes import viewed
from rnnspec.spec.operation import SAME

Tensors = dict[str, Tensor]

_ACTIVATIONS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
}


class StageModule(nn.Module):
    """A stage of a model by a module of torch; `names` are the specification's inputs that are its parameters."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def load(self, arrays: Tensors) -> None:
        """Take first values from the specification's arrays."""
        raise NotImplementedError

    def in_spec(self, of: Callable[[nn.Parameter], Tensor]) -> Tensors:
        """Return a property of the parameters, as the gradient is, in the specification's arrays."""
        raise NotImplementedError


class Weights(StageModule):
    """A stage whose parameters have the specification's layout under other names."""

    def __init__(self, stage: Stage, own: nn.Module, names: Mapping[str, str]) -> None:
        super().__init__(stage)
        self.own, self._names = own, names

    def load(self, arrays: Tensors) -> None:
        """Take first values from the specification's arrays."""
        self.own.load_state_dict({theirs: arrays[name] for name, theirs in self._names.items()})

    def in_spec(self, of: Callable[[nn.Parameter], Tensor]) -> Tensors:
        """Return a property of the parameters in the specification's arrays."""
        return {name: of(self.own.get_parameter(theirs)) for name, theirs in self._names.items()}


class Embedding(Weights):
    """`nn.Embedding`."""

    def __init__(self, stage: Stage, sizes: Mapping[str, int]) -> None:
        super().__init__(stage, nn.Embedding(sizes["V"], sizes["D"]), {"E": "weight"})

    def forward(self, ids: Tensor) -> Tensors:
        """Return the vectors."""
        return {"y": self.own(ids)}


class Linear(Weights):
    """`nn.Linear`, and what follows it."""

    def __init__(self, stage: Stage, sizes: Mapping[str, int]) -> None:
        dense = stage.operation.name == "dense"
        names = {"W": "weight", "b": "bias"} if dense else {"V": "weight", "c": "bias"}
        features = (sizes["D"], sizes["H"]) if dense else (sizes["H"], sizes["K"])
        super().__init__(stage, nn.Linear(*features), names)
        chosen = stage.attributes["activation"] if dense else "identity"
        if chosen not in _ACTIVATIONS:
            raise Unsupported(f"stage {stage.name}: torch.nn has no activation like {chosen}")
        self.activation = _ACTIVATIONS[chosen]()
        self.last = stage.attributes.get("at") == "last"

    def forward(self, **read: Tensor) -> Tensors:
        """Return the outputs, of the last step alone where the stage says so."""
        (x,) = read.values()
        return {"y": self.activation(self.own(x[:, -1] if self.last else x))}


class Recurrent(StageModule):
    """`nn.RNN`, `nn.LSTM` or `nn.GRU`: one layer, a stack, or both directions."""

    def __init__(self, stage: Stage, sizes: Mapping[str, int]) -> None:
        super().__init__(stage)
        name, attributes = stage.operation.name, stage.attributes
        self.family: Any = attributes.get("layer", name)
        if self.family not in NETWORKS:
            raise Unsupported(f"stage {stage.name}: torch.nn has no layer {self.family}")
        NETWORKS[self.family].refuse(**{"P": None, "b_R": None, **attributes})
        refuse_unrolling(**attributes)
        if attributes.get("dropout") is not None or attributes.get("merge", "concat") != "concat":
            raise Unsupported(f"stage {stage.name}: torch draws its own masks between layers, and joins directions")
        if attributes.get("reverse_activation", SAME) != SAME:
            raise Unsupported(f"stage {stage.name}: torch's layers have the same functions in both directions")
        self.reverse = attributes.get("direction") == "reverse"
        self.several = {"stacked": "layers", "bidirectional": "directions"}.get(name, "")
        count = sizes["L"] if self.several == "layers" else 1
        self.own = NETWORKS[self.family].layer(
            sizes["D"], sizes["H"], count, batch_first=True, bidirectional=self.several == "directions"
        )
        self.suffixes = ("_l0", "_l0_reverse") if self.several == "directions" else [f"_l{k}" for k in range(count)]
        for key, parameter in self.own.named_parameters():
            if key.startswith("bias_hh"):
                self._hold(parameter, sizes["H"])

    def _hold(self, bias: nn.Parameter, units: int) -> None:
        """Keep a second bias at 0, but for the part that is the GRU's b_rn."""
        if "b_rn" not in self.stage.parameters:
            bias.requires_grad_(False)
            return
        free = torch.zeros_like(bias)
        free[-units:] = 1
        bias.register_hook(lambda gradient: gradient * free)  # type: ignore[no-untyped-call]  # torch has no type for it

    def load(self, arrays: Tensors) -> None:
        """Take first values from the specification's arrays."""
        names: Tensors = {}
        for place, suffix in enumerate(self.suffixes):
            one: dict[str, Any] = {
                name: self._one(name, array, place, arrays) for name, array in arrays.items() if name != "W_above"
            }
            names |= from_spec(self.family, **one, reset="after" if self.family == "gru" else None, suffix=suffix)
        self.own.load_state_dict(names)

    def _one(self, name: str, array: Tensor, place: int, arrays: Tensors) -> Tensor:
        """The part of a parameter that one layer or direction has."""
        if self.several == "layers" and name == "W":
            return array if place == 0 else arrays["W_above"][place - 1]
        return array[place] if self.several else array

    def in_spec(self, of: Callable[[nn.Parameter], Tensor]) -> Tensors:
        """Return a property of the parameters in the specification's arrays."""
        flat = {key: of(parameter) for key, parameter in self.own.named_parameters()}
        each = [to_spec(self.family, flat, suffix=suffix) for suffix in self.suffixes]
        if not self.several:
            return {name: each[0][name] for name in self.stage.parameters}
        found = {name: torch.stack([one[name] for one in each]) for name in each[0] if name != "W"}
        if self.several == "directions":
            found["W"] = torch.stack([one["W"] for one in each])
        else:
            found["W"], found["W_above"] = each[0]["W"], torch.stack([one["W"] for one in each[1:]])
        return {name: found[name] for name in self.stage.parameters}

    def forward(self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensors:
        """Return the outputs and the last states."""
        states = [state[None] for state in (h0, c0) if state is not None]
        begin = (tuple(states) if len(states) > 1 else states[0]) if states else None
        y, after = self.own(x.flip(1) if self.reverse else x, begin)
        finals = after if isinstance(after, tuple) else (after,)
        ends = [state.transpose(0, 1) if self.several else state[0] for state in finals]
        return {"y": y.flip(1) if self.reverse else y, **dict(zip(("h_n", "c_n"), ends, strict=False))}


class Bare(StageModule):
    """A stage without parameters."""

    def load(self, arrays: Tensors) -> None:
        """Take nothing."""

    def in_spec(self, of: Callable[[nn.Parameter], Tensor]) -> Tensors:
        """Return nothing."""
        return {}


class Dropout(Bare):
    """Dropout by the batch's masks; none in evaluation, as of `nn.Dropout`."""

    def __init__(self, stage: Stage, sizes: Mapping[str, int]) -> None:
        super().__init__(stage)
        self.scale = 1 / (1 - stage.attributes["p"])
        self.over_time = stage.attributes["shared_over"] == "time"

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensors:
        """Return what is kept."""
        if not self.training or keep is None:
            return {"y": x}
        return {"y": x * (keep[:, None] if self.over_time else keep) * self.scale}


class Losses(Bare):
    """`nn.CrossEntropyLoss`, `nn.BCEWithLogitsLoss` or `nn.L1Loss`: the mean over all steps and sequences."""

    def __init__(self, stage: Stage, sizes: Mapping[str, int]) -> None:
        super().__init__(stage)
        kinds = {
            "cross_entropy": nn.CrossEntropyLoss,
            "binary_cross_entropy": nn.BCEWithLogitsLoss,
            "mean_absolute_error": nn.L1Loss,
        }
        self.own = kinds[stage.operation.name]()

    def forward(self, **read: Tensor) -> Tensors:
        """Return the loss."""
        if "ids" in read:
            return {"loss": self.own(read["logits"].flatten(0, 1), read["ids"].flatten())}
        prediction = read["logits"] if "logits" in read else read["prediction"]
        return {"loss": self.own(prediction, read["target"])}


_MODULES: Final[Mapping[str, Callable[[Stage, Mapping[str, int]], StageModule]]] = {
    "embedding": Embedding,
    "dense": Linear,
    "output_projection": Linear,
    **dict.fromkeys((*NETWORKS, "stacked", "bidirectional"), Recurrent),
    "dropout": Dropout,
    **dict.fromkeys(("cross_entropy", "binary_cross_entropy", "mean_absolute_error"), Losses),
}


class ModelModule(nn.Module):
    """A model as one module: `forward` takes a batch by name and returns every stage's outputs, ``stage.output``.

    Parameters
    ----------
    model, sizes
        The model, and sizes in place of its own.

    Raises
    ------
    Unsupported
        If torch.nn has no module for a stage; the message names it.
    """

    def __init__(self, model: Model, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.model, self.sizes = model, model.at(sizes)
        known = shapes(model, sizes)
        stages: dict[str, StageModule] = {}
        for stage in model.stages:
            if stage.operation.name not in _MODULES:
                raise Unsupported(f"stage {stage.name}: torch.nn has no {stage.operation.name}")
            taken = [name for name in stage.reads if name in ("lengths", "mask")]
            if taken or stage.shares:
                raise Unsupported(
                    f"stage {stage.name}: no module of torch.nn takes {(taken or ['shared parameters'])[0]}"
                )
            stages[stage.name] = _MODULES[stage.operation.name](stage, known.sizes[stage.name])
        self.stages: Any = nn.ModuleDict(stages)

    def load(self, parameters: Tensors) -> None:
        """Take first values by the specification's names."""
        for name, module in self.stages.items():
            own = {key: parameters[f"{name}.{key}"] for key in module.stage.parameters}
            if own:
                module.load(own)

    def in_spec(self, of: Callable[[nn.Parameter], Tensor]) -> Tensors:
        """Return a property of all parameters by the specification's names and in its arrays."""
        return {f"{name}.{key}": a for name, module in self.stages.items() for key, a in module.in_spec(of).items()}

    def forward(self, batch: Tensors) -> Tensors:
        """Return the batch and all outputs; stages whose inputs are not there are left out."""
        values = dict(batch)
        for name, module in self.stages.items():
            stage: Stage = module.stage
            if any(source not in values for read in stage.reads.values() for source in read.sources):
                continue
            read = {key: self._read(stage, key, values) for key in stage.reads}
            values |= {f"{name}.{key}": output for key, output in module(**read).items()}
        return values

    def _read(self, stage: Stage, key: str, values: Tensors) -> Tensor:
        read = stage.reads[key]
        whole = torch.cat([values[source] for source in read.sources], -1)
        batch = next(iter(values.values())).shape[0]
        shape = viewed(read, tuple(whole.shape), {**self.sizes, "B": batch}, f"stage {stage.name}, {key}")
        return whole.reshape(shape)
