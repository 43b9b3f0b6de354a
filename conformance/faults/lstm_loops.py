"""The long short-term memory as loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


class LstmLoops(Loops, family="lstm"):
    """``c = f c_prev + i g``, ``h = o tanh(c)``."""

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    # Attributes.

    def order(self, a: Attributes) -> Sequence[str]:
        """The gates in the order in which they stand in W, R and b."""
        return "igo" if a["coupled"] else "ifgo"

    def activations(self, a: Attributes) -> Sequence[str]:
        """The names of the functions of the gates, of the candidate and of the output."""
        return tuple(a["activations"])

    def bias_of(self, gate: str, b: Array) -> Array:
        """The bias of a gate."""
        return b

    # The equations.

    def gate(self, argument: Array, a: Attributes) -> Array:
        """The value of i, f or o."""
        return self.function(self.activations(a)[0]).value(self.clipped(argument, a))

    def candidate(self, argument: Array, a: Attributes) -> Array:
        """The value of g."""
        return self.function(self.activations(a)[1]).value(self.clipped(argument, a))

    def output(self, c: Array, a: Attributes) -> Array:
        """The memory as the output gate sees it."""
        return self.function(self.activations(a)[2]).value(self.clipped(c, a))

    def step(self, x: Array, before: NamedArrays, p: NamedArrays, a: Attributes) -> tuple[NamedArrays, NamedArrays]:
        """From the state and memory before to those after."""
        h_prev, c_prev = before["h"], before["c"]
        arguments = {
            gate: self.argument(x, h_prev, W, R, self.bias_of(gate, b))
            for gate, W, R, b in zip(self.order(a), p["W"], p["R"], p["b"], strict=True)
        }
        if a.get("forget_bias") is not None:  # left out where gates are coupled
            arguments["f"] = arguments["f"] + a["forget_bias"]
        i = self.gate(arguments["i"], a)
        f = 1 - i if a["coupled"] else self.gate(arguments["f"], a)
        g = self.candidate(arguments["g"], a)
        o = self.gate(arguments["o"], a)
        c = f * c_prev + i * g
        output = self.output(c, a)
        m = o * output
        h = self.product(m, p["P"]) if a["projection"] else m
        known = {f"a_{gate}": argument for gate, argument in arguments.items()}
        known |= {"x": x, "h_prev": h_prev, "c_prev": c_prev, "i": i, "f": f, "g": g, "o": o, "c": c, "m": m}
        return {"h": h, "c": c}, {**known, "output": output}

    # The gradient's equations.

    def step_back(
        self, after: NamedArrays, known: NamedArrays, p: NamedArrays, a: Attributes
    ) -> tuple[Array, NamedArrays, NamedArrays]:
        """From the gradients of state and memory after to those of x, of state and memory before and the parameters."""
        gate, candidate, output = self.activations(a)
        dm = self.product(after["h"], p["P"].T) if a["projection"] else after["h"]
        do = dm * known["output"]
        dc = after["c"] + dm * known["o"] * self.slope(output, known["c"], known["output"], a)
        df = dc * known["c_prev"]
        di = dc * (known["g"] - known["c_prev"]) if a["coupled"] else dc * known["g"]
        dg = dc * known["i"]
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
        if a["gradient"] != "full":  # only the memory hands its gradient back
            dh_prev = np.zeros_like(dh_prev)
        return dx, {"h": dh_prev, "c": dc * known["f"]}, dp
