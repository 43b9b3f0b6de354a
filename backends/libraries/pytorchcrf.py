"""pytorchcrf: pytorch-crf with a decoder that is faster; its log-likelihood and its Viterbi decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorchcrf import CRF
from torch import Tensor

from rnnspec.backends.libraries.pytorch_crf import begun, held, score_of
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary


class PytorchcrfBackend(TorchLibrary):
    """pytorchcrf: as pytorch-crf, it refuses batches with an empty sequence, which is given a step that is left out."""

    name: ClassVar[str] = "pytorchcrf"
    libraries: ClassVar[tuple[str, ...]] = ("pytorchcrf", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("pytorchcrf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        found = _crf(transitions, start, end)(emissions, tags, begun(mask), reduction="none")
        return (torch.where(mask[:, 0], found, 0),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the path that it decodes, and that path's score, which it does not give."""
        path = torch.where(mask, _crf(transitions, start, end).decode(emissions, begun(mask))[0], 0)
        return score_of(path, emissions, transitions, start, end, mask), path


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    return held(CRF(len(start), batch_first=True), transitions, start, end)
