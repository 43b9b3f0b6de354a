"""Faults of encoders and decoders: `context_vector`, `seq2seq`, `greedy_decode` and `beam_search`.

Each operation stands here once more, right, with a method for each thing that can be got wrong; a fault overrides one.
The cells are the reference's.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.faults.fault import plant
from rnnspec.reference import beam_search_vjp, context_vector_vjp, greedy_decode_vjp
from rnnspec.reference.call import Admitted, Vjp, admit, batch_first, split_arguments, steps_first
from rnnspec.reference.parts import InnerLayer, build_part, state_names
from rnnspec.reference.unroll import Reading
from rnnspec.spec.arrays import Array, Arrays


def _admitted(name: str, call: Mapping[str, Any]) -> Admitted:
    return admit(name, *split_arguments(name, call))


# context_vector


class Contexts(Backend):
    """The context, with its gradient."""

    name: ClassVar[str] = "contexts"

    def context_vector(self, **call: Any) -> Arrays:
        return self.context_vector_vjp(**call)[0]

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        return context_vector_vjp(**call)


@plant("context_vector")
class LastAtTheEnd(Contexts):
    """The last state is that of the last step of all, whether or not it is valid."""

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        if call["source"] != "projected_mean":
            call = {name: value for name, value in call.items() if name not in ("lengths", "mask")}
        return super().context_vector_vjp(**call)


@plant("context_vector")
class MeanOverThePadding(Contexts):
    """The mean is taken over all steps, valid or not."""

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        if call["source"] == "projected_mean":
            call = {name: value for name, value in call.items() if name not in ("lengths", "mask")}
        return super().context_vector_vjp(**call)


@plant("context_vector")
class MeanDividesByAllSteps(Contexts):
    """The sum over the valid steps is divided by the number of all, T."""

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        valid, h = _admitted("context_vector", call).valid, call["h"]
        if call["source"] != "projected_mean" or valid is None or not h.shape[1]:
            return super().context_vector_vjp(**call)
        part = (valid.sum(axis=1) / h.shape[1]).astype(h.dtype)[:, np.newaxis, np.newaxis]
        outputs, vjp = super().context_vector_vjp(**{**call, "h": h * part})

        def scaled(*cotangents: Array) -> dict[str, Array]:
            gradients = vjp(*cotangents)
            return {**gradients, "h": gradients["h"] * part}

        return outputs, scaled


@plant("context_vector")
class ProjectionNotSquashed(Contexts):
    """The projection is linear: there is no tanh."""

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        if call["source"] == "last":
            return super().context_vector_vjp(**call)
        W, b = call["W"], call["b"]
        # A small argument passes tanh nearly as it is; what of it does not is far below the fault.
        small = W.dtype.type(2.0**-6)
        outputs, vjp = super().context_vector_vjp(**{**call, "W": W * small, "b": b * small})

        def unscaled(dcontext: Array) -> dict[str, Array]:
            gradients = vjp(dcontext)
            return {**gradients, "h": gradients["h"] / small}

        return tuple(output / small for output in outputs), unscaled


@plant("context_vector")
class MeanOfProjections(Contexts):
    """Every state is projected and squashed, and the mean is taken last. The gradient is the right one's."""

    def context_vector_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        outputs, vjp = super().context_vector_vjp(**call)
        if call["source"] != "projected_mean":
            return outputs, vjp
        valid = _admitted("context_vector", call).valid
        assert valid is not None  # it has steps
        each = np.tanh(np.where(valid[:, :, np.newaxis], call["h"], 0) @ call["W"].T + call["b"])
        total = np.where(valid[:, :, np.newaxis], each, 0).sum(axis=1)
        count = np.maximum(valid.sum(axis=1), 1)[:, np.newaxis]
        return ((total / count).astype(outputs[0].dtype),), vjp


# seq2seq


class Wiring(Backend):
    """An encoder and a decoder, and what goes from one to the other, with the gradient of it all."""

    name: ClassVar[str] = "wiring"

    def seq2seq(self, **call: Any) -> Arrays:
        return self.seq2seq_vjp(**call)[0]

    def seq2seq_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        admitted = _admitted("seq2seq", call)
        attributes, floats = admitted.attributes, admitted.floats
        every = attributes["context_use"] == "every_step"
        own = {
            part: {k.removeprefix(part): p for k, p in floats.items() if k.startswith(part)}
            for part in ("encoder_", "decoder_")
        }
        shared = self.shared(own["encoder_"], own["decoder_"])
        used = {**own["decoder_"], **{name: own["encoder_"][name] for name in shared}}
        encoder = InnerLayer.of(attributes["layer"], own["encoder_"], attributes, admitted.sizes)
        decoder = InnerLayer.of(attributes["layer"], used, attributes, admitted.sizes)
        truncate = attributes.get("truncate")
        valid = self.read(admitted)
        x, z = steps_first(np.where(valid[:, :, np.newaxis], floats["x"], 0)), steps_first(floats["z"])
        encoded, states, encoder_back = encoder.run(x, {}, Reading(valid.T, self.reverse(), truncate=truncate))
        handed = self.handed(len(states), every)
        initial = {name: state * k for name, state, k in zip(decoder.states, states, handed, strict=True)}
        u = self.delayed(z)
        if every:
            seen = self.seen(len(z))[:, np.newaxis, np.newaxis] * states[0].T
            both = (u, seen.astype(u.dtype))
            u = np.concatenate(both[::-1] if self.context_first() else both, axis=1)
        y, final, decoder_back = decoder.run(u, initial, Reading(truncate=truncate))

        def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
            of_decoder = decoder_back(steps_first(dy), dfinal)
            du = of_decoder["x"]
            dstates = [of_decoder[name] * k for name, k in zip(decoder.states, handed, strict=True)]
            if every:
                if self.context_first():
                    du = np.roll(du, z.shape[1], axis=1)
                du, dseen = du[:, : z.shape[1]], du[:, z.shape[1] :]
                dstates[0] = dstates[0] + np.einsum("t,tsb->bs", self.seen(len(z)).astype(dseen.dtype), dseen)
            of_encoder = encoder_back(np.zeros_like(encoded), tuple(dstates))
            gradients = {f"encoder_{name}": of_encoder[name] for name in own["encoder_"]}
            for name in own["decoder_"]:
                gradients[f"decoder_{name}"] = of_decoder[name]
                if name in shared:
                    gradients[f"encoder_{name}"] = gradients[f"encoder_{name}"] + of_decoder[name]
                    gradients[f"decoder_{name}"] = np.zeros_like(of_decoder[name])
            gradients |= {"x": batch_first(of_encoder["x"]), "z": batch_first(self.delayed_back(du))}
            return admitted.gradients(gradients)

        return tuple(admitted.rounded(output) for output in (batch_first(y), *final)), vjp

    def read(self, call: Admitted) -> Array:
        """Which steps of the source are read, ``(B, T)``."""
        assert call.valid is not None  # it has steps
        return call.valid

    def reverse(self) -> bool:
        """Whether the source is read from its end."""
        return False

    def handed(self, states: int, every: bool) -> tuple[float, ...]:
        """How much of each final state of the encoder becomes the decoder's initial one."""
        return (0.0 if every else 1.0,) * states

    def seen(self, steps: int) -> Array:
        """How much of the context each step of the decoder sees, where it is to see it at every one."""
        return np.ones(steps)

    def context_first(self) -> bool:
        """Whether the context stands before the decoder's input."""
        return False

    def delayed(self, z: Array) -> Array:
        """Return the decoder's inputs ``(U, F, B)``, at the steps at which they enter."""
        return z

    def delayed_back(self, dz: Array) -> Array:
        """From the gradient of what entered to that of z."""
        return dz

    def shared(self, encoder: Mapping[str, Array], decoder: Mapping[str, Array]) -> tuple[str, ...]:
        """Names of the encoder's parameters that the decoder uses in place of its own."""
        return ()


@plant("seq2seq")
class MemoryNotHandedOver(Wiring):
    """The decoder begins with the encoder's state h, but with a memory c of zero."""

    def handed(self, states: int, every: bool) -> tuple[float, ...]:
        h, *others = super().handed(states, every)
        return h, *(0.0 for _ in others)


@plant("seq2seq")
class StateNotHandedOver(Wiring):
    """The decoder begins at zero, and never hears of the source, where the encoder's states are to be its own."""

    def handed(self, states: int, every: bool) -> tuple[float, ...]:
        return (0.0,) * states


@plant("seq2seq")
class StateHandedOverToo(Wiring):
    """The encoder's states are the decoder's initial ones even where the context enters at every step."""

    def handed(self, states: int, every: bool) -> tuple[float, ...]:
        return (1.0,) * states


@plant("seq2seq")
class EncoderReadsThePadding(Wiring):
    """The encoder runs through the padding, taken for zeros, and hands on the states after it."""

    def seq2seq_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        valid = _admitted("seq2seq", call).valid
        assert valid is not None  # it has steps
        x = np.where(valid[:, :, np.newaxis], call["x"], call["x"].dtype.type(0))
        return super().seq2seq_vjp(**{**call, "x": x})

    def read(self, call: Admitted) -> Array:
        return np.ones_like(super().read(call))


@plant("seq2seq")
class SourceReversed(Wiring):
    """The encoder reads the source from its end, as Sutskever, Vinyals and Le have it, without being asked."""

    def reverse(self) -> bool:
        return True


@plant("seq2seq")
class ContextAtTheFirstStepOnly(Wiring):
    """The context enters with the decoder's first input, and zeros with the others."""

    def seen(self, steps: int) -> Array:
        return np.asarray(np.arange(steps) == 0)


@plant("seq2seq")
class ContextInFront(Wiring):
    """The decoder's input is ``[context; z[i]]``."""

    def context_first(self) -> bool:
        return True


@plant("seq2seq")
class DecoderInputsShifted(Wiring):
    """Step i of the decoder gets ``z[i - 1]``, and the first one zeros: the shift of teacher forcing made twice."""

    def delayed(self, z: Array) -> Array:
        return np.concatenate((np.zeros_like(z[:1]), z[:-1]))

    def delayed_back(self, dz: Array) -> Array:
        return np.concatenate((dz[1:], np.zeros_like(dz[:1])))


@plant("seq2seq")
class ParametersShared(Wiring):
    """The decoder uses the encoder's parameters wherever they have the shape of its own."""

    def shared(self, encoder: Mapping[str, Array], decoder: Mapping[str, Array]) -> tuple[str, ...]:
        return tuple(name for name in encoder if encoder[name].shape == decoder[name].shape)


# greedy_decode and beam_search


@dataclass(frozen=True)
class Hypothesis:
    """The beginning of a sequence: its tokens, its log-probability, and the states and the input for the next step."""

    tokens: tuple[int, ...]
    total: float
    states: Arrays
    u: Array
    finished: bool = False


class Writing(Backend):
    """Tokens written by one sequence at a time. What is wrong is the outputs: the gradient is the reference's."""

    name: ClassVar[str] = "writing"

    def greedy_decode(self, **call: Any) -> Arrays:
        admitted = _admitted("greedy_decode", call)
        steps, end = admitted.attributes["steps"], admitted.attributes["end"]
        tokens = np.zeros((len(call["start"]), steps), np.int64)
        lengths = np.full(len(tokens), steps)
        logs = np.zeros(tokens.shape, admitted.dtype)
        for k in range(len(tokens)):
            states = self.begin(admitted, k)
            u = self.embedded(admitted, self.first(call["start"][k]))
            for t in range(steps):
                states, logits = self.step(admitted, u, states)
                token = self.chosen(logits)
                tokens[k, t], logs[k, t] = token, self.log_probability(logits, token)
                if end is not None and self.ends(token, end):
                    lengths[k] = self.length(t + 1)
                    self.fill(tokens[k, t + 1 :], end)
                    break
                vector = admitted.attributes["feedback"] == "vector"
                u = self.fed_back(admitted, logits, token) if vector else self.embedded(admitted, token)
        return tokens, lengths, logs

    def greedy_decode_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        return self.greedy_decode(**call), greedy_decode_vjp(**call)[1]

    def beam_search(self, **call: Any) -> Arrays:
        admitted = _admitted("beam_search", call)
        steps, normalise = admitted.attributes["steps"], admitted.attributes["normalise"]
        tokens = np.zeros((len(call["start"]), steps), np.int64)
        lengths = np.zeros(len(tokens), np.int64)
        scores = np.zeros(len(tokens), admitted.dtype)
        for k in range(len(tokens)):
            beam = [Hypothesis((), 0.0, self.begin(admitted, k), self.embedded(admitted, call["start"][k]))]
            for t in range(steps):
                beam = self.longer(admitted, beam)
                if self.stops(beam, t):
                    break
            rated = [(self.score(one, steps, normalise), one) for one in beam]
            scores[k], best = max(rated, key=lambda pair: pair[0])
            lengths[k] = len(best.tokens)
            tokens[k, : len(best.tokens)] = best.tokens
        return tokens, lengths, scores

    def beam_search_vjp(self, **call: Any) -> tuple[Arrays, Vjp]:
        return self.beam_search(**call), beam_search_vjp(**call)[1]

    def longer(self, call: Admitted, beam: list[Hypothesis]) -> list[Hypothesis]:
        """Return the next beam."""
        end, found = call.attributes["end"], []
        for one in beam:
            if one.finished:
                found.append(one)
                continue
            states, logits = self.step(call, one.u, one.states)
            for token in range(len(logits)):
                total = one.total + self.log_probability(logits, token)
                u = self.embedded(call, token)
                found.append(Hypothesis((*one.tokens, token), total, states, u, token == end))
        found = self.candidates(found)
        return sorted(found, key=self.rank, reverse=True)[: self.width(call.attributes["width"])]

    def begin(self, call: Admitted, k: int) -> Arrays:
        """Initial states of one sequence, as columns."""
        given = [call.floats.get(name) for name in state_names(call.attributes["cell"])]
        sizes = self.cell(call).state_sizes
        like = call.floats["V"]
        return tuple(
            np.zeros((size, 1), like.dtype) if state is None else state[k].reshape(size, 1)
            for size, state in zip(sizes, given, strict=True)
        )

    def cell(self, call: Admitted) -> Any:
        """The cell."""
        own = {name: array for name, array in call.floats.items() if name not in ("V", "c", "E", "h0", "c0")}
        return build_part(call.attributes["cell"], own, call.attributes)

    def step(self, call: Admitted, u: Array, states: Arrays) -> tuple[Arrays, Array]:
        """The states after, and the logits."""
        after, _ = self.cell(call).step(u[:, np.newaxis], *states)
        return after, (call.floats["V"] @ after[0])[:, 0] + call.floats["c"]

    def embedded(self, call: Admitted, token: int) -> Array:
        """Input for a token."""
        V = call.floats["V"]
        table = call.floats.get("E", np.eye(len(V), dtype=V.dtype))
        return np.asarray(table[token])

    # What can be got wrong.

    def first(self, start: int) -> int:
        """The token that is read first."""
        return start

    def log_probability(self, logits: Array, token: int) -> float:
        """Of a token."""
        shifted = logits - logits.max()
        return float(shifted[token] - np.log(np.exp(shifted).sum()))

    def fed_back(self, call: Admitted, logits: Array, token: int) -> Array:
        """Return the next input, where it is the distribution."""
        odds = np.exp(logits - logits.max())
        return self.mean(call, odds / odds.sum())

    def mean(self, call: Admitted, weights: Array) -> Array:
        """Embeddings, weighted."""
        return np.asarray(weights @ np.stack([self.embedded(call, token) for token in range(len(weights))]))

    def chosen(self, logits: Array) -> int:
        """The token that is written."""
        return int(np.argmax(logits))

    def ends(self, token: int, end: int) -> bool:
        """Whether a token ends its sequence."""
        return token == end

    def length(self, steps: int) -> int:
        """Length of a sequence whose last token, the end, stands at this step (counted from 1)."""
        return steps

    def fill(self, rest: Array, end: int) -> None:
        """Fill the tokens after the end."""
        rest[...] = 0

    def width(self, width: int) -> int:
        """How many hypotheses are kept."""
        return width

    def rank(self, one: Hypothesis) -> float:
        """By what candidates are ranked."""
        return one.total

    def candidates(self, found: list[Hypothesis]) -> list[Hypothesis]:
        """All of them."""
        return found

    def stops(self, beam: list[Hypothesis], t: int) -> bool:
        """Whether the search is over before its last step."""
        return False

    def score(self, one: Hypothesis, steps: int, normalise: bool) -> float:
        """Of a hypothesis at the end."""
        return one.total / len(one.tokens) if normalise else one.total


@plant("greedy_decode", prefix="decoding")
class GreedyGoesOnAfterTheEnd(Writing):
    """The end token is not stopped at."""

    def ends(self, token: int, end: int) -> bool:
        return False


@plant("greedy_decode", prefix="decoding")
class GreedyStopsOnlyAtTokenZero(Writing):
    """Token 0 ends a sequence, whichever token was to."""

    def ends(self, token: int, end: int) -> bool:
        return token == 0


@plant("greedy_decode", prefix="decoding")
class GreedyLengthWithoutTheEnd(Writing):
    """The end token is not counted in the length."""

    def length(self, steps: int) -> int:
        return steps - 1


@plant("greedy_decode", prefix="decoding")
class GreedyStartIgnored(Writing):
    """The first token read is 0, whatever was given."""

    def first(self, start: int) -> int:
        return 0


@plant("greedy_decode", prefix="decoding")
class GreedyFeedsLogitsBack(Writing):
    """The vector that comes back is made of the logits, not of the probabilities."""

    def fed_back(self, call: Admitted, logits: Array, token: int) -> Array:
        return self.mean(call, logits)


@plant("greedy_decode", prefix="decoding")
class GreedyFeedsTheTokenBack(Writing):
    """The token chosen comes back even where the distribution is to."""

    def fed_back(self, call: Admitted, logits: Array, token: int) -> Array:
        return self.embedded(call, token)


@plant("greedy_decode", prefix="decoding")
class GreedyPutsOutLogits(Writing):
    """The logit of the token chosen is put out for its log-probability."""

    def log_probability(self, logits: Array, token: int) -> float:
        return float(logits[token])


@plant("greedy_decode", prefix="decoding")
class GreedyPutsOutProbabilities(Writing):
    """Probabilities are put out for their logarithms."""

    def log_probability(self, logits: Array, token: int) -> float:
        return float(np.exp(super().log_probability(logits, token)))


@plant("greedy_decode", prefix="decoding")
class GreedyFillsWithTheEnd(Writing):
    """The tokens after the end are that token again, not 0."""

    def fill(self, rest: Array, end: int) -> None:
        rest[...] = end


@plant("beam_search", prefix="decoding")
class BeamWidthIgnored(Writing):
    """One hypothesis is kept, whatever the width: the search is greedy."""

    def width(self, width: int) -> int:
        return 1


@plant("beam_search", prefix="decoding")
class BeamOneTooNarrow(Writing):
    """One hypothesis less than the width is kept, though at least one."""

    def width(self, width: int) -> int:
        return max(width - 1, 1)


@plant("beam_search", prefix="decoding")
class BeamDividesByAllSteps(Writing):
    """The score is divided by N, the number of steps, however short the hypothesis."""

    def score(self, one: Hypothesis, steps: int, normalise: bool) -> float:
        return one.total / steps if normalise else one.total


@plant("beam_search", prefix="decoding")
class BeamNormaliseIgnored(Writing):
    """Totals are compared and put out, whether or not they are to be divided by the length."""

    def score(self, one: Hypothesis, steps: int, normalise: bool) -> float:
        return one.total


@plant("beam_search", prefix="decoding")
class BeamRanksByMeans(Writing):
    """Candidates are ranked by their totals divided by their lengths at every step, not only in the end."""

    def rank(self, one: Hypothesis) -> float:
        return one.total / len(one.tokens)


@plant("beam_search", prefix="decoding")
class BeamDropsFinishedHypotheses(Writing):
    """A hypothesis that is finished leaves the beam at the next step, unless none would be left."""

    def longer(self, call: Admitted, beam: list[Hypothesis]) -> list[Hypothesis]:
        running = [one for one in beam if not one.finished]
        return super().longer(call, running or beam)


@plant("beam_search", prefix="decoding")
class BeamGoesOnAfterTheEnd(Writing):
    """The end token finishes nothing: every hypothesis has N tokens."""

    def longer(self, call: Admitted, beam: list[Hypothesis]) -> list[Hypothesis]:
        found = super().longer(call, beam)
        return [Hypothesis(one.tokens, one.total, one.states, one.u) for one in found]


@plant("beam_search", prefix="decoding")
class BeamExtendsFinishedHypotheses(Writing):
    """A finished hypothesis is rated with what it would have been had it gone on: its tokens stay, its total falls."""

    def longer(self, call: Admitted, beam: list[Hypothesis]) -> list[Hypothesis]:
        return super().longer(call, [self.extended(call, one) if one.finished else one for one in beam])

    def extended(self, call: Admitted, one: Hypothesis) -> Hypothesis:
        """The hypothesis, with the log-probability of the token that would follow."""
        states, logits = self.step(call, one.u, one.states)
        token = int(np.argmax(logits))
        total = one.total + self.log_probability(logits, token)
        return Hypothesis(one.tokens, total, states, self.embedded(call, token), finished=True)


@plant("beam_search", prefix="decoding")
class BeamStopsAtTheFirstEnd(Writing):
    """The search is over as soon as the best hypothesis is finished."""

    def stops(self, beam: list[Hypothesis], t: int) -> bool:
        return beam[0].finished


@plant("beam_search", prefix="decoding")
class BeamFollowsNoBackPointers(Writing):
    """The tokens are those that each place of the beam was given, step by step, not those of the hypothesis's past."""

    def longer(self, call: Admitted, beam: list[Hypothesis]) -> list[Hypothesis]:
        found = super().longer(call, beam)
        places = [beam[min(place, len(beam) - 1)] for place in range(len(found))]
        return [self.misremembered(one, place) for one, place in zip(found, places, strict=True)]

    def misremembered(self, one: Hypothesis, place: Hypothesis) -> Hypothesis:
        """The hypothesis, with the past of the one that stood in its place."""
        past = (place.tokens + one.tokens[len(place.tokens) :])[: len(one.tokens) - 1]
        return Hypothesis((*past, one.tokens[-1]), one.total, one.states, one.u, one.finished)
