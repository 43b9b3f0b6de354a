"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

import onnx
import onnxruntime

from rnnspec.conformance.bench.contenders.onnx_layers import OnnxLayers
from rnnspec.spec.arrays import NamedArrays


class OnnxRuntime(OnnxLayers):
    """onnxruntime.InferenceSession; its LSTM computes in float32 only."""

    name: ClassVar[str] = "onnxruntime"

    def dtypes(self) -> tuple[str, ...]:
        """The only type of its recurrent operators."""
        return ("float32",)

    def versions(self) -> dict[str, str]:
        """Versions of ONNX and of the runtime."""
        return {**super().versions(), "onnxruntime": onnxruntime.__version__}

    def load(self, model: onnx.ModelProto) -> Callable[[NamedArrays], Any]:
        """Return the session's call, with OpenMP's number of threads, by default one for each core."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # it reads no variable itself
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda feed: session.run(None, feed)
