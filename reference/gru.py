"""The cell of the gated recurrent unit, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("gru_cell")
class GRU:
    """The cell on columns: the update gate z mixes the state before with a candidate n; r admits that state to n."""

    def __init__(self, W: Array, R: Array, b: Array, b_rn: Array | None = None, *, reset: str, update: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.units = R.shape[1]
        self.state_sizes = (self.units,)
        self.b_rn = b_rn.reshape(self.units, 1) if reset == "after" and b_rn is not None else None
        self.keeps = update == "keeps"
        self.r, self.z, self.n = (rows(k, self.units) for k in range(3))
        self.rz = slice(self.r.start, self.z.stop)
        self.R_rz, self.R_n = self.R[self.rz], self.R[self.n]

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state after the step, and the arrays that `back` needs."""
        a = self.W @ x
        a += self.b
        a_rz, a_n = a[self.rz], a[self.n]
        if self.b_rn is None:  # r resets the state
            a_rz += self.R_rz @ h_prev
            logistic(a_rz, out=a_rz)
            reset = a[self.r] * h_prev
            a_n += self.R_n @ reset
        else:  # r resets the product
            p = self.R @ h_prev
            a_rz += p[self.rz]
            logistic(a_rz, out=a_rz)
            reset = p[self.n] + self.b_rn
            a_n += a[self.r] * reset
        n, z = tanh(a_n, out=a_n), a[self.z]
        if self.keeps:
            h = (1 - z) * n
            h += z * h_prev
        else:
            h = (1 - z) * h_prev
            h += z * n
        return (h,), (a, h_prev, reset)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        v, h_prev, reset = known
        r, z, n = v[self.r], v[self.z], v[self.n]
        if self.keeps:
            dz, dn, dh_kept = dh * (h_prev - n), dh * (1 - z), dh * z
        else:
            dz, dn, dh_kept = dh * (n - h_prev), dh * z, dh * (1 - z)
        da = np.empty_like(v)
        da[self.z] = logistic.back(dz, z, z)
        da[self.n] = da_n = tanh.back(dn, n, n)
        if self.b_rn is None:
            ds = self.R_n.T @ da_n
            da[self.r] = logistic.back(ds * h_prev, r, r)
            return (dh_kept + self.R_rz.T @ da[self.rz] + ds * r,), (da, h_prev, reset)
        da[self.r] = logistic.back(da_n * reset, r, r)
        dp = da.copy()
        dp[self.n] = da_n * r
        return (dh_kept + self.R.T @ dp,), (da, h_prev, dp)

    def gradients(self, x: Array, da: Array, h_prev: Array, known: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        gradients = {"x": self.W.T @ da, "W": outer(da, x, self.units), "b": total(da, self.units)}
        if self.b_rn is None:
            s = known
            dR_rz, dR_n = outer(da[self.rz], h_prev, self.units), outer(da[self.n], s, self.units)
            return gradients | {"R": np.concatenate((dR_rz, dR_n))}
        dp = known
        return gradients | {"R": outer(dp, h_prev, self.units), "b_rn": dp[self.n].sum(axis=1)}
