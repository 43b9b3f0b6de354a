"""Torch's own recurrent modules, called directly: the difference is the time of torch's adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from torch import Tensor, nn

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.layouts.torch import from_spec
from rnnspec.conformance.bench.contenders.library import refuse_all_but
from rnnspec.conformance.bench.contenders.torch_library import Gradients, MadeInTorch, TorchContender, tensors

MODULES: Final[Mapping[str, tuple[Family, Callable[..., nn.RNNBase]]]] = {
    "rnn": ("rnn", nn.RNN),
    "lstm": ("lstm", nn.LSTM),
    "gru": ("gru", nn.GRU),
}
_FIRST: Final = "_l0"
_NAMES: Final = {"W": "weight_ih" + _FIRST, "R": "weight_hh" + _FIRST, "b": "bias_ih" + _FIRST}


class TorchModules(TorchContender):
    """torch.nn.RNN, LSTM and GRU with their weights loaded, forward and without initial states or lengths."""

    name: ClassVar[str] = "torch.nn"
    offers: ClassVar[tuple[str, ...]] = tuple(MODULES)
    differentiable: ClassVar[tuple[str, ...]] = offers

    def make(self, call: Call) -> MadeInTorch:
        """Make the module, and load its weights."""
        refuse_all_but(call, inputs=("b_rn", "b_R"))
        family, module_class = MODULES[call.operation]
        inputs = tensors(call.inputs)
        x, W = inputs.pop("x"), inputs["W"]
        if x.shape[1] == 0:
            raise Unsupported("torch's modules refuse sequences of no steps (T = 0)")
        module = module_class(W.shape[2], W.shape[1], batch_first=True, dtype=W.dtype)
        weights: dict[str, Any] = {name: array for name, array in call.inputs.items() if name != "x"}
        if family == "gru":
            weights["reset"] = call.attributes["reset"]
        module.load_state_dict(tensors(from_spec(NumpyShaping(), family, **weights, suffix=_FIRST)))

        def outputs(result: Any) -> tuple[Tensor, ...]:
            y, finals = result
            return (y, *(final[0] for final in (finals if isinstance(finals, tuple) else (finals,))))

        def gradients(found: Gradients) -> Gradients:
            named = {name: found[theirs].reshape(inputs[name].shape) for name, theirs in _NAMES.items()}
            if "b_rn" in inputs:
                named["b_rn"] = found["bias_hh" + _FIRST][2 * W.shape[1] :]
            if "b_R" in inputs:
                named["b_R"] = found["bias_hh" + _FIRST].reshape(inputs["b_R"].shape)
            return {**named, "x": found["x"]}

        leaves = {"x": x.requires_grad_(), **dict(module.named_parameters())}
        return MadeInTorch(lambda: module(x), outputs, leaves, gradients)
