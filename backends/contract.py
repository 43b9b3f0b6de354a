"""The contract between an implementation and the suite.

An adapter subclasses `Backend` and has one method per operation that it offers, named as in the specification::

    @only(reset="after", direction={"forward", "reverse"}, T=at_least(1))
    def gru(self, x, W, R, b, b_rn, h0=None, *, lengths=None, direction):
        ...
        return y, h_n

Inputs come as keywords in the implementation's own arrays (as `to_native` made them), and so do the attributes that the
method names, defaults filled in. The outputs go back as a tuple in the specification's order. An operation that the
implementation lacks has no method. `taking` says what a method takes and what is refused for it. A call that it cannot
do for another reason raises `Unsupported`: a loud refusal is honest, a wrong number is not. Where the library itself
raises an error for such a call, `Backend.refuses_with` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rnnspec import spec
from rnnspec.backends.accuracy import Declared, must_be_an_accuracy
from rnnspec.backends.call import Call, Cotangents, Unsupported
from rnnspec.backends.drawing import DRAWN, Drawing, masks_of
from rnnspec.backends.refusals import Declared as Refusals
from rnnspec.backends.taking import Taken, must_be_declared_rightly, taken_by
from rnnspec.backends.words import kind_of
from rnnspec.spec.arrays import Array

__all__ = ["Backend", "Call", "Cotangents", "Prepared", "Unsupported", "wanted_of"]


@dataclass(frozen=True)
class Prepared:
    """A call with its arrays on the device, to be timed: `run` starts the work, `synchronise` waits for it."""

    run: Callable[[], Any]
    synchronise: Callable[[], None]


class Backend:
    """Base class of adapters. Subclasses set `name`, give the conversions, and add a method per operation.

    Gradients come from one of two places. One is a method ``lstm_vjp(**inputs, **attributes)`` beside ``lstm``, which
    returns ``(outputs, vjp)``; ``vjp(*cotangents)`` gives a dict of gradients by input name. The other, for frameworks
    that differentiate, is `differentiate`; the adapter's author then writes no gradient at all. `differentiate_twice`
    gives the gradient of a gradient, where there is one.
    """

    name: ClassVar[str]

    by_default: ClassVar[bool] = True
    """Whether a run that names no backend includes this one, where it is installed."""

    compiles: ClassVar[int] = 1
    """About how many times longer a call takes in shapes that come for the first time, as they mostly do in a
    validation: the backend is asked so many times fewer examples. 1 for what does not compile."""

    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    """Names of the installed packages whose versions the report is to have."""

    contiguous: ClassVar[bool] = False
    """Whether NumPy's arrays come in C's order, one after the other in memory, as a kernel in C reads them."""

    checks_calls: ClassVar[bool] = True
    """Whether bad input is refused by the specification, before the method sees it. False: the library is asked."""

    refuses_with: ClassVar[Refusals] = {}
    """The library's own errors that are refusals: types of exceptions, each with a text that the message contains.

    ``{ValueError: "first timestep"}`` says that a ValueError with these words is no crash but a refusal, of which the
    first line of the message is the reason. A type that is not imported yet goes by its name, ``"mylibrary.Error"``.
    Only a type of the library's own, or NotImplementedError, may have an empty text."""

    accuracy: ClassVar[Declared] = None
    """How far its operations may be off, where that is more than rounding to the type: ``Accuracy(transcendental=…,
    product=…)``, or one by the name of a type. The bounds are computed for it, and the verdict says so."""

    opened_as: str = ""
    """The name that it was opened by, as the user gave it; empty for an adapter that was not opened by name."""

    time_limit: float | None = None
    """Seconds that a call may take in this process, as whoever opened the adapter set it; None: any time."""

    def __init__(self, device: str = "cpu") -> None:
        """Open the implementation on `device`; raise ValueError naming the devices there are if it has not that one.

        A method that declares what its operation has not is a ValueError too.
        """
        if device not in self.devices():
            raise ValueError(f"backend {self.name}: expected a device in {', '.join(self.devices())}, got {device!r}")
        self.device = device
        must_be_declared_rightly(type(self), Backend)
        must_be_an_accuracy(getattr(self, "name", type(self).__name__), self.accuracy)

    # The part that an adapter writes.

    def devices(self) -> tuple[str, ...]:
        """Names of the devices at hand."""
        return ("cpu",)

    def dtypes(self) -> tuple[str, ...]:
        """The floating-point types it computes in, among float16, bfloat16, float32 and float64."""
        return ("float32", "float64")

    def versions(self) -> dict[str, str]:
        """Versions of what it runs on, for the report: by default those of `libraries`."""
        declared: object = self.libraries
        if isinstance(declared, str):
            raise TypeError(f"libraries: expected a tuple of names, like ({declared!r},), got a text")
        return {name: version(name) for name in self.libraries}

    def to_native(self, array: Array) -> Any:
        """Copy a NumPy array (bfloat16 as ``ml_dtypes.bfloat16``) into the implementation's own, on the device."""
        return np.array(array, order="C" if self.contiguous else "K")

    def inputs_to_native(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Copy a call's inputs, each for itself.

        Override it to pass on that two of them are one array, where gradients of each stay apart.
        """
        return {name: self.to_native(array) for name, array in inputs.items()}

    def to_numpy(self, array: Any) -> Array:
        """Copy one of the implementation's arrays back, dtype kept."""
        return np.array(array)

    def differentiate(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any], cotangents: tuple[Any, ...]
    ) -> dict[str, Any]:
        """Vector-Jacobian product of ``function(**inputs)`` by the framework's own differentiation.

        `inputs` are the inputs that need a gradient; the call's others are constants of `function`. `cotangents` has
        one for each float output of `function`, and None for an output that is not used: the framework is to be given
        none for it, not an array of zeros.
        """
        raise Unsupported(f"backend {self.name} has no gradients")

    def record(
        self, function: Callable[..., tuple[Any, ...]], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], dict[str, Any]]]:
        """Outputs of ``function(**inputs)``, and their vector-Jacobian product as of `differentiate`.

        By default the function is computed again for the product. A framework that keeps what it computed overrides
        this. The product may be asked for several times.
        """
        return function(**inputs), lambda cotangents: self.differentiate(function, inputs, cotangents)

    def differentiate_twice(
        self,
        function: Callable[..., tuple[Any, ...]],
        inputs: dict[str, Any],
        cotangents: tuple[Any, ...],
        directions: dict[str, Any],
    ) -> dict[str, Any]:
        """Gradient of ``sum(directions[k] * g[k])`` with respect to all `inputs`, by the framework's own means.

        `g` is the result of `differentiate` for these cotangents. Inputs without a direction are no part of the sum. A
        kernel that the framework cannot differentiate twice raises `Unsupported`, in the framework's own words.
        """
        raise Unsupported(f"backend {self.name} has no second-order gradients")

    def synchronise(self) -> None:
        """Wait until the device has done all it was given."""

    def peak_device_memory(self) -> int | None:
        """Bytes that its arrays took on the device at most, since the process began; None: the CPU's, or not known."""
        return None

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """Python source that makes this call on the library itself, for a repro that needs no rnnspec.

        The source finds a dict ``inputs`` (name to NumPy array, bfloat16 widened to float32) and the string ``dtype``,
        and sets ``outputs``: a list of NumPy arrays in the library's types, bfloat16 widened to float32. A repro has 40
        lines, and 23 of them are the call's at most: fewer by 1 each for directions and NaN that is not
        judged, by 3 for a call that crashed or had no end. A longer call is left out of the repro, which says so.

        Parameters
        ----------
        call
            The call.
        wanted
            Inputs whose gradients are at fault: the source finds a list ``cotangents`` too (None for an output that is
            not used), and sets ``gradients``, a dict of arrays, in place of ``outputs``.
        directions
            Inputs that have a direction: the source finds a dict ``directions`` of arrays too, and ``gradients`` are
            those of second order.

        Returns
        -------
        str or None
            None: the repro calls the adapter itself, through rnnspec.
        """
        return None

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The TOML file of known faults of the implementation; None: there are none known."""
        return None

    def refuses(self, call: Call) -> str | None:
        """The reason why the adapter refuses a call; None if it does not.

        What the method declares is enough to refuse a call. Any other call is made to find out.
        """
        try:
            self.run(call)
        except Unsupported as reason:
            return str(reason)
        return None

    def refusal(self, call: Call, *, gradient: bool = False) -> str | None:
        """Why the library's own implementation does not take a call that the adapter answers; None if it does.

        An adapter that composes operations for its library overrides this: the library's own are then judged alone too.
        """
        return None

    def accept(self, call: Call) -> None:
        """Raise an error for bad input, before anything is converted: by default, what the specification says of it."""
        if self.checks_calls:
            spec.check_call(call.operation, call.inputs, call.attributes)

    # The part that the suite calls: NumPy in, NumPy out.

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """The specification's operations that this adapter has a method for."""
        return tuple(name for name in spec.operations() if callable(getattr(cls, name, None)))

    def has_gradients(self, operation: str) -> bool:
        """Whether there are gradients of this operation at all, by hand or by differentiation."""
        by_hand = callable(getattr(self, operation + "_vjp", None))
        differentiated = type(self).differentiate is not Backend.differentiate and self._declares_gradients(operation)
        return spec.operation(operation).differentiable and (by_hand or differentiated)

    def has_second_order(self, operation: str) -> bool:
        """Whether there are gradients of this operation's gradients."""
        differentiated = type(self).differentiate_twice is not Backend.differentiate_twice
        return spec.operation(operation).differentiable and differentiated and self._declares_gradients(operation)

    def draws(self, operation: str) -> bool:
        """Whether it draws the masks of this operation's dropout itself, if it is asked to."""
        return self._drawing(operation) is not None

    def drawn(self, call: Call, drawing: Drawing) -> tuple[Array, ...]:
        """Outputs of a call of which the library draws the masks itself; those of the call, and its rate, go unread.

        Raises
        ------
        Unsupported
            If it draws no masks of this operation, or none like these.
        """
        method, masks = self._drawing(call.operation), masks_of(call.operation)
        if method is None or masks is None:
            raise Unsupported(f"backend {self.name} draws no masks of {call.operation}")
        self.accept(call)
        admitted = self._admit_drawn(masks.left_out_of(call))
        native = self.inputs_to_native({name: array for name, array in admitted.inputs.items() if name != masks.mask})
        attributes = {name: value for name, value in admitted.attributes.items() if name != masks.rate}
        options = drawing.options(method, call, self.name)
        came = must_be_several(call, method(**native, **attributes, **options))
        return tuple(self.to_numpy(output) for output in came)

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call, in the specification's order."""
        method, admitted = self._method(call.operation), self._admit(call)
        native = self.inputs_to_native(admitted.inputs)
        came = must_be_several(call, method(**native, **admitted.attributes))
        return tuple(self.to_numpy(output) for output in came)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Gradients of the call.

        Parameters
        ----------
        call
            The call.
        cotangents
            One for each float output; None where an output is not used: the framework then gets none.
        wanted
            The float inputs to give gradients of, by name; the others are constants. None: all.

        Raises
        ------
        Unsupported
            If there are no gradients of this call.
        ValueError
            If an input is wanted that is no float input of the call.
        """
        return {name: self.to_numpy(array) for name, array in self._gradient(call, cotangents, wanted)().items()}

    def recorded(
        self, call: Call, wanted: Collection[str] | None = None
    ) -> tuple[tuple[Array, ...], Callable[[Cotangents], dict[str, Array]]]:
        """Outputs of the call, and the function from cotangents to the gradients of the inputs that are wanted.

        The outputs are computed once for both, unless the adapter has its own `run` or `gradients`, or can only compile
        a gradient whole: the call is then made again.
        """
        if not self.flows:
            return self.run(call), lambda cotangents: self.gradients(call, cotangents, wanted)
        names = wanted_of(call, wanted)
        admitted = self._admit(call)
        native = replace(admitted, inputs=self.inputs_to_native(admitted.inputs))
        outputs, pull = self.recorded_here(native, names)

        def back(cotangents: Cotangents) -> dict[str, Array]:
            found = pull(self._native_cotangents(cotangents))
            return {name: self.to_numpy(array) for name, array in found.items()}

        return tuple(self.to_numpy(output) for output in outputs), back

    # The part for work whose arrays stay on the device. Nothing is checked: a call like it was made before.

    @property
    def flows(self) -> bool:
        """Whether a call and its gradient can be made one after the other, on arrays of its own."""
        own = type(self)
        return (own.run, own.gradients, own._gradient) == (Backend.run, Backend.gradients, Backend._gradient)

    def run_here(self, call: Call) -> tuple[Any, ...]:
        """Outputs of a call whose inputs are arrays of its own, as such."""
        return self._method(call.operation)(**call.inputs, **call.attributes)

    def recorded_here(
        self, call: Call, wanted: Collection[str]
    ) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], dict[str, Any]]]:
        """As `recorded`, on arrays of its own; None stands for the cotangent of an output that is not used."""
        with_vjp = getattr(self, call.operation + "_vjp", None)
        if with_vjp is None:
            method = self._differentiable(call.operation)
            floats = {name: array for name, array in call.inputs.items() if name in wanted}
            others = {name: array for name, array in call.inputs.items() if name not in wanted}
            return self.record(lambda **inputs: method(**inputs, **others, **call.attributes), floats)
        outputs, vjp = with_vjp(**call.inputs, **call.attributes)

        def pull(cotangents: tuple[Any, ...]) -> dict[str, Any]:
            found = vjp(*self._seeds(call, outputs, cotangents))
            return {name: found[name] for name in wanted}

        return outputs, pull

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> dict[str, Array]:
        """Gradient, of every float input, of the sum of `directions` times what `gradients` gives: a Hessian's product.

        Parameters
        ----------
        call, cotangents
            As of `gradients`.
        directions
            An array for each gradient that is part of the sum, by the input's name and in its shape.

        Raises
        ------
        Unsupported
            If there are no second-order gradients of this call.
        """
        gradients = self._second_order(call, cotangents, directions)()
        return {name: self.to_numpy(array) for name, array in gradients.items()}

    def prepare(self, call: Call, cotangents: tuple[Array, ...] | None = None) -> Prepared:
        """Put the call's arrays on the device and return the work to time; with cotangents, forward and backward."""
        if cotangents is not None:
            return Prepared(self._gradient(call, cotangents), self.synchronise)
        method, admitted = self._method(call.operation), self._admit(call)
        native = self.inputs_to_native(admitted.inputs)
        return Prepared(lambda: method(**native, **admitted.attributes), self.synchronise)

    def _admit(self, call: Call) -> Call:
        """Return a call with what the operation's method takes; raise what `accept` raises, or Unsupported."""
        self.accept(call)
        return self._taken(call.operation).admit(call, self.name)

    def _admit_differentiable(self, call: Call) -> Call:
        """As `_admit`, of a call whose gradient is wanted."""
        admitted = self._admit(call)
        if not self._declares_gradients(call.operation):
            raise Unsupported(f"{self.name}'s {call.operation} has no gradient")
        return admitted

    def _admit_drawn(self, call: Call) -> Call:
        """As `_admit`, of a call whose masks the library draws."""
        return taken_by(getattr(type(self), DRAWN + call.operation), call.operation).admit(call, self.name)

    def _drawing(self, operation: str) -> Callable[..., tuple[Any, ...]] | None:
        """Return the method that draws an operation's masks; None if there is none."""
        method: Callable[..., tuple[Any, ...]] | None = getattr(self, DRAWN + operation, None)
        return method

    def _taken(self, operation: str) -> Taken:
        return taken_by(getattr(type(self), operation, None), operation)

    def _declares_gradients(self, operation: str) -> bool:
        """Whether the operation's method is not declared to have none."""
        return self._taken(operation).declared.differentiable

    def _method(self, operation: str) -> Callable[..., tuple[Any, ...]]:
        method: Callable[..., tuple[Any, ...]] | None = getattr(self, operation, None)
        if method is None:
            raise Unsupported(f"backend {self.name} has no {operation}")
        return method

    def _differentiable(self, operation: str) -> Callable[..., tuple[Any, ...]]:
        """Return the method to differentiate, where it is not the one to run."""
        return self._method(operation)

    def _gradient(
        self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None
    ) -> Callable[[], dict[str, Any]]:
        """Put everything on the device and return the function that computes the gradients there."""
        with_vjp = getattr(self, call.operation + "_vjp", None)
        if with_vjp is not None:
            return self._by_hand(call, self._admit(call), with_vjp, cotangents, wanted)
        admitted = self._admit_differentiable(call)
        function, floats = self._function(call, admitted, wanted)
        native_cotangents = self._native_cotangents(cotangents)
        return lambda: self.differentiate(function, floats, native_cotangents)

    def _second_order(
        self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]
    ) -> Callable[[], dict[str, Any]]:
        """Put everything on the device and return the function that computes the second-order gradients there."""
        admitted = self._admit_differentiable(call)
        function, floats = self._function(call, admitted, None)
        native_cotangents = self._native_cotangents(cotangents)
        native_directions = {name: self.to_native(array) for name, array in directions.items()}
        return lambda: self.differentiate_twice(function, floats, native_cotangents, native_directions)

    def _by_hand(
        self,
        call: Call,
        admitted: Call,
        with_vjp: Callable[..., Any],
        cotangents: Cotangents,
        wanted: Collection[str] | None,
    ) -> Callable[[], dict[str, Any]]:
        """By a method that knows neither unused outputs nor constants: it gets zeros, and unwanted gradients are
        dropped."""
        filled_in = admitted.inputs.keys() - call.inputs.keys()
        unwanted = (call.float_inputs.keys() | filled_in) - wanted_of(call, wanted)
        native = self.inputs_to_native(admitted.inputs)
        given = self._native_cotangents(cotangents)

        def gradient() -> dict[str, Any]:
            outputs, vjp = with_vjp(**native, **admitted.attributes)
            gradients: dict[str, Any] = vjp(*self._seeds(call, outputs, given))
            return {name: d for name, d in gradients.items() if name not in unwanted}

        return gradient

    def _seeds(self, call: Call, outputs: tuple[Any, ...], given: tuple[Any, ...]) -> list[Any]:
        """The cotangents of a call's float outputs, with zeros for those that are not used."""
        if all(cotangent is not None for cotangent in given):
            return list(given)
        kinds = call.spec.outputs_for(call.attributes).values()
        floats = [output for output, item in zip(outputs, kinds, strict=True) if item.kind == "float"]
        return [self._zeros(y) if dy is None else dy for y, dy in zip(floats, given, strict=True)]

    def _function(
        self, call: Call, admitted: Call, wanted: Collection[str] | None
    ) -> tuple[Callable[..., tuple[Any, ...]], dict[str, Any]]:
        """The call as a function of the inputs that are wanted, and these."""
        method = self._differentiable(call.operation)
        names = wanted_of(call, wanted)
        native = self.inputs_to_native(admitted.inputs)
        floats = {name: array for name, array in native.items() if name in names}
        others = {name: array for name, array in native.items() if name not in names}

        def function(**inputs: Any) -> tuple[Any, ...]:
            return method(**inputs, **others, **admitted.attributes)

        return function, floats

    def _native_cotangents(self, cotangents: Cotangents) -> tuple[Any, ...]:
        return tuple(None if cotangent is None else self.to_native(cotangent) for cotangent in cotangents)

    def _zeros(self, output: Any) -> Any:
        """Zeros in the shape and type of an output."""
        return self.to_native(np.zeros_like(self.to_numpy(output)))


def must_be_several(call: Call, came: Any) -> Any:
    """Return what a method returned; TypeError, with a message for the adapter's author, unless it is like a tuple.

    An array alone could be read as a tuple of its rows, and a dict as one of its names.
    """
    if isinstance(came, Mapping) or hasattr(came, "shape") or not hasattr(type(came), "__iter__"):
        names = ", ".join(call.spec.outputs_for(call.attributes))
        like = f"({names}{',' * (',' not in names)})"
        raise TypeError(f"expected {call.operation} to return a tuple, {like}, got an object of type {kind_of(came)}")
    return came


def outputs_of(call: Call, came: Any) -> Any:
    """Return what an adapter's `run` returned; TypeError, with a message for its author, for None and the like."""
    return came if hasattr(type(came), "__iter__") else must_be_several(call, came)


def wanted_of(call: Call, wanted: Collection[str] | None) -> frozenset[str]:
    """Names of the float inputs of the call that gradients are wanted of; ValueError for what is none."""
    floats = call.float_inputs
    if wanted is None:
        return frozenset(floats)
    unknown = [name for name in wanted if name not in floats]
    if unknown:
        raise ValueError(f"wanted: expected float inputs of the call ({', '.join(floats)}), got {', '.join(unknown)}")
    return frozenset(wanted)
