"""The gated recurrent unit as loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


class GruLoops(Loops, family="gru"):
    """``h = (1 - z) n + z h_prev``, where the candidate n sees the state through r."""

    # Attributes.

    def order(self) -> Sequence[str]:
        """The gates in the order in which they stand in W, R and b."""
        return "rzn"

    def resets_before(self, a: Attributes) -> bool:
        """Whether r stands on the state before the product."""
        return bool(a["reset"] == "before")

    def keeps(self, a: Attributes) -> bool:
        """Whether an update gate of 1 keeps the state."""
        return bool(a["update"] == "keeps")

    # The biases; after the product, the candidate's recurrent one stands inside the reset.

    def one_bias(self, p: NamedArrays, a: Attributes) -> NamedArrays:
        """The parameters with one bias and, after the product, b_rn."""
        if self.resets_before(a):
            return super().one_bias(p, a)
        n = self.order().index("n")
        inside = p.get("b_rn", np.zeros_like(p["b"][n]))
        if "b_R" not in p:
            return {**p, "b_rn": inside}
        of_gates = p["b_R"].copy()
        of_gates[n] = 0
        return {**super().one_bias({**p, "b_R": of_gates}, a), "b_rn": inside + p["b_R"][n]}

    def both_biases(self, dp: NamedArrays, given: NamedArrays, a: Attributes) -> NamedArrays:
        """The gradients of the given parameters, from those with one bias and b_rn."""
        if self.resets_before(a):
            return super().both_biases(dp, given, a)
        db_R = dp["b"].copy()
        db_R[self.order().index("n")] = dp["b_rn"]
        return {name: d for name, d in {**dp, "b_R": db_R}.items() if name in given}

    # The equations.

    def candidate(self, a_n: Array, a: Attributes) -> Array:
        """The value of n."""
        return self.function(a["activation"]).value(self.clipped(a_n, a))

    def mixed(self, z: Array, n: Array, h_prev: Array, a: Attributes) -> Array:
        """The state after."""
        return np.asarray((1 - z) * n + z * h_prev if self.keeps(a) else (1 - z) * h_prev + z * n)

    def step(self, x: Array, before: NamedArrays, p: NamedArrays, a: Attributes) -> tuple[NamedArrays, NamedArrays]:
        """From the state before to the state after."""
        h_prev = before["h"]
        j = {gate: self.order().index(gate) for gate in "rzn"}
        known = {"x": x, "h_prev": h_prev}
        for k in "rz":
            known[f"a_{k}"] = self.argument(x, h_prev, p["W"][j[k]], p["R"][j[k]], p["b"][j[k]])
            known[k] = self.function(a["recurrent_activation"]).value(self.clipped(known[f"a_{k}"], a))
        r = known["r"]
        W_n, R_n, b_n = p["W"][j["n"]], p["R"][j["n"]], p["b"][j["n"]]
        if self.resets_before(a):
            known["s"] = r * h_prev
            known["a_n"] = self.argument(x, known["s"], W_n, R_n, b_n)
        else:
            known["q"] = self.product(h_prev, R_n) + p["b_rn"]
            known["a_n"] = self.total([self.input_product(x, W_n), b_n, r * known["q"]])
        known["n"] = self.candidate(known["a_n"], a)
        return {"h": self.mixed(known["z"], known["n"], h_prev, a)}, known

    # The gradient's equations.

    def mixed_back(self, dh: Array, known: NamedArrays, a: Attributes) -> tuple[Array, Array, Array]:
        """Gradients of z, of n and of the state before, through the mixing."""
        z, n, h_prev = known["z"], known["n"], known["h_prev"]
        if self.keeps(a):
            return dh * (h_prev - n), dh * (1 - z), dh * z
        return dh * (n - h_prev), dh * z, dh * (1 - z)

    def step_back(
        self, after: NamedArrays, known: NamedArrays, p: NamedArrays, a: Attributes
    ) -> tuple[Array, NamedArrays, NamedArrays]:
        """From the gradient of the state after to those of x, the state before and the parameters."""
        order = self.order()
        j = {gate: order.index(gate) for gate in order}
        r, h_prev = known["r"], known["h_prev"]
        dz, dn, dh_kept = self.mixed_back(after["h"], known, a)
        da = {"n": dn * self.slope(a["activation"], known["a_n"], known["n"], a)}
        R_n = p["R"][j["n"]]
        dR = {}
        db_rn: NamedArrays = {}
        if self.resets_before(a):
            ds = self.product(da["n"], R_n.T)
            dr, dh_reset = ds * h_prev, ds * r
            dR["n"] = self.outer(da["n"], known["s"])
        else:
            dq = da["n"] * r
            dr, dh_reset = da["n"] * known["q"], self.product(dq, R_n.T)
            dR["n"] = self.outer(dq, h_prev)
            db_rn["b_rn"] = self.bias_gradient(dq)
        for k, d in (("r", dr), ("z", dz)):
            da[k] = d * self.slope(a["recurrent_activation"], known[f"a_{k}"], known[k], a)
            dR[k] = self.outer(da[k], h_prev)
        dx, dW, db = self.input_back(da, known["x"], p, order)
        dh_prev = self.total([dh_kept, dh_reset, *(self.product(da[k], p["R"][j[k]].T) for k in "rz")])
        return dx, {"h": dh_prev}, {"W": dW, "R": np.stack([dR[k] for k in order]), "b": db, **db_rn}
