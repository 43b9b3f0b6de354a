"""Connectionist temporal classification, with the gradient of the logits.

The alignments of a target are the paths through a chain of 2 U + 1 states: a blank, the first label, a blank, the
second, …, a blank. A step stays in its state, goes on to the next one, or passes over the blank between two labels that
differ. All arrays over states are ``(B, 2 U + 1)``.
"""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.linear_chain import log_sum_exp
from rnnspec.reference.losses import log_probabilities
from rnnspec.reference.packed import Packed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Mask


@computes("ctc_loss")
def _ctc_loss(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    logits = call.floats["logits"]
    log_p = log_probabilities(np.where(call.steps[:, :, np.newaxis], logits, 0))
    states = _States(call)
    ways = _Ways(states, steps, np.take_along_axis(steps.pack(log_p), states.symbols[np.newaxis], axis=2))
    possible = np.isfinite(ways.log_likelihood)

    def vjp(dloss: Array) -> dict[str, Array]:
        demissions = steps.unpack(ways.back(np.where(possible, -dloss, 0)))
        dlog_p = (demissions[:, :, :, np.newaxis] * states.emits[:, np.newaxis]).sum(axis=2)
        dlogits = dlog_p - np.exp(log_p) * dlog_p.sum(axis=2)[:, :, np.newaxis]
        return {"logits": np.where(call.steps[:, :, np.newaxis], dlogits, 0)}

    return (-ways.log_likelihood,), vjp


class _States:
    """The states of every target.

    Each emits a symbol of `symbols`; `emits` ``(B, 2 U + 1, K)`` tells whether it emits each of all. `inside` are the
    states of a target of its length, and `ends` the last two of them. A step reaches those of `passes` over a blank.
    """

    def __init__(self, call: Admitted) -> None:
        labels, lengths = call.inputs["labels"], call.inputs["label_lengths"][:, np.newaxis]
        symbols = call.sizes["K"]
        blank, shift = (0, 1) if call.attributes["blank"] == "first" else (symbols - 1, 0)
        count = 2 * labels.shape[1] + 1
        self.symbols = np.full((labels.shape[0], count), blank)
        self.symbols[:, 1::2] = labels + shift
        self.emits: Mask = self.symbols[:, :, np.newaxis] == np.arange(symbols)
        place = np.arange(count)
        self.first: Mask = place < 2
        self.inside: Mask = place <= 2 * lengths
        self.ends: Mask = self.inside & (place >= 2 * lengths - 1)
        self.empty: Mask = lengths[:, 0] == 0
        self.passes = np.zeros(self.symbols.shape, np.bool_)
        self.passes[:, 3::2] = labels[:, 1:] != labels[:, :-1]


class _Ways:
    """The sum over all alignments, `log_likelihood` ``(B,)``, by the forward recurrence in log space."""

    def __init__(self, states: _States, steps: Packed, emissions: Array) -> None:
        self.steps = steps
        never = np.zeros_like(emissions, shape=emissions.shape[1:]) - np.inf
        alpha = never
        self.shares = []
        """For step t + 1, the share of each way to get to a state: from itself, the one before, and over a blank."""
        for t in range(len(steps.present)):
            if t == 0:
                reached = np.where(states.first, emissions[0], -np.inf)
            else:
                before = np.concatenate((never[:, :1], alpha[:, :-1]), axis=1)
                over = np.concatenate((never[:, :1], before[:, :-1]), axis=1)
                arrived, shares = log_sum_exp(np.stack((alpha, before, np.where(states.passes, over, -np.inf))))
                self.shares.append(shares)
                reached = arrived + emissions[t]
            alpha = np.where(steps.present[t][:, np.newaxis], np.where(states.inside, reached, -np.inf), alpha)
        ended, ends = log_sum_exp(np.where(states.ends, alpha, -np.inf).T)
        some = steps.lengths > 0
        self.log_likelihood = np.where(some, ended, np.where(states.empty, 0, -np.inf))
        self.emissions = emissions
        self.ends = np.where(some, ends, 0).T

    def back(self, dlog_likelihood: Array) -> Array:
        """Return the gradient of the emissions ``(n, B, 2 U + 1)``: how probable each state is at each step."""
        demissions = np.zeros_like(self.emissions)
        d = self.ends * dlog_likelihood[:, np.newaxis]
        for t in range(len(self.steps.present) - 1, -1, -1):
            here = self.steps.present[t][:, np.newaxis]
            demissions[t] = np.where(here, d, 0)
            if t > 0:
                stays, goes_on, passes = self.shares[t - 1] * demissions[t]
                nothing = np.zeros_like(stays[:, :1])
                passes = np.concatenate((passes[:, 1:], nothing), axis=1)
                goes_on = np.concatenate(((goes_on + passes)[:, 1:], nothing), axis=1)
                d = np.where(here, stays + goes_on, d)
        return demissions
