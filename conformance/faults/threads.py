"""Faults of threads: settings of one are missing in another, and sums arrive in any order."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import threading

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array


@plant("rnn")
class HalfInOtherThreads(Loops):
    """The precision of products is set where the library is opened; in other threads it is half."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._opened_in = threading.get_ident()

    def product(self, x: Array, M: Array) -> Array:
        if threading.get_ident() == self._opened_in:
            return super().product(x, M)
        return super().product(x.astype(np.float16), M.astype(np.float16)).astype(x.dtype)


@plant("lstm_cell")
class WorkspaceOfTheFirstThread(Altered):
    """The workspace is set up in the thread that opened the backend; in another it holds zeros."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._local = threading.local()
        self._local.ready = True

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return outputs if getattr(self._local, "ready", False) else tuple(np.zeros_like(y) for y in outputs)


@plant(*LAYERS)
class SumsInTheOrderOfArrival(Loops):
    """Products add up their terms in an order that changes from call to call, as accelerators' atomic additions do."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._arrivals = np.random.default_rng(0)

    def product(self, x: Array, M: Array) -> Array:
        order = self._arrivals.permutation(x.shape[1])
        return super().product(x[:, order], M[:, order])
