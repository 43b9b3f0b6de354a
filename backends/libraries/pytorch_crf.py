"""pytorch-crf: torchcrf.CRF, its log-likelihood and its Viterbi decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor
from torchcrf import CRF

from rnnspec.backends.call import Unsupported
from rnnspec.backends.composed.operations import OPERATIONS
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, holding
from rnnspec.backends.torch.arrays import TorchArrays

_MOST: Final = 1024
"""Sequences of which each is a call of its own."""


class PytorchCrfBackend(TorchLibrary):
    """pytorch-crf: a mask without holes.

    It refuses batches with an empty sequence. The adapter gives it such a sequence as one of a step, and leaves out the
    result, so that the batch's others are judged.
    """

    name: ClassVar[str] = "pytorch-crf"
    libraries: ClassVar[tuple[str, ...]] = ("pytorch-crf", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("pytorch_crf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self,
        emissions: Tensor,
        transitions: Tensor,
        tags: Tensor,
        start: Tensor,
        end: Tensor,
        mask: Tensor,
        *,
        reduction: str,
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        if reduction != "none":
            if not len(mask) or not bool(mask[:, 0].all()):
                raise Unsupported("pytorch-crf's reductions know no empty sequence")
            return (_crf(transitions, start, end)(emissions, tags, mask, reduction=reduction),)
        found = _crf(transitions, start, end)(emissions, tags, begun(mask), reduction="none")
        return (torch.where(mask[:, 0], found, 0),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the path that it decodes, and that path's score, which it does not give."""
        path = filled(_crf(transitions, start, end).decode(emissions, begun(mask)), mask)
        return score_of(path, emissions, transitions, start, end, mask), torch.where(mask, path, 0)


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    return held(CRF(len(start), batch_first=True), transitions, start, end)


def held(crf: Any, transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    """A module with these scores; the names of pytorch-crf's parameters are those of its relatives too."""
    return holding(crf, {"transitions": transitions, "start_transitions": start, "end_transitions": end})


def of_each(loss: Callable[..., Tensor], emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
    """A loss (B,) by a call for each sequence, where a library sums or averages over the batch."""
    if len(emissions) > _MOST:
        raise Unsupported(f"sums over the batch, so that each sequence is a call of its own: {_MOST} at most")
    rows = range(len(emissions))
    found = [loss(*(array[row : row + 1] for array in (emissions, tags, mask))).reshape(1) for row in rows]
    return torch.cat([emissions.new_zeros(0), *found])


def score_of(path: Tensor, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """The score of a path that a library decodes without a score: what is judged is whether the path is a best one."""
    given = {"emissions": emissions, "transitions": transitions, "start": start, "end": end, "mask": mask}
    score: Tensor
    (score,) = OPERATIONS["crf_score"](TorchArrays("cpu"), tags=path, padding="lengths", masked_moves=False, **given)
    return score


def begun(mask: Tensor) -> Tensor:
    """The mask with the first step of every sequence valid."""
    return torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], 1)


def filled(paths: list[list[int]], mask: Tensor) -> Tensor:
    """Lists of tags as rows, with zeros at the padding."""
    rows = torch.zeros(mask.shape, dtype=torch.int64)
    for row, path in zip(rows, paths, strict=True):
        row[: len(path)] = torch.tensor(path)
    return rows
