"""torch-struct's linear-chain CRF: a scan of ⌈log2 T⌉ products of matrices of scores, for parallel machines."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_struct import LinearChain, LinearChainCRF

from rnnspec.backends import Call, Unsupported
from rnnspec.conformance.bench.contenders.library import refuse_all_but
from rnnspec.conformance.bench.contenders.torch_library import MadeInTorch, TorchLibrary, tensors


class Chain(LinearChainCRF):  # type: ignore[misc]  # torch-struct has no types
    """The distribution, without its warning in every call that it declares no constraints."""

    arg_constraints: ClassVar[dict[str, Any]] = {}


class TorchStruct(TorchLibrary):
    """torch_struct.LinearChainCRF over the scores of all moves, which each call builds from the CRF's scores."""

    name: ClassVar[str] = "torch-struct"
    offers: ClassVar[tuple[str, ...]] = ("crf_log_partition", "crf_log_likelihood", "crf_marginals", "crf_viterbi")
    differentiable: ClassVar[tuple[str, ...]] = ("crf_log_partition", "crf_log_likelihood")

    def versions(self) -> dict[str, str]:
        """Versions of torch and of torch-struct."""
        return {**super().versions(), "torch-struct": version("torch-struct")}

    def make(self, call: Call) -> MadeInTorch:
        """Make the call's tensors; the distribution is made in each call, as its users make it."""
        refuse_all_but(call, inputs=("start", "end"))
        leaves = tensors(call.inputs)
        tags = leaves.pop("tags", None)
        batch, steps, count = leaves["emissions"].shape
        if batch == 0 or steps < 2:
            raise Unsupported("torch-struct's chain has at least one sequence and one move")
        for leaf in leaves.values():
            leaf.requires_grad_()

        def chain() -> Chain:
            return Chain(_moves(**leaves))

        def log_likelihood() -> Tensor:
            result: Tensor = chain().log_prob(LinearChain.to_parts(tags, count))
            return result

        def best() -> tuple[Chain, Tensor]:
            distribution = chain()
            return distribution, LinearChain.from_parts(distribution.argmax)[0]

        match call.operation:
            case "crf_log_partition":
                return MadeInTorch(lambda: chain().partition, lambda found: (found,), leaves)
            case "crf_log_likelihood":
                return MadeInTorch(log_likelihood, lambda found: (found,), leaves)
            case "crf_marginals":
                return MadeInTorch(lambda: chain().marginals, lambda moves: (_of_tags(moves),), leaves)
            case _:
                return MadeInTorch(best, lambda found: (found[0].max, found[1]), leaves)


def _moves(emissions: Tensor, transitions: Tensor, start: Tensor | None = None, end: Tensor | None = None) -> Tensor:
    """Scores (B, T - 1, K after, K before) of the moves, which include the emissions and the first and last scores."""
    first = emissions[:, 0] if start is None else emissions[:, 0] + start
    after = emissions[:, 1:]
    if end is not None:
        after = torch.cat([after[:, :-1], after[:, -1:] + end], 1)
    moves = after[..., None] + transitions.T
    return torch.cat([moves[:, :1] + first[:, None, None, :], moves[:, 1:]], 1)


def _of_tags(moves: Tensor) -> Tensor:
    """Probabilities (B, T, K) of the tags, from those of the moves."""
    return torch.cat([moves[:, :1].sum(-2), moves.sum(-1)], 1)
