"""Layers that torch lacks, composed, against the loops over ``nn.Linear`` that people write for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from rnnspec.backends import Backend
from rnnspec.conformance.benchmarks.calls import LARGE, SIZES, layer_case
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section, interleaved, ratio_row

GATES: Final = 4
TARGET: Final = 0.5
States = tuple[Tensor, ...]


def composed_against_loops(effort: Effort, backend: Backend) -> Section:
    """Time of three composed layers, forward and backward, as a multiple of a plain loop's."""
    rows: list[Row] = []
    cells: dict[str, type[_Cell]] = {"peephole_lstm": _Peephole, "layer_norm_lstm": _LayerNorm, "nested_lstm": _Nested}
    for name, cell in cells.items():
        case = layer_case(name)
        composed = backend.prepare(case.call, case.cotangents).run
        x = torch.from_numpy(case.call.inputs["x"])
        functions = (composed, _loop(cell(True), x), _loop(cell(False), x), _products(cell.memories))
        ours, per_gate, for_all, products = interleaved(functions, effort.repetitions)
        rows += [
            ratio_row(f"{name}, against a Linear for each gate", (ours, per_gate), TARGET),
            ratio_row(f"{name}, against a Linear for all gates", (ours, for_all)),
            ratio_row(f"{name}, its matrix products alone, against a Linear for each gate", (products, per_gate)),
        ]
    count = torch.get_num_threads()
    return Section(
        "Composed layers in torch against plain loops",
        "Forward and backward of layers that torch lacks, as the torch backend composes them, as a multiple of a "
        "Python loop that calls an `nn.Linear` for x and one for h at every step, for each gate or for all gates at "
        f"once: {LARGE}, float32, {count} thread{'s' * (count > 1)} for each. The products alone, those of x for all "
        "steps at once, are what no composition can leave out; the activations and their gradients, step by step, "
        "come on top.",
        tuple(rows),
    )


class _Products(nn.Module):
    """The arguments of the gates."""

    def __init__(self, per_gate: bool, bias: bool = True) -> None:
        super().__init__()
        features, hidden = SIZES["D"], SIZES["H"]
        count, size = (GATES, hidden) if per_gate else (1, GATES * hidden)
        self.of_x = nn.ModuleList(nn.Linear(features, size, bias=bias) for _ in range(count))
        self.of_h = nn.ModuleList(nn.Linear(hidden, size, bias=False) for _ in range(count))

    def forward(self, x: Tensor, h: Tensor) -> list[Tensor]:
        sums = [of_x(x) + of_h(h) for of_x, of_h in zip(self.of_x, self.of_h, strict=True)]
        return sums if len(sums) > 1 else list(sums[0].chunk(GATES, -1))


class _Cell(nn.Module):
    """One step, from an input (B, D) and the states, h first, to the states after."""

    memories = 1

    def __init__(self, per_gate: bool) -> None:
        super().__init__()


class _Peephole(_Cell):
    def __init__(self, per_gate: bool) -> None:
        super().__init__(per_gate)
        self.products = _Products(per_gate)
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.ones(SIZES["H"])) for _ in range(3))

    def forward(self, x: Tensor, states: States) -> States:
        h, c = states
        a_i, a_f, a_g, a_o = self.products(x, h)
        i, f = torch.sigmoid(a_i + self.p_i * c), torch.sigmoid(a_f + self.p_f * c)
        c = f * c + i * torch.tanh(a_g)
        return torch.sigmoid(a_o + self.p_o * c) * torch.tanh(c), c


class _LayerNorm(_Cell):
    def __init__(self, per_gate: bool) -> None:
        super().__init__(per_gate)
        self.products = _Products(per_gate, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(SIZES["H"]) for _ in range(GATES))
        self.norm_c = nn.LayerNorm(SIZES["H"])

    def forward(self, x: Tensor, states: States) -> States:
        h, c = states
        a_i, a_f, a_g, a_o = (norm(a) for norm, a in zip(self.norms, self.products(x, h), strict=True))
        c = torch.sigmoid(a_f) * c + torch.sigmoid(a_i) * torch.tanh(a_g)
        return torch.sigmoid(a_o) * torch.tanh(self.norm_c(c)), c


class _Nested(_Cell):
    memories = 2

    def __init__(self, per_gate: bool) -> None:
        super().__init__(per_gate)
        self.outer, self.inner = _Products(per_gate), _Products(per_gate)

    def forward(self, x: Tensor, states: States) -> States:
        h, c, c_inner = states
        a_i, a_f, a_g, a_o = self.outer(x, h)
        x_inner, h_inner = torch.sigmoid(a_i) * torch.tanh(a_g), torch.sigmoid(a_f) * c
        b_i, b_f, b_g, b_o = self.inner(x_inner, h_inner)
        c_inner = torch.sigmoid(b_f) * c_inner + torch.sigmoid(b_i) * torch.tanh(b_g)
        c = torch.sigmoid(b_o) * torch.tanh(c_inner)
        return torch.sigmoid(a_o) * torch.tanh(c), c, c_inner


def _loop(cell: _Cell, x: Tensor) -> Callable[[], Any]:
    leaves = [x.clone().requires_grad_(), *cell.parameters()]
    dy = torch.ones(len(x), x.shape[1], SIZES["H"])

    def run() -> Any:
        states = tuple(torch.zeros(len(x), SIZES["H"]) for _ in range(1 + cell.memories))
        ys = []
        for t in range(x.shape[1]):
            states = cell(leaves[0][:, t], states)
            ys.append(states[0])
        return torch.autograd.grad(torch.stack(ys, 1), leaves, dy)

    return run


def _products(levels: int) -> Callable[[], None]:
    """The products of the forward and the backward pass: of x for all steps at once, of the states step by step."""
    batch, steps, features, hidden = (SIZES[symbol] for symbol in "BTDH")
    x, da = torch.ones(steps * batch, features), torch.ones(steps * batch, GATES * hidden)
    h, da_t = torch.ones(batch, hidden), torch.ones(batch, GATES * hidden)
    W, R = torch.ones(features, GATES * hidden), torch.ones(hidden, GATES * hidden)

    @torch.no_grad()
    def run() -> None:
        for level in range(levels):
            if level == 0:
                _ = x @ W
                _ = da @ W.T
            for _ in range(steps):
                _ = h @ R
                _ = da_t @ R.T
                if level > 0:  # within a step, what enters an inner level comes from the step itself
                    _ = h @ R
                    _ = da_t @ R.T
            _ = x.T @ da  # dW
            _ = x.T @ da  # dR, for all steps at once

    return run
