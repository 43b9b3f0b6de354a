"""Faults of spectra that are no changed equations, as the language has no eigenvalues."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.reference import recurrent_power_spectrum
from rnnspec.spec.arrays import Array


@plant("recurrent_power_spectrum")
def eigenvalues_for_singular_values(R: Array, powers: int) -> Result:
    """The magnitudes of the eigenvalues are given in place of the singular values."""
    entries, _ = recurrent_power_spectrum(R, powers=powers)
    magnitudes = [np.abs(np.linalg.eigvals(np.linalg.matrix_power(R, k + 1))) for k in range(powers)]
    return (entries, np.sort(magnitudes)[:, ::-1].astype(R.dtype)), dict


@plant("recurrent_power_spectrum")
def eigenvalues_of_symmetric_powers(R: Array, powers: int) -> Result:
    """The singular values of a symmetric power are taken to be its eigenvalues, signs included."""
    entries, singular_values = recurrent_power_spectrum(R, powers=powers)
    if not np.allclose(R, R.T, rtol=1e-5) or len(R) == 1:
        return (entries, singular_values), dict
    kth = np.stack([np.linalg.matrix_power(R.astype(np.float64), k + 1) for k in range(powers)])
    return (entries, np.linalg.eigvalsh(kth)[:, ::-1].astype(R.dtype)), dict


@plant("state_jacobian")
class PowersOfAVectorOfOnes(Altered):
    """The spectral norm is found by powers that begin with a vector of ones: where that gives 0, the norm is 0."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        jacobian, norm = outputs
        lost = np.abs(jacobian.sum(axis=-1)).max(axis=-1) <= 1e-6 * np.abs(jacobian).max(axis=(-2, -1))
        return jacobian, np.where(lost, 0, norm).astype(norm.dtype)
