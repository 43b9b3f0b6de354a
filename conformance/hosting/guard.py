"""A guarded backend, whose exceptions differ from the suite's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents, Drawing, Unsupported
from rnnspec.backends.contract import outputs_of
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.refusals import declared_refusal, may_be_refusal
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.hosting.deadline import DeadlineError, at_most
from rnnspec.conformance.hosting.guest import place_of
from rnnspec.spec import operation, operations
from rnnspec.spec.arrays import Array

Result = TypeVar("Result")

SECONDS: Final = 60.0
"""Time limit of a call, if nothing else is said."""


class BackendCrashError(Exception):
    """The backend raised an exception other than a refusal in a call.

    The message is made on request, since most are never read: on bad input, any error is right.
    """

    def __init__(self, call: Call, error: BaseException, *, may_be_refusal: bool = False) -> None:
        super().__init__(call, error)
        self.call = call
        self.error = error
        self.may_be_refusal = may_be_refusal

    def __str__(self) -> str:
        return told(f"{kind_of(self.error)}: {words_of(self.error)}", place_of(self.error), self.call) + self.hint

    @property
    def hint(self) -> str:
        """The line that tells an adapter's author how to declare a refusal; empty where the error can be none."""
        return _HINT if self.may_be_refusal else ""


_HINT: Final = (
    "\n  if the library says by this error that it cannot do the call, the adapter declares it in refuses_with, or "
    "raises Unsupported"
)


class GuestLostError(BaseException):
    """The process ended or was killed in a call.

    It is no Exception, since it is no right answer to bad input. Hypothesis does not shrink it either, which would take
    a new process or the time limit for each step. `request` names the method that was asked, `more` holds its arguments
    after the call.
    """

    def __init__(
        self,
        call: Call,
        reason: str,
        place: str = "",
        *,
        timed_out: bool = False,
        seconds: float = SECONDS,
        request: str = "",
        more: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(call, reason, place)
        self.call = call
        self.reason = reason
        self.place = place
        self.timed_out = timed_out
        self.seconds = seconds
        self.request = request
        self.more = more

    def __str__(self) -> str:
        return told(self.reason, self.place, self.call)


def told(what: str, place: str, call: Call) -> str:
    """Return a message with the fault, its place in the code, and its call: shapes and attributes but the defaults."""
    shapes = [f"{name} {array.shape}" for name, array in call.inputs.items()]
    defaults = operation(call.operation).defaults() if call.operation in operations() else {}
    changed = [
        f"{name}={value}" for name, value in call.attributes.items() if name not in defaults or value != defaults[name]
    ]
    at = f"at {place}, " if place else ""
    return f"{what}\n  {at}in {call.operation}({', '.join([*shapes, *changed])})"


def plain(value: Any) -> Any:
    """Return what the checks see of a result: an array of the base class, or an object whose type has the same name.

    A class of the adapter's own could answer anything to a comparison, or end the process.
    """
    if type(value) is np.ndarray:
        return value
    if issubclass(type(value), np.ndarray):
        return np.ndarray.view(value, np.ndarray)
    return type(kind_of(value), (), {})()


def _named(gradients: Any) -> dict[str, Any]:
    return {f"{name}": plain(gradient) for name, gradient in dict(gradients).items()}


class Guarded(Backend):
    """A backend that passes calls on to another, and turns its exceptions except refusals into BackendCrashError.

    Its own errors that it declares as refusals (`Backend.refuses_with`) become Unsupported.
    """

    name = "guarded"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.device = backend.device

    def has_gradients(self, operation: str) -> bool:
        """Return whether the backend has gradients of the operation."""
        return self.backend.has_gradients(operation)

    def has_second_order(self, operation: str) -> bool:
        """Return whether the backend has gradients of the operation's gradients."""
        return self.backend.has_second_order(operation)

    def draws(self, operation: str) -> bool:
        """Return whether the backend draws the masks of the operation's dropout itself."""
        return self.backend.draws(operation)

    def drawn(self, call: Call, drawing: Drawing) -> tuple[Array, ...]:
        """Return the outputs of the call, with masks that the library draws."""
        return self._guard(call, lambda: tuple(map(plain, self.backend.drawn(call, drawing))))

    def refuses(self, call: Call) -> str | None:
        """Return the reason if the adapter refuses the call."""
        try:
            return self._guard(call, lambda: self.backend.refuses(call))
        except Unsupported as reason:  # declared as a refusal, and so no answer of the adapter's
            return words_of(reason)

    def refusal(self, call: Call, *, gradient: bool = False) -> str | None:
        """Return the reason if the library itself does not take the call."""
        return self.backend.refusal(call, gradient=gradient)

    def run(self, call: Call) -> tuple[Array, ...]:
        """Return the outputs of the call."""
        return self._guard(call, lambda: tuple(map(plain, outputs_of(call, self.backend.run(call)))))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Return the gradients of the call."""
        return self._guard(call, lambda: _named(self.backend.gradients(call, cotangents, wanted)))

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> dict[str, Array]:
        """Return the second-order gradients of the call."""
        return self._guard(call, lambda: _named(self.backend.second_order(call, cotangents, directions)))

    def _guard(self, call: Call, compute: Callable[[], Result]) -> Result:
        seconds = self.backend.time_limit
        try:
            # The checks judge overflow, so NumPy's warnings would only add noise.
            with np.errstate(all="ignore"), at_most(seconds):
                return compute()
        except DeadlineError:
            assert seconds is not None  # or there is no deadline
            silence = f"no answer within {seconds:g} s"
            raise GuestLostError(call, silence, timed_out=True, seconds=seconds) from None
        except Unsupported as refusal:
            raise Unsupported(words_of(refusal)) from None
        except (BackendCrashError, GuestLostError, Interrupted):  # a crash in another process has its own message
            raise
        except BaseException as error:  # a library that ends the process, or the test, has crashed too
            reason = declared_refusal(error, self.backend.refuses_with)
            if reason is not None:
                raise Unsupported(reason) from None
            may_be = may_be_refusal(error, type(self.backend))
            crash = BackendCrashError(call, error, may_be_refusal=may_be)
            cause = error if type(type(error)) is type else None
        # Out of the block, since the exception is not to hang on to one whose type answers as it likes.
        raise crash from cause
