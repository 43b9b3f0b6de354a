"""Faults of what is built of layers that are no changed equations: of parameters and states, and of the padding.

Where a fault takes other inputs, its gradients are those at these; else they are right.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the altered reference's)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered, Misread, valid_of, with_all_steps, with_inputs, with_steps
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec import check_call, operation, with_function
from rnnspec.spec.arrays import Array, Arrays

STATES = ("h0", "c0")
NOT_OF_EACH = ("x", "W", "W_above", "W_o", "R_o", "b_o", "keep", "lengths", "mask", *STATES)
"""Inputs of a stack that do not have one entry a layer."""


def cleared(x: Array, valid: Array) -> Array:
    """0 where steps are taken out."""
    return np.where(valid[:, :, np.newaxis], x, x.dtype.type(0))


def last_valid(valid: Array) -> Array:
    """True at the last valid step of every sequence."""
    count = np.cumsum(valid, axis=1)
    return np.asarray(valid & (count == count[:, -1:]))


def firsts(array: Array) -> Array:
    """The first entry of the first axis, repeated."""
    return np.repeat(array[:1], len(array), axis=0)


# Parameters and states.


@plant("bidirectional")
class DirectionsShareParameters(Altered):
    """Both directions have the forward layer's parameters."""

    def altered(self, call: Call) -> Call:
        own = [name for name in call.inputs if name == "W" or name not in NOT_OF_EACH]
        return with_inputs(call, **{name: firsts(call.inputs[name]) for name in own})


@plant("bidirectional", "bidirectional_stack")
class ReverseActivationInBothDirections(Altered):
    """The function that is chosen for the reverse layer is that of the forward one too."""

    def altered(self, call: Call) -> Call:
        layer = operation(call.attributes["layer"])
        return replace(call, attributes=with_function(layer, call.attributes, call.attributes["reverse_activation"]))


@plant("bidirectional")
class DirectionsSwapInitialStates(Misread):
    """Each direction begins with the states that were given to the other."""

    inputs = STATES

    def read(self, array: Array) -> Array:
        return array[:, ::-1]


@plant("stacked", "alternating_stack")
class LayersShareParameters(Altered):
    """Every layer has the lowest one's recurrent weights and bias, and those above it one and the same W."""

    def altered(self, call: Call) -> Call:
        own = {name: firsts(array) for name, array in call.inputs.items() if name not in NOT_OF_EACH}
        return with_inputs(call, W_above=firsts(call.inputs["W_above"]), **own)


@plant("stacked")
class FinalStatesTopFirst(Altered):
    """The final states stand from the top layer to the lowest."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        return (outputs[0], *(states[:, ::-1] for states in outputs[1:]))


@plant("stacked", "gate_once_stack")
class FinalStatesReshaped(Altered):
    """The final states, layer first as of torch, are brought to batch first by reshaping, not by transposing."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        return (outputs[0], *(states.swapaxes(0, 1).reshape(states.shape) for states in outputs[1:]))


@plant("bidirectional_stack")
class FinalStatesDirectionFirst(Altered):
    """The final states stand direction by direction, not layer by layer."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        return (outputs[0], *(states.swapaxes(1, 2).reshape(states.shape) for states in outputs[1:]))


# The padding, and where a layer in reverse ends.


class Layers(Altered):
    """Layers, run one by one by the reference."""

    def read(self, call: Call, k: int, x: Array, valid: Array, reverse: bool, **own: Array) -> tuple[Array, Arrays]:
        """Arrays and final states of layer k over x."""
        asked = check_call(call.operation, call.inputs, call.attributes).attributes
        attributes = {key: asked[key] for key in operation(asked["layer"]).attributes if key in asked}
        parameters = {key: array[k] for key, array in call.inputs.items() if key not in NOT_OF_EACH}
        begin = {key: call.inputs[key][:, k] for key in STATES if key in call.inputs}
        run = getattr(reference, asked["layer"])
        direction = "reverse" if reverse else "forward"
        y, *final = run(**{**parameters, **own, **begin, **attributes, "x": x, "mask": valid, "direction": direction})
        return self.ended(y, tuple(final), valid, reverse) if reverse else (y, tuple(final))

    def ended(self, y: Array, final: Arrays, valid: Array, reverse: bool) -> tuple[Array, Arrays]:
        """The results of a layer in reverse."""
        return y, final

    def steps_read(self, valid: Array, reverse: bool) -> Array:
        """The steps that a layer takes for valid."""
        return valid

    def one(self, call: Call, k: int, x: Array, valid: Array, reverse: bool, **own: Array) -> tuple[Array, Arrays]:
        """One layer of them, its outputs 0 at steps that are taken out."""
        y, final = self.read(call, k, x, self.steps_read(valid, reverse), reverse, **own)
        return cleared(y, valid), final


class OverThePadding(Layers):
    """Layers in reverse read the padding before the last valid step."""

    def steps_read(self, valid: Array, reverse: bool) -> Array:
        return np.ones_like(valid) if reverse else valid


class EndedAtTheLastStep(Layers):
    """The final state of a layer in reverse is its output at the last valid step, the first that it reads."""

    def ended(self, y: Array, final: Arrays, valid: Array, reverse: bool) -> tuple[Array, Arrays]:
        last = last_valid(valid)
        some = np.asarray(last.any(axis=1))[:, np.newaxis]
        h = np.where(some, np.where(last[:, :, np.newaxis], y, 0).sum(axis=1), final[0])
        return y, (h.astype(y.dtype), *final[1:])


class BothDirections(Layers):
    """A forward layer and a reverse one."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        valid = valid_of(call)
        x, W = cleared(call.inputs["x"], valid), call.inputs["W"]
        (forward, first), (reverse, second) = (self.one(call, k, x, valid, k == 1, W=W[k]) for k in range(2))
        merge = check_call(call.operation, call.inputs, call.attributes).attributes["merge"]
        ways: dict[str, Callable[[], Arrays]] = {
            "concat": lambda: (np.concatenate([forward, reverse], axis=2),),
            "mul": lambda: (forward * reverse,),
            "sum": lambda: (forward + reverse,),
            "ave": lambda: ((forward + reverse) / forward.dtype.type(2),),
            "none": lambda: (forward, reverse),
        }
        return (*ways[merge](), *(np.stack(states, axis=1) for states in zip(first, second, strict=True)))


class Alternating(Layers):
    """Layers on the outputs of the one below, every other one in reverse."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        valid, keep = valid_of(call), call.inputs.get("keep")
        y, above = cleared(call.inputs["x"], valid), call.inputs["W_above"]
        finals = []
        for k in range(len(above) + 1):
            W = above[k - 1] if k else call.inputs["W"]
            y, final = self.one(call, k, y, valid, k % 2 == 1, W=W)
            finals.append(final)
            if keep is not None and k < len(above):
                y = (y * np.where(keep[:, k], 1 / (1 - call.attributes["dropout"]), 0)).astype(y.dtype)
        return (y, *(np.stack(states, axis=1) for states in zip(*finals, strict=True)))


@plant("bidirectional")
class ReverseLayerOverThePadding(OverThePadding, BothDirections):
    """The reverse layer reads the padding before the last valid step, as when a padded batch is simply flipped."""


@plant("bidirectional")
class FinalStateOfReverseAtTheEnd(EndedAtTheLastStep, BothDirections):
    """The reverse layer's final state is its output at the last valid step, the first that it reads."""


@plant("alternating_stack")
class ReverseOverThePadding(OverThePadding, Alternating):
    """Layers in reverse read the padding before the last valid step."""


@plant("alternating_stack")
class FinalStateAtTheEnd(EndedAtTheLastStep, Alternating):
    """The final state of a layer in reverse is its output at the last valid step, the first that it reads."""


# A projection.


@plant("output_projection")
class LastStepOfTheArray(Altered):
    """The last step is that of the array, valid or not."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        cleaned = with_inputs(call, h=cleared(call.inputs["h"], valid))
        return with_all_steps(cleaned) if call.attributes["at"] == "last" else call


@plant("output_projection")
class LastStepByCount(Altered):
    """The last step is sought at the number of valid steps, where a mask with holes has it elsewhere."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        cleaned = with_inputs(call, h=cleared(call.inputs["h"], valid))
        prefix = np.asarray(np.arange(valid.shape[1]) < valid.sum(axis=1)[:, np.newaxis])
        return with_steps(cleaned, prefix) if call.attributes["at"] == "last" else call


@plant("output_projection")
class PaddingGivesTheBias(Altered):
    """The output at steps taken out is the bias, the projection of a state of 0."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        if call.attributes["at"] == "last":
            return outputs
        return (np.where(valid_of(call)[:, :, np.newaxis], outputs[0], call.inputs["c"]),)


# One input, many outputs.


def first_step(call: Call) -> Arrays:
    """The outputs of the first step alone, and the states after it."""
    return NumpyBackend().run(Call(call.operation, call.inputs, {**call.attributes, "steps": 1}))


@plant("one_to_many")
class StepsWithoutInputSkipped(Altered):
    """Steps whose input is 0 are taken for padding: their output is 0, and the state passes them by."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        if call.attributes["feed"] == "every":
            return outputs
        y, *states = first_step(call)
        return (np.concatenate([y, np.zeros_like(outputs[0][:, 1:])], axis=1), *states)


@plant("one_to_many")
class BiasOnlyWithTheInput(Altered):
    """At steps without input, the product of W and its bias are both left out, where the bias should stay."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        steps = call.attributes["steps"]
        if call.attributes["feed"] == "every" or steps == 1:
            return outputs
        y, *states = first_step(call)
        silent = {name: np.zeros_like(call.inputs[name]) for name in ("x", "b")}
        later = with_inputs(call, **silent, **dict(zip(STATES, states, strict=False)))
        rest, *final = NumpyBackend().run(Call(call.operation, later.inputs, {**call.attributes, "steps": steps - 1}))
        return (np.concatenate([y, rest], axis=1), *final)
