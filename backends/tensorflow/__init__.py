"""The TensorFlow backends: Keras's layers and TensorFlow's own functions, eager, in graphs, and compiled by XLA."""

from rnnspec.backends.tensorflow.adapter import TensorFlowBackend
from rnnspec.backends.tensorflow.graphs import TensorFlowFunctionBackend, TensorFlowXlaBackend
from rnnspec.backends.tensorflow.library import TensorFlowLibrary
from rnnspec.backends.tensorflow.unrolled_cells import TensorFlowCellsBackend
from rnnspec.backends.tensorflow.weights import from_spec, to_spec

__all__ = [
    "TensorFlowBackend", "TensorFlowCellsBackend", "TensorFlowFunctionBackend", "TensorFlowLibrary",
    "TensorFlowXlaBackend", "from_spec", "to_spec",
]  # fmt: skip
