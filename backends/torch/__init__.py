"""The PyTorch backend: torch.nn's own recurrent cells and fused layers, differentiated by autograd."""

from rnnspec.backends.torch.adapter import TorchBackend
from rnnspec.backends.torch.weights import from_spec, to_spec

__all__ = ["TorchBackend", "from_spec", "to_spec"]
