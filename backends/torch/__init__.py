"""The PyTorch backends, eager and under torch.compile: torch's own modules and functions, and autograd."""

from rnnspec.backends.torch.adapter import TorchBackend
from rnnspec.backends.torch.compiling import TorchCompileBackend
from rnnspec.backends.torch.library import TorchLibrary, holding
from rnnspec.backends.torch.weights import from_spec, to_spec

__all__ = ["TorchBackend", "TorchCompileBackend", "TorchLibrary", "from_spec", "holding", "to_spec"]
