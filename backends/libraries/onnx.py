"""ONNX's operators RNN, LSTM and GRU, exported once for each call and run by ONNX's evaluator or by ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from rnnspec.backends import Backend, Unsupported, only
from rnnspec.backends.given import Given
from rnnspec.backends.libraries.onnx_export import exported, kept, outputs_of
from rnnspec.backends.libraries.onnx_models import read_nodes
from rnnspec.spec.arrays import Array, NamedArrays

Many = tuple[Array, ...]

_WAYS = {"forward", "reverse"}


class OnnxBackend(Backend):
    """Base class of ONNX's runtimes: ONNX has all of these operators' settings but the ones between the steps.

    A runtime is one method, `evaluate`. `layout` is that of the arrays, and with `constant_weights` the weights are
    part of the model.
    """

    by_default: ClassVar[bool] = False
    layout: ClassVar[int] = 0
    constant_weights: ClassVar[bool] = True

    def evaluate(self, model: onnx.ModelProto, feed: NamedArrays) -> Any:
        """Run a model; return its outputs in order."""
        raise NotImplementedError

    def given_in(self, path: Path) -> list[Given]:
        """The recurrent nodes of a model's file; ModelError if it has none, or cannot be read."""
        return read_nodes(path, self.evaluate)

    @only(direction=_WAYS)
    def rnn(  # type: ignore[no-untyped-def]
        self, x, W, R, b, b_R=None, h0=None, *, lengths=None, activation, clip, direction
    ):
        """Return y and h_n."""
        return self._called("rnn", locals())

    @only(direction=_WAYS)
    def lstm(  # type: ignore[no-untyped-def]
        self, x, W, R, b, b_R=None, h0=None, c0=None, *, lengths=None, activations, clip, coupled, direction
    ):
        """Return y, h_n and c_n."""
        return self._called("lstm", locals())

    @only(direction=_WAYS)
    def peephole_lstm(  # type: ignore[no-untyped-def]
        self, x, W, R, b, P, h0=None, c0=None, *, lengths=None, activations, clip, coupled, direction
    ):
        """Return y, h_n and c_n."""
        return self._called("lstm", locals())

    @only(direction=_WAYS)
    def gru(  # type: ignore[no-untyped-def]
        self,
        x,
        W,
        R,
        b,
        b_rn=None,
        b_R=None,
        h0=None,
        *,
        lengths=None,
        reset,
        update,
        activation,
        recurrent_activation,
        clip,
        direction,
    ):
        """Return y and h_n."""
        return self._called("gru", locals())

    def _called(self, operator: Any, given: dict[str, Any]) -> Many:
        """The outputs of a call whose arguments are these, of which some are None."""
        given = {name: value for name, value in given.items() if name != "self" and value is not None}
        arrays = {name: value for name, value in given.items() if hasattr(value, "shape")}
        made = exported(operator, arrays, given, layout=self.layout, constant_weights=self.constant_weights)
        y, *finals = outputs_of(self.evaluate(made.model, made.feed), self.layout)
        # ONNX leaves open which state a sequence of no steps ends in; its runtimes give 0, or read it like any other.
        steps = given.get("lengths", np.full(*given["x"].shape[:2]))
        return (y, *(kept(final, given.get(name), steps) for final, name in zip(finals, ("h0", "c0"), strict=False)))


class OnnxReferenceBackend(OnnxBackend):
    """onnx.reference.ReferenceEvaluator: NumPy, a step at a time."""

    name: ClassVar[str] = "onnx-reference"
    libraries: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    refuses_with: ClassVar[Any] = {
        RuntimeError: "Unknown activation function",
        ValueError: "need at least one array to stack",  # no steps
    }

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of the evaluator's known faults."""
        return Path(__file__).with_name("onnx_reference.toml")

    def dtypes(self) -> tuple[str, ...]:
        """The types of the operators in this opset."""
        return ("float16", "float32", "float64")

    def evaluate(self, model: onnx.ModelProto, feed: NamedArrays) -> Any:
        """Run a model by ONNX's own evaluator."""
        return ReferenceEvaluator(model).run(None, feed)


class OnnxReferenceBatchFirstBackend(OnnxReferenceBackend):
    """The same with ``layout=1``, and weights that are fed."""

    name: ClassVar[str] = "onnx-reference-layout-1"
    layout: ClassVar[int] = 1
    constant_weights: ClassVar[bool] = False


class OnnxRuntimeBackend(OnnxBackend):
    """onnxruntime.InferenceSession on the CPU, whose recurrent operators compute in float32 only."""

    name: ClassVar[str] = "onnxruntime"
    libraries: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of the runtime's known faults."""
        return Path(__file__).with_name("onnxruntime.toml")

    def dtypes(self) -> tuple[str, ...]:
        """The only type of its recurrent operators."""
        return ("float32",)

    def evaluate(self, model: onnx.ModelProto, feed: NamedArrays) -> Any:
        """Run a model in a session, with OpenMP's number of threads, by default one for each core."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # it reads no variable itself
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feed)


class OnnxRuntimeFedBackend(OnnxRuntimeBackend):
    """The same with weights that are fed, so that no kernel packs them before."""

    name: ClassVar[str] = "onnxruntime-fed"
    constant_weights: ClassVar[bool] = False


class OpenVinoBackend(OnnxBackend):
    """OpenVINO on the CPU, told to compute in float32 wherever the processor is faster in another type."""

    name: ClassVar[str] = "openvino"
    libraries: ClassVar[tuple[str, ...]] = ("openvino", "onnx")

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of OpenVINO's known faults."""
        return Path(__file__).with_name("openvino.toml")

    def dtypes(self) -> tuple[str, ...]:
        """The only type that it is asked to compute in."""
        return ("float32",)

    def evaluate(self, model: onnx.ModelProto, feed: NamedArrays) -> Any:
        """Read, compile and run a model."""
        import openvino

        core = openvino.Core()
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        try:
            compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
        except RuntimeError as error:  # of its many lines the last one says most, before it counts nodes
            said = str(error).strip().splitlines()[-1]
            raise Unsupported(f"OpenVINO compiles no such model: {said.split(' END: ')[0].split('. ')[0]}") from error
        return [np.array(output) for output in compiled(feed).values()]
