"""Training of a model as `torch.nn.Module` with `torch.optim`, its clipping and its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.torch.modules import ModelModule
from rnnspec.backends.torch.natives.optimizers import CLASSES, NATIVES, STATES, options_of
from rnnspec.backends.training import Program, StepTaken
from rnnspec.spec.arrays import NamedArrays
from rnnspec.spec.models import Model, Step


class ModuleTraining:
    """One model's training; see `Program.begin`."""

    def __init__(self, model: Model, sizes: Mapping[str, int], parameters: NamedArrays, dtype: str) -> None:
        self._model, self._type = model, getattr(torch, dtype)
        self._module = ModelModule(model, sizes).to(self._type)
        self._module.load({name: self._tensor(array) for name, array in parameters.items()})
        own = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        self._optimizer = _optimizer(model.optimizer, own)
        self._schedule = None
        if model.schedule is not None:
            self._schedule = torch.optim.lr_scheduler.StepLR(
                self._optimizer, model.schedule.every, model.schedule.factor
            )
        if any(part.over for part in model.losses):
            raise Unsupported("torch's losses are sums or means over all steps, and no mean over sequences")
        if model.clipping is not None and model.clipping.operation.name != "clip_by_global_norm":
            raise Unsupported(f"torch.nn.utils has no {model.clipping.operation.name} of each gradient")
        self._dropped = any(item.kind == "bits" for item in model.data.values())
        self._carried: dict[str, Tensor] = {}

    def do(self, batch: NamedArrays) -> StepTaken:
        """Make one step: a pass, its gradients, clipping, the optimizer and the schedule."""
        given = {**{name: self._tensor(array) for name, array in batch.items()}, **self._carried}
        self._module.train()
        self._optimizer.zero_grad()
        values = self._module(given)
        loss = sum(
            (values[part.of] * part.weight for part in self._model.losses), start=torch.zeros((), dtype=self._type)
        )
        loss.backward()
        gradients = self._told(_gradient)
        clipped: NamedArrays = {}
        if self._model.clipping is not None:
            nn.utils.clip_grad_norm_(self._module.parameters(), self._model.clipping.attributes["threshold"])
            clipped = self._told(_gradient)
        self._optimizer.step()
        if self._schedule is not None:
            self._schedule.step()
        self._carried = {name: values[source].detach() for name, source in self._model.carries.items()}
        return StepTaken(
            loss.detach().numpy(), self._told(lambda one: one), self._states(), gradients, clipped, self._answer(given)
        )

    def _answer(self, given: dict[str, Tensor]) -> Any:
        if not (self._dropped and self._model.predicts):
            return None
        self._module.eval()
        with torch.no_grad():
            return self._module(given)[self._model.predicts].numpy()

    def _states(self) -> dict[tuple[str, str], Any]:
        found: dict[tuple[str, str], Any] = {}
        for key, theirs in STATES[self._model.optimizer.operation.name].items():
            known = self._told(partial(self._state, theirs))
            absent = all(theirs not in state for state in self._optimizer.state.values())
            found |= {} if absent else {(name, key): array.ravel() for name, array in known.items()}
        return found

    def _state(self, name: str, parameter: nn.Parameter) -> Tensor:
        """Return what the optimizer remembers of a parameter; 0 of one that it has not."""
        found: Tensor = self._optimizer.state.get(parameter, {}).get(name, torch.zeros_like(parameter))
        return found

    def _told(self, of: Any) -> NamedArrays:
        return {name: tensor.detach().numpy().copy() for name, tensor in self._module.in_spec(of).items()}

    def _tensor(self, array: Any) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.to(self._type) if tensor.is_floating_point() else tensor


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _optimizer(step: Step, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    name = step.operation.name
    refusal = NATIVES[name].refusal(**step.attributes)
    if refusal is not None:
        raise Unsupported(f"{refusal}; --set changes the optimizer of the model")
    made: torch.optim.Optimizer = getattr(torch.optim, CLASSES[name])(parameters, **options_of(name, step.attributes))
    return made


PROGRAM: Final = Program(
    "torch-module",
    "torch.nn.Module with torch.optim",
    lambda: {"torch": version("torch")},
    ModuleTraining,
)
