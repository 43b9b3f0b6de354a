"""Opacus: opacus.layers.DPRNN, DPLSTM and DPGRU, which stand in for torch's layers where training is private."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from opacus.layers import DPGRU, DPLSTM, DPRNN
from opacus.layers.dp_rnn import DPGRUCell, DPLSTMCell, DPRNNCell
from torch import Tensor

from rnnspec.backends.taking import at_least, only
from rnnspec.backends.torch import TorchLibrary, from_spec, holding
from rnnspec.backends.torch.sequences import run_ragged

Many = tuple[Tensor, ...]

_WAYS: Final = {"forward", "reverse"}


class OpacusBackend(TorchLibrary):
    """Opacus's layers, written as loops over cells: torch's parameters, and torch's packed sequences for lengths."""

    name: ClassVar[str] = "opacus"
    libraries: ClassVar[tuple[str, ...]] = ("opacus", "torch")
    by_default: ClassVar[bool] = False

    @only(activation={"tanh", "relu"})
    def rnn_cell(
        self, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor, *, activation: str
    ) -> Many:
        """Return h."""
        return (_cell(DPRNNCell, "rnn", W, R, b=b, b_R=b_R, nonlinearity=activation)(x, h_prev),)

    def lstm_cell(
        self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_R: Tensor
    ) -> Many:
        """Return h and c."""
        found: Many = _cell(DPLSTMCell, "lstm", W, R, b=b, b_R=b_R)(x, (h_prev, c_prev))
        return found

    @only(reset="after", update="keeps")
    def gru_cell(self, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor, b_R: Tensor) -> Many:
        """Return h."""
        return (_cell(DPGRUCell, "gru", W, R, b=b, b_rn=b_rn, b_R=b_R)(x, h_prev),)

    @only(activation={"tanh", "relu"}, direction=_WAYS, T=at_least(1))
    def rnn(self, x, W, R, b, b_R, h0, *, lengths, activation, direction):  # type: ignore[no-untyped-def]
        """Return y and h_n."""
        return _layer(DPRNN, "rnn", x, (h0,), lengths, direction, W, R, b=b, b_R=b_R, nonlinearity=activation)

    @only(direction=_WAYS, T=at_least(1))
    def lstm(self, x, W, R, b, b_R, h0, c0, *, lengths, direction):  # type: ignore[no-untyped-def]
        """Return y, h_n and c_n."""
        return _layer(DPLSTM, "lstm", x, (h0, c0), lengths, direction, W, R, b=b, b_R=b_R)

    @only(reset="after", update="keeps", direction=_WAYS, T=at_least(1))
    def gru(self, x, W, R, b, b_rn, b_R, h0, *, lengths, direction):  # type: ignore[no-untyped-def]
        """Return y and h_n."""
        return _layer(DPGRU, "gru", x, (h0,), lengths, direction, W, R, b=b, b_rn=b_rn, b_R=b_R)


def _held(module: Any, cell: str, family: Any, W: Tensor, R: Tensor, biases: dict[str, Any]) -> Any:
    """The module with a cell's parameters; Opacus names them ih and hh, each a linear layer's."""
    given = from_spec(family, W, R, **biases, reset="after" if family == "gru" else None)
    return holding(module, {f"{cell}{name[-2:]}.{name[:-3]}": tensor for name, tensor in given.items()})


def _cell(kind: Any, family: str, W: Tensor, R: Tensor, nonlinearity: str | None = None, **biases: Tensor) -> Any:
    options = {} if nonlinearity is None else {"nonlinearity": nonlinearity}
    return _held(kind(W.shape[2], R.shape[1], True, **options), "", family, W, R, biases)


def _layer(
    kind: Any, family: str, x: Tensor, states: Many, lengths: Tensor, direction: str, W: Tensor, R: Tensor, **more: Any
) -> Many:
    biases = {name: value for name, value in more.items() if isinstance(value, Tensor)}
    options = {name: value for name, value in more.items() if name not in biases}
    module = _held(kind(W.shape[2], R.shape[1], batch_first=True, **options), "l0.", family, W, R, biases)

    def layer(batch: Any, given: Any) -> Any:
        y, after = module(batch, given if len(given) > 1 else given[0])
        return y, after if len(given) > 1 else (after,)

    y, after = run_ragged(layer, x, tuple(state[None] for state in states), lengths, reverse=direction == "reverse")
    return (y, *(state[0] for state in after))
