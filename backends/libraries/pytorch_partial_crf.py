"""pytorch-partial-crf: its CRF, with marginals and a Viterbi decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorch_partial_crf import CRF
from torch import Tensor

from rnnspec.backends.libraries.pytorch_crf import begun, filled, held, of_each, score_of
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary


class PytorchPartialCrfBackend(TorchLibrary):
    """pytorch-partial-crf: losses come summed over the batch, so that each sequence is a call of its own.

    An empty sequence ends the loss in an error of an index: it is given a step, and its result left out.
    """

    name: ClassVar[str] = "pytorch-partial-crf"
    libraries: ClassVar[tuple[str, ...]] = ("pytorch-partial-crf", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("pytorch_partial_crf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        found = of_each(_crf(transitions, start, end), emissions, tags, begun(mask))
        return (torch.where(mask[:, 0], -found, 0),)

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_marginals(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the probabilities of the tags, 0 at the padding, where it has numbers."""
        found = _crf(transitions, start, end).marginal_probabilities(emissions, mask)
        return (found.transpose(0, 1).where(mask[:, :, None], 0),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the path that it decodes, and that path's score, which it does not give."""
        path = filled(_crf(transitions, start, end).viterbi_decode(emissions, mask), mask)
        return score_of(path, emissions, transitions, start, end, mask), path


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    return held(CRF(len(start)), transitions, start, end)
