"""A backend of a framework: what the framework has natively runs there, everything else is composed on its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rnnspec import spec
from rnnspec.backends.composed.arrays import Arrays
from rnnspec.backends.composed.operations import OPERATIONS
from rnnspec.backends.contract import Backend, Call, Unsupported


class FrameworkBackend(Backend):
    """Base class of the frameworks' backends.

    Subclasses give `arrays`, the framework's namespace of array functions, and `natives`: functions of the framework
    by the operation's name. A native function is asked first; where it raises `Unsupported`, before it has computed
    anything, the composed operation takes the call.
    """

    arrays: Arrays
    natives: ClassVar[Mapping[str, Callable[..., tuple[Any, ...]]]]

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Every operation that is native or composed."""
        return tuple(name for name in spec.operations() if name in cls.natives or name in OPERATIONS)

    def accept(self, call: Call) -> None:
        """Hold the call against the specification: frameworks compute with much that they should refuse."""
        spec.check_call(call.operation, call.inputs, call.attributes)

    def _method(self, operation: str) -> Callable[..., tuple[Any, ...]]:
        native, composed = self.natives.get(operation), OPERATIONS.get(operation)
        if native is None and composed is None:
            raise Unsupported(f"backend {self.name} has no {operation}")

        def method(**arguments: Any) -> tuple[Any, ...]:
            if native is not None:
                try:
                    return native(**arguments)
                except Unsupported:
                    if composed is None:
                        raise
            assert composed is not None
            return composed(self.arrays, **arguments)

        return method
