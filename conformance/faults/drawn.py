"""Faults of dropout whose masks are drawn: each is right but for one of the laws."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array


class Draws(NumpyBackend):
    """Dropout on NumPy that draws its masks, and nothing else: no call with a given mask shows these faults."""

    name: ClassVar[str] = "draws"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.numbers = np.random.default_rng(0)

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        return ()

    # Each of the laws has a method.

    def begin(self, seed: int | None) -> None:
        if seed is not None:
            self.numbers = np.random.default_rng(seed)

    def rate(self, rate: float, training: bool) -> float:
        """The rate that is in force."""
        return rate if training else 0.0

    def mask(self, shape: tuple[int, ...], rate: float) -> Array:
        """Whether each unit is kept."""
        return np.asarray(self.numbers.random(shape) >= rate)

    def shape(self, shape: tuple[int, ...], shared_over: str) -> tuple[int, ...]:
        """The shape of the mask of an array (B, T, D)."""
        return (shape[0], 1, shape[2]) if shared_over == "time" else shape

    def scale(self, rate: float) -> float:
        """The factor of what is kept."""
        return 1 / (1 - rate) if rate < 1 else 0.0

    # The operations.

    def dropped(self, x: Array, rate: float, shared_over: str) -> Array:
        keep = self.mask(self.shape(x.shape, shared_over), rate)
        return (x * keep * self.scale(rate)).astype(x.dtype)

    def drawn_dropout(
        self, x: Array, *, shared_over: str, rate: float, training: bool, seed: int | None
    ) -> tuple[Array, ...]:
        self.begin(seed)
        return (self.dropped(x, self.rate(rate, training), shared_over),)

    def drawn_zoneout(
        self, h: Array, h_prev: Array, *, rate: float, training: bool, seed: int | None
    ) -> tuple[Array, ...]:
        self.begin(seed)
        if not training:
            return (self.expected(h, h_prev, rate),)
        return (np.where(self.mask(h.shape, rate), h, h_prev),)

    def expected(self, h: Array, h_prev: Array, rate: float) -> Array:
        """A state of which nothing is chosen."""
        return (h * (1 - rate) + h_prev * rate).astype(h.dtype)

    def drawn_stacked(
        self, *, layer: str, rate: float, training: bool, seed: int | None, shared_over: str, **call: Any
    ) -> tuple[Array, ...]:
        self.begin(seed)
        rate = self.rate(rate, training)
        states = [name for name in ("h0", "c0") if name in call]
        own = [name for name in ("R", "b", "b_R", "b_rn") if name in call]
        above, finals = call.pop("x"), []
        for index, W in enumerate([call.pop("W"), *call.pop("W_above")]):
            x = above if index == 0 else self.dropped(above, rate, shared_over)
            part: dict[str, Any] = {**call, "W": W, **{name: call[name][index] for name in own}}
            part |= {name: self.state(call[name][:, index], rate) for name in states}
            outputs: tuple[Array, ...] = getattr(reference, layer)(x=x, **part)
            above = outputs[0]
            finals.append(outputs[1:])
        y = self.last(above, rate, shared_over)
        return (y, *(np.stack(each, 1) for each in zip(*finals, strict=True)))

    def state(self, state: Array, rate: float) -> Array:
        """A layer's state before its first step."""
        return state

    def last(self, y: Array, rate: float, shared_over: str) -> Array:
        """The outputs of the last layer."""
        return y


@plant("dropout", "stacked")
class OnInEvaluation(Draws):
    """Masks are drawn in evaluation too."""

    def rate(self, rate: float, training: bool) -> float:
        return rate


@plant("dropout")
class RateZeroIsTheDefault(Draws):
    """A rate of 0 is taken for none at all, and the default is in force."""

    def rate(self, rate: float, training: bool) -> float:
        return super().rate(rate or 0.5, training)


@plant("dropout")
class RateOneLeavesEverything(Draws):
    """Rates from 0 to below 1 drop units, and a rate of 1 none."""

    def rate(self, rate: float, training: bool) -> float:
        return super().rate(rate % 1, training)


@plant("dropout", "stacked")
class KeptAsTheyAre(Draws):
    """Kept units are not scaled."""

    def scale(self, rate: float) -> float:
        return 1.0


@plant("dropout")
class KeptTimesTheRate(Draws):
    """Kept units are multiplied by the rate, in place of being divided by the share that is kept."""

    def scale(self, rate: float) -> float:
        return rate or 1.0


@plant("dropout", "stacked")
class RateIsTheShareKept(Draws):
    """The rate is taken for the probability with which a unit is kept."""

    def rate(self, rate: float, training: bool) -> float:
        return 1 - rate if training and 0 < rate < 1 else super().rate(rate, training)


@plant("dropout")
class DroppedWhereTwoNumbersSaySo(Draws):
    """Two masks are drawn, and a unit is dropped where both drop it: fewer are than the rate says."""

    def mask(self, shape: tuple[int, ...], rate: float) -> Array:
        return super().mask(shape, rate) | super().mask(shape, rate)


@plant("dropout", "stacked")
class OneMaskForTheBatch(Draws):
    """All sequences of a batch have one mask."""

    def shape(self, shape: tuple[int, ...], shared_over: str) -> tuple[int, ...]:
        return (1, *super().shape(shape, shared_over)[1:])


@plant("dropout")
class OneNumberForTwoUnits(Draws):
    """Two units beside each other are kept or dropped together."""

    def mask(self, shape: tuple[int, ...], rate: float) -> Array:
        return np.repeat(super().mask((*shape[:-1], (shape[-1] + 1) // 2), rate), 2, axis=-1)[..., : shape[-1]]


@plant("dropout", "stacked")
class OtherMasksAtEveryStep(Draws):
    """Masks that are to be the same over time are drawn for each step."""

    def shape(self, shape: tuple[int, ...], shared_over: str) -> tuple[int, ...]:
        return shape


@plant("dropout", "stacked")
class OneMaskForAllSteps(Draws):
    """Masks that are to be drawn for each step are drawn once for the whole sequence."""

    def shape(self, shape: tuple[int, ...], shared_over: str) -> tuple[int, ...]:
        return super().shape(shape, "time")


@plant("dropout", "stacked", "zoneout")
class SameMaskAtEveryCall(Draws):
    """Every call begins with the same seed."""

    def begin(self, seed: int | None) -> None:
        super().begin(0)


@plant("dropout")
class SameMaskUntilSeeded(Draws):
    """A call that is given no seed begins anew with that of the call before."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._seed = 0

    def begin(self, seed: int | None) -> None:
        self._seed = self._seed if seed is None else seed
        super().begin(self._seed)


@plant("dropout", "stacked")
class SeedIgnored(Draws):
    """Seeds are read over."""

    def begin(self, seed: int | None) -> None:
        """Go on with the numbers of the call before."""


@plant("stacked")
class AfterTheLastLayer(Draws):
    """The outputs of the last layer are dropped too."""

    def last(self, y: Array, rate: float, shared_over: str) -> Array:
        return self.dropped(y, rate, shared_over)


@plant("stacked")
class StateDropped(Draws):
    """The state before the first step is dropped as well as the outputs below."""

    def state(self, state: Array, rate: float) -> Array:
        return (state * self.mask(state.shape, rate) * self.scale(rate)).astype(state.dtype)


@plant("zoneout")
class NothingKeptInEvaluation(Draws):
    """In evaluation, the state is the new one, and not the expectation of both."""

    def expected(self, h: Array, h_prev: Array, rate: float) -> Array:
        return h


@plant("zoneout")
class ScaledLikeDropout(Draws):
    """Units of the new state are divided by the share that is renewed, as dropout does."""

    def mask(self, shape: tuple[int, ...], rate: float) -> Array:
        self._scale = self.scale(rate)
        return super().mask(shape, rate)

    def drawn_zoneout(self, h: Array, h_prev: Array, **asked: Any) -> tuple[Array, ...]:
        self._scale = 1.0
        (y,) = super().drawn_zoneout(h, h_prev, **asked)
        return (np.where(y == h, y * self._scale, y).astype(y.dtype),)


@plant("zoneout")
class OneChoiceForTheState(Draws):
    """A state is kept or renewed as a whole."""

    def mask(self, shape: tuple[int, ...], rate: float) -> Array:
        return np.broadcast_to(super().mask((shape[0], 1), rate), shape)
