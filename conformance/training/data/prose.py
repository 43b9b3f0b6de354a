"""The specification's own prose as a text: letter by letter, and as sentences whose spaces are to be found."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from rnnspec.spec import operations
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import models

TAGS: Final = ("s", "b", "m", "e")
"""Tags of letters: a word of one letter, or the begin, middle or end of a word."""


def prose() -> str:
    """Return the summaries of all operations and models, and what their inputs and attributes are, as one text."""
    parts: list[str] = []
    for op in operations().values():
        abouts = [item.about for items in (op.inputs, op.outputs, op.attributes) for item in items.values()]
        parts += [f"{op.title}. {op.summary}", *(f"{about}." for about in abouts if about)]
    for found in models().values():
        parts += [f"{found.title}. {found.summary}", *(f"{item.about}." for item in found.data.values())]
    return "\n".join(dict.fromkeys(parts)) + "\n"


def letters(text: str, most: int) -> tuple[Array, str]:
    """Return the ids of a text's letters, and the letters by id: the most frequent, and one for all others."""
    counts = {letter: text.count(letter) for letter in sorted(set(text))}
    kept = "".join(sorted(counts, key=lambda letter: -counts[letter])[: most - 1])
    place = {letter: number for number, letter in enumerate(kept)}
    return np.array([place.get(letter, len(kept)) for letter in text]), kept + "?"


def stretches(ids: Array, rows: int, steps: int) -> NamedArrays:
    """Cut a text into examples of ``char-rnn``: in each of the rows, one stretch goes on where the last one ended."""
    count = (len(ids) - 1) // (rows * steps)
    used = rows * count * steps
    before, after = (ids[k : used + k].reshape(rows, count, steps) for k in (0, 1))
    # A batch has the stretch of the same number of every row.
    order = (1, 0, 2)
    return {
        "letters": before.transpose(order).reshape(-1, steps),
        "following": after.transpose(order).reshape(-1, steps),
    }


def segmented(text: str, steps: int, most: int) -> NamedArrays:
    """Return sentences without their spaces, each letter with its tag: inputs of ``tagging``."""
    sentences = []
    for sentence in re.split(r"[.\n;:]", text.lower()):
        words = re.findall(r"[a-z]+", sentence)
        while words:  # as many words as there is room for
            taken, size = [], 0
            while words and size + len(words[0]) <= steps:
                size += len(words[0])
                taken.append(words.pop(0))
            if not taken:
                words.pop(0)
            elif len(taken) > 1:
                sentences.append(taken)
    sentences = [list(one) for one in dict.fromkeys(map(tuple, sentences))]
    found = {name: np.zeros((len(sentences), steps), np.int64) for name in ("letters", "tags")}
    for b, words in enumerate(sentences):
        joined = "".join(words)
        found["letters"][b, : len(joined)] = [min(ord(letter) - ord("a") + 1, most - 1) for letter in joined]
        found["tags"][b, : len(joined)] = [tag for word in words for tag in _tags(len(word))]
    return {**found, "lengths": np.array([sum(map(len, words)) for words in sentences])}


def _tags(length: int) -> list[int]:
    return [0] if length == 1 else [1, *[2] * (length - 2), 3]
