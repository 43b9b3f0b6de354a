"""pytorch-crf: torchcrf.CRF, its log-likelihood and its Viterbi decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchcrf import CRF

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, holding


class PytorchCrfBackend(TorchLibrary):
    """pytorch-crf: a mask without holes, and no empty sequence."""

    name: ClassVar[str] = "pytorch-crf"
    libraries: ClassVar[tuple[str, ...]] = ("pytorch-crf", "torch")
    by_default: ClassVar[bool] = False
    refuses_with: ClassVar[Any] = {ValueError: "first timestep"}

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("pytorch_crf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        return (_crf(transitions, start, end)(emissions, tags, mask, reduction="none"),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the path that it decodes, and that path's score, which it does not give."""
        crf = _crf(transitions, start, end)
        path = filled(crf.decode(emissions, mask), mask)
        return crf._compute_score(emissions.swapaxes(0, 1), path.T, mask.T), path


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    scores = {"transitions": transitions, "start_transitions": start, "end_transitions": end}
    return holding(CRF(len(start), batch_first=True), scores)


def filled(paths: list[list[int]], mask: Tensor) -> Tensor:
    """Lists of tags as rows, with zeros at the padding."""
    rows = torch.zeros(mask.shape, dtype=torch.int64)
    for row, path in zip(rows, paths, strict=True):
        row[: len(path)] = torch.tensor(path)
    return rows
