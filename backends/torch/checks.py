"""Errors for the bad inputs that torch computes with instead of refusing.

Seen in torch 2.13 on the CPU: nn.LSTM's oneDNN kernel takes weights with too many gates or too wide a state; layers and
cells broadcast a bias of one element, and read an input of one rank less as a single sequence; a packed batch may have
surplus rows in its initial state, too few lengths, and lengths with fractions, which are cut off. Numbers of different
types may meet: nn.LSTM and nn.LSTMCell take a memory of another type, nn.GRU a bias; nn.RNNCell takes integers.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def expect_rank(name: str, tensor: Tensor, axes: str) -> tuple[int, ...]:
    """Return the sizes of a tensor that must have the axes named (such as ``"B T D"``); else ValueError."""
    if tensor.dim() != len(axes.split()):
        raise ValueError(f"{name}: expected {len(axes.split())} axes ({axes}), got shape {tuple(tensor.shape)}")
    return tuple(tensor.shape)


def expect_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError unless the tensor has that shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")


def expect_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """ValueError unless the value of an attribute is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(choices)}, got {value!r}")


def expect_one_dtype(tensors: Mapping[str, Tensor | None]) -> None:
    """ValueError unless all tensors that are present have the floating-point dtype of the first."""
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    first, model = next(iter(present.items()))
    if not model.is_floating_point():
        raise ValueError(f"{first}: expected a floating-point dtype, got {model.dtype}")
    for name, tensor in present.items():
        if tensor.dtype != model.dtype:
            raise ValueError(f"{name}: expected dtype {model.dtype}, that of {first}, got {tensor.dtype}")
