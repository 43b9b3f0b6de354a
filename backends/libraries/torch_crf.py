"""TorchCRF: TorchCRF.CRF, its log-likelihood and its Viterbi decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor
from TorchCRF import CRF

from rnnspec.backends.libraries.pytorch_crf import filled, score_of
from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, holding


class TorchCrfBackend(TorchLibrary):
    """TorchCRF: a mask without holes."""

    name: ClassVar[str] = "torchcrf"
    libraries: ClassVar[tuple[str, ...]] = ("TorchCRF", "torch")
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("torch_crf.toml")

    @only(T=at_least(1), holes=False, nan_padding=False)
    def crf_log_likelihood(
        self, emissions: Tensor, transitions: Tensor, tags: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the log-likelihood."""
        return (_crf(transitions, start, end)(emissions, tags, mask),)

    @only(T=at_least(1), holes=False, nan_padding=False, differentiable=False)
    def crf_viterbi(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the path that it decodes, and that path's score, which it does not give."""
        path = filled(_crf(transitions, start, end).viterbi_decode(emissions, mask), mask)
        return score_of(path, emissions, transitions, start, end, mask), path


def _crf(transitions: Tensor, start: Tensor, end: Tensor) -> Any:
    return holding(CRF(len(start)), {"trans_matrix": transitions, "start_trans": start, "end_trans": end})
