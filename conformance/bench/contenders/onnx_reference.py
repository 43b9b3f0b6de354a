"""ONNX's own reference implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import onnx
from onnx.reference import ReferenceEvaluator

from rnnspec.conformance.bench.contenders.onnx_layers import OnnxLayers
from rnnspec.spec.arrays import NamedArrays


class OnnxReference(OnnxLayers):
    """onnx.reference.ReferenceEvaluator: NumPy, a step at a time."""

    name: ClassVar[str] = "onnx-reference"

    def load(self, model: onnx.ModelProto) -> Callable[[NamedArrays], Any]:
        """Return a function that evaluates the model."""
        evaluator = ReferenceEvaluator(model)
        return lambda feed: evaluator.run(None, feed)
