"""bi-lstm-crf: the CRF of its models, with tags of its own for the start and the end, and its Viterbi decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from bi_lstm_crf import CRF
from bi_lstm_crf.model.crf import IMPOSSIBLE
from torch import Tensor

from rnnspec.backends.libraries.pytorch_crf import filled, of_each
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, holding


class BiLstmCrfBackend(TorchLibrary):
    """bi-lstm-crf: its linear layer passes the emissions on, and start and end scores are moves from and to its tags.

    Losses come as a mean over the batch, so that each sequence is a call of its own.
    """

    name: ClassVar[str] = "bi-lstm-crf"
    libraries: ClassVar[tuple[str, ...]] = ("bi-lstm-crf", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("bi_lstm_crf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        return (-of_each(_crf(transitions, start, end).loss, emissions, tags, mask),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the best score and a best path."""
        score, paths = _crf(transitions, start, end)(emissions, mask)
        return score, filled(paths, mask)


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    """Its moves are to a tag, the row, from another, the column; the last two tags are the start and the end."""
    tags = len(start)
    never = transitions.new_full((1, tags), IMPOSSIBLE)
    of_empty = transitions.new_zeros(1)  # from the start to the end at once: the score of no step
    moves = torch.cat([transitions.T, start[:, None], never.T], 1)
    to_start = torch.cat([never[0], never[0, :1].expand(2)])
    to_end = torch.cat([end, of_empty, never[0, :1]])
    passing = torch.eye(tags + 2, tags, dtype=start.dtype)
    scores = {"transitions": torch.cat([moves, to_start[None], to_end[None]]), "fc.weight": passing}
    return holding(CRF(tags, tags), {**scores, "fc.bias": start.new_zeros(tags + 2)})
