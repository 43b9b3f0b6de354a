"""Faults of choices among equals, where the specification says which is taken.

They are no changed equations, as all checks before `ties` pass them: literal equations are slow at so many calls.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.crf_loops import Chain, CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, Arrays


@plant("crf_viterbi")
class TiesToTheHighest(CrfLoops):
    """Among equal paths, the highest tag is taken (SHOULD: the lowest)."""

    def chosen(self, a: Array, axis: int) -> Array:
        return np.asarray(a.shape[axis] - 1 - np.argmax(np.flip(a, axis), axis=axis))


@plant("crf_viterbi")
class TagsChosenApart(CrfLoops):
    """Each step gets the tag of a best path, with no regard to which: of several, the lowest and highest by turns."""

    def crf_viterbi(self, **call: Any) -> tuple[Array, ...]:
        score, path = super().crf_viterbi(**call)
        for b, steps, chain in self._chains("crf_viterbi", call):
            if chain.steps and np.isfinite(score[b]):
                path[b, steps] = self.apart(chain)
        return score, path

    def apart(self, c: Chain) -> list[int]:
        """The best tags of the steps, by the score of the best path through each."""
        reached, onward = [c.start + c.emissions[0]], [c.end]
        for emission in c.emissions[1:]:
            reached.append(emission + (reached[-1][:, np.newaxis] + c.transitions).max(axis=0))
        for emission in c.emissions[:0:-1]:
            onward.insert(0, (c.transitions + emission + onward[0]).max(axis=1))
        through = np.stack(reached) + np.stack(onward)
        best = [np.flatnonzero(scores == scores.max()) for scores in through]
        return [int(tags[-1 if t % 2 else 0]) for t, tags in enumerate(best)]


class HighestFirst(Altered):
    """Writes with the tokens numbered from the last to the first; the gradient is the reference's."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        last = len(call.inputs["V"]) - 1
        turned = {name: call.inputs[name][::-1] for name in ("V", "c", "E") if name in call.inputs}
        if call.attributes["embedding"] == "one_hot":  # the features are the tokens
            turned["W"] = call.inputs["W"][..., ::-1]
        end = call.attributes["end"]
        attributes = {**call.attributes, "end": None if end is None else last - end}
        inputs = {**call.inputs, **turned, "start": last - call.inputs["start"]}
        tokens, lengths, logs = NumpyBackend().run(Call(call.operation, inputs, attributes))
        written = np.arange(tokens.shape[1]) < lengths[:, np.newaxis]
        return np.where(written, last - tokens, 0), lengths, logs


@plant("greedy_decode")
class GreedyTiesToTheHighest(HighestFirst):
    """Of tokens that are equally likely the highest is written, not the lowest."""


@plant("beam_search")
class BeamTiesToTheLast(HighestFirst):
    """Of hypotheses that are equally likely the later ones are kept, not the earlier."""
