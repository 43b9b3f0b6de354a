"""The cell of the minimal gated unit, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.gates import Resetting
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("mgu_cell")
class MGU(Resetting):
    """The cell on columns: the gate f mixes the state before with a candidate n, and lets n see that state."""

    places = 0, 0

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        a, v, h_prev, reset = known
        f, n = v[self.z], v[self.n]
        df, dn, dh_kept = self.mixed_back(dh, f, n, h_prev)
        da = np.empty_like(v)
        da[self.n] = da_n = self.candidate.back(dn, a[self.n], n)
        if not self.after:
            ds = self.R_n.T @ da_n
            df += ds * h_prev
            da[self.z] = da_f = self.gate.back(df, a[self.z], f)
            return (dh_kept + self.R_gates.T @ da_f + ds * f,), (da, h_prev, reset)
        df += da_n * reset
        da[self.z] = self.gate.back(df, a[self.z], f)
        dp = da.copy()
        dp[self.n] = da_n * f
        return (dh_kept + self.R.T @ dp,), (da, h_prev, dp)
