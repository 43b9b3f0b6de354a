"""A framework's own operations: the function that is called, and the calls that it cannot do.

A table of these, operation by operation, is what a framework's backend has natively; everything else is composed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rnnspec.backends.contract import Unsupported

Function = Callable[..., tuple[Any, ...]]
"""From inputs (the framework's arrays) and attributes by keyword to the outputs, in the specification's order."""


def _refuse_nothing(**arguments: Any) -> None:
    """Every call that the specification allows can be done."""


@dataclass(frozen=True)
class Native:
    """One operation by the framework's own implementation.

    `calls` is the known name of the function (``torch.nn.LSTM``). `refuse` takes the arguments of a call and
    raises `Unsupported`, with the reason, if the framework cannot do it: it stands apart from `function` since that one
    may be compiled. `differentiable` is false where the function gives no gradient.
    """

    calls: str
    function: Function
    refuse: Callable[..., None] = _refuse_nothing
    differentiable: bool = True

    def __call__(self, **arguments: Any) -> tuple[Any, ...]:
        """Outputs of the call, or `Unsupported` before anything is computed."""
        self.refuse(**arguments)
        return self.function(**arguments)

    def refusal(self, **arguments: Any) -> str | None:
        """Why the framework cannot do this call; None if it can."""
        try:
            self.refuse(**arguments)
        except Unsupported as reason:
            return str(reason)
        return None


def native(
    calls: str, refuse: Callable[..., None] = _refuse_nothing, *, differentiable: bool = True
) -> Callable[[Function], Native]:
    """Decorate the function that does an operation by calling `calls`; see `Native`."""

    def decorate(function: Function) -> Native:
        return Native(calls, function, refuse, differentiable)

    return decorate
