"""TensorFlow in graphs: `tf.function` around each call, interpreted by TensorFlow or compiled by XLA.

Gradients are taken inside the graph as well, by a tape that is traced with the call: that is how people train.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from rnnspec.backends.contract import Call, Cotangents, wanted_of
from rnnspec.backends.native import Function, Native
from rnnspec.backends.tensorflow.adapter import TensorFlowBackend
from rnnspec.backends.tensorflow.arrays import TensorFlowArrays
from rnnspec.backends.tensorflow.framework import Tensor, tf
from rnnspec.spec.arrays import Array

_KEPT: Final = 256
"""Traced functions that are kept: a graph is large, and a suite of examples has as many shapes as examples."""


class TracedFunction:
    """A function of tensors and attributes as graphs: traced once for each shape, type and attribute.

    `function` takes tensors, or nested structures of them, and attributes by keyword.
    """

    def __init__(self, function: Callable[..., Any], *, jit_compile: bool) -> None:
        self._function = function
        self._jit_compile = jit_compile
        self._graphs: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def __call__(self, tensors: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
        """Call the graph for these, traced if there is none yet."""
        key = (_signature(tensors), repr(sorted(attributes.items())))
        if key in self._graphs:
            self._graphs.move_to_end(key)
            return self._graphs[key](tensors)
        graph = tf.function(
            lambda tensors: self._function(**tensors, **attributes), autograph=False, jit_compile=self._jit_compile
        )
        with no_retracing_warnings():
            outputs = graph(tensors)
        self._graphs[key] = graph
        if len(self._graphs) > _KEPT:
            self._graphs.popitem(last=False)
        return outputs


class TensorFlowFunctionBackend(TensorFlowBackend):
    """TensorFlow with tf.function around each call, gradients included."""

    name: ClassVar[str] = "tensorflow-function"
    by_default: ClassVar[bool] = False
    compiles: ClassVar[int] = 10
    jit_compile: ClassVar[bool] = False
    drawing: ClassVar[Mapping[str, Native]] = {}  # eager Keras is asked: a graph keeps the seed that it was traced with
    graph: ClassVar[str | None] = "@tf.function(autograph=False)"

    def __init__(self, device: str = "cpu") -> None:
        """Open TensorFlow on `device`: cpu, gpu:0 and so on."""
        super().__init__(device)
        self._gradients: dict[str, TracedFunction] = {}

    def compiled(self, function: Function) -> Function:
        """Return the function as graphs; inside another graph, as it is."""
        traced = TracedFunction(function, jit_compile=self.jit_compile)

        def run(**arguments: Any) -> tuple[Any, ...]:
            if tf.inside_function():
                return function(**arguments)
            tensors = {name: value for name, value in arguments.items() if tf.is_tensor(value)}
            attributes = {name: value for name, value in arguments.items() if name not in tensors}
            return tuple(traced(tensors, attributes))

        return run

    def _gradient(
        self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None
    ) -> Callable[[], dict[str, Any]]:
        return self._in_a_graph(call, cotangents, wanted_of(call, wanted), {})

    def _second_order(
        self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]
    ) -> Callable[[], dict[str, Any]]:
        return self._in_a_graph(call, cotangents, wanted_of(call, None), directions)

    def _in_a_graph(
        self, call: Call, cotangents: Cotangents, wanted: Collection[str], directions: Mapping[str, Array]
    ) -> Callable[[], dict[str, Any]]:
        """Put all on the device; return the function that differentiates there, twice if there are directions."""
        self._admit(call)
        tensors = {name: self.to_native(array) for name, array in call.inputs.items()}
        arguments = {
            "floats": {name: tensor for name, tensor in tensors.items() if name in wanted},
            "others": {name: tensor for name, tensor in tensors.items() if name not in wanted},
            "cotangents": self._native_cotangents(cotangents),
            "directions": {name: self.to_native(array) for name, array in directions.items()},
        }
        traced = self._gradients.get(call.operation) or self._traced_gradient(call.operation)

        def gradient() -> dict[str, Any]:
            with self._settings():
                return dict(traced(arguments, call.attributes))

        return gradient

    def _traced_gradient(self, operation: str) -> TracedFunction:
        method = self._differentiable(operation)

        def gradient(
            floats: dict[str, Tensor],
            others: dict[str, Tensor],
            cotangents: tuple[Tensor | None, ...],
            directions: dict[str, Tensor],
            **attributes: Any,
        ) -> dict[str, Any]:
            def function(**inputs: Tensor) -> tuple[Any, ...]:
                return method(**inputs, **others, **attributes)

            if directions:
                return self.differentiate_twice(function, floats, cotangents, directions)
            return self.differentiate(function, floats, cotangents)

        self._gradients[operation] = TracedFunction(gradient, jit_compile=self.jit_compile)
        return self._gradients[operation]


class TensorFlowXlaBackend(TensorFlowFunctionBackend):
    """TensorFlow with each call compiled by XLA, gradients included."""

    name: ClassVar[str] = "tensorflow-xla"
    compiles: ClassVar[int] = 20
    jit_compile: ClassVar[bool] = True
    graph: ClassVar[str | None] = "@tf.function(autograph=False, jit_compile=True)"
    cudnn: ClassVar[bool] = False  # XLA cannot call it

    def __init__(self, device: str = "cpu") -> None:
        """Open TensorFlow on `device`: cpu, gpu:0 and so on."""
        super().__init__(device)
        self.arrays = TensorFlowArrays(both_branches=True)


def _signature(tensors: Mapping[str, Any]) -> tuple[Any, ...]:
    """Names, shapes and types."""
    signature: list[Any] = []
    for name, value in tensors.items():
        if isinstance(value, dict):
            signature.append((name, _signature(value)))
        else:
            several = value if isinstance(value, tuple) else (value,)
            signature.append((name, tuple(t if t is None else (tuple(t.shape), t.dtype) for t in several)))
    return tuple(signature)


@contextmanager
def no_retracing_warnings() -> Iterator[None]:
    """TensorFlow warns of functions traced often for the same lines of code; here, each trace is another function."""
    logger = logging.getLogger("tensorflow")

    def wanted(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
