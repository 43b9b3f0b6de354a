"""Examples that programs make: sequences to reverse, and sentences of a small grammar with the roles of their words."""

from __future__ import annotations

from typing import Final

import numpy as np

from rnnspec.spec.arrays import NamedArrays

SYMBOLS: Final = 51
"""Symbols of a sequence, of which 0 is none that it has."""

WORDS_IN: Final = 6
WORDS_OUT: Final = 3


def reversal(count: int, seed: int) -> NamedArrays:
    """Make sequences of 6 symbols 1 .. 50, whose first 3 are wanted in reverse: inputs of ``sequence-reversal``."""
    symbols = np.random.default_rng((seed, 5)).integers(1, SYMBOLS, (count, WORDS_IN))
    wanted = symbols[:, :WORDS_OUT][:, ::-1]
    before = np.concatenate([np.zeros((count, 1), np.int64), wanted[:, :-1]], axis=1)
    rows = np.eye(SYMBOLS)
    return {"x": rows[symbols], "before": rows[before], "wanted": np.ascontiguousarray(wanted)}


def choices(count: int, seed: int, features: int = 32) -> NamedArrays:
    """Make numbers of which the first, by its sign, says if the second or the third has the sign that is asked for.

    Inputs of ``feature-attention``.
    """
    x = np.random.default_rng((seed, 8)).normal(size=(count, features))
    counts = np.where(x[:, 0] > 0, x[:, 1], x[:, 2])
    return {"x": x, "target": (counts > 0).astype(np.float64)[:, np.newaxis]}


NOUNS: Final = ("cat", "dog", "girl", "boy", "teacher", "farmer", "king", "bird", "horse", "doctor", "sailor", "child")
ADJECTIVES: Final = ("old", "young", "small", "happy", "tired", "clever")
VERBS: Final = ("chased", "saw", "helped", "found", "followed", "called", "heard", "pushed")
PLACES: Final = (("in", "the", "garden"), ("near", "the", "river"), ("at", "school"), ("under", "the", "bridge"))
TIMES: Final = (("yesterday",), ("in", "the", "morning"), ("after", "the", "storm"), ("today",))
ROLES: Final = ("O", "B-V", "B-A0", "I-A0", "B-A1", "I-A1", "B-LOC", "I-LOC", "B-TMP", "I-TMP")
"""Roles of words: the verb, who did it (A0), to whom (A1), where and when; O has none, B begins and I goes on."""

_WORDS: Final = sorted(
    {
        "the",
        "a",
        "was",
        "by",
        "that",
        *NOUNS,
        *ADJECTIVES,
        *VERBS,
        *(word for phrase in (*PLACES, *TIMES) for word in phrase),
    }
)
VOCABULARY: Final = {word: number for number, word in enumerate(["", *_WORDS])}
"""Ids of words; 0 is none."""

AROUND: Final = 2
"""Words on either side of the predicate that are its context."""

Marked = list[tuple[str, str]]
"""Words with their roles."""


def sentences(count: int, seed: int, steps: int = 22) -> NamedArrays:
    """Make sentences in the active and passive voice, some with a second verb: inputs of ``semantic-roles``."""
    rng = np.random.default_rng((seed, 6))
    found = [_sentence(rng) for _ in range(count)]
    words, roles, predicate, region = (np.zeros((count, steps), np.int64) for _ in range(4))
    context = np.zeros((count, steps, 2 * AROUND + 1), np.int64)
    for b, sentence in enumerate(found):
        n, at = len(sentence), next(k for k, (_, role) in enumerate(sentence) if role == "B-V")
        words[b, :n] = [VOCABULARY[word] for word, _ in sentence]
        roles[b, :n] = [ROLES.index(role) for _, role in sentence]
        predicate[b, :n] = VERBS.index(sentence[at][0])
        near = range(at - AROUND, at + AROUND + 1)
        context[b, :n] = [VOCABULARY[sentence[k][0]] if 0 <= k < n else 0 for k in near]
        region[b, [k for k in near if 0 <= k < n]] = 1
    lengths = np.array([len(sentence) for sentence in found])
    return {
        "words": words,
        "context": context.reshape(count, -1),
        "predicate": predicate,
        "region": region,
        "roles": roles,
        "lengths": lengths,
    }


def _sentence(rng: np.random.Generator) -> Marked:
    who, whom = _someone(rng), _someone(rng)
    verb: Marked = [(_one(rng, VERBS), "B-V")]
    passive = rng.random() < 0.5
    if passive:
        core = [*_as("A1", whom), ("was", "O"), *verb, *_as("A0", ["by", *who])]
    else:
        core = [*_as("A0", who), *verb, *_as("A1", whom)]
    where = _as("LOC", PLACES[rng.integers(len(PLACES))]) if rng.random() < 0.5 else []
    when = _as("TMP", TIMES[rng.integers(len(TIMES))]) if rng.random() < 0.5 else []
    if rng.random() < 0.5:  # another verb, of which the question is not
        other = [*_someone(rng), _one(rng, VERBS), "that"]
        core = [*((word, "O") for word in other), *core]
    return [*when, *core, *where] if rng.random() < 0.5 else [*core, *where, *when]


def _someone(rng: np.random.Generator) -> list[str]:
    adjective = [_one(rng, ADJECTIVES)] if rng.random() < 0.5 else []
    return [_one(rng, ("the", "a")), *adjective, _one(rng, NOUNS)]


def _as(role: str, words: list[str] | tuple[str, ...]) -> Marked:
    return [(word, f"{'I' if place else 'B'}-{role}") for place, word in enumerate(words)]


def _one(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
