"""torch's layers as they are deployed: scripted, exported, or run by ONNX Runtime, each call from the layer on."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, from_spec

Many = tuple[Tensor, ...]

_LAYERS: Final = {nn.RNN, nn.LSTM, nn.GRU}


class TorchExportedBackend(TorchLibrary):
    """Base class: torch.nn.RNN, LSTM and GRU, forward and without lengths, with their weights in what is exported.

    A way of exporting is one method, `exported`, from a module and its inputs to what runs in its place.
    """

    by_default: ClassVar[bool] = False
    compiles: ClassVar[int] = 20

    def exported(self, module: nn.Module, inputs: Many) -> Callable[..., Any]:
        """Export a module as it is called with these inputs."""
        raise NotImplementedError

    @only(activation={"tanh", "relu"}, T=at_least(1), B=at_least(1), differentiable=False)
    def rnn(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, h0: Tensor, *, activation: str) -> Many:
        """Return y and h_n."""
        return self._called(nn.RNN, from_spec("rnn", W, R, b, b_R=b_R, suffix="_l0"), x, h0, nonlinearity=activation)

    @only(T=at_least(1), B=at_least(1), differentiable=False)
    def lstm(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, h0: Tensor, c0: Tensor) -> Many:
        """Return y, h_n and c_n."""
        return self._called(nn.LSTM, from_spec("lstm", W, R, b, b_R=b_R, suffix="_l0"), x, h0, c0)

    @only(reset="after", update="keeps", T=at_least(1), B=at_least(1), differentiable=False)
    def gru(self, x: Tensor, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor, b_R: Tensor, h0: Tensor) -> Many:
        """Return y and h_n."""
        weights = from_spec("gru", W, R, b, b_rn, b_R=b_R, reset="after", suffix="_l0")
        return self._called(nn.GRU, weights, x, h0)

    def _called(self, kind: Any, weights: dict[str, Tensor], x: Tensor, *states: Tensor, **options: Any) -> Many:
        layer = kind(x.shape[2], states[0].shape[1], batch_first=True, dtype=x.dtype, **options)
        layer.load_state_dict(weights)
        inputs = (x, *(state[None] for state in states))
        with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # exporters advise, and tell how far they are
            y, *after = self.exported((Two if len(states) == 2 else One)(layer).eval(), inputs)(*inputs)
        return (y, *(state[0] for state in after))


class One(nn.Module):
    """A layer with one state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and the final state."""
        y, h = self.layer(x, h0)
        return y, h


class Two(nn.Module):
    """A layer with two states."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs and the final states."""
        y, (h, c) = self.layer(x, (h0, c0))
        return y, h, c


class TorchScriptBackend(TorchExportedBackend):
    """torch.jit.script."""

    name: ClassVar[str] = "torch-script"

    def exported(self, module: nn.Module, inputs: Many) -> Callable[..., Any]:
        """Script a module."""
        scripted: Callable[..., Any] = torch.jit.script(module)
        return scripted


class TorchExportBackend(TorchExportedBackend):
    """torch.export, whose program is run as a module."""

    name: ClassVar[str] = "torch-export"

    def exported(self, module: nn.Module, inputs: Many) -> Callable[..., Any]:
        """Export a module for these shapes."""
        return torch.export.export(module, inputs).module()


class TorchOnnxBackend(TorchExportedBackend):
    """torch.onnx's exporter, the one that takes torch.export's program, and ONNX Runtime."""

    name: ClassVar[str] = "torch-onnx"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "onnxscript", "onnxruntime")
    dynamo: ClassVar[bool] = True

    def dtypes(self) -> tuple[str, ...]:
        """The only type of ONNX Runtime's recurrent operators."""
        return ("float32",)

    def exported(self, module: nn.Module, inputs: Many) -> Callable[..., Any]:
        """Export a module for these shapes, and open it in a session."""
        import onnxruntime

        file = io.BytesIO()
        torch.onnx.export(module, inputs, file, dynamo=self.dynamo, verbose=False)  # type: ignore[arg-type]  # a file too
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]

        def run(*given: Tensor) -> list[Tensor]:
            feed = {name: tensor.contiguous().numpy() for name, tensor in zip(names, given, strict=True)}
            return [torch.from_numpy(one) for one in session.run(None, feed)]

        return run


class TorchOnnxTracedBackend(TorchOnnxBackend):
    """torch.onnx's older exporter, which traces, and ONNX Runtime."""

    name: ClassVar[str] = "torch-onnx-traced"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxruntime")
    dynamo: ClassVar[bool] = False


class TorchInt8Backend(TorchExportedBackend):
    """Dynamic quantisation: weights in eight bits, and what is multiplied by them."""

    name: ClassVar[str] = "torch-int8"

    def dtypes(self) -> tuple[str, ...]:
        """The type of what goes in and comes out."""
        return ("float32",)

    def exported(self, module: nn.Module, inputs: Many) -> Callable[..., Any]:
        """Quantise a module."""
        quantised: Callable[..., Any]
        quantised = torch.ao.quantization.quantize_dynamic(module, _LAYERS)  # type: ignore[no-untyped-call]  # no types
        return quantised
