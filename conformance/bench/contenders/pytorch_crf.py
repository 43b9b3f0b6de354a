"""pytorch-crf's linear-chain CRF."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchcrf import CRF

from rnnspec.backends import Call, Unsupported
from rnnspec.conformance.bench.contenders.library import refuse_all_but
from rnnspec.conformance.bench.contenders.torch_library import MadeInTorch, TorchContender, tensors


class PytorchCrf(TorchContender):
    """torchcrf.CRF: its log-likelihood, and its Viterbi decoder, which gives lists of tags."""

    name: ClassVar[str] = "pytorch-crf"
    offers: ClassVar[tuple[str, ...]] = ("crf_log_likelihood", "crf_viterbi")
    differentiable: ClassVar[tuple[str, ...]] = ("crf_log_likelihood",)

    def versions(self) -> dict[str, str]:
        """Versions of torch and of pytorch-crf."""
        return {**super().versions(), "pytorch-crf": version("pytorch-crf")}

    def make(self, call: Call) -> MadeInTorch:
        """Make the module with the call's scores; absent ones are 0."""
        refuse_all_but(call, inputs=("start", "end", "lengths"))
        given = tensors(call.inputs)
        emissions = given["emissions"]
        batch, steps, tags = emissions.shape
        lengths = given.get("lengths", torch.full((batch,), steps))
        if batch == 0 or lengths.min() == 0:
            raise Unsupported("pytorch-crf refuses empty batches and sequences of no steps")
        mask = torch.arange(steps) < lengths[:, None]
        module = CRF(tags, batch_first=True).to(emissions.dtype)
        names = {"transitions": "transitions", "start": "start_transitions", "end": "end_transitions"}
        absent = torch.zeros(tags, dtype=emissions.dtype)
        module.load_state_dict({theirs: given.get(ours, absent) for ours, theirs in names.items()})
        leaves = {ours: getattr(module, theirs) for ours, theirs in names.items() if ours in given}
        leaves["emissions"] = emissions.requires_grad_()
        if call.operation == "crf_viterbi":
            return MadeInTorch(
                lambda: module.decode(emissions, mask), lambda found: _scored(module, emissions, found, mask), leaves
            )
        return MadeInTorch(
            lambda: module(emissions, given["tags"], mask, reduction="none"), lambda found: (found,), leaves
        )


def _scored(module: Any, emissions: Tensor, paths: Sequence[Sequence[int]], mask: Tensor) -> tuple[Tensor, Tensor]:
    """Score and padded path; the decoder returns only lists of tags."""
    padded = torch.zeros(mask.shape, dtype=torch.int64)
    for row, path in zip(padded, paths, strict=True):
        row[: len(path)] = torch.tensor(path)
    score = module._compute_score(emissions.transpose(0, 1), padded.T, mask.T)
    return score, padded
