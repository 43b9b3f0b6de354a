"""A backend of a framework: the framework's own operations run there, all others are composed on its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from rnnspec import spec
from rnnspec.backends.composed.arrays import ArrayNamespace
from rnnspec.backends.composed.operations import OPERATIONS
from rnnspec.backends.contract import Backend, Call, Unsupported
from rnnspec.backends.native import Function, Native


class FrameworkBackend(Backend):
    """Base class of the frameworks' backends.

    Subclasses give `arrays`, the framework's namespace of array functions, and `natives`, the framework's own
    operations by name. A native operation is asked first; where it refuses the call, or where a gradient is wanted that
    it has not, the composed operation takes it.
    """

    arrays: ArrayNamespace
    natives: ClassVar[Mapping[str, Native]]
    drawing: ClassVar[Mapping[str, Native]] = {}
    """The framework's own operations that draw the masks of their dropout, by name."""

    def __init__(self, device: str = "cpu") -> None:
        """Open the framework on `device`."""
        super().__init__(device)
        self._methods: dict[tuple[str, bool], Function] = {}

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Every operation that is native or composed."""
        return tuple(name for name in spec.operations() if name in cls.natives or name in OPERATIONS)

    def compiled(self, function: Function) -> Function:
        """Return what runs a native or composed operation; a mode that compiles overrides this, to compile it once."""
        return function

    def refuses(self, call: Call) -> str | None:
        """A composed operation takes every call; only without one may a native operation refuse a call."""
        return None if call.operation in OPERATIONS else self.refusal(call)

    def refusal(self, call: Call, *, gradient: bool = False) -> str | None:
        """Why the framework's own implementation does not take this call; None if it does."""
        native = self.natives.get(call.operation)
        if native is None:
            return f"backend {self.name} has no {call.operation} of its own"
        if gradient and not native.differentiable:
            return f"{native.calls} gives no gradient"
        arrays = {name: self.to_native(array) for name, array in call.inputs.items()}
        return native.refusal(**arrays, **call.attributes)

    def _admit(self, call: Call) -> Call:
        """Natives and composed operations take every attribute, and refuse for themselves."""
        self.accept(call)
        return call

    def _admit_drawn(self, call: Call) -> Call:
        return call

    def _drawing(self, operation: str) -> Function | None:
        return self.drawing.get(operation)

    def _method(self, operation: str) -> Function:
        return self._dispatching(operation, gradient=False)

    def _differentiable(self, operation: str) -> Function:
        return self._dispatching(operation, gradient=True)

    def _dispatching(self, operation: str, *, gradient: bool) -> Function:
        """Return the method of an operation, made once so that what it compiles is compiled once."""
        key = (operation, gradient)
        if key not in self._methods:
            self._methods[key] = self._dispatch(operation, gradient=gradient)
        return self._methods[key]

    def _dispatch(self, operation: str, *, gradient: bool) -> Function:
        native, composition = self.natives.get(operation), OPERATIONS.get(operation)
        if native is not None and gradient and not native.differentiable:
            native = None
        composed: Callable[..., tuple[Any, ...]] | None = None
        if composition is not None:
            composed = self.compiled(partial(composition, self.arrays))
        if native is None:
            if composed is None:
                raise Unsupported(f"backend {self.name} has no {operation}")
            return composed
        refuse, own = native.refuse, self.compiled(native.function)

        def method(**arguments: Any) -> tuple[Any, ...]:
            try:
                refuse(**arguments)
            except Unsupported:
                if composed is None:
                    raise
                return composed(**arguments)
            return own(**arguments)

        return method
