"""The part of an operation's calls that an adapter's method takes, as its parameters and `only` declare it.

An adapter's method says by its parameters which inputs and attributes it reads, and by `only` which values it admits::

    @only(direction="forward", reset={"before", "after"}, T=at_least(1))
    def gru(self, x, W, R, b, h0, *, reset, lengths=None): ...

All else is refused before any array is converted: an attribute that the method does not name has its default, an
optional input that it does not name is absent. An optional input that it names without a default is always there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, TypeVar

import numpy as np

from rnnspec import spec
from rnnspec.backends.call import Call, Unsupported
from rnnspec.backends.drawing import DRAWN, OPTIONS
from rnnspec.backends.words import kind_of
from rnnspec.spec.composition import possible_inputs, possible_sizes
from rnnspec.spec.errors import one_of, shown
from rnnspec.spec.operation import holds

Method = TypeVar("Method", bound=Callable[..., Any])

_DECLARED: Final = "__rnnspec_only__"
_VJP: Final = "_vjp"
_LIKE: Final = 0.8
"""Likeness of names, from 0 to 1, from which on one is taken for a slip of the other."""


@dataclass(frozen=True)
class AtLeast:
    """A size from `least` on."""

    least: int


def at_least(size: int) -> AtLeast:
    """Sizes from this one on, as ``only(T=at_least(1))`` says that there is a step."""
    return AtLeast(size)


@dataclass(frozen=True)
class _Only:
    """The arguments of `only`."""

    values: Mapping[str, Any] = field(default_factory=dict)
    holes: bool = True
    nan_padding: bool = True
    differentiable: bool = True


def only(
    *, holes: bool = True, nan_padding: bool = True, differentiable: bool = True, **values: Any
) -> Callable[[Method], Method]:
    """Decorate an adapter's method with the calls that it takes; all others are refused, with the reason in words.

    Parameters
    ----------
    holes
        False: the valid steps of a mask come first.
    nan_padding
        False: padding must be finite, since the implementation multiplies what it skips by 0.
    differentiable
        False: this operation has no gradient.
    values
        By the name of an attribute or the symbol of a size: the value, a set of values, or, of a size, `at_least`.

    Raises
    ------
    ValueError
        When the backend is opened, if a name is neither an attribute nor a size of the operation, or a value is none
        that the attribute or the size can have.
    """

    def decorate(method: Method) -> Method:
        setattr(method, _DECLARED, _Only(values, holes, nan_padding, differentiable))
        return method

    return decorate


@dataclass(frozen=True)
class Taken:
    """The part of an operation's calls that one method takes."""

    operation: spec.Operation
    declared: _Only
    untaken: frozenset[str]
    """Optional inputs that the method has no parameter for."""

    required: frozenset[str]
    """Optional inputs that its parameters always want."""

    passed: frozenset[str] | None
    """Attributes that it has parameters for; None: it takes any."""

    steps_as: str | None
    """``lengths`` or ``mask``, if it takes one of them only."""

    def admit(self, call: Call, who: str) -> Call:
        """Return the call as the method takes it; raise Unsupported, in the words of `who`, if it does not."""
        self._refuse_attributes(call, who)
        inputs = dict(call.inputs)
        sizes = {name: value for name, value in self.declared.values.items() if name not in self.operation.attributes}
        absent = self.required - inputs.keys()
        other = {"lengths", "mask"} & inputs.keys() - {self.steps_as} if self.steps_as else set()
        padding = not (self.declared.nan_padding and self.declared.holes)
        if absent or other or sizes or padding:
            checked = spec.check_call(call.operation, call.inputs, call.attributes)
            self._refuse_sizes(call, checked, sizes, who)
            if padding and checked.valid is not None:
                self._refuse_padding(call, checked.valid, who)
            if other and checked.valid is not None:
                del inputs[other.pop()]
                inputs[str(self.steps_as)] = self._steps(call, checked.valid, who)
            inputs |= self._filled_in(call, checked, self.required - inputs.keys())
        for name in inputs:
            if name in self.untaken:
                raise Unsupported(f"{who}'s {call.operation} takes no {name}")
        passed = {name: value for name, value in call.attributes.items() if self._passes(name, value, call)}
        return replace(call, inputs=inputs, attributes=passed)

    def _passes(self, name: str, value: Any, call: Call) -> bool:
        """Whether the method gets an attribute: it names it, and the attribute applies; what is wrong with one is for
        the method to refuse."""
        attribute = self.operation.attributes.get(name)
        if attribute is None:
            return True
        if not holds(attribute.when, call.attributes) and value == attribute.default:
            return False
        return self.passed is None or name in self.passed

    def _refuse_attributes(self, call: Call, who: str) -> None:
        for name, value in call.attributes.items():
            attribute = self.operation.attributes.get(name)
            if attribute is None or not holds(attribute.when, call.attributes):
                continue
            if name in self.declared.values:
                allowed = self.declared.values[name]
            elif self.passed is not None and name not in self.passed:
                allowed = attribute.default
            else:
                continue
            if not _among(value, allowed):
                raise Unsupported(f"{who}'s {call.operation}: {_words(name, allowed)} only")

    def _refuse_sizes(self, call: Call, checked: spec.Checked, sizes: Mapping[str, Any], who: str) -> None:
        for symbol, allowed in sizes.items():
            if symbol in checked.sizes and not _among(checked.sizes[symbol], allowed):
                about = possible_sizes(self.operation)[symbol]
                raise Unsupported(f"{who}'s {call.operation}: {_words(symbol, allowed)} only ({symbol}: {about})")

    def _steps(self, call: Call, valid: Any, who: str) -> Any:
        """The valid steps in the one way in which the method takes them."""
        if self.steps_as == "mask":
            return np.array(valid)
        if not _first(valid):
            raise Unsupported(f"{who}'s {call.operation} takes lengths: valid steps come first, without holes")
        return valid.sum(1).astype(np.int64)

    def _filled_in(self, call: Call, checked: spec.Checked, names: Iterable[str]) -> dict[str, Any]:
        """The inputs that the method always wants, and the call leaves out: every step, and zeros."""
        items = call.spec.inputs_for(call.attributes)
        dtype = next(array.dtype for name, array in call.inputs.items() if items[name].kind == "float")
        filled: dict[str, Any] = {}
        for name in sorted(names):
            if name in ("lengths", "mask") and checked.valid is not None:
                filled[name] = np.array(checked.valid) if name == "mask" else checked.valid.sum(1).astype(np.int64)
            elif name in items:
                filled[name] = np.zeros([checked.sizes[axis] for axis in items[name].shape], dtype)
        return filled

    def _refuse_padding(self, call: Call, valid: Any, who: str) -> None:
        if not self.declared.holes and not _first(valid):
            raise Unsupported(f"{who}'s {call.operation}: valid steps come first, without holes")
        if self.declared.nan_padding:
            return
        for name, item in call.spec.inputs_for(call.attributes).items():
            padded = name in call.inputs and item.kind == "float" and item.shape[:2] == ("B", "T")
            if padded and not np.isfinite(call.inputs[name][~valid].astype(np.float64)).all():
                raise Unsupported(f"{who}'s {call.operation} computes with padding: it must be finite")


def must_be_declared_rightly(adapter: type, base: type) -> None:
    """Raise ValueError if a method of the class declares by `only`, or names in its parameters, what its operation has
    not, or is declared and no operation, or is nearly the name of an operation that it does not have.

    So it does for an attribute that has the name of a method; None stands for an operation that there is not.
    """
    of_base = {name for name in dir(base) if callable(getattr(base, name)) and not name.startswith("__")}
    for name in dir(adapter):
        method = getattr(adapter, name, None)
        operation = name.removeprefix(DRAWN).removesuffix(_VJP)
        if not callable(method) and (name in of_base or (operation in spec.operations() and method is not None)):
            raise ValueError(f"{name}: expected a method, got an object of type {kind_of(method)}")
        operation = name.removeprefix(DRAWN)
        is_operation = operation in spec.operations()
        if isinstance(getattr(method, _DECLARED, None), _Only):
            if not is_operation:
                like = next(iter(get_close_matches(operation, spec.operations(), 1)), None)
                hint = f"; did you mean {name.removesuffix(operation)}{like}?" if like else ""
                raise ValueError(f"only(…) of {name}: expected a method with the name of an operation{hint}")
            taken_by(method, operation)
        if is_operation and callable(method):
            _must_have_known_parameters(adapter, method, name)
        elif callable(method):
            _must_be_no_slip(adapter, method, name)


def _must_be_no_slip(adapter: type, method: Callable[..., Any], name: str) -> None:
    """Raise ValueError for a method that is nearly called as an operation that there is no method of, and takes all of
    its inputs.
    """
    lacking = [operation for operation in spec.operations() if not hasattr(adapter, operation)]
    like = next(iter(get_close_matches(name, lacking, 1, _LIKE)), None)
    if like is None or name.startswith("_"):
        return
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):  # it tells nothing of them
        return
    op = spec.operation(like)
    required = [needed for needed, item in op.inputs_for(op.defaults()).items() if not item.optional]
    if all(needed in parameters for needed in required):
        raise ValueError(f"method {name}: expected the name of an operation: did you mean {like}?")


def _must_have_known_parameters(adapter: type, method: Callable[..., Any], name: str) -> None:
    """Raise ValueError for a parameter that no call would ever fill, or that is nearly the name of one."""
    operation = name.removeprefix(DRAWN)
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):  # it tells nothing of them
        return
    if not isinstance(inspect.getattr_static(adapter, name, None), staticmethod | classmethod):
        parameters = parameters[1:]  # the adapter itself
    op = spec.operation(operation)
    known = (*possible_inputs(op), *op.attributes, *(OPTIONS if name != operation else ()))
    taken = {parameter.name for parameter in parameters}
    for parameter in parameters:
        if parameter.name in known or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        is_own = parameter.default is not parameter.empty
        if is_own and not get_close_matches(parameter.name, set(known) - taken, 1):
            continue  # an option of the adapter's own
        raise ValueError(f"{name}: unknown parameter {parameter.name}: {one_of(parameter.name, known)}")


@lru_cache(maxsize=1024)
def taken_by(method: Callable[..., Any] | None, operation: str) -> Taken:
    """Return what a class's method takes of an operation; ValueError for a declaration of what the operation has not.

    A method whose parameters cannot be told, or that takes any keyword and names no optional float, takes all inputs.
    """
    op = spec.operation(operation)
    declared: _Only = getattr(method, _DECLARED, _Only())
    others_names = {
        symbol for when, pairs in op.same_size if not when for symbol in pairs if pairs[symbol].isidentifier()
    }
    known = {*op.attributes, *possible_sizes(op)} - others_names  # T_all is T by another name
    for name in declared.values:
        if name not in known:
            raise ValueError(f"only({name}=…) of {operation}: {one_of(name, sorted(known))}")
        _must_be_possible(op, name, declared.values[name])
    try:
        parameters = dict(inspect.signature(method).parameters) if method is not None else {}
    except (TypeError, ValueError):  # it tells nothing of them
        parameters = {}
    if not parameters:
        return Taken(op, declared, frozenset(), frozenset(), None, None)
    optional = {name: item for name, item in possible_inputs(op).items() if item.optional}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    takes_all = takes_any and not any(item.kind == "float" and name in parameters for name, item in optional.items())
    untaken = frozenset() if takes_all else frozenset(optional) - parameters.keys()
    bare = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    steps = {"lengths", "mask"} & optional.keys()
    one = steps - untaken if len(steps) == 2 else set()
    return Taken(
        op,
        declared,
        untaken,
        frozenset(optional) & bare,
        None if takes_any else frozenset(op.attributes) & parameters.keys(),
        next(iter(one)) if len(one) == 1 else None,
    )


def _must_be_possible(op: spec.Operation, name: str, allowed: Any) -> None:
    """Raise ValueError if `only` admits a value that the attribute or the size of that name cannot have."""
    attribute = op.attributes.get(name)
    for value in allowed if isinstance(allowed, set | frozenset) else (allowed,):
        told = f"only({name}=…) of {op.name}: expected"
        if attribute is None:
            size = value.least if isinstance(value, AtLeast) else value
            if type(size) is not int or size < 0:
                raise ValueError(f"{told} a size, several in a set, or at_least(size), got {shown(value)}")
        elif isinstance(value, AtLeast):
            raise ValueError(f"{told} {attribute.expected()}, got at_least({value.least}), which is for sizes")
        else:
            try:
                spec.check_attributes(op, {name: value})
            except spec.CallError as error:
                raise ValueError(f"{told}{str(error).partition('expected')[2]}") from error


def _first(valid: Any) -> bool:
    """Whether each sequence's valid steps come first."""
    return bool((valid == (np.arange(valid.shape[1]) < valid.sum(1)[:, None])).all())


def _among(value: Any, allowed: Any) -> bool:
    """Whether a value is the one allowed, or one of a set; True is not 1 here."""
    if isinstance(allowed, AtLeast):
        return bool(value >= allowed.least)
    choices = allowed if isinstance(allowed, set | frozenset) else (allowed,)
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in choices)


def _words(name: str, allowed: Any) -> str:
    if isinstance(allowed, AtLeast):
        return f"{name} >= {allowed.least}"
    choices = sorted(allowed, key=str) if isinstance(allowed, set | frozenset) else [allowed]
    return f"{name} = {' or '.join(map(str, choices))}"
