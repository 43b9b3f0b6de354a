"""torch-struct's linear-chain CRF: a scan of ⌈log2 T⌉ products of matrices of scores, for parallel machines."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from torch import Tensor
from torch_struct import LinearChain

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.libraries.torch_struct import Chain, moves, of_tags
from rnnspec.conformance.bench.contenders.library import refuse_all_but
from rnnspec.conformance.bench.contenders.torch_library import MadeInTorch, TorchContender, tensors


class TorchStruct(TorchContender):
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
            return Chain(moves(**leaves))

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
                return MadeInTorch(lambda: chain().marginals, lambda found: (of_tags(found),), leaves)
            case _:
                return MadeInTorch(best, lambda found: (found[0].max, found[1]), leaves)
