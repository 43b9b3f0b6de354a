"""The long short-term memory as loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rnnspec.conformance.faults.functions import Array
from rnnspec.conformance.faults.loops import Arrays, Attributes, Loops, Vjp


class LstmLoops(Loops):
    """``c = f c_prev + i g``, ``h = o tanh(c)``."""

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def lstm_cell(self, **call: Any) -> tuple[Array, ...]:
        """One step."""
        return self.cell("lstm_cell", call)[0]

    def lstm_cell_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """One step and its gradient."""
        return self.cell("lstm_cell", call)

    def lstm(self, **call: Any) -> tuple[Array, ...]:
        """A sequence."""
        return self.layer("lstm", call)[0]

    def lstm_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        """A sequence and its gradient."""
        return self.layer("lstm", call)

    # Attributes.

    def order(self, a: Attributes) -> Sequence[str]:
        """The gates in the order in which they stand in W, R and b."""
        return "igo" if self.coupled(a) else "ifgo"

    def coupled(self, a: Attributes) -> bool:
        """Whether f is 1 - i."""
        return bool(a["coupled"])

    def activations(self, a: Attributes) -> Sequence[str]:
        """The names of the functions of the gates, of the candidate and of the output."""
        return tuple(a["activations"])

    def clipped(self, argument: Array, a: Attributes) -> Array:
        """An activation's argument within the clip."""
        if a["clip"] is None:
            return argument
        limit = argument.dtype.type(a["clip"])
        return np.asarray(np.clip(argument, -limit, limit))

    def clipped_memory(self, c: Array, a: Attributes) -> Array:
        """The argument of the output's activation within the clip."""
        return self.clipped(c, a)

    def within(self, argument: Array, a: Attributes) -> Array:
        """The slope of the clip."""
        if a["clip"] is None:
            return np.ones_like(argument)
        return np.asarray((np.abs(argument) <= argument.dtype.type(a["clip"])).astype(argument.dtype))

    def bias_of(self, gate: str, b: Array) -> Array:
        """The bias of a gate."""
        return b

    # The equations.

    def gate(self, argument: Array, a: Attributes) -> Array:
        """The value of i, f or o."""
        return self.function(self.activations(a)[0]).value(self.clipped(argument, a))

    def coupled_forget(self, i: Array) -> Array:
        """The forget gate that has no weights of its own."""
        return np.asarray(1 - i)

    def candidate(self, argument: Array, a: Attributes) -> Array:
        """The value of g."""
        return self.function(self.activations(a)[1]).value(self.clipped(argument, a))

    def output(self, c: Array, c_prev: Array, a: Attributes) -> Array:
        """The memory as the output gate sees it."""
        return self.function(self.activations(a)[2]).value(self.clipped_memory(c, a))

    def memory(self, i: Array, f: Array, g: Array, c_prev: Array) -> Array:
        """The memory after."""
        return np.asarray(f * c_prev + i * g)

    def exposed(self, o: Array, output: Array) -> Array:
        """What the output gate lets out."""
        return o * output

    def projected(self, m: Array, p: Arrays, a: Attributes) -> Array:
        """The state after."""
        return self.product(m, p["P"]) if a["projection"] else m

    def step(self, x: Array, before: Arrays, p: Arrays, a: Attributes) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        h_prev, c_prev = before["h"], before["c"]
        arguments = {
            gate: self.argument(x, h_prev, W, R, self.bias_of(gate, b))
            for gate, W, R, b in zip(self.order(a), p["W"], p["R"], p["b"], strict=True)
        }
        i = self.gate(arguments["i"], a)
        f = self.coupled_forget(i) if self.coupled(a) else self.gate(arguments["f"], a)
        g = self.candidate(arguments["g"], a)
        o = self.gate(arguments["o"], a)
        c = self.memory(i, f, g, c_prev)
        output = self.output(c, c_prev, a)
        m = self.exposed(o, output)
        h = self.projected(m, p, a)
        known = {f"a_{gate}": argument for gate, argument in arguments.items()}
        known |= {"x": x, "h_prev": h_prev, "c_prev": c_prev, "i": i, "f": f, "g": g, "o": o, "c": c, "m": m}
        return {"h": h, "c": c}, {**known, "output": output}

    # The gradient's equations.

    def slope(self, function: str, argument: Array, value: Array, a: Attributes) -> Array:
        """The derivative of an activation of a clipped argument."""
        return self.function(function).slope(self.clipped(argument, a), value) * self.within(argument, a)

    def output_gradient(self, dm: Array, known: Arrays, a: Attributes) -> Array:
        """What reaches the memory after through the output."""
        return dm * known["o"] * self.slope(self.activations(a)[2], known["c"], known["output"], a)

    def memory_gradient(self, dc: Array, through_output: Array) -> Array:
        """The gradient of the memory after, from the step after and through the output."""
        return dc + through_output

    def forgotten_gradient(self, dc: Array, known: Arrays) -> Array:
        """The gradient of the memory before."""
        return dc * known["f"]

    def coupled_gradient(self, dc: Array, known: Arrays) -> Array:
        """The gradient of the input gate where it is the forget gate's too."""
        return np.asarray(dc * (known["g"] - known["c_prev"]))

    def state_gradient(self, dh_prev: Array, a: Attributes) -> Array:
        """The gradient of the state before, a constant where only the memory hands its gradient back."""
        return dh_prev if a["gradient"] == "full" else np.zeros_like(dh_prev)

    def step_back(self, after: Arrays, known: Arrays, p: Arrays, a: Attributes) -> tuple[Array, Arrays, Arrays]:
        """From the gradients of state and memory after to those of x, of state and memory before and the parameters."""
        dm = self.product(after["h"], p["P"].T) if a["projection"] else after["h"]
        do = dm * known["output"]
        dc = self.memory_gradient(after["c"], self.output_gradient(dm, known, a))
        df = dc * known["c_prev"]
        di = self.coupled_gradient(dc, known) if self.coupled(a) else dc * known["g"]
        dg = dc * known["i"]
        gate, candidate, _ = self.activations(a)
        functions = {"i": (gate, di), "f": (gate, df), "g": (candidate, dg), "o": (gate, do)}
        order = self.order(a)
        da = {}
        for k in order:
            function, d = functions[k]
            da[k] = d * self.slope(function, known[f"a_{k}"], known[k], a)
        dx, dW, db = self.input_back(da, known["x"], p, order)
        dh_prev, dR = self.recurrent_back(da, known["h_prev"], p, order)
        dp = {"W": dW, "R": dR, "b": db}
        if a["projection"]:
            dp["P"] = self.outer(after["h"], known["m"])
        return dx, {"h": self.state_gradient(dh_prev, a), "c": self.forgotten_gradient(dc, known)}, dp
