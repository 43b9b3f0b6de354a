"""A fault of the spectrum of recurrent weights that is no changed equation, as the language has no eigenvalues."""

from __future__ import annotations

import numpy as np

from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.reference import recurrent_power_spectrum
from rnnspec.spec.arrays import Array


@plant("recurrent_power_spectrum")
def eigenvalues_for_singular_values(R: Array, powers: int) -> Result:
    """The magnitudes of the eigenvalues are given in place of the singular values."""
    entries, _ = recurrent_power_spectrum(R, powers=powers)
    magnitudes = [np.abs(np.linalg.eigvals(np.linalg.matrix_power(R, k + 1))) for k in range(powers)]
    return (entries, np.sort(magnitudes)[:, ::-1].astype(R.dtype)), dict
