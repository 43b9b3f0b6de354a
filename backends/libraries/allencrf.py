"""allencrf: AllenNLP's ConditionalRandomField, as a package of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from allencrf.conditional_random_field import ConditionalRandomField
from torch import Tensor

from rnnspec.backends.libraries.pytorch_crf import begun, filled, held, of_each
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary


class AllencrfBackend(TorchLibrary):
    """allencrf: log-likelihoods come summed over the batch, so that each sequence is a call of its own.

    An empty sequence ends it in an error of an index: it is given a step, and its result left out.
    """

    name: ClassVar[str] = "allencrf"
    libraries: ClassVar[tuple[str, ...]] = ("allencrf", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("allencrf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        found = of_each(_crf(transitions, start, end), emissions, tags, begun(mask))
        return (torch.where(mask[:, 0], found, 0),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the score that it gives, and the path."""
        found = _crf(transitions, start, end).viterbi_tags(emissions, mask)
        return emissions.new_tensor([score for _, score in found]), filled([path for path, _ in found], mask)


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    return held(ConditionalRandomField(len(start)), transitions, start, end)
