"""torch-struct's linear-chain CRF: a scan of ⌈log2 T⌉ products of matrices of scores, for parallel machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_struct import LinearChain, LinearChainCRF

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary


class Chain(LinearChainCRF):  # type: ignore[misc]  # torch-struct has no types
    """The distribution, without its warning in every call that it declares no constraints."""

    arg_constraints: ClassVar[dict[str, Any]] = {}


class TorchStructBackend(TorchLibrary):
    """torch_struct.LinearChainCRF over the scores of all moves, which are built from the CRF's scores."""

    name: ClassVar[str] = "torch-struct"
    libraries: ClassVar[tuple[str, ...]] = ("torch-struct", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("torch_struct.toml")

    @only(T=at_least(2), B=at_least(1))
    def crf_log_partition(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-partition."""
        return (Chain(moves(emissions, transitions, start, end)).partition,)

    @only(T=at_least(2), B=at_least(1))
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        parts = LinearChain.to_parts(tags, emissions.shape[2])
        return (Chain(moves(emissions, transitions, start, end)).log_prob(parts),)

    @only(T=at_least(2), B=at_least(1))
    def crf_marginals(self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, ...]:
        """Return the probabilities of the tags."""
        with torch.enable_grad():
            return (of_tags(Chain(moves(emissions, transitions, start, end)).marginals),)

    @only(T=at_least(2), B=at_least(1))
    def crf_viterbi(self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, ...]:
        """Return the best score and a best path."""
        with torch.enable_grad():
            chain = Chain(moves(emissions, transitions, start, end))
            return chain.max, LinearChain.from_parts(chain.argmax)[0]


def moves(emissions: Tensor, transitions: Tensor, start: Tensor | None = None, end: Tensor | None = None) -> Tensor:
    """Scores (B, T - 1, K after, K before) of the moves, which include the emissions and the first and last scores."""
    first = emissions[:, 0] if start is None else emissions[:, 0] + start
    after = emissions[:, 1:]
    if end is not None:
        after = torch.cat([after[:, :-1], after[:, -1:] + end], 1)
    scores = after[..., None] + transitions.T
    return torch.cat([scores[:, :1] + first[:, None, None, :], scores[:, 1:]], 1)


def of_tags(moves: Tensor) -> Tensor:
    """Probabilities (B, T, K) of the tags, from those of the moves."""
    return torch.cat([moves[:, :1].sum(-2), moves.sum(-1)], 1)
