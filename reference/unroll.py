"""Unrolling of any cell over a sequence, forward and backward through time.

Sequences are columns: a step's input is ``(D, B)``, and a state ``(H, B)``, so that a cell's code reads like its
equations, ``W @ x + R @ h``. With the columns of all steps side by side, the gradient of a parameter over a whole
sequence is the same product as over one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rnnspec.spec.arrays import Array, Arrays, Mask

Tape = list[tuple[int, Arrays]]
Back = Callable[[Array, Arrays], tuple[dict[str, Array], Arrays]]


class Cell(Protocol):
    """One step of a recurrent network with its parameters, on columns."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Units of each state; the first state is a layer's output."""

    @property
    def step(self) -> Callable[..., tuple[Arrays, Arrays]]:
        """``step(x, *states)``: the states after the step, and the arrays that `back` needs."""

    @property
    def back(self) -> Callable[..., tuple[Arrays, Arrays]]:
        """``back(known, *dstates)``: gradients of the states before, and the arrays that `gradients` needs."""

    @property
    def gradients(self) -> Callable[..., dict[str, Array]]:
        """``gradients(x, *known)``: gradients of x and of every parameter, summed over the columns."""


@dataclass(frozen=True)
class Reading:
    """Reading of the steps: the valid ones, their order, and the state that enters each.

    `valid` ``(T, B)`` marks the valid steps; None means all. An invalid step has output 0 and leaves the states
    unchanged. `recurrent_scale` ``(S, B)`` multiplies the first state before every step. With `truncate` k, no gradient
    flows from step t + 1 to step t if ``(t + 1) % k == 0``, with steps counted in the order of reading.
    """

    valid: Mask | None = None
    reverse: bool = False
    recurrent_scale: Array | None = None
    truncate: int | None = None

    def order(self, steps: int) -> Iterable[int]:
        """Return the indices of the steps in the order of reading."""
        return reversed(range(steps)) if self.reverse else range(steps)

    def cuts(self, steps: int, batch: int) -> Mask | None:
        """Return the steps that pass no gradient to the step read before them, ``(T, B)``; None if all do."""
        if self.truncate is None:
            return None
        taken = np.ones((steps, batch), np.bool_) if self.valid is None else self.valid
        in_order = taken[::-1] if self.reverse else taken
        place = np.cumsum(in_order, axis=0) - 1
        cuts: Mask = (place > 0) & (place % self.truncate == 0)
        return cuts[::-1] if self.reverse else cuts


def unroll(cell: Cell, x: Array, states: Arrays, reading: Reading, tape: Tape | None = None) -> tuple[Array, Arrays]:
    """Run `cell` over ``x (T, D, B)``; return the outputs ``(T, S, B)`` and the final states.

    The `tape`, if given, receives the arrays that `unroll_back` needs, in the order of reading.
    """
    y = np.empty_like(states[0], shape=(x.shape[0], *states[0].shape))
    valid, scale = reading.valid, reading.recurrent_scale
    for t in reading.order(x.shape[0]):
        before = states if scale is None else (states[0] * scale, *states[1:])
        after, known = cell.step(x[t], *before)
        if valid is None:
            y[t] = after[0]
            states = after
        else:
            y[t] = np.where(valid[t], after[0], 0)
            states = _choose(valid[t], after, states)
        if tape is not None:
            tape.append((t, known))
    return y, states


def unroll_back(
    cell: Cell, x: Array, dy: Array, dstates: Arrays, reading: Reading, tape: Tape
) -> tuple[dict[str, Array], Arrays]:
    """Go back through time along the `tape`, from the gradients of the results of `unroll`.

    Return the gradients of x ``(T, D, B)`` and of the parameters, and those of the initial states. The tape must have
    at least one step.
    """
    steps, features, batch = x.shape
    valid, scale, cuts = reading.valid, reading.recurrent_scale, reading.cuts(steps, batch)
    together: Arrays = ()
    for t, known in reversed(tape):
        dafter = (dstates[0] + dy[t], *dstates[1:])
        if valid is not None:
            dafter = tuple(np.where(valid[t], d, 0) for d in dafter)
        dbefore, parts = cell.back(known, *dafter)
        together = together or tuple(np.empty_like(one, shape=(one.shape[0], steps, batch)) for one in parts)
        for whole, one in zip(together, parts, strict=True):
            whole[:, t] = one
        if scale is not None:
            dbefore = (dbefore[0] * scale, *dbefore[1:])
        if cuts is not None:
            dbefore = tuple(np.where(cuts[t], 0, d) for d in dbefore)
        dstates = dbefore if valid is None else _choose(valid[t], dbefore, dstates)
    side_by_side = (whole.reshape(whole.shape[0], steps * batch) for whole in together)
    gradients = cell.gradients(x.transpose(0, 2, 1).reshape(steps * batch, features).T, *side_by_side)
    gradients["x"] = gradients["x"].reshape(features, steps, batch).transpose(1, 0, 2)
    return gradients, dstates


def unroll_with_back(cell: Cell, x: Array, states: Arrays, reading: Reading) -> tuple[Array, Arrays, Back]:
    """Run `cell` like `unroll`; also return the backward pass, from dy and dstates to the results of `unroll_back`.

    Without any step, the backward pass returns only the gradients of the initial states.
    """
    tape: Tape = []
    y, final = unroll(cell, x, states, reading, tape)

    def back(dy: Array, dstates: Arrays) -> tuple[dict[str, Array], Arrays]:
        if tape:
            return unroll_back(cell, x, dy, dstates, reading, tape)
        return {}, dstates

    return y, final, back


def _choose(condition: Mask, yes: Iterable[Array], no: Iterable[Array]) -> Arrays:
    return tuple(np.where(condition, a, b) for a, b in zip(yes, no, strict=True))
