"""Measures of what a model has learned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rnnspec.spec.arrays import Array

Span = tuple[int, int, str]
"""First element, the one after the last, and a label."""


def root_mean_square(a: Array, b: Array) -> float:
    """Return the root of the mean of squared differences."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def bigram_perplexity(train: Array, test: Array, letters: int) -> float:
    """Return the perplexity of a text by how often letters follow each other in another; each pair counts once more."""
    counts = np.ones((letters, letters))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    chance = counts / counts.sum(axis=1, keepdims=True)
    return float(np.exp(-np.log(chance[test[:-1], test[1:]]).mean()))


def f1(right: Sequence[set[Span]], found: Sequence[set[Span]]) -> float:
    """Return the harmonic mean of precision and recall of spans, over all sequences."""
    both = sum(len(a & b) for a, b in zip(right, found, strict=True))
    total = sum(map(len, right)) + sum(map(len, found))
    return 2 * both / total if total else 0.0


def words_of(tags: Array) -> set[Span]:
    """Return the words that tags s, b, m, e mark; a word ends where another begins, too."""
    spans: set[Span] = set()
    begin: int | None = None
    for place, tag in enumerate(tags):
        if tag in (0, 1):
            if begin is not None:
                spans.add((begin, place, ""))
            begin = place
        if tag in (0, 3) and begin is not None:
            spans.add((begin, place + 1, ""))
            begin = None
    if begin is not None:
        spans.add((begin, len(tags), ""))
    return spans


def fitting(tags: Array, lengths: Array) -> float:
    """Return the share of rows whose tags s, b, m, e are whole words one after another."""
    follows = {0: (0, 1), 1: (2, 3), 2: (2, 3), 3: (0, 1)}
    fit = 0
    for row, length in zip(tags, lengths, strict=True):
        path = [3, *(int(tag) for tag in row[:length]), 0]  # as between two words of one letter
        fit += all(after in follows[before] for before, after in pairwise(path))
    return fit / len(tags)


def phrases_of(roles: Array, names: Sequence[str]) -> set[Span]:
    """Return the phrases that roles in B and I mark; an I that goes on from nothing begins one."""
    spans: set[Span] = set()
    begin, label = 0, ""
    for place, role in enumerate([*(names[int(role)] for role in roles), "O"]):
        kind, _, name = role.partition("-")
        if label and (kind != "I" or name != label):
            spans.add((begin, place, label))
            label = ""
        if kind != "O" and not label:
            begin, label = place, name
    return spans
