"""Faults of attention and of the decoders that attend.

`PlainAttention` is right: every operation as its definition reads, each choice in a method of its own, and a fault is a
subclass that makes one choice differently. Gradients are complex steps through what is computed, right or wrong; a
fault of the gradient alone cuts a way with `stopped`.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the plain ones)
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends.numpy.adapter import NumpyBackend
from rnnspec.conformance.faults.fault import Fault
from rnnspec.reference.call import Admitted, admit, split_arguments
from rnnspec.reference.forget_only_lstm import ForgetOnlyLSTM
from rnnspec.reference.parts import Part

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Vjp = Callable[..., dict[str, Array]]
Read = Callable[[Array], tuple[Array, Array]]


class Step(NamedTuple):
    """What a decoder has after a step; states are rows, ``(B, S)``."""

    states: Arrays
    context: Array
    weights: Array
    y: Array


def stopped(array: Array) -> Array:
    """The array as a constant: no gradient flows through it."""
    return np.array(array.real, array.dtype)


class PlainAttention(NumpyBackend):
    """The operations of attention as their definitions read."""

    name = "plain attention"

    # The score.

    def root(self, q: Array, k: Array) -> float:
        """What scaled_dot divides by."""
        return float(np.sqrt(q.shape[2]))

    def matrix(self, W_a: Array) -> Array:
        """The matrix of general."""
        return W_a

    def both(self, q: Array, k: Array) -> list[Array]:
        """What concat joins."""
        return [q, k]

    def bias(self, b_a: Array) -> Array:
        """What is added in the hidden layer."""
        return b_a

    def hidden(self, a: Array) -> Array:
        """The hidden layer of its argument."""
        return np.tanh(a)

    def norms(self, q: Array, k: Array) -> Array:
        """What cosine divides by, for each query and key."""
        return np.asarray(self.norm(q) @ self.norm(k).transpose(0, 2, 1))

    def norm(self, a: Array) -> Array:
        """The norm of each vector, with its axis; the squares cannot overflow."""
        largest = np.maximum(np.abs(a).max(axis=-1, keepdims=True), np.finfo(a.dtype).tiny)
        return np.asarray(largest * np.sqrt(((a / largest) ** 2).sum(axis=-1, keepdims=True)))

    def quotient(self, products: Array, norms: Array) -> Array:
        """The cosine: 0 where a norm is 0."""
        return np.where(norms.real > 0, products / np.where(norms.real > 0, norms, 1), 0)

    def scores(self, score: str, q: Array, k: Array, p: Mapping[str, Array]) -> Array:
        """Scores ``(B, U, T)``."""
        if score not in ("additive", "concat"):
            products = np.asarray((q @ self.matrix(p["W_a"]) if score == "general" else q) @ k.transpose(0, 2, 1))
        if score in ("dot", "general"):
            return products
        if score == "scaled_dot":
            return np.asarray(products / self.root(q, k))
        if score == "cosine":
            return self.quotient(products, self.norms(q, k))
        if score == "additive":
            a = (q @ p["W_q"].T)[:, :, np.newaxis] + (k @ p["W_k"].T)[:, np.newaxis]
        else:
            pairs = (q.shape[0], q.shape[1], k.shape[1])
            wide_q = np.broadcast_to(q[:, :, np.newaxis], (*pairs, q.shape[2]))
            wide_k = np.broadcast_to(k[:, np.newaxis], (*pairs, k.shape[2]))
            a = np.concatenate(self.both(wide_q, wide_k), axis=-1) @ p["W_a"].T
        return np.asarray(self.hidden(a + self.bias(p["b_a"])) @ p["v_a"])

    def shown(self, scores: Array, valid: Array) -> Array:
        """The scores as they are returned."""
        return np.where(valid, scores, 0)

    # Weights and contexts.

    def weights(self, scores: Array, valid: Array) -> Array:
        """Softmax over the valid keys; zeros where there is none."""
        exponentials = np.where(valid, np.exp(np.where(valid, scores - self.top(scores, valid), 0)), 0)
        total = self.total(exponentials)
        return np.asarray(exponentials / np.where(total == 0, 1, total))

    def top(self, scores: Array, valid: Array) -> Array:
        """The number that is taken off every score of a row: its largest."""
        if scores.shape[2] == 0:
            return np.zeros_like(scores, shape=(*scores.shape[:2], 1))
        top = np.where(valid, scores.real, -np.inf).max(axis=2, keepdims=True)
        return np.where(np.isfinite(top), top, 0)

    def total(self, exponentials: Array) -> Array:
        """What the exponentials are divided by."""
        return np.asarray(exponentials.sum(axis=2, keepdims=True))

    def context(self, weights: Array, values: Array, valid: Array) -> Array:
        """The weighted sum of the values."""
        return np.where(valid, weights, 0) @ np.where(valid.transpose(0, 2, 1), values, 0)

    # Attention to features.

    def feature_scores(self, x: Array, W: Array, b: Array) -> Array:
        """A score for each feature."""
        return x @ W.T + b

    def feature_weights(self, scores: Array) -> Array:
        """Softmax over the features."""
        exponentials = np.exp(scores - scores.real.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def weighed(self, x: Array, w: Array) -> Array:
        """The features, weighted."""
        return x * w

    # The decoders.

    def keys(self, memory: Array) -> Array:
        """The memory as the scores see it."""
        return memory

    def bahdanau_input(self, x: Array, context: Array) -> Array:
        """The cell's input."""
        return np.concatenate((x, context), axis=1)

    def bahdanau_step(self, x: Array, before: Step, read: Read, part: Part) -> Step:
        """Attend, then update."""
        context, weights = read(before.states[0])
        states = advanced(part, self.bahdanau_input(x, context), before.states)
        return Step(states, context, weights, states[0])

    def fed(self, outputs: list[Array], states: list[Array]) -> Array:
        """What input feeding feeds: the output before (the first in the list is y0)."""
        return outputs[-1]

    def luong_input(self, x: Array, fed: Array) -> Array:
        """The cell's input with input feeding."""
        return np.concatenate((x, fed), axis=1)

    def luong_query(self, before: Arrays, after: Arrays) -> Array:
        """The state that asks."""
        return after[0]

    def luong_context(self, now: Array, before: Array) -> Array:
        """The context in the output."""
        return now

    def luong_output(self, context: Array, h: Array, W_c: Array) -> Array:
        """The output."""
        return self.squashed(np.concatenate(self.joined(context, h), axis=1) @ W_c.T)

    def joined(self, context: Array, h: Array) -> list[Array]:
        """What W_c multiplies."""
        return [context, h]

    def squashed(self, a: Array) -> Array:
        """The output's function."""
        return np.tanh(a)

    # The operations.

    def attention_scores(self, **arguments: Any) -> Arrays:
        call, p = admitted("attention_scores", arguments)
        q, k = p.pop("q"), p.pop("k")
        valid = keys_taken(call)
        k = np.where(valid.transpose(0, 2, 1), k, 0)
        return (call.rounded(self.shown(self.scores(call.attributes["score"], q, k, p), valid).astype(q.dtype)),)

    def attention_weights(self, **arguments: Any) -> Arrays:
        call, p = admitted("attention_weights", arguments)
        return (call.rounded(self.weights(p["scores"], keys_taken(call))),)

    def attention_context(self, **arguments: Any) -> Arrays:
        call, p = admitted("attention_context", arguments)
        return (call.rounded(self.context(p["weights"], p["values"], keys_taken(call))),)

    def feature_attention(self, **arguments: Any) -> Arrays:
        call, p = admitted("feature_attention", arguments)
        w = self.feature_weights(self.feature_scores(p["x"], p["W"], p["b"]))
        return (call.rounded(self.weighed(p["x"], w)),)

    def bahdanau_decoder(self, **arguments: Any) -> Arrays:
        call, p = admitted("bahdanau_decoder", arguments)
        x, read, part, states = self.begun(call, p)
        step = Step(states, *self.nothing(call, p, states[0]))
        steps = []
        for i in range(x.shape[1]):
            step = self.bahdanau_step(x[:, i], step, read, part)
            steps.append(step)
        return finished(call, steps, part, step.states)

    def luong_decoder(self, **arguments: Any) -> Arrays:
        call, p = admitted("luong_decoder", arguments)
        W_c, y0 = p.pop("W_c"), p.pop("y0", None)
        x, read, part, states = self.begun(call, p)
        context, _, _ = self.nothing(call, p, states[0])
        outputs = [np.zeros((x.shape[0], W_c.shape[0]), x.dtype) if y0 is None else y0]
        seen_states, steps = [states[0]], []
        for i in range(x.shape[1]):
            feeding = call.attributes["input_feeding"]
            u = self.luong_input(x[:, i], self.fed(outputs, seen_states)) if feeding else x[:, i]
            after = advanced(part, u, states)
            now, weights = read(self.luong_query(states, after))
            y = self.luong_output(self.luong_context(now, context), after[0], W_c)
            states, context = after, now
            outputs.append(y)
            seen_states.append(after[0])
            steps.append(Step(states, context, weights, y))
        return finished(call, steps, part, states)

    def begun(self, call: Admitted, p: dict[str, Array]) -> tuple[Array, Read, Part, Arrays]:
        """What a decoder begins with: its inputs, the way to read the memory, the cell, and the initial states."""
        x, memory = p.pop("x"), p["annotations"]
        valid = keys_taken(call)
        p["annotations"] = memory = np.where(valid.transpose(0, 2, 1), memory, 0)
        own: dict[str, Array] = {name: p.pop(name) for name in ("W_a", "W_q", "W_k", "b_a", "v_a") if name in p}
        given = {name: p.pop(name) for name in ("h0", "c0") if name in p}
        layer = call.attributes["cell"].removesuffix("_cell")
        parameters = {name: array for name, array in p.items() if name != "annotations"}
        part = Part.of(layer, parameters, call.attributes, call.sizes)
        batch = x.shape[0]
        states = tuple(
            given[name].reshape(batch, size) if name in given else np.zeros((batch, size), x.dtype)
            for name, size in zip(part.states, part.cell.state_sizes, strict=True)
        )

        def read(query: Array) -> tuple[Array, Array]:
            scores = self.scores(call.attributes["score"], query[:, np.newaxis], self.keys(memory), own)
            weights = self.weights(scores, valid)
            return self.context(weights, memory, valid)[:, 0], weights[:, 0]

        return x, read, part, states

    def nothing(self, call: Admitted, p: dict[str, Array], h: Array) -> tuple[Array, Array, Array]:
        """Context, weights and output before the first step."""
        memory = p["annotations"]
        return np.zeros_like(memory[:, :1]).sum(axis=1), memory[:, :, 0], h

    def attention_scores_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("attention_scores", self.attention_scores, arguments)

    def attention_weights_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("attention_weights", self.attention_weights, arguments)

    def attention_context_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("attention_context", self.attention_context, arguments)

    def feature_attention_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("feature_attention", self.feature_attention, arguments)

    def bahdanau_decoder_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("bahdanau_decoder", self.bahdanau_decoder, arguments)

    def luong_decoder_vjp(self, **arguments: Any) -> tuple[Arrays, Vjp]:
        return differentiated("luong_decoder", self.luong_decoder, arguments)


def admitted(name: str, arguments: dict[str, Any]) -> tuple[Admitted, dict[str, Array]]:
    """Check a call; return it and its float inputs."""
    call = admit(name, *split_arguments(name, arguments))
    return call, dict(call.floats)


def keys_taken(call: Admitted) -> Array:
    """Which keys are valid, ``(B, 1, T)``."""
    assert call.valid is not None
    return call.valid[:, np.newaxis]


def advanced(part: Part, u: Array, states: Arrays) -> Arrays:
    """The states after a step of the cell, as rows; with gradient = cell_only, its gates see h as a constant."""
    h, *others = (state.T for state in states)
    if getattr(part.cell, "through_state", True):
        after, _ = part.cell.step(u.T, h, *others)
    else:
        after, known = part.cell.step(u.T, stopped(h), *others)
        if isinstance(part.cell, ForgetOnlyLSTM):  # what its gate keeps of h is no constant
            after = (after[0] + known[0][part.cell.f] * (h - stopped(h)),)
    return tuple(state.T for state in after)


def finished(call: Admitted, steps: list[Step], part: Part, states: Arrays) -> Arrays:
    """The outputs of a decoder."""
    y, weights = (np.stack([step[k] for step in steps], axis=1) for k in (3, 2))
    final = (state.reshape(len(state), *shape) for state, shape in zip(states, part.shapes, strict=True))
    return tuple(call.rounded(np.array(output)) for output in (y, weights, *final))


def differentiated(name: str, forward: Callable[..., Arrays], arguments: dict[str, Any]) -> tuple[Arrays, Vjp]:
    """Outputs, and gradients by complex steps through `forward`."""
    floats = admitted(name, arguments)[1]

    def vjp(*cotangents: Array) -> dict[str, Array]:
        gradients = {}
        exact = {key: arguments[key].astype(np.complex128) for key in floats}
        for key, array in exact.items():
            gradient = np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                moved = array.copy()
                moved[index] += 1e-30j
                slopes = (output.imag / 1e-30 for output in forward(**{**arguments, **exact, key: moved}))
                pairs = zip(slopes, cotangents, strict=True)
                gradient[index] = sum(np.sum(np.where(s == 0, 0, s * d.astype(np.float64))) for s, d in pairs)
            gradients[key] = gradient.astype(arguments[key].dtype)
        return gradients

    return forward(**arguments), vjp


class ScaledByTheRootOfTheKeys(PlainAttention):
    """scaled_dot divides by the root of the number of keys, not of features."""

    def root(self, q: Array, k: Array) -> float:
        return float(np.sqrt(max(k.shape[1], 1)))


class ScaleDropped(PlainAttention):
    """scaled_dot does not scale."""

    def root(self, q: Array, k: Array) -> float:
        return 1.0


class ScaledByTheFeatures(PlainAttention):
    """scaled_dot divides by the number of features, not by its root."""

    def root(self, q: Array, k: Array) -> float:
        return float(q.shape[2])


class ScoreTanhDropped(PlainAttention):
    """The hidden layer of additive and concat is linear."""

    def hidden(self, a: Array) -> Array:
        return a


class ScoreBiasDropped(PlainAttention):
    """The hidden layer of additive and concat has no bias."""

    def bias(self, b_a: Array) -> Array:
        return 0 * b_a


class KeyBeforeQuery(PlainAttention):
    """concat joins ``[k; q]``."""

    def both(self, q: Array, k: Array) -> list[Array]:
        return [k, q]


class GeneralTransposed(PlainAttention):
    """general reads W_a as its transpose, where it is square."""

    def matrix(self, W_a: Array) -> Array:
        return W_a.T if W_a.shape[0] == W_a.shape[1] else W_a


class CosineWithoutTheQuery(PlainAttention):
    """cosine divides by the key's norm alone."""

    def norms(self, q: Array, k: Array) -> Array:
        return np.asarray((0 * self.norm(q) + 1) @ self.norm(k).transpose(0, 2, 1))


class CosineWithEpsilon(PlainAttention):
    """cosine adds 1e-8 to what it divides by, which vectors of small norms feel."""

    def norms(self, q: Array, k: Array) -> Array:
        return super().norms(q, k) + 1e-8


class CosineSquared(PlainAttention):
    """cosine divides by the squares of the norms."""

    def norms(self, q: Array, k: Array) -> Array:
        return super().norms(q, k) ** 2


class CosineOfZeroIsNan(PlainAttention):
    """cosine divides by the norms whatever they are: the score of a zero vector is no number."""

    def quotient(self, products: Array, norms: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray(products / norms)


class ScoresOfPaddingShown(PlainAttention):
    """Keys that are taken out have scores other than 0."""

    def shown(self, scores: Array, valid: Array) -> Array:
        return np.where(valid, scores, -1e9)


class SoftmaxBeforeMasking(PlainAttention):
    """Softmax runs over all keys, and the weights of those taken out become 0 after it: the others add up to less."""

    def weights(self, scores: Array, valid: Array) -> Array:
        all_of_them = np.ones_like(valid)
        return np.where(valid, super().weights(np.where(valid, scores, 0), all_of_them), 0)


class MaskIgnored(PlainAttention):
    """Keys that are taken out get their share of the weights."""

    def weights(self, scores: Array, valid: Array) -> Array:
        return super().weights(np.where(valid, scores, 0), np.ones_like(valid))


class SoftmaxOverTheQueries(PlainAttention):
    """The weights of a key over all queries add up to 1."""

    def weights(self, scores: Array, valid: Array) -> Array:
        scores = np.where(valid, scores, 0)
        exponentials = np.exp(scores - scores.real.max(axis=1, keepdims=True))
        return np.where(valid, exponentials / exponentials.sum(axis=1, keepdims=True), 0)


class MaskedByALargeNumber(PlainAttention):
    """Keys that are taken out have a score of -1e9: where there is no other, they share the weights."""

    def weights(self, scores: Array, valid: Array) -> Array:
        return super().weights(np.where(valid, scores, -1e9).astype(scores.dtype), np.ones_like(valid))


class NoKeyIsNan(PlainAttention):
    """A row without keys is divided by its sum, 0."""

    def weights(self, scores: Array, valid: Array) -> Array:
        with np.errstate(invalid="ignore"):
            right = super().weights(scores, valid)
            return np.asarray(right / np.where(valid.any(axis=2, keepdims=True), 1, 0).astype(right.dtype))


class ExponentialsUnshifted(PlainAttention):
    """Exponentials are taken of the scores as they are, and overflow."""

    def top(self, scores: Array, valid: Array) -> Array:
        return 0 * super().top(scores, valid)

    def weights(self, scores: Array, valid: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return super().weights(scores, valid)


class SumHasNoGradient(PlainAttention):
    """Only the gradient is wrong: the sum that the exponentials are divided by is taken for a constant."""

    def total(self, exponentials: Array) -> Array:
        return stopped(super().total(exponentials))


class WeightsMadeToAddUp(PlainAttention):
    """The context is the mean of the values, not their sum: the weights are divided by their sum once more."""

    def context(self, weights: Array, values: Array, valid: Array) -> Array:
        kept = np.where(valid, weights, 0)
        total = kept.sum(axis=2, keepdims=True)
        return super().context(kept / np.where(total == 0, 1, total), values, valid)


class PaddedValuesCounted(PlainAttention):
    """Values that are taken out count with their weights."""

    def context(self, weights: Array, values: Array, valid: Array) -> Array:
        return weights @ values


class ContextOverTheQueries(PlainAttention):
    """Every query gets the mean of all queries' weights."""

    def context(self, weights: Array, values: Array, valid: Array) -> Array:
        return super().context(np.broadcast_to(weights.mean(axis=1, keepdims=True), weights.shape), values, valid)


class FeatureSoftmaxOverTheBatch(PlainAttention):
    """The softmax runs over the batch, not over the features."""

    def feature_weights(self, scores: Array) -> Array:
        return super().feature_weights(scores.T).T if scores.size else scores


class FeaturesAdded(PlainAttention):
    """The weights are added to the features."""

    def weighed(self, x: Array, w: Array) -> Array:
        return x + w


class FeatureWeightsAlone(PlainAttention):
    """The weights are returned without the features."""

    def weighed(self, x: Array, w: Array) -> Array:
        return w


class FeatureBiasDropped(PlainAttention):
    """The scores of the features have no bias."""

    def feature_scores(self, x: Array, W: Array, b: Array) -> Array:
        return super().feature_scores(x, W, 0 * b)


class FeatureMatrixTransposed(PlainAttention):
    """W is read as its transpose."""

    def feature_scores(self, x: Array, W: Array, b: Array) -> Array:
        return super().feature_scores(x, W.T, b)


class FeaturesByLogistic(PlainAttention):
    """Each feature has a gate of its own, a logistic in place of the softmax."""

    def feature_weights(self, scores: Array) -> Array:
        return (np.tanh(scores / 2) + 1) / 2


class FeatureWeightsConstant(PlainAttention):
    """Only the gradient is wrong: none flows through the weights."""

    def feature_weights(self, scores: Array) -> Array:
        return stopped(super().feature_weights(scores))


class AttendsWithTheNewState(PlainAttention):
    """The state is updated with the context before, and the new state attends."""

    def bahdanau_step(self, x: Array, before: Step, read: Read, part: Part) -> Step:
        states = advanced(part, self.bahdanau_input(x, before.context), before.states)
        return Step(states, *read(states[0]), states[0])


class ContextOfTheStepBefore(PlainAttention):
    """The state is updated with the context of the step before, zero at the first."""

    def bahdanau_step(self, x: Array, before: Step, read: Read, part: Part) -> Step:
        context, weights = read(before.states[0])
        states = advanced(part, self.bahdanau_input(x, before.context), before.states)
        return Step(states, context, weights, states[0])


class ContextBeforeTheInput(PlainAttention):
    """The cell's input is ``[context; x]``."""

    def bahdanau_input(self, x: Array, context: Array) -> Array:
        return np.concatenate((context, x), axis=1)


class ContextLeftOut(PlainAttention):
    """The cell does not see the context."""

    def bahdanau_input(self, x: Array, context: Array) -> Array:
        return super().bahdanau_input(x, 0 * context)


class InitialStateDoesNotAttend(PlainAttention):
    """The first context is the mean of the memory's valid entries, whatever the initial state."""

    def begun(self, call: Admitted, p: dict[str, Array]) -> tuple[Array, Read, Part, Arrays]:
        x, read, part, states = super().begun(call, p)
        valid, memory, first = keys_taken(call), p["annotations"], states[0]

        def wrong(query: Array) -> tuple[Array, Array]:
            if query is not first:
                return read(query)
            even = self.weights(np.zeros((len(query), 1, memory.shape[1]), query.dtype), valid)
            return self.context(even, memory, valid)[:, 0], even[:, 0]

        return x, wrong, part, states


class ScoresDoNotReachTheMemory(PlainAttention):
    """Only the gradient is wrong: the memory gets that of the context, and none through the scores."""

    def keys(self, memory: Array) -> Array:
        return stopped(memory)


class AttendsWithTheOldState(PlainAttention):
    """The state before the step attends."""

    def luong_query(self, before: Arrays, after: Arrays) -> Array:
        return before[0]


class OutputOfTheContextBefore(PlainAttention):
    """The output sees the context of the step before, zero at the first."""

    def luong_context(self, now: Array, before: Array) -> Array:
        return before


class StateBeforeContext(PlainAttention):
    """W_c multiplies ``[h; context]``."""

    def joined(self, context: Array, h: Array) -> list[Array]:
        return [h, context]


class OutputTanhDropped(PlainAttention):
    """The output is linear."""

    def squashed(self, a: Array) -> Array:
        return a


class FeedsTheState(PlainAttention):
    """Input feeding feeds the state, where it is as wide as the output."""

    def fed(self, outputs: list[Array], states: list[Array]) -> Array:
        alike = states[-1].shape == outputs[-1].shape
        return states[-1] if alike else super().fed(outputs, states)


class FeedsTheOutputOfTwoStepsAgo(PlainAttention):
    """Input feeding is a step late."""

    def fed(self, outputs: list[Array], states: list[Array]) -> Array:
        return outputs[-2] if len(outputs) > 1 else outputs[-1]


class InputFeedingIgnored(PlainAttention):
    """With input feeding, the cell sees y0 at every step, or zeros."""

    def fed(self, outputs: list[Array], states: list[Array]) -> Array:
        return outputs[0]


class FedOutputBeforeTheInput(PlainAttention):
    """With input feeding, the cell's input is ``[y; x]``."""

    def luong_input(self, x: Array, fed: Array) -> Array:
        return np.concatenate((fed, x), axis=1)


class FedOutputConstant(PlainAttention):
    """Only the gradient is wrong: none flows back through the output that is fed in."""

    def luong_input(self, x: Array, fed: Array) -> Array:
        return super().luong_input(x, stopped(fed))


_PLANTED: dict[str, tuple[type[PlainAttention], ...]] = {
    "attention_scores": (
        ScaledByTheRootOfTheKeys,
        ScaleDropped,
        ScaledByTheFeatures,
        ScoreTanhDropped,
        ScoreBiasDropped,
        KeyBeforeQuery,
        GeneralTransposed,
        CosineWithoutTheQuery,
        CosineWithEpsilon,
        CosineSquared,
        CosineOfZeroIsNan,
        ScoresOfPaddingShown,
    ),
    "attention_weights": (
        SoftmaxBeforeMasking,
        MaskIgnored,
        SoftmaxOverTheQueries,
        MaskedByALargeNumber,
        NoKeyIsNan,
        ExponentialsUnshifted,
        SumHasNoGradient,
    ),
    "attention_context": (WeightsMadeToAddUp, PaddedValuesCounted, ContextOverTheQueries),
    "feature_attention": (
        FeatureSoftmaxOverTheBatch,
        FeaturesAdded,
        FeatureWeightsAlone,
        FeatureBiasDropped,
        FeatureMatrixTransposed,
        FeaturesByLogistic,
        FeatureWeightsConstant,
    ),
    "bahdanau_decoder": (
        AttendsWithTheNewState,
        ContextOfTheStepBefore,
        ContextBeforeTheInput,
        ContextLeftOut,
        InitialStateDoesNotAttend,
        ScoresDoNotReachTheMemory,
        MaskIgnored,
        ScoreTanhDropped,
    ),
    "luong_decoder": (
        AttendsWithTheOldState,
        OutputOfTheContextBefore,
        StateBeforeContext,
        OutputTanhDropped,
        FeedsTheState,
        FeedsTheOutputOfTwoStepsAgo,
        InputFeedingIgnored,
        FedOutputBeforeTheInput,
        FedOutputConstant,
        SoftmaxBeforeMasking,
    ),
}


def _plant(operation: str, fault: type[PlainAttention]) -> Fault:
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", fault.__name__).lower()
    prefix = operation.removesuffix("_decoder") if operation.endswith("_decoder") else "attention"
    return Fault(f"{prefix}-{words}", operation, " ".join((fault.__doc__ or "").split()), fault)


FAULTS: tuple[Fault, ...] = tuple(_plant(operation, fault) for operation, all_ in _PLANTED.items() for fault in all_)
"""Planted into the operations of attention."""
