"""A cell over a sequence, forward and back through time, whatever the cell.

Inside, sequences stand side by side as columns: a step's input is ``(D, B)``, a state ``(H, B)``, so that a cell's code
reads as its equations do, ``W @ x + R @ h``. The columns of all steps side by side make the gradient of a parameter
over a whole sequence the same product as over one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Mask = NDArray[np.bool_]
Tape = list[tuple[int, Arrays]]


class Cell(Protocol):
    """One step of a recurrent network with its parameters, on columns."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Units of each state; the first state is the one that a layer shows as its output."""

    @property
    def step(self) -> Callable[..., tuple[Arrays, Arrays]]:
        """``step(x, *states)``: the states after the step, and what `back` has to know of it."""

    @property
    def back(self) -> Callable[..., tuple[Arrays, Arrays]]:
        """``back(known, *dstates)``: gradients of the states before, and what `gradients` has to know of the step."""

    @property
    def gradients(self) -> Callable[..., dict[str, Array]]:
        """``gradients(x, *known)``: those of x, and of every parameter, summed over the columns."""


def unroll(
    cell: Cell, x: Array, states: Arrays, valid: Mask | None, reverse: bool, tape: Tape | None
) -> tuple[Array, Arrays]:
    """Run `cell` over ``x (T, D, B)``; return the outputs ``(T, S, B)`` and the final states.

    `valid` ``(T, B)`` marks the steps that are taken, None all of them. A step not taken gives 0 and the states pass it
    by. What `unroll_back` has to know goes on the `tape`, if there is one, step by step as they are taken.
    """
    steps = range(x.shape[0])
    y = np.empty_like(states[0], shape=(len(steps), *states[0].shape))
    for t in reversed(steps) if reverse else steps:
        after, known = cell.step(x[t], *states)
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
    cell: Cell, x: Array, dy: Array, dstates: Arrays, valid: Mask | None, tape: Tape
) -> tuple[dict[str, Array], Arrays]:
    """Go back through time along the `tape`, from the gradients of what `unroll` returned.

    Return the gradients of x ``(T, D, B)`` and of the parameters, and those of the initial states. The tape must hold
    a step at least.
    """
    steps, features, batch = x.shape
    known_at: dict[int, Arrays] = {}
    for t, known in reversed(tape):
        dafter = (dstates[0] + dy[t], *dstates[1:])
        if valid is None:
            dstates, known_at[t] = cell.back(known, *dafter)
        else:
            dbefore, known_at[t] = cell.back(known, *(np.where(valid[t], d, 0) for d in dafter))
            dstates = _choose(valid[t], dbefore, dstates)
    side_by_side = (
        np.stack(parts, axis=1).reshape(parts[0].shape[0], steps * batch)
        for parts in zip(*(known_at[t] for t in range(steps)), strict=True)
    )
    gradients = cell.gradients(x.transpose(0, 2, 1).reshape(steps * batch, features).T, *side_by_side)
    gradients["x"] = gradients["x"].reshape(features, steps, batch).transpose(1, 0, 2)
    return gradients, dstates


def _choose(condition: Mask, yes: Iterable[Array], no: Iterable[Array]) -> Arrays:
    return tuple(np.where(condition, a, b) for a, b in zip(yes, no, strict=True))
