"""Layers that torch lacks as the loops over nn.Linear that people write for them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from rnnspec.backends import Call, Unsupported
from rnnspec.conformance.bench.contenders.library import refuse_all_but
from rnnspec.conformance.bench.contenders.torch_library import Gradients, MadeInTorch, TorchContender, tensors

GATES: Final = 4
States = tuple[Tensor, ...]


class GateProducts(nn.Module):
    """The arguments of the gates: an nn.Linear for x and one for h, of each gate or of all gates at once."""

    def __init__(self, features: int, hidden: int, *, per_gate: bool, bias: bool = True) -> None:
        super().__init__()
        count, size = (GATES, hidden) if per_gate else (1, GATES * hidden)
        self.of_x = nn.ModuleList(nn.Linear(features, size, bias=bias) for _ in range(count))
        self.of_h = nn.ModuleList(nn.Linear(hidden, size, bias=False) for _ in range(count))

    def forward(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """Return the arguments of i, f, g and o."""
        sums = [of_x(x) + of_h(h) for of_x, of_h in zip(self.of_x, self.of_h, strict=True)]
        return sums if len(sums) > 1 else list(sums[0].chunk(GATES, -1))


class LoopCell(nn.Module):
    """One step, from an input (B, D) and the states before, h first, to the states after."""

    memories: ClassVar[int] = 1
    arrays: ClassVar[Mapping[str, str]]
    """Names of the parameters that hold each of the specification's arrays, in its order of gates."""

    def __init__(self, features: int, hidden: int, *, per_gate: bool, bias: bool = True) -> None:
        super().__init__()
        self.products = GateProducts(features, hidden, per_gate=per_gate, bias=bias)

    def holding(self, array: str) -> list[str]:
        """Names of the parameters that hold an array."""
        return [name for name, _ in self.named_parameters() if fnmatchcase(name, self.arrays[array])]

    def load(self, inputs: Mapping[str, Tensor]) -> None:
        """Take the parameters from the specification's arrays."""
        parameters = dict(self.named_parameters())
        for array in self.arrays:
            held = [parameters[name] for name in self.holding(array)]
            for parameter, part in zip(held, inputs[array].reshape(len(held), *held[0].shape), strict=True):
                parameter.data = part.clone()


class PeepholeCell(LoopCell):
    """The cell of the peephole LSTM."""

    arrays: ClassVar[Mapping[str, str]] = {
        "W": "products.of_x.*.weight",
        "R": "products.of_h.*.weight",
        "b": "products.of_x.*.bias",
        "P": "p_?",
    }

    def __init__(self, features: int, hidden: int, *, per_gate: bool) -> None:
        super().__init__(features, hidden, per_gate=per_gate)
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.zeros(hidden)) for _ in range(3))

    def forward(self, x: Tensor, states: States) -> States:
        """Return h and the memories after the step."""
        h, c = states
        a_i, a_f, a_g, a_o = self.products(x, h)
        i, f = torch.sigmoid(a_i + self.p_i * c), torch.sigmoid(a_f + self.p_f * c)
        c = f * c + i * torch.tanh(a_g)
        return torch.sigmoid(a_o + self.p_o * c) * torch.tanh(c), c


class LayerNormCell(LoopCell):
    """The cell of the layer-normalised LSTM."""

    arrays: ClassVar[Mapping[str, str]] = {
        "W": "products.of_x.*.weight",
        "R": "products.of_h.*.weight",
        "gain": "norms.*.weight",
        "b": "norms.*.bias",
        "gain_c": "norm_c.weight",
        "b_c": "norm_c.bias",
    }

    def __init__(self, features: int, hidden: int, *, per_gate: bool) -> None:
        super().__init__(features, hidden, per_gate=per_gate, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(GATES))
        self.norm_c = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, states: States) -> States:
        """Return h and the memories after the step."""
        h, c = states
        a_i, a_f, a_g, a_o = (norm(a) for norm, a in zip(self.norms, self.products(x, h), strict=True))
        c = torch.sigmoid(a_f) * c + torch.sigmoid(a_i) * torch.tanh(a_g)
        return torch.sigmoid(a_o) * torch.tanh(self.norm_c(c)), c


class NestedCell(LoopCell):
    """The cell of the nested LSTM, with one inner level."""

    memories: ClassVar[int] = 2
    arrays: ClassVar[Mapping[str, str]] = {
        "W": "products.of_x.*.weight",
        "R": "products.of_h.*.weight",
        "b": "products.of_x.*.bias",
        "W_inner": "inner.of_x.*.weight",
        "R_inner": "inner.of_h.*.weight",
        "b_inner": "inner.of_x.*.bias",
    }

    def __init__(self, features: int, hidden: int, *, per_gate: bool) -> None:
        super().__init__(features, hidden, per_gate=per_gate)
        self.inner = GateProducts(hidden, hidden, per_gate=per_gate)

    def forward(self, x: Tensor, states: States) -> States:
        """Return h and the memories after the step."""
        h, c, c_inner = states
        a_i, a_f, a_g, a_o = self.products(x, h)
        x_inner, h_inner = torch.sigmoid(a_i) * torch.tanh(a_g), torch.sigmoid(a_f) * c
        b_i, b_f, b_g, b_o = self.inner(x_inner, h_inner)
        c_inner = torch.sigmoid(b_f) * c_inner + torch.sigmoid(b_i) * torch.tanh(b_g)
        c = torch.sigmoid(b_o) * torch.tanh(c_inner)
        return torch.sigmoid(a_o) * torch.tanh(c), c, c_inner


CELLS: Final[Mapping[str, type[LoopCell]]] = {
    "peephole_lstm": PeepholeCell,
    "layer_norm_lstm": LayerNormCell,
    "nested_lstm": NestedCell,
}


class LinearForEachGate(TorchContender):
    """A loop over the steps with an nn.Linear for each gate."""

    name: ClassVar[str] = "Linear for each gate"
    offers: ClassVar[tuple[str, ...]] = tuple(CELLS)
    differentiable: ClassVar[tuple[str, ...]] = offers
    per_gate: ClassVar[bool] = True

    def make(self, call: Call) -> MadeInTorch:
        """Make the cell, and load its parameters."""
        refuse_all_but(call)
        inputs = tensors(call.inputs)
        x, W = inputs.pop("x").requires_grad_(), inputs["W"]
        if x.shape[1] == 0:
            raise Unsupported("the loop takes at least one step")
        if call.operation == "nested_lstm" and len(inputs["W_inner"]) != 1:
            raise Unsupported("the loop has one inner level")
        cell = CELLS[call.operation](W.shape[2], W.shape[1], per_gate=self.per_gate)
        cell.load(inputs)

        def loop() -> tuple[Tensor, States]:
            states: States = tuple(x.new_zeros(len(x), W.shape[1]) for _ in range(1 + cell.memories))
            ys = []
            for x_t in x.unbind(1):
                states = cell(x_t, states)
                ys.append(states[0])
            return torch.stack(ys, 1), states

        def outputs(found: tuple[Tensor, States]) -> tuple[Tensor, ...]:
            y, (h, *memories) = found
            return y, h, torch.stack(memories, 1) if len(memories) > 1 else memories[0]

        def gradients(found: Gradients) -> Gradients:
            arrays = {
                array: torch.cat([found[name] for name in cell.holding(array)]).reshape(inputs[array].shape)
                for array in cell.arrays
            }
            return {**arrays, "x": found["x"]}

        leaves = {"x": x, **dict(cell.named_parameters())}
        return MadeInTorch(loop, outputs, leaves, gradients)


class LinearForAllGates(LinearForEachGate):
    """A loop over the steps with an nn.Linear for all gates at once."""

    name: ClassVar[str] = "Linear for all gates"
    per_gate: ClassVar[bool] = False
