"""What torch has, as an adapter: one thin method per operation, each a call of torch.nn's own module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence

from rnnspec.backends.contract import Array, Backend, Call, Unsupported
from rnnspec.backends.torch.checks import expect_choice, expect_one_dtype, expect_rank, expect_shape
from rnnspec.backends.torch.script import script
from rnnspec.backends.torch.sequences import run_layer, valid_lengths
from rnnspec.backends.torch.weights import from_spec

Outputs = tuple[Tensor, ...]


class TorchBackend(Backend):
    """PyTorch, eager: nn.RNN, nn.LSTM, nn.GRU and their cells; ragged batches are packed sequences."""

    name: ClassVar[str] = "torch"

    # Operations.

    def rnn_cell(self, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, *, activation: str) -> Outputs:
        """One step of nn.RNNCell."""
        _refuse_rnn(activation)
        expect_one_dtype({"x": x, "h_prev": h_prev, "W": W, "R": R, "b": b})
        parameters = from_spec("rnn", W, R, b)
        return self._cell("RNNCell", x, {"h_prev": h_prev}, parameters, nonlinearity=activation)

    def lstm_cell(
        self,
        x: Tensor,
        h_prev: Tensor,
        c_prev: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        P: Tensor | None = None,
        **attributes: Any,
    ) -> Outputs:
        """One step of nn.LSTMCell."""
        _refuse_lstm(**attributes)
        if P is not None or attributes["projection"]:
            raise Unsupported("torch.nn.LSTMCell has no projection")
        expect_one_dtype({"x": x, "h_prev": h_prev, "c_prev": c_prev, "W": W, "R": R, "b": b})
        return self._cell("LSTMCell", x, {"h_prev": h_prev, "c_prev": c_prev}, from_spec("lstm", W, R, b))

    def gru_cell(
        self,
        x: Tensor,
        h_prev: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        *,
        reset: str,
        update: str,
    ) -> Outputs:
        """One step of nn.GRUCell."""
        b_rn = _refuse_gru(reset, b_rn)
        expect_one_dtype({"x": x, "h_prev": h_prev, "W": W, "R": R, "b": b, "b_rn": b_rn})
        return self._cell("GRUCell", x, {"h_prev": h_prev}, from_spec("gru", W, R, b, b_rn, update=update))

    def rnn(
        self,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        h0: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        direction: str,
        activation: str,
        **unrolling: Any,
    ) -> Outputs:
        """nn.RNN, one layer."""
        _refuse_rnn(activation)
        _refuse_unrolling(**unrolling)
        expect_one_dtype({"x": x, "W": W, "R": R, "b": b, "h0": h0})
        parameters = from_spec("rnn", W, R, b, suffix="_l0")
        sequences = (x, lengths, mask, direction)
        return self._layer("RNN", sequences, {"h0": h0}, parameters, nonlinearity=activation)

    def lstm(
        self,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        P: Tensor | None = None,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        recurrent_keep: Tensor | None = None,
        direction: str,
        truncate: int | None,
        recurrent_dropout: float | None,
        **attributes: Any,
    ) -> Outputs:
        """nn.LSTM, one layer; the projection is its proj_size."""
        _refuse_lstm(**attributes)
        _refuse_unrolling(truncate, recurrent_dropout, recurrent_keep)
        if (P is not None) != attributes["projection"]:
            raise ValueError(f"P: expected it with projection only, got projection = {attributes['projection']}")
        expect_one_dtype({"x": x, "W": W, "R": R, "b": b, "P": P, "h0": h0, "c0": c0})
        parameters = from_spec("lstm", W, R, b, P=P, suffix="_l0")
        sequences, states = (x, lengths, mask, direction), {"h0": h0, "c0": c0}
        if P is None:
            return self._layer("LSTM", sequences, states, parameters)
        if not 0 < P.shape[0] < P.shape[1]:
            raise Unsupported("torch's proj_size must be smaller than hidden_size")
        with warnings.catch_warnings():
            # Torch says once that it does not use oneDNN here: nothing that changes what it computes.
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            return self._layer("LSTM", sequences, states, parameters, proj_size=P.shape[0])

    def gru(
        self,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        h0: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        direction: str,
        reset: str,
        update: str,
        **unrolling: Any,
    ) -> Outputs:
        """nn.GRU, one layer."""
        b_rn = _refuse_gru(reset, b_rn)
        _refuse_unrolling(**unrolling)
        expect_one_dtype({"x": x, "W": W, "R": R, "b": b, "b_rn": b_rn, "h0": h0})
        parameters = from_spec("gru", W, R, b, b_rn, update=update, suffix="_l0")
        return self._layer("GRU", (x, lengths, mask, direction), {"h0": h0}, parameters)

    # The machine.

    def devices(self) -> tuple[str, ...]:
        """The CPU, and every CUDA device; ``cuda`` is the current one."""
        if not torch.cuda.is_available():
            return ("cpu",)
        return ("cpu", "cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def dtypes(self) -> tuple[str, ...]:
        """All four: torch computes and differentiates every operation in each, on the CPU too."""
        return ("float16", "bfloat16", "float32", "float64")

    def versions(self) -> dict[str, str]:
        """Torch and, on a CUDA device, CUDA."""
        versions = {"torch": str(torch.__version__)}
        if self.device != "cpu":
            versions["cuda"] = str(torch.version.cuda)
        return versions

    def to_native(self, array: Array) -> Tensor:
        """Copy onto the device; bfloat16, which torch does not read from NumPy, goes as its bits."""
        copy = np.array(array, order="C")
        if copy.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(copy.view(np.int16)).view(torch.bfloat16).to(self.device)
        return torch.from_numpy(copy).to(self.device)

    def to_numpy(self, array: Tensor) -> Array:
        """Copy back from the device."""
        tensor = array.detach().cpu().contiguous()
        if tensor.dtype == torch.bfloat16:
            return np.array(tensor.view(torch.int16).numpy()).view(ml_dtypes.bfloat16)
        return np.array(tensor.numpy())

    def differentiate(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """Autograd; an input that no output depends on has gradient 0."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
        with self._precision():
            gradients = torch.autograd.grad(
                function(**leaves), list(leaves.values()), cotangents, allow_unused=True, materialize_grads=True
            )
        return dict(zip(leaves, gradients, strict=True))

    def synchronise(self) -> None:
        """Wait for the CUDA device; the CPU is never behind."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def script(self, call: Call) -> str | None:
        """Python source that makes the call on torch's own module; None for a call that this backend refuses."""
        try:
            self.run(call)
        except (Unsupported, ValueError):
            return None
        except Exception:
            pass  # torch itself fails: that is what the script is to show
        return script(call, self.device)

    # How torch's modules are called.

    def _cell(
        self, kind: str, x: Tensor, states: dict[str, Tensor], parameters: dict[str, Tensor], **options: Any
    ) -> Outputs:
        batch, _ = expect_rank("x", x, "B D")
        features, hidden = parameters["weight_ih"].shape[1], parameters["weight_hh"].shape[1]
        expect_shape("x", x, (batch, features))
        for name, state in states.items():
            expect_shape(name, state, (batch, hidden))
        module = _module(kind, features, hidden, **options)
        with self._settings(x, *states.values(), *parameters.values()):
            after = functional_call(module, parameters, (x, _as_torch(tuple(states.values()))))
        return after if isinstance(after, tuple) else (after,)

    def _layer(
        self,
        kind: str,
        sequences: tuple[Tensor, Tensor | None, Tensor | None, str],
        states: dict[str, Tensor | None],
        parameters: dict[str, Tensor],
        **options: Any,
    ) -> Outputs:
        x, lengths, mask, direction = sequences
        expect_choice("direction", direction, ("forward", "reverse"))
        batch, steps, _ = expect_rank("x", x, "B T D")
        features, width = parameters["weight_ih_l0"].shape[1], parameters["weight_hh_l0"].shape[1]
        hidden = parameters["weight_hr_l0"].shape[1] if "weight_hr_l0" in parameters else width
        expect_shape("x", x, (batch, steps, features))
        before = []
        for (name, state), size in zip(states.items(), (width, hidden), strict=False):
            if state is not None:
                expect_shape(name, state, (batch, size))
            before.append(x.new_zeros(batch, size) if state is None else state)
        lengths = valid_lengths(x, lengths, mask)
        module = _module(kind, features, hidden, batch_first=True, **options)

        def layer(x: Tensor | PackedSequence, states: Outputs) -> tuple[Tensor | PackedSequence, Outputs]:
            layered = tuple(state[None] for state in states)
            y, finals = functional_call(module, parameters, (x, _as_torch(layered)))
            return y, tuple(final[0] for final in (finals if isinstance(finals, tuple) else (finals,)))

        with self._settings(x, *before, *parameters.values()):
            return run_layer(layer, x, tuple(before), lengths, reverse=direction == "reverse")

    @contextmanager
    def _settings(self, *tensors: Tensor) -> Iterator[None]:
        """Full precision; and no gradients where none are asked for: oneDNN has a faster LSTM for that."""
        with self._precision(), torch.set_grad_enabled(any(tensor.requires_grad for tensor in tensors)):
            yield

    def _precision(self) -> AbstractContextManager[None]:
        return nullcontext() if self.device == "cpu" else _no_tf32()


def _refuse_rnn(activation: str) -> None:
    if activation not in ("tanh", "relu"):
        raise Unsupported("torch's RNN has no nonlinearity but tanh and relu")


def _refuse_lstm(*, activations: Any, clip: Any, coupled: bool, projection: bool, gradient: str) -> None:
    expect_choice("gradient", gradient, ("full", "cell_only"))
    if list(activations) != ["logistic", "tanh", "tanh"]:
        raise Unsupported("torch's LSTM has no choice of activations: logistic, tanh, tanh")
    if clip is not None:
        raise Unsupported("torch's LSTM does not clip")
    if coupled:
        raise Unsupported("torch's LSTM has no coupled gates")
    if gradient != "full":
        raise Unsupported("torch's LSTM has no gradient but the full one")


def _refuse_gru(reset: str, b_rn: Tensor | None) -> Tensor:
    if reset != "after":
        raise Unsupported("torch's GRU applies the reset gate after the product with R_n only")
    if b_rn is None:
        raise ValueError("b_rn: expected with reset = after, got none")
    return b_rn


def _refuse_unrolling(
    truncate: int | None, recurrent_dropout: float | None, recurrent_keep: Tensor | None = None
) -> None:
    if truncate is not None:
        raise Unsupported("torch's layers do not truncate the gradient within a sequence")
    if recurrent_dropout is not None:
        raise Unsupported("torch's layers have no dropout between the steps")
    if recurrent_keep is not None:
        raise ValueError("recurrent_keep: expected it with recurrent_dropout only")


@lru_cache(maxsize=64)
def _module(kind: str, features: int, hidden: int, **options: Any) -> nn.Module:
    """Return torch.nn's module of that kind, without data: each call brings the parameters."""
    module: nn.Module = getattr(nn, kind)(features, hidden, device="meta", **options)
    return module


def _as_torch(states: Outputs) -> Tensor | Outputs:
    """Torch's LSTM takes a pair of states, its other modules one."""
    return states[0] if len(states) == 1 else states


@contextmanager
def _no_tf32() -> Iterator[None]:
    """Have CUDA compute float32 as float32, where TensorFloat-32 would keep 10 bits of the mantissa."""
    matmul = torch.backends.cuda.matmul
    allowed = matmul.allow_tf32
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        matmul.allow_tf32 = False
        try:
            yield
        finally:
            matmul.allow_tf32 = allowed
