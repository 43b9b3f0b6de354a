"""A recurrent layer as plain loops over the time steps, forward and back: right, readable, and open to faults.

Everything that an implementation of a layer can get wrong stands in a method of its own. `Loops` is the part that all
families share; a family adds the step and the way back through it. Nothing here comes from `rnnspec.reference`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from rnnspec import spec
from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.conformance.faults.functions import Function, named
from rnnspec.spec import check_call
from rnnspec.spec.arrays import Array, NamedArrays, Vjp

Attributes = dict[str, Any]


class Loops(Backend):
    """The code that families share: both ends of a call, products and sums, and the unrolling over time."""

    name = "loops"
    checks_calls = False  # `admit` does, and a fault may change it
    states: ClassVar[tuple[str, ...]] = ("h",)
    """The states that a step hands on to the next."""

    def dtypes(self) -> tuple[str, ...]:
        """All the specification's types."""
        return spec.FLOAT_TYPES

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call; a number beyond the type is infinite, without a warning."""
        with np.errstate(over="ignore", invalid="ignore"):
            return super().run(call)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        """Gradients of the call; a number beyond the type is infinite, without a warning."""
        with np.errstate(over="ignore", invalid="ignore"):
            return super().gradients(call, cotangents, wanted)

    def __init_subclass__(cls, family: str = "") -> None:
        """Give the class of a family its operations: the cell and the layer, with and without their gradient."""
        super().__init_subclass__()
        if family:
            _take(cls, f"{family}_cell", "cell")
            _take(cls, family, "layer")

    # The step, which a family gives.

    def step(self, x: Array, before: NamedArrays, p: NamedArrays, a: Attributes) -> tuple[NamedArrays, NamedArrays]:
        """From the states before to those after, and the values that the way back needs."""
        raise NotImplementedError

    def step_back(
        self, after: NamedArrays, known: NamedArrays, p: NamedArrays, a: Attributes
    ) -> tuple[Array, NamedArrays, NamedArrays]:
        """From the gradients of the states after to those of x, of the states before and of the parameters."""
        raise NotImplementedError

    # How a call begins and ends.

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        """Refuse what the specification does not define; return every attribute."""
        return check_call(operation, inputs, attributes).attributes

    def working(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The type to compute in: two-byte floats are computed in float32."""
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype

    def returned(self, array: Array, dtype: np.dtype[Any]) -> Array:
        """A result in the type of the inputs."""
        return array.astype(dtype)

    # The clip of every activation's argument, where there is one.

    def clipped(self, argument: Array, a: Attributes) -> Array:
        """An activation's argument within the clip."""
        if a["clip"] is None:
            return argument
        limit = argument.dtype.type(a["clip"])
        return np.asarray(np.clip(argument, -limit, limit))

    def within(self, argument: Array, a: Attributes) -> Array:
        """The slope of the clip."""
        if a["clip"] is None:
            return np.ones_like(argument)
        return np.asarray((np.abs(argument) <= argument.dtype.type(a["clip"])).astype(argument.dtype))

    def slope(self, function: str, argument: Array, value: Array, a: Attributes) -> Array:
        """The derivative of an activation of a clipped argument."""
        return self.function(function).slope(self.clipped(argument, a), value) * self.within(argument, a)

    # Elementary pieces.

    def product(self, x: Array, M: Array) -> Array:
        """``M @ x`` for every row x."""
        return np.asarray(x @ M.T)

    def total(self, parts: Sequence[Array]) -> Array:
        """The sum of some arrays of one shape."""
        return reduce(np.add, parts)

    def batch_sum(self, array: Array) -> Array:
        """The sum over the rows."""
        return np.asarray(array.sum(axis=0))

    def function(self, name: str) -> Function:
        """The activation function of that name."""
        return named(name)

    def input_product(self, x: Array, W: Array) -> Array:
        """The input's term in a gate's argument."""
        return self.product(x, W)

    def argument(self, x: Array, h: Array, W: Array, R: Array, b: Array) -> Array:
        """The argument of one gate."""
        return self.total([self.input_product(x, W), self.product(h, R), b])

    def counted(self, da: Array) -> Array:
        """The gradients, row by row, that a parameter's gradient adds up."""
        return da

    def outer(self, da: Array, x: Array) -> Array:
        """``outer(da, x)``, summed over the batch."""
        return self.product(self.counted(da).T, x.T)

    def bias_gradient(self, da: Array) -> Array:
        """``da``, summed over the batch."""
        return self.batch_sum(self.counted(da))

    # One step as a call.

    def cell(self, operation: str, call: Mapping[str, Any]) -> tuple[tuple[Array, ...], Vjp]:
        """Take one step; return the states after it and the way back."""
        inputs, a, dtype = self._begin(operation, call)
        before = self.begin({state: inputs.pop(f"{state}_prev") for state in self.states})
        x = inputs.pop("x")
        p = self.one_bias(inputs, a)
        after, known = self.step(x, before, p, a)

        def vjp(*cotangents: Array) -> NamedArrays:
            dafter = {s: d.astype(after[s].dtype) for s, d in zip(self.states, cotangents, strict=True)}
            dx, dbefore, dp = self.step_back(dafter, known, p, a)
            dp = self.both_biases(dp, inputs, a)
            dbefore = {f"{state}_prev": d for state, d in dbefore.items()}
            return {name: self.returned(d, dtype) for name, d in {"x": dx, **dbefore, **dp}.items()}

        return tuple(self.returned(after[state], dtype) for state in self.states), vjp

    # A sequence, each question that arises in a method of its own.

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        """Which steps of which sequence are taken, (B, T)."""
        if mask is not None:
            return mask
        if lengths is not None:
            return np.asarray(np.arange(x.shape[1]) < lengths[:, np.newaxis])
        return np.ones(x.shape[:2], np.bool_)

    def cleaned(self, x: Array, valid: Array) -> Array:
        """The input with 0 where steps are taken out, whatever stood there."""
        return np.where(valid[:, :, np.newaxis], x, x.dtype.type(0))

    def begin(self, given: NamedArrays) -> NamedArrays:
        """The states to begin with."""
        return given

    def reading_order(self, steps: int, a: Attributes) -> list[int]:
        """The steps in the order in which they are read."""
        return list(range(steps)) if a["direction"] == "forward" else list(reversed(range(steps)))

    def seen(self, states: NamedArrays, keep: Array | None, a: Attributes) -> NamedArrays:
        """The states that a step sees: `keep` drops units of the state."""
        if keep is None or a["recurrent_dropout"] is None:
            return states
        kept = states["h"].dtype.type(1 - a["recurrent_dropout"])
        return {**states, "h": np.where(keep, states["h"] / kept, kept.dtype.type(0))}

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        """The states that the next step sees; those of a sequence whose step is taken out stay as they were."""
        return {state: np.where(valid, after[state], before[state]) for state in self.states}

    def step_output(self, after: NamedArrays, carried: NamedArrays, valid: Array) -> Array:
        """The output of a step."""
        return np.where(valid, after["h"], after["h"].dtype.type(0))

    def chosen_outputs(self, y: Array, valid: Array, a: Attributes) -> Array:
        """The attribute's choice of the outputs: of all steps, held where steps are taken out, or the last one."""
        if a["output"] == "sequence":
            return y
        held, latest = np.zeros_like(y), np.zeros_like(y, shape=(y.shape[0], y.shape[2]))
        for t in self.reading_order(y.shape[1], a):
            held[:, t] = latest = np.where(valid[:, t, np.newaxis], y[:, t], latest)
        return latest if a["output"] == "last" else held

    def chosen_outputs_back(self, dshown: Array, valid: Array, a: Attributes) -> Array:
        """From the gradient of what is shown to that of all steps' outputs."""
        if a["output"] == "sequence":
            return dshown
        dy = np.zeros_like(dshown, shape=(*valid.shape, dshown.shape[-1]))
        dlatest = dshown if a["output"] == "last" else np.zeros_like(dy, shape=(dy.shape[0], dy.shape[2]))
        for t in reversed(self.reading_order(valid.shape[1], a)):
            dlatest = dlatest + dshown[:, t] if a["output"] == "held" else dlatest
            taken = valid[:, t, np.newaxis]
            dy[:, t] = np.where(taken, dlatest, dlatest.dtype.type(0))
            dlatest = np.where(taken, dlatest.dtype.type(0), dlatest)
        return dy

    def final(self, states: NamedArrays, y: Array, valid: Array) -> NamedArrays:
        """The states to return."""
        return states

    # The way back.

    def arrived(self, dstates: NamedArrays, dy: Array, valid: Array) -> NamedArrays:
        """The gradients of the states after a step, from the step read next and from its own output."""
        return {**dstates, "h": dstates["h"] + np.where(valid, dy, dy.dtype.type(0))}

    def truncated(self, dbefore: NamedArrays, read: Array, a: Attributes) -> NamedArrays:
        """Nothing, where as many steps were read before this one as make the gradient end here."""
        if a["truncate"] is None:
            return dbefore
        ends = (read > 0) & (read % a["truncate"] == 0)
        return {state: np.where(ends, d.dtype.type(0), d) for state, d in dbefore.items()}

    def counted_as_read(self, valid: Array) -> Array:
        """Which sequences have read one step more, where the gradient is cut by their number."""
        return valid

    def passed_back(self, dbefore: NamedArrays, dafter: NamedArrays, valid: Array) -> NamedArrays:
        """The gradient that flows on; unchanged past a step that was taken out."""
        return {state: np.where(valid, dbefore[state], dafter[state]) for state in self.states}

    def accumulated(self, dp: Sequence[NamedArrays], p: NamedArrays) -> NamedArrays:
        """The parameters' gradients from those of all steps, the step that was read last first."""
        return {name: self.total([np.zeros_like(p[name]), *(d[name] for d in dp)]) for name in p}

    def layer(self, operation: str, call: Mapping[str, Any]) -> tuple[tuple[Array, ...], Vjp]:
        """Run over sequences; return the outputs, the final states and the way back."""
        inputs, a, dtype = self._begin(operation, call)
        valid = self.valid_steps(inputs["x"], inputs.pop("lengths", None), inputs.pop("mask", None), a)
        x = self.cleaned(inputs.pop("x"), valid)
        keep = inputs.pop("recurrent_keep", None)
        given = {state: inputs.pop(f"{state}0", None) for state in self.states}
        p = self.one_bias(inputs, a)
        batch, steps, _ = x.shape
        width = {"h": p["R"].shape[2], "c": p["W"].shape[1]}
        states = self.begin({
            state: np.zeros((batch, width[state]), x.dtype) if array is None else array
            for state, array in given.items()
        })  # fmt: skip
        y = np.zeros((batch, steps, width["h"]), x.dtype)
        tape = []
        read = np.zeros((batch, 1), np.int64)
        for t in self.reading_order(steps, a):
            taken = valid[:, t, np.newaxis]
            after, known = self.step(x[:, t], self.seen(states, keep, a), p, a)
            states = self.carried(after, states, taken, a)
            y[:, t] = self.step_output(after, states, taken)
            tape.append((t, taken, read, known))
            read = read + self.counted_as_read(taken)
        final = self.final(states, y, valid)

        def vjp(*cotangents: Array) -> NamedArrays:
            dshown, *rest = (cotangent.astype(x.dtype) for cotangent in cotangents)
            dy = self.chosen_outputs_back(dshown, valid, a)
            dstates = dict(zip(self.states, rest, strict=True))
            dx, nothing = np.zeros_like(x), x.dtype.type(0)
            dp = []
            for t, taken, read, known in reversed(tape):
                dafter = self.arrived(dstates, dy[:, t], taken)
                dtaken = {state: np.where(taken, d, nothing) for state, d in dafter.items()}
                dx_t, dbefore, dp_t = self.step_back(dtaken, known, p, a)
                dhanded = self.truncated(self.seen(dbefore, keep, a), read, a)
                dstates = self.passed_back(dhanded, dafter, taken)
                dx[:, t] = np.where(taken, dx_t, nothing)
                dp.append(dp_t)
            dgiven = {f"{state}0": dstates[state] for state, array in given.items() if array is not None}
            gradients = {"x": dx, **self.both_biases(self.accumulated(dp, p), inputs, a), **dgiven}
            return {name: self.returned(gradient, dtype) for name, gradient in gradients.items()}

        outputs = self.chosen_outputs(y, valid, a), *(final[state] for state in self.states)
        return tuple(self.returned(array, dtype) for array in outputs), vjp

    def _begin(self, operation: str, call: Mapping[str, Any]) -> tuple[NamedArrays, Attributes, np.dtype[Any]]:
        """The inputs in the working type, every attribute, and the type of the results."""
        op = spec.operation(operation)
        inputs = {name: value for name, value in call.items() if name in op.inputs and value is not None}
        attributes = {name: value for name, value in call.items() if name not in op.inputs}
        attributes = self.admit(operation, inputs, attributes)
        dtype = inputs["x"].dtype
        working = self.working(dtype)
        for name, array in inputs.items():
            if op.inputs[name].kind == "float":
                inputs[name] = array.astype(working)
        return inputs, attributes, dtype

    # The second bias, which is added to the first before the first step.

    def one_bias(self, p: NamedArrays, a: Attributes) -> NamedArrays:
        """The parameters, with one bias in place of two."""
        if "b_R" not in p:
            return p
        return {**{name: array for name, array in p.items() if name != "b_R"}, "b": p["b"] + p["b_R"]}

    def both_biases(self, dp: NamedArrays, given: NamedArrays, a: Attributes) -> NamedArrays:
        """The gradients of the given parameters, from those with one bias."""
        return {**dp, "b_R": dp["b"]} if "b_R" in given else dp

    # Gates; `da` has the gradients of their arguments.

    def input_back(self, da: NamedArrays, x: Array, p: NamedArrays, order: Sequence[str]) -> tuple[Array, Array, Array]:
        """Gradients of the input, of W and of b."""
        dx = self.total([self.product(da[gate], W.T) for gate, W in zip(order, p["W"], strict=True)])
        dW = np.stack([self.outer(da[gate], x) for gate in order])
        return dx, dW, np.stack([self.bias_gradient(da[gate]) for gate in order])

    def recurrent_back(self, da: NamedArrays, h: Array, p: NamedArrays, order: Sequence[str]) -> tuple[Array, Array]:
        """Gradients of the state before and of R."""
        dh = self.total([self.product(da[gate], R.T) for gate, R in zip(order, p["R"], strict=True)])
        return dh, np.stack([self.outer(da[gate], h) for gate in order])


def _take(loops: type[Loops], operation: str, way: str) -> None:
    """Give a class the methods of an operation: one by its name, and one by that name and ``_vjp``.

    Both call the method `way`, ``cell`` or ``layer``, with the operation's name and the call's arguments.
    """

    def with_vjp(self: Loops, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        found: tuple[tuple[Array, ...], Vjp] = getattr(self, way)(operation, call)
        return found

    def outputs(self: Loops, **call: Any) -> tuple[Array, ...]:
        return with_vjp(self, **call)[0]

    setattr(loops, operation, outputs)
    setattr(loops, f"{operation}_vjp", with_vjp)
