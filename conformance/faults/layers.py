"""Faults of what is built of layers: read in both directions, stacked, projected, run from one input.

The single layers are the reference's; how they are put together is written here once more, each question that arises in
a method of its own, and a fault answers one of them wrongly. Without a fault these classes are right.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of its family's)
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.functions import Array
from rnnspec.conformance.faults.loops import Arrays, Attributes, Vjp
from rnnspec.reference import output_projection_vjp
from rnnspec.reference.call import batch_first, steps_first
from rnnspec.reference.parts import Part, build_part
from rnnspec.reference.stacks import UngatedLSTM
from rnnspec.reference.unroll import Cell, Reading
from rnnspec.spec import check_call, operation

Outputs = tuple[Array, ...]
Read = tuple[Array, Outputs, Callable[[Array, Outputs], Arrays]]
"""Outputs and final states of a layer, and the way back from their gradients to those of all its inputs, by name."""

STATES = ("h0", "c0")


class LayersOfLayers(NumpyBackend):
    """What all of them share."""

    def begun(self, name: str, call: Mapping[str, Any]) -> tuple[Arrays, Attributes, Array]:
        """The float inputs and bits, every attribute, and which steps are valid (empty if there are no steps)."""
        known = operation(name).attributes
        inputs = {key: array for key, array in call.items() if key not in known and array is not None}
        checked = check_call(name, inputs, {key: value for key, value in call.items() if key in known})
        for key in ("lengths", "mask"):
            inputs.pop(key, None)
        return inputs, checked.attributes, np.zeros(0, np.bool_) if checked.valid is None else checked.valid

    def read(self, x: Array, p: Arrays, begin: Arrays, valid: Array, reverse: bool, a: Attributes) -> Read:
        """Run one layer."""
        own = {key: a[key] for key in operation(a["layer"]).attributes if key in a}
        direction = "reverse" if reverse else "forward"
        run = getattr(reference, f"{a['layer']}_vjp")
        (y, *final), vjp = run(**{**p, **begin, **own, "x": x, "mask": valid, "direction": direction})
        return y, tuple(final), lambda dy, dfinal: vjp(dy, *dfinal)

    def read_over_padding(self, x: Array, p: Arrays, begin: Arrays, valid: Array, reverse: bool, a: Attributes) -> Read:
        """Run one layer as though all steps were valid, and clear its outputs at those that are not."""
        y, final, back = self.read(cleared(x, valid), p, begin, np.ones_like(valid), reverse, a)

        def masked_back(dy: Array, dfinal: Outputs) -> Arrays:
            gradients = back(cleared(dy, valid), dfinal)
            return {**gradients, "x": cleared(gradients["x"], valid)}

        return cleared(y, valid), final, masked_back


def cleared(x: Array, valid: Array) -> Array:
    """0 where steps are taken out."""
    return np.where(valid[:, :, np.newaxis], x, x.dtype.type(0))


def last_valid(valid: Array) -> Array:
    """True at the last valid step of every sequence."""
    count = np.cumsum(valid, axis=1)
    return np.asarray(valid & (count == count[:, -1:]))


def ended_at_the_last_step(read: Read, valid: Array) -> Read:
    """The same layer, its final state taken from the outputs at the last valid step of the input."""
    y, final, back = read
    last = last_valid(valid)
    some = np.asarray(last.any(axis=1))[:, np.newaxis]
    h = np.where(some, np.where(last[:, :, np.newaxis], y, 0).sum(axis=1), final[0]).astype(y.dtype)

    def moved_back(dy: Array, dfinal: Outputs) -> Arrays:
        dh = dfinal[0]
        moved = dy + np.where(last[:, :, np.newaxis], dh[:, np.newaxis], dh.dtype.type(0))
        return back(moved, (np.where(some, dh.dtype.type(0), dh), *dfinal[1:]))

    return y, (h, *final[1:]), moved_back


def fitted(x: Array, size: int) -> Array:
    """The first entries of the last axis, and zeros if there are too few."""
    missing = max(size - x.shape[-1], 0)
    return np.pad(x[..., :size], [(0, 0)] * (x.ndim - 1) + [(0, missing)])


# Both directions.


class BidirectionalParts(LayersOfLayers):
    """A forward layer and a reverse one."""

    def bidirectional(self, **call: Any) -> Outputs:
        return self.bidirectional_vjp(**call)[0]

    def bidirectional_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        inputs, a, valid = self.begun("bidirectional", call)
        x = inputs["x"]
        given = {name: inputs[name] for name in STATES if name in inputs}
        p = {name: array for name, array in inputs.items() if name not in ("x", *STATES)}
        reads = []
        for k in range(2):
            own = {name: array[self.place(k)] for name, array in p.items()}
            begin = {name: state[:, self.state_place(k)] for name, state in given.items()}
            reads.append(self.read_one(x, own, begin, valid, k, a))
        shown = [self.shown(read[0], k) for k, read in enumerate(reads)]
        outputs = self.merged(shown[0], shown[1], a["merge"])

        def vjp(*cotangents: Array) -> Arrays:
            dys = self.merged_back(cotangents[: len(outputs)], shown[0], shown[1], a["merge"])
            dfinal = cotangents[len(outputs) :]
            gradients = {name: np.zeros_like(array) for name, array in inputs.items()}
            dx = []
            for k, (_, _, back) in enumerate(reads):
                found = back(self.shown(dys[k], k), tuple(d[:, k] for d in dfinal))
                dx.append(found["x"])
                for name in p:
                    gradients[name][self.place(k)] += found[name]
                for name in given:
                    gradients[name][:, self.state_place(k)] += found[name]
            return {**gradients, "x": self.input_gradient(dx[0], dx[1])}

        final = (np.stack(both, axis=1) for both in zip(reads[0][1], reads[1][1], strict=True))
        return (*outputs, *final), vjp

    def place(self, k: int) -> int:
        """Where the parameters of direction k stand."""
        return k

    def state_place(self, k: int) -> int:
        """Where the initial states of direction k stand."""
        return k

    def read_one(self, x: Array, p: Arrays, begin: Arrays, valid: Array, k: int, a: Attributes) -> Read:
        """Run the layer of direction k, 1 being the reverse."""
        return self.read(x, p, begin, valid, k == 1, a)

    def shown(self, y: Array, k: int) -> Array:
        """The outputs of direction k in the order of the inputs; and their gradients in the order of reading."""
        return y

    def merged(self, forward: Array, reverse: Array, merge: str) -> Outputs:
        """The operation's outputs from those of both."""
        if merge == "concat":
            return (np.concatenate([forward, reverse], axis=2),)
        if merge == "mul":
            return (forward * reverse,)
        if merge == "none":
            return forward, reverse
        return ((forward + reverse) * forward.dtype.type(0.5 if merge == "ave" else 1),)

    def merged_back(self, dy: Outputs, forward: Array, reverse: Array, merge: str) -> Outputs:
        """The gradients of both outputs."""
        if merge == "concat":
            units = forward.shape[2]
            return dy[0][:, :, :units], dy[0][:, :, units:]
        if merge == "mul":
            return dy[0] * reverse, dy[0] * forward
        if merge == "none":
            return dy
        d = dy[0] * dy[0].dtype.type(0.5 if merge == "ave" else 1)
        return d, d

    def input_gradient(self, forward: Array, reverse: Array) -> Array:
        """The input's gradient from what both directions give."""
        return np.asarray(forward + reverse)


class DirectionsShareParameters(BidirectionalParts):
    """Both directions have the forward layer's parameters."""

    def place(self, k: int) -> int:
        return 0


class DirectionsSwapInitialStates(BidirectionalParts):
    """Each direction begins with the states that were given to the other."""

    def state_place(self, k: int) -> int:
        return 1 - k


class ReverseLayerReadsForward(BidirectionalParts):
    """Both layers read forward."""

    def read_one(self, x: Array, p: Arrays, begin: Arrays, valid: Array, k: int, a: Attributes) -> Read:
        return self.read(x, p, begin, valid, False, a)


class ReverseLayerNotFlippedBack(BidirectionalParts):
    """The reverse layer's outputs stand in the order in which they were computed."""

    def shown(self, y: Array, k: int) -> Array:
        return y[:, ::-1] if k == 1 else y


class ReverseLayerOverThePadding(BidirectionalParts):
    """The reverse layer reads the padding before the last valid step, as when a padded batch is simply flipped."""

    def read_one(self, x: Array, p: Arrays, begin: Arrays, valid: Array, k: int, a: Attributes) -> Read:
        if k == 0:
            return self.read(x, p, begin, valid, False, a)
        return self.read_over_padding(x, p, begin, valid, True, a)


class FinalStateOfReverseAtTheEnd(BidirectionalParts):
    """The reverse layer's final state is its output at the last valid step, the first that it reads."""

    def read_one(self, x: Array, p: Arrays, begin: Arrays, valid: Array, k: int, a: Attributes) -> Read:
        found = super().read_one(x, p, begin, valid, k, a)
        return ended_at_the_last_step(found, valid) if k == 1 else found


class ReverseFirst(BidirectionalParts):
    """Concatenated outputs have the reverse layer's first."""

    def merged(self, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged(*((reverse, forward) if merge == "concat" else (forward, reverse)), merge)

    def merged_back(self, dy: Outputs, forward: Array, reverse: Array, merge: str) -> Outputs:
        d, e = super().merged_back(dy, forward, reverse, merge)
        return (e, d) if merge == "concat" else (d, e)


class MergeAveAdds(BidirectionalParts):
    """The average of both outputs is their sum."""

    def merged(self, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged(forward, reverse, "sum" if merge == "ave" else merge)

    def merged_back(self, dy: Outputs, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged_back(dy, forward, reverse, "sum" if merge == "ave" else merge)


class MergeMulAdds(BidirectionalParts):
    """The product of both outputs is their sum."""

    def merged(self, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged(forward, reverse, "sum" if merge == "mul" else merge)

    def merged_back(self, dy: Outputs, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged_back(dy, forward, reverse, "sum" if merge == "mul" else merge)


class GradientOfMulUnweighted(BidirectionalParts):
    """Wrong in the gradient alone: a product's passes to both outputs as it is, as though they were added."""

    def merged_back(self, dy: Outputs, forward: Array, reverse: Array, merge: str) -> Outputs:
        return super().merged_back(dy, forward, reverse, "sum" if merge == "mul" else merge)


class GradientOfOneDirection(BidirectionalParts):
    """Wrong in the gradient alone: the input gets that of the forward layer, and none of the reverse one."""

    def input_gradient(self, forward: Array, reverse: Array) -> Array:
        return forward


class GradientAveraged(BidirectionalParts):
    """Wrong in the gradient alone: the input gets the mean of what both directions give."""

    def input_gradient(self, forward: Array, reverse: Array) -> Array:
        return np.asarray(super().input_gradient(forward, reverse) / forward.dtype.type(2))


# Stacks.


class StackParts(LayersOfLayers):
    """Layers, each on the outputs of the one below."""

    def stacked(self, **call: Any) -> Outputs:
        return self._stack("stacked", call)[0]

    def stacked_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        return self._stack("stacked", call)

    def alternating_stack(self, **call: Any) -> Outputs:
        return self._stack("alternating_stack", call)[0]

    def alternating_stack_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        return self._stack("alternating_stack", call)

    def gate_once_stack(self, **call: Any) -> Outputs:
        return self._stack("gate_once_stack", call)[0]

    def gate_once_stack_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        return self._stack("gate_once_stack", call)

    def _stack(self, name: str, call: Mapping[str, Any]) -> tuple[Outputs, Vjp]:
        inputs, a, valid = self.begun(name, call)
        keep = inputs.pop("keep", None)
        x = cleared(inputs["x"], valid)
        layers = len(inputs["W_above"]) + 1
        given = {state: inputs[state] for state in STATES if state in inputs}
        of_each = [key for key in inputs if key not in ("x", "W", "W_above", "W_o", "R_o", "b_o", *STATES)]
        scale = None if keep is None else self.scale(keep, a["dropout"]).astype(x.dtype)
        y, reads = x, []
        for k in range(layers):
            W = inputs["W"] if k == 0 else inputs["W_above"][max(self.place(k), 1) - 1]
            p = {"W": W, **{key: inputs[key][self.place(k)] for key in of_each}}
            begin = {state: array[:, k] for state, array in given.items()}
            gate = [inputs[f"{key}_o"] for key in "WRb"] if name == "gate_once_stack" else []
            below = self.below(y, x, p["W"].shape[2], k)
            found = self.read_layer(below, p, begin, valid, self.reverse(k, name), a, gate, k == layers - 1)
            reads.append((found, gate, y.shape))
            y = self.shown(found[0], self.reverse(k, name))
            mask = self.mask_above(k, layers)
            if scale is not None and mask is not None:
                y = y * scale[:, mask]
        final = [np.stack(states, axis=1) for states in zip(*(read[0][1] for read in reads), strict=True)]

        def vjp(dy: Array, *dfinal: Array) -> Arrays:
            gradients = {key: np.zeros_like(array) for key, array in inputs.items()}
            dfinal = tuple(self.states_gradient(d) for d in dfinal)
            for k in reversed(range(layers)):
                (_, _, back), gate, shape = reads[k]
                mask = self.mask_above(k, layers)
                if scale is not None and mask is not None:
                    dy = self.scaled_gradient(dy, scale[:, mask])
                found = back(self.shown(dy, self.reverse(k, name)), tuple(d[:, k] for d in dfinal))
                for state in given:
                    gradients[state][:, k] += found[state]
                if k == 0:
                    gradients["W"] += found["W"]
                else:
                    gradients["W_above"][max(self.place(k), 1) - 1] += found["W"]
                for key in of_each:
                    gradients[key][self.place(k)] += found[key]
                for key in ("W_o", "R_o", "b_o") if gate and "R_o" in found else ():
                    gradients[key] += found[key]
                dy, dx = self.below_gradient(found["x"], shape, k)
                gradients["x"] += fitted(dx, x.shape[2])
            return {**gradients, "x": cleared(gradients["x"], valid)}

        return (y, *(self.states_returned(array) for array in final)), vjp

    def place(self, k: int) -> int:
        """Where the parameters of layer k stand."""
        return k

    def reverse(self, k: int, name: str) -> bool:
        """Whether layer k reads in reverse."""
        return name == "alternating_stack" and k % 2 == 1

    def below(self, y: Array, x: Array, size: int, k: int) -> Array:
        """The input of layer k: the outputs of the layer below."""
        return y

    def below_gradient(self, d: Array, shape: tuple[int, ...], k: int) -> tuple[Array, Array]:
        """From the gradient of layer k's input, that of the outputs below (of this shape), and that of x itself."""
        return (d, np.zeros_like(d)) if k else (np.zeros_like(d), d)

    def read_layer(
        self,
        x: Array,
        p: Arrays,
        begin: Arrays,
        valid: Array,
        reverse: bool,
        a: Attributes,
        gate: list[Array],
        top: bool,
    ) -> Read:
        """Run one layer of the stack."""
        return self.read(x, p, begin, valid, reverse, a)

    def shown(self, y: Array, reverse: bool) -> Array:
        """A layer's outputs in the order of the inputs; and their gradients in the order of reading."""
        return y

    def scale(self, keep: Array, p: float) -> Array:
        """What the masks multiply by."""
        return np.where(keep, 1 / (1 - p), 0.0)

    def scaled_gradient(self, dy: Array, scale: Array) -> Array:
        """The gradient of what a mask was applied to."""
        return np.asarray(dy * scale)

    def mask_above(self, k: int, layers: int) -> int | None:
        """The mask between layer k and the next; None above the top."""
        return k if k < layers - 1 else None

    def states_returned(self, states: Array) -> Array:
        """The final states of all layers, ``(B, L, …)``."""
        return states

    def states_gradient(self, d: Array) -> Array:
        """The gradients of the final states of all layers."""
        return d


class LayersShareParameters(StackParts):
    """Every layer has the lowest one's recurrent weights and bias, and those above it one and the same W."""

    def place(self, k: int) -> int:
        return 0


class LayersAboveFedWithTheInput(StackParts):
    """Every layer reads x, as far as it fits, not the outputs of the layer below."""

    def below(self, y: Array, x: Array, size: int, k: int) -> Array:
        return fitted(x, size) if k else y

    def below_gradient(self, d: Array, shape: tuple[int, ...], k: int) -> tuple[Array, Array]:
        return np.zeros(shape, d.dtype), d


class DropoutBetweenLayersNotRescaled(StackParts):
    """What the masks between layers keep is not divided by the probability of keeping it."""

    def scale(self, keep: Array, p: float) -> Array:
        return np.where(keep, 1.0, 0.0)


class DropoutBetweenLayersScaledByP(StackParts):
    """What the masks between layers keep is divided by the probability p of dropping it."""

    def scale(self, keep: Array, p: float) -> Array:
        return np.where(keep, 1 / p if p > 0 else 1.0, 0.0)


class DropoutBetweenLayersIgnored(StackParts):
    """There is no dropout between layers."""

    def scale(self, keep: Array, p: float) -> Array:
        return np.ones(keep.shape)


class DropoutAlsoAboveTheTop(StackParts):
    """The last mask is also applied to the outputs of the top layer."""

    def mask_above(self, k: int, layers: int) -> int | None:
        return min(k, layers - 2) if layers > 1 else None


class DropoutMaskRepeated(StackParts):
    """The first mask stands between all layers."""

    def mask_above(self, k: int, layers: int) -> int | None:
        return 0 if k < layers - 1 else None


class GradientPassesTheDropout(StackParts):
    """Wrong in the gradient alone: what the masks take out gets a gradient like what they keep."""

    def scaled_gradient(self, dy: Array, scale: Array) -> Array:
        return np.asarray(dy * scale.max(initial=0))


class FinalStatesTopFirst(StackParts):
    """The final states stand from the top layer to the lowest."""

    def states_returned(self, states: Array) -> Array:
        return states[:, ::-1]

    def states_gradient(self, d: Array) -> Array:
        return d[:, ::-1]


class FinalStatesReshaped(StackParts):
    """The final states, layer first as of torch, are brought to batch first by reshaping, not by transposing."""

    def states_returned(self, states: Array) -> Array:
        return states.swapaxes(0, 1).reshape(states.shape)

    def states_gradient(self, d: Array) -> Array:
        return d.reshape(d.shape[1], d.shape[0], *d.shape[2:]).swapaxes(0, 1)


class GradientStopsAboveTheLowest(StackParts):
    """Wrong in the gradient alone: a layer's outputs are constants to the layer above."""

    def below_gradient(self, d: Array, shape: tuple[int, ...], k: int) -> tuple[Array, Array]:
        dy, dx = super().below_gradient(d, shape, k)
        return np.zeros_like(dy), dx


class StartsInReverse(StackParts):
    """The lowest layer reads in reverse, the next forward, and so on."""

    def reverse(self, k: int, name: str) -> bool:
        return k % 2 == 0


class AllForward(StackParts):
    """Every layer reads forward."""

    def reverse(self, k: int, name: str) -> bool:
        return False


class ReverseFromTheSecondOn(StackParts):
    """The lowest layer reads forward, and all above it in reverse."""

    def reverse(self, k: int, name: str) -> bool:
        return k > 0


class OutputsInProcessingOrder(StackParts):
    """The outputs of layers in reverse stand in the order in which they were computed."""

    def shown(self, y: Array, reverse: bool) -> Array:
        return y[:, ::-1] if reverse else y


class ReverseOverThePadding(StackParts):
    """Layers in reverse read the padding before the last valid step."""

    def read_layer(
        self,
        x: Array,
        p: Arrays,
        begin: Arrays,
        valid: Array,
        reverse: bool,
        a: Attributes,
        gate: list[Array],
        top: bool,
    ) -> Read:
        return (self.read_over_padding if reverse else self.read)(x, p, begin, valid, reverse, a)


class FinalStateAtTheEnd(StackParts):
    """The final state of a layer in reverse is its output at the last valid step, the first that it reads."""

    def read_layer(
        self,
        x: Array,
        p: Arrays,
        begin: Arrays,
        valid: Array,
        reverse: bool,
        a: Attributes,
        gate: list[Array],
        top: bool,
    ) -> Read:
        found = super().read_layer(x, p, begin, valid, reverse, a, gate, top)
        return ended_at_the_last_step(found, valid) if reverse else found


# The stack with one output gate.


class GateOnceParts(StackParts):
    """Layers without an output gate, and an LSTM on top."""

    def gated(self, top: bool) -> bool:
        """Whether a layer has the output gate."""
        return top

    def ungated(self, p: Arrays) -> Cell:
        """The cell without an output gate."""
        return UngatedLSTM(**p)

    def read_layer(
        self,
        x: Array,
        p: Arrays,
        begin: Arrays,
        valid: Array,
        reverse: bool,
        a: Attributes,
        gate: list[Array],
        top: bool,
    ) -> Read:
        gated, seen = self.gated(top), gate[0].shape[1]
        if gated:
            fourth = {"W": fitted(gate[0], x.shape[2]), "R": gate[1], "b": gate[2]}
            p = {name: np.concatenate([array, fourth[name][np.newaxis]]) for name, array in p.items()}
        cell = build_part("lstm", p, {}) if gated else self.ungated(p)
        part = Part(cell, p, STATES, tuple((units,) for units in cell.state_sizes))
        y, final, back = part.run(steps_first(cleared(x, valid)), begin, Reading(valid.T))

        def back_to_inputs(dy: Array, dfinal: Outputs) -> Arrays:
            found = back(steps_first(dy), dfinal)
            found["x"] = batch_first(found["x"])
            if gated:
                found |= {"W_o": fitted(found["W"][3], seen), "R_o": found["R"][3], "b_o": found["b"][3]}
                found |= {name: found[name][:3] for name in "WRb"}
            return found

        return batch_first(y), final, back_to_inputs


class OutputGateInEveryLayer(GateOnceParts):
    """The top layer's output gate gates the layers below as well."""

    def gated(self, top: bool) -> bool:
        return True


class OutputGateNowhere(GateOnceParts):
    """The top layer has no output gate either."""

    def gated(self, top: bool) -> bool:
        return False


class OutputGateBelowTheTopAlone(GateOnceParts):
    """The output gate stands in the layers below the top, and not there."""

    def gated(self, top: bool) -> bool:
        return not top


class _Unsquashed(UngatedLSTM):
    """Shows the memory as it is."""

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Outputs, Outputs]:
        (_, c), known = super().step(x, h_prev, c_prev)
        # The way back multiplies by 1 - h h, the slope of tanh: at 0 that is 1.
        return (c.copy(), c), (*known[:-1], np.zeros_like(c))


class MemoryShownUnsquashed(GateOnceParts):
    """The layers below the top show the memory itself: ``h = c`` for ``h = tanh(c)``."""

    def ungated(self, p: Arrays) -> Cell:
        return _Unsquashed(**p)


# A projection.


class ProjectionParts(LayersOfLayers):
    """The reference's projection, of other inputs, with more in the outputs."""

    def output_projection(self, **call: Any) -> Outputs:
        return self.output_projection_vjp(**call)[0]

    def output_projection_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        inputs, a, valid = self.begun("output_projection", call)
        h, V, c = cleared(inputs["h"], valid), inputs["V"], inputs["c"]
        with_bias = c.dtype.type(self.bias())
        (y,), back = output_projection_vjp(h, V, c * with_bias, mask=self.read_steps(valid, a), at=a["at"])
        more = self.with_bias_as_well(valid, a)[..., np.newaxis]

        def vjp(dy: Array) -> Arrays:
            found = back(dy)
            extra = np.where(more, dy, dy.dtype.type(0)).reshape(-1, len(c)).sum(axis=0)
            return {"h": cleared(found["h"], valid), "V": found["V"], "c": found["c"] * with_bias + extra}

        return (y + np.where(more, c, c.dtype.type(0)),), vjp

    def read_steps(self, valid: Array, a: Attributes) -> Array:
        """The steps that the projection takes for valid."""
        return valid

    def bias(self) -> float:
        """How many times the bias is added."""
        return 1.0

    def with_bias_as_well(self, valid: Array, a: Attributes) -> Array:
        """Where, besides, the bias is added to an output of 0: at steps, or in sequences."""
        return np.zeros(valid.shape if a["at"] == "every" else valid.shape[:1], np.bool_)


class LastStepOfTheArray(ProjectionParts):
    """The last step is that of the array, valid or not."""

    def read_steps(self, valid: Array, a: Attributes) -> Array:
        return np.ones_like(valid) if a["at"] == "last" else valid


class LastStepByCount(ProjectionParts):
    """The last step is sought at the number of valid steps, where a mask with holes has it elsewhere."""

    def read_steps(self, valid: Array, a: Attributes) -> Array:
        prefix = np.arange(valid.shape[1]) < valid.sum(axis=1)[:, np.newaxis]
        return np.asarray(prefix) if a["at"] == "last" else valid


class FirstStepForTheLast(ProjectionParts):
    """The step that is projected is the first valid one, as when a reverse layer's outputs are indexed by -1."""

    def read_steps(self, valid: Array, a: Attributes) -> Array:
        return last_valid(valid[:, ::-1])[:, ::-1] if a["at"] == "last" else valid


class OutputBiasDropped(ProjectionParts):
    """The bias is left out."""

    def bias(self) -> float:
        return 0.0


class PaddingGivesTheBias(ProjectionParts):
    """The output at steps taken out is the bias, the projection of a state of 0."""

    def with_bias_as_well(self, valid: Array, a: Attributes) -> Array:
        return ~valid if a["at"] == "every" else super().with_bias_as_well(valid, a)


class NoStepGivesTheBias(ProjectionParts):
    """The one output of a sequence without valid steps is the bias."""

    def with_bias_as_well(self, valid: Array, a: Attributes) -> Array:
        return ~np.asarray(valid.any(axis=1)) if a["at"] == "last" else super().with_bias_as_well(valid, a)


# One input, many outputs.


class OneToManyParts(LayersOfLayers):
    """A layer over its one input, put where it enters."""

    def one_to_many(self, **call: Any) -> Outputs:
        return self.one_to_many_vjp(**call)[0]

    def one_to_many_vjp(self, **call: Any) -> tuple[Outputs, Vjp]:
        inputs, a, _ = self.begun("one_to_many", call)
        x, steps = inputs["x"], a["steps"]
        begin = {name: inputs[name] for name in STATES if name in inputs and self.begins_as_given()}
        p = {name: array for name, array in inputs.items() if name not in ("x", *STATES)}
        entered = self.entered(steps, a["feed"])
        taken = np.broadcast_to(self.taken(steps, a["feed"]), (len(x), steps)).copy()
        fed = np.where(entered[:, np.newaxis], x[:, np.newaxis], x.dtype.type(0))
        y, final, back = self.read(fed, p, begin, taken, False, a)

        def vjp(dy: Array, *dfinal: Array) -> Arrays:
            found = back(dy, dfinal)
            given = {name: np.zeros_like(array) for name, array in inputs.items()}
            reached = self.gradient_enters(entered)
            return {**given, **found, "x": found["x"][:, reached].sum(axis=1)}

        return (y, *final), vjp

    def begins_as_given(self) -> bool:
        """Whether the initial states are those that were given."""
        return True

    def entered(self, steps: int, feed: str) -> Array:
        """At which steps the input enters, the others' being 0."""
        return np.asarray((np.arange(steps) == 0) | (feed == "every"))

    def taken(self, steps: int, feed: str) -> Array:
        """Which steps are taken."""
        return np.ones(steps, np.bool_)

    def gradient_enters(self, entered: Array) -> Array:
        """The steps that give the input its gradient."""
        return entered


class FirstFedAlways(OneToManyParts):
    """The input enters at every step where it is to enter at the first alone."""

    def entered(self, steps: int, feed: str) -> Array:
        return np.ones(steps, np.bool_)


class EveryFedOnce(OneToManyParts):
    """The input enters at the first step alone where it is to enter at every step."""

    def entered(self, steps: int, feed: str) -> Array:
        return np.asarray(np.arange(steps) == 0)


class FirstFedLast(OneToManyParts):
    """The input that is to enter once enters at the last step."""

    def entered(self, steps: int, feed: str) -> Array:
        return np.asarray((np.arange(steps) == steps - 1) | (feed == "every"))


class StepsWithoutInputSkipped(OneToManyParts):
    """Steps whose input is 0 are taken for padding: their output is 0, and the state passes them by."""

    def taken(self, steps: int, feed: str) -> Array:
        return self.entered(steps, feed)


class BiasOnlyWithTheInput(OneToManyParts):
    """At steps without input, the product of W and its bias are both left out, where the bias should stay."""

    def read(self, x: Array, p: Arrays, begin: Arrays, valid: Array, reverse: bool, a: Attributes) -> Read:
        if a["feed"] == "every" or a["steps"] == 1:
            return super().read(x, p, begin, valid, reverse, a)
        first, between, first_back = super().read(x[:, :1], p, begin, valid[:, :1], reverse, a)
        rest = {**p, "b": np.zeros_like(p["b"])}
        names = STATES[: len(between)]
        handed = dict(zip(names, between, strict=True))
        y, final, rest_back = super().read(x[:, 1:], rest, handed, valid[:, 1:], reverse, a)

        def back(dy: Array, dfinal: Outputs) -> Arrays:
            later = rest_back(dy[:, 1:], dfinal)
            found = first_back(dy[:, :1], tuple(later[name] for name in names))
            found |= {name: found[name] + later[name] for name in p if name != "b"}
            return {**found, "x": np.concatenate([found["x"], later["x"]], axis=1)}

        return np.concatenate([first, y], axis=1), final, back


class BeginsAtZero(OneToManyParts):
    """The states begin at zero, whatever was given."""

    def begins_as_given(self) -> bool:
        return False


class InputGradientOfOneStep(OneToManyParts):
    """Wrong in the gradient alone: an input that enters at every step gets the first step's gradient alone."""

    def gradient_enters(self, entered: Array) -> Array:
        return np.asarray(entered & (np.arange(len(entered)) == 0))


def _planted(name: str, fault: type[Backend]) -> Fault:
    """A fault named after its class and described by its docstring."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", fault.__name__).lower()
    return Fault(f"{name.replace('_', '-')}-{words}", name, " ".join((fault.__doc__ or "").split()), fault)


_BIDIRECTIONAL = (
    DirectionsShareParameters,
    DirectionsSwapInitialStates,
    ReverseLayerReadsForward,
    ReverseLayerNotFlippedBack,
    ReverseLayerOverThePadding,
    FinalStateOfReverseAtTheEnd,
    ReverseFirst,
    MergeAveAdds,
    MergeMulAdds,
    GradientOfMulUnweighted,
    GradientOfOneDirection,
    GradientAveraged,
)
_STACKED = (
    LayersShareParameters,
    LayersAboveFedWithTheInput,
    DropoutBetweenLayersNotRescaled,
    DropoutBetweenLayersScaledByP,
    DropoutBetweenLayersIgnored,
    DropoutAlsoAboveTheTop,
    DropoutMaskRepeated,
    GradientPassesTheDropout,
    FinalStatesTopFirst,
    FinalStatesReshaped,
    GradientStopsAboveTheLowest,
)
_ALTERNATING = (
    LayersShareParameters,
    DropoutBetweenLayersNotRescaled,
    GradientStopsAboveTheLowest,
    StartsInReverse,
    AllForward,
    ReverseFromTheSecondOn,
    OutputsInProcessingOrder,
    ReverseOverThePadding,
    FinalStateAtTheEnd,
)
_GATE_ONCE = (OutputGateInEveryLayer, OutputGateNowhere, OutputGateBelowTheTopAlone, MemoryShownUnsquashed)
_GATE_ONCE_SHARED = (LayersShareParameters, FinalStatesTopFirst, FinalStatesReshaped, GradientStopsAboveTheLowest)
_PROJECTION = (
    LastStepOfTheArray,
    LastStepByCount,
    FirstStepForTheLast,
    OutputBiasDropped,
    PaddingGivesTheBias,
    NoStepGivesTheBias,
)
_ONE_TO_MANY = (
    FirstFedAlways,
    EveryFedOnce,
    FirstFedLast,
    StepsWithoutInputSkipped,
    BiasOnlyWithTheInput,
    BeginsAtZero,
    InputGradientOfOneStep,
)


def _gate_once(fault: type[StackParts]) -> type[StackParts]:
    """The same fault of the stack with one output gate."""
    return type(fault.__name__, (fault, GateOnceParts), {"__doc__": fault.__doc__})


FAULTS: tuple[Fault, ...] = (
    *(_planted("bidirectional", fault) for fault in _BIDIRECTIONAL),
    *(_planted("stacked", fault) for fault in _STACKED),
    *(_planted("alternating_stack", fault) for fault in _ALTERNATING),
    *(_planted("gate_once_stack", fault) for fault in _GATE_ONCE),
    *(_planted("gate_once_stack", _gate_once(fault)) for fault in _GATE_ONCE_SHARED),
    *(_planted("output_projection", fault) for fault in _PROJECTION),
    *(_planted("one_to_many", fault) for fault in _ONE_TO_MANY),
)
