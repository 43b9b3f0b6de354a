"""The spectrum of the powers of recurrent weights, by which gradients vanish or explode."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor


def recurrent_power_spectrum(xp: ArrayNamespace, *, R: Tensor, powers: int) -> Many:
    """Entries of R, R², … in ascending order, and their singular values in descending order."""
    units, _ = xp.shape(R)
    wide = xp.stop_gradient(xp.widened(R))

    def step(carry: Many, _: Many) -> tuple[Many, Many]:
        (power,) = carry
        return (xp.matmul(power, wide),), (power,)

    _, (raised,) = xp.scan(step, (wide,), (), powers)
    entries = xp.sort(xp.reshape(raised, (powers, units * units)))
    return xp.astype(entries, R.dtype), xp.astype(xp.singular_values(raised), R.dtype)
