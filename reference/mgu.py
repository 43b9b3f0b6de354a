"""The cell of the minimal gated unit, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("mgu_cell")
class MGU:
    """The cell on columns: the gate f mixes the state before with a candidate n, and lets n see that state."""

    def __init__(self, W: Array, R: Array, b: Array, b_rn: Array | None = None, *, reset: str, update: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.units = R.shape[1]
        self.state_sizes = (self.units,)
        self.b_rn = b_rn.reshape(self.units, 1) if reset == "after" and b_rn is not None else None
        self.keeps = update == "keeps"
        self.f, self.n = (rows(k, self.units) for k in range(2))
        self.R_f, self.R_n = self.R[self.f], self.R[self.n]

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state after the step, and the arrays that `back` needs."""
        a = self.W @ x
        a += self.b
        a_f, a_n = a[self.f], a[self.n]
        if self.b_rn is None:  # f resets the state
            a_f += self.R_f @ h_prev
            f = logistic(a_f, out=a_f)
            reset = f * h_prev
            a_n += self.R_n @ reset
        else:  # f resets the product
            p = self.R @ h_prev
            a_f += p[self.f]
            f = logistic(a_f, out=a_f)
            reset = p[self.n] + self.b_rn
            a_n += f * reset
        n = tanh(a_n, out=a_n)
        if self.keeps:
            h = (1 - f) * n
            h += f * h_prev
        else:
            h = (1 - f) * h_prev
            h += f * n
        return (h,), (a, h_prev, reset)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        v, h_prev, reset = known
        f, n = v[self.f], v[self.n]
        if self.keeps:
            df, dn, dh_kept = dh * (h_prev - n), dh * (1 - f), dh * f
        else:
            df, dn, dh_kept = dh * (n - h_prev), dh * f, dh * (1 - f)
        da = np.empty_like(v)
        da[self.n] = da_n = tanh.back(dn, n, n)
        if self.b_rn is None:
            ds = self.R_n.T @ da_n
            df += ds * h_prev
            da[self.f] = da_f = logistic.back(df, f, f)
            return (dh_kept + self.R_f.T @ da_f + ds * f,), (da, h_prev, reset)
        df += da_n * reset
        da[self.f] = logistic.back(df, f, f)
        dp = da.copy()
        dp[self.n] = da_n * f
        return (dh_kept + self.R.T @ dp,), (da, h_prev, dp)

    def gradients(self, x: Array, da: Array, h_prev: Array, known: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        gradients = {"x": self.W.T @ da, "W": outer(da, x, self.units), "b": total(da, self.units)}
        if self.b_rn is None:
            s = known
            dR_f, dR_n = outer(da[self.f], h_prev, self.units), outer(da[self.n], s, self.units)
            return gradients | {"R": np.concatenate((dR_f, dR_n))}
        dp = known
        return gradients | {"R": outer(dp, h_prev, self.units), "b_rn": dp[self.n].sum(axis=1)}
