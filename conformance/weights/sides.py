"""One layer run by the framework of its layout, from the arrays as they stand in a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from rnnspec import reference
from rnnspec.backends.discovery import installs
from rnnspec.backends.layouts import onnx as onnx_layout
from rnnspec.backends.layouts.finding import Layout
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.arrays import Array, NamedArrays

Outputs = tuple[Array, ...]
"""y (B, T, S), h_n (B, S) and, of an LSTM, c_n (B, H)."""


class NotRunError(Exception):
    """A side that cannot be run here; the message says why, and what to install."""


@dataclass(frozen=True)
class Side:
    """What ran a layer, and what came."""

    by: str
    outputs: Outputs


def run_side(layout: Layout, family: Family, own: NamedArrays, x: Array, after: bool) -> Side:
    """Run a layer forward on x (B, T, D) from zero states.

    Parameters
    ----------
    layout, family
        Whose arrays, and of which kind.
    own
        The layer's arrays as the layout names them.
    after
        Whether a GRU resets the product, which ONNX's arrays do not say.

    Raises
    ------
    NotRunError
        If the framework is not installed, or has no such layer in this type.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _SIDES[layout](family, own, x, after)
    except ImportError as error:
        extra = "keras-torch" if layout == "keras" and find_spec("torch") else _EXTRAS[layout]
        raise NotRunError(f"{layout} is not installed: {installs(extra)}") from error
    except NotRunError:
        raise
    except Exception as error:  # a framework's own words for a layer that it has not in this type
        said = words_of(error).splitlines() or [""]
        raise NotRunError(f"{layout}: {kind_of(error)}: {said[0][:200]}") from error


def _of_spec(family: Family, own: NamedArrays, x: Array, after: bool) -> Side:
    options: dict[str, Any] = {"projection": True} if "P" in own else {}
    if family == "gru":
        options["reset"] = "after" if "b_rn" in own else "before"
    return Side("rnnspec's reference", getattr(reference, family)(x, **own, **options))


def _of_torch(family: Family, own: NamedArrays, x: Array, after: bool) -> Side:
    import torch

    def tensor(array: Array) -> Any:  # by way of a type that both have, which holds every number
        return torch.tensor(array.astype(np.float64)).to(getattr(torch, array.dtype.name))

    options = {"proj_size": len(own["weight_hr"])} if "weight_hr" in own else {}
    state = {f"{name}_l0": tensor(array) for name, array in own.items()}
    units = own["weight_hr"].shape[1] if options else own["weight_hh"].shape[1]
    kind = getattr(torch.nn, family.upper())
    module = kind(x.shape[2], units, batch_first=True, bias="bias_ih" in own, dtype=tensor(x).dtype, **options)
    module.load_state_dict(state)
    with torch.no_grad():
        y, finals = module(tensor(x))
    finals = finals if family == "lstm" else (finals,)
    dtype = format_of(x.dtype.name).dtype
    found = tuple(one.to(torch.float64).numpy().astype(dtype) for one in (y, *(final[0] for final in finals)))
    return Side(f"torch {torch.__version__}", found)


def keras_here() -> Any:
    """Keras, on the first of its frameworks that is installed, if none is chosen; ImportError if there is none."""
    if "KERAS_BACKEND" not in os.environ:
        there = next((name for name in ("tensorflow", "jax", "torch") if find_spec(name)), None)
        if there is None:
            raise ImportError
        os.environ["KERAS_BACKEND"] = there
    import keras

    return keras


def _of_keras(family: Family, own: NamedArrays, x: Array, after: bool) -> Side:
    keras = keras_here()
    kinds = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    options = {"reset_after": own["bias"].ndim == 2} if family == "gru" and "bias" in own else {}
    layer = kinds[family](
        own["recurrent_kernel"].shape[0], return_sequences=True, return_state=True, use_bias="bias" in own,
        recurrent_initializer="zeros", dtype=x.dtype.name, **options,
    )  # fmt: skip
    layer.build(x.shape)
    layer.set_weights([own[name] for name in ("kernel", "recurrent_kernel", "bias") if name in own])
    found = tuple(np.asarray(keras.ops.convert_to_numpy(one)) for one in layer(x))
    return Side(f"keras {keras.__version__} on {keras.backend.backend()}", found)


def _of_onnx(family: Family, own: NamedArrays, x: Array, after: bool) -> Side:
    import onnx
    from onnx import helper, numpy_helper

    element = helper.np_dtype_to_tensor_dtype(x.dtype)
    outputs = ["Y", "Y_h", *(["Y_c"] if family == "lstm" else [])]
    options = {"linear_before_reset": int(after)} if family == "gru" else {}
    node = helper.make_node(
        family.upper(), ["X", *own], outputs, hidden_size=own["R"].shape[2], direction="forward", **options
    )
    graph = helper.make_graph(
        [node], family, [helper.make_tensor_value_info("X", element, None)],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in own.items()],
    )  # fmt: skip
    opset = helper.make_opsetid("", onnx_layout.OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=onnx_layout.IR_VERSION)
    feed = {"X": np.ascontiguousarray(x.transpose(1, 0, 2))}
    if x.dtype == np.float32 and find_spec("onnxruntime"):  # its recurrent operators have no other type
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        by, (y, *finals) = f"onnxruntime {onnxruntime.__version__}", session.run(None, feed)
    else:
        from onnx.reference import ReferenceEvaluator

        by, (y, *finals) = f"onnx {onnx.__version__}", ReferenceEvaluator(model).run(None, feed)
    return Side(by, (y[:, 0].transpose(1, 0, 2), *(final[0] for final in finals)))


_SIDES: Final[Mapping[Layout, Callable[[Family, NamedArrays, Array, bool], Side]]] = {
    "spec": _of_spec,
    "torch": _of_torch,
    "keras": _of_keras,
    "onnx": _of_onnx,
}
_EXTRAS: Final[Mapping[Layout, str]] = {"torch": "torch", "keras": "tensorflow", "onnx": "onnxruntime"}
"""The extra that installs each one's framework."""
