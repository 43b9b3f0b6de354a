"""The cell of the gated recurrent unit, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.gates import Resetting
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("gru_cell")
class GRU(Resetting):
    """The cell on columns: the update gate z mixes the state before with a candidate n; r admits that state to n."""

    places = 0, 1

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        a, v, h_prev, reset = known
        r, z, n = v[self.r], v[self.z], v[self.n]
        dz, dn, dh_kept = self.mixed_back(dh, z, n, h_prev)
        da = np.empty_like(v)
        da[self.z] = self.gate.back(dz, a[self.z], z)
        da[self.n] = da_n = self.candidate.back(dn, a[self.n], n)
        if not self.after:
            ds = self.R_n.T @ da_n
            da[self.r] = self.gate.back(ds * h_prev, a[self.r], r)
            return (dh_kept + self.R_gates.T @ da[self.gates] + ds * r,), (da, h_prev, reset)
        da[self.r] = self.gate.back(da_n * reset, a[self.r], r)
        dp = da.copy()
        dp[self.n] = da_n * r
        return (dh_kept + self.R.T @ dp,), (da, h_prev, dp)
