"""The plain recurrent network as loops."""

from __future__ import annotations

from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


class RnnLoops(Loops, family="rnn"):
    """``h = f(W x + R h_prev + b)``."""

    def activation(self, a: Attributes) -> str:
        """The name of f."""
        return str(a["activation"])

    def step(self, x: Array, before: NamedArrays, p: NamedArrays, a: Attributes) -> tuple[NamedArrays, NamedArrays]:
        """From the state before to the state after."""
        argument = self.argument(x, before["h"], p["W"][0], p["R"][0], p["b"][0])
        h = self.function(self.activation(a)).value(self.clipped(argument, a))
        return {"h": h}, {"x": x, "h_prev": before["h"], "a": argument, "h": h}

    def step_back(
        self, after: NamedArrays, known: NamedArrays, p: NamedArrays, a: Attributes
    ) -> tuple[Array, NamedArrays, NamedArrays]:
        """From the gradient of the state after to those of x, the state before and the parameters."""
        da = {"h": after["h"] * self.slope(self.activation(a), known["a"], known["h"], a)}
        dx, dW, db = self.input_back(da, known["x"], p, "h")
        dh_prev, dR = self.recurrent_back(da, known["h_prev"], p, "h")
        return dx, {"h": dh_prev}, {"W": dW, "R": dR, "b": db}
