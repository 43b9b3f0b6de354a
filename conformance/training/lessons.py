"""The lessons: for each model its data, how long it learns, and the measures of what it has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends.discovery import installs
from rnnspec.conformance.training.data.air import air_examples, read_air
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.conformance.training.data.idx import read_images
from rnnspec.conformance.training.data.made import ROLES, SYMBOLS, VERBS, VOCABULARY, choices, reversal, sentences
from rnnspec.conformance.training.data.prose import TAGS, letters, prose, segmented, stretches
from rnnspec.conformance.training.data.temperatures import TEMPERATURES, read_temperatures
from rnnspec.conformance.training.data.texts import padded, read_texts
from rnnspec.conformance.training.learning import LESSONS, Learner, Lesson, lesson
from rnnspec.conformance.training.measures import bigram_perplexity, f1, fitting, phrases_of, root_mean_square, words_of
from rnnspec.conformance.training.pictures import Picture, attention, confusion, forecast
from rnnspec.conformance.training.sampling import sampled
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array, NamedArrays

__all__ = ["LESSONS"]


@lesson("image-rows")
def _images(files: tuple[Path, ...], seed: int) -> Lesson:
    """Scikit-learn's digits, a fifth of them held out; or IDX files: images and labels, then those to test with."""
    return _of_digits("image-rows", files, seed, epochs=40)


@lesson("stacked-classifier")
def _stacked(files: tuple[Path, ...], seed: int) -> Lesson:
    """The same images, each row a step of the sequence."""
    return _of_digits("stacked-classifier", files, seed, epochs=30)


@lesson("bidirectional-stack")
def _both_ways(files: tuple[Path, ...], seed: int) -> Lesson:
    """The same images, read in both directions by ten units each."""
    return _of_digits("bidirectional-stack", files, seed, epochs=60)


def _of_digits(name: str, files: tuple[Path, ...], seed: int, epochs: int) -> Lesson:
    if files:
        if len(files) != 4:
            raise DataError(f"{name}: expected four files: images and labels to train with, then those to test with")
        pictures, label = read_images(files[0], files[1])
        test = _of_images(*read_images(files[2], files[3]))
        train, source, epochs = _of_images(pictures, label), "the IDX files that were given", 3
    else:
        pictures, label = _digits(name)
        order = np.random.default_rng((seed, 7)).permutation(len(label))
        held = len(label) // 5
        test, train = (_of_images(pictures[part], label[part]) for part in (order[:held], order[held:]))
        source = "scikit-learn's digits (UCI, optical recognition of handwritten digits; CC BY 4.0)"
    steps, width = train["x"].shape[1:]

    def found(learned: Learner) -> Array:
        return np.asarray(learned.answers({"x": test["x"]}).argmax(axis=1))

    def measure(learned: Learner) -> Mapping[str, float]:
        usual = np.bincount(train["label"][:, 0]).argmax()
        return {
            "accuracy on held-out images": float((found(learned) == test["label"][:, 0]).mean()),
            "of the most frequent class": float((test["label"] == usual).mean()),
        }

    def picture(learned: Learner) -> list[Picture]:
        return [confusion(test["label"][:, 0], found(learned), [str(digit) for digit in range(10)])]

    return Lesson({"B": 32, "T": steps, "D": width, "K": 10}, train, epochs, source, measure, picture)


def _digits(name: str) -> tuple[Array, Array]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"{name}: expected scikit-learn, or --file: {installs('data')}") from error
    found: Any = load_digits()
    return found.images / 16.0, found.target.astype(np.int64)


def _of_images(pictures: Array, label: Array) -> NamedArrays:
    return {"x": pictures, "label": label[:, np.newaxis]}


@lesson("sequence-reversal")
def _reversal(files: tuple[Path, ...], seed: int) -> Lesson:
    """Sequences that a program makes, in training never the same twice."""
    _no_files("sequence-reversal", files)
    train, test = reversal(64 * 2500, seed), reversal(1000, seed + 1)

    def measure(learned: Learner) -> Mapping[str, float]:
        return {
            "exact, tokens fed back from symbol 0": _exact(learned, test, vectors=False),
            "exact, the output vector fed back from a zero vector": _exact(learned, test, vectors=True),
            "of guesses": float((SYMBOLS - 1) ** -test["wanted"].shape[1]),
        }

    return Lesson({}, train, 1, "made by a program of this project", measure)


def _exact(learned: Learner, test: NamedArrays, *, vectors: bool) -> float:
    """Share of sequences that are given back whole, where each output is the next input."""
    count, steps = test["wanted"].shape
    before = np.zeros((count, steps, SYMBOLS))
    if not vectors:
        before[:, 0, 0] = 1
    tokens = np.zeros((count, steps), np.int64)
    for step in range(steps):  # the decoder does not see what comes later
        logits = learned.answers({"x": test["x"], "before": before})[:, step]
        tokens[:, step] = logits.argmax(axis=1)
        if step + 1 < steps:
            chance = np.exp(logits - logits.max(axis=1, keepdims=True))
            chance /= chance.sum(axis=1, keepdims=True)
            before[:, step + 1] = chance if vectors else np.eye(SYMBOLS)[tokens[:, step]]
    return float((tokens == test["wanted"]).all(axis=1).mean())


@lesson("air-quality")
def _air(files: tuple[Path, ...], seed: int) -> Lesson:
    """Seattle's hourly temperature, the last quarter of the year held out; or the original table of the air."""
    if len(files) > 1:
        raise DataError("air-quality: expected one --file, the table of Beijing's pollution (UCI, PRSA data, as CSV)")
    if files:
        train, test, scale = air_examples(read_air(files[0]))
        source, unit, epochs = "the table that was given", "the unit of the table", 50
    else:
        table = read_temperatures()
        train, test, scale = air_examples(table, n_in=24, hours=len(table) * 3 // 4)
        source, unit, epochs = TEMPERATURES, "degrees Fahrenheit", 30
    right, before = (scale.unscaled(a.ravel(), 0) for a in (test["target"], test["x"][:, -1, 0]))

    def found(learned: Learner) -> Array:
        return scale.unscaled(learned.answers({"x": test["x"]}).ravel().astype(np.float64), 0)

    def measure(learned: Learner) -> Mapping[str, float]:
        return {
            f"root mean square error, in {unit}": root_mean_square(found(learned), right),
            "of persistence": root_mean_square(before, right),
        }

    def picture(learned: Learner) -> list[Picture]:
        return [forecast(right, found(learned), unit)]

    return Lesson({"T": train["x"].shape[1], "D": train["x"].shape[2]}, train, epochs, source, measure, picture)


@lesson("feature-attention")
def _attention(files: tuple[Path, ...], seed: int) -> Lesson:
    """Numbers that a program makes: the first says which of two others counts."""
    _no_files("feature-attention", files)
    train, test = choices(6400, seed), choices(1000, seed + 1)

    def measure(learned: Learner) -> Mapping[str, float]:
        right = (learned.answers({"x": test["x"]}) > 0) == (test["target"] > 0.5)
        return {"accuracy": float(right.mean()), "of the more frequent class": _most_frequent(test["target"])}

    def picture(learned: Learner) -> list[Picture]:
        gated = learned.passed({"x": test["x"]}).values["gate.y"]
        shares = np.asarray(gated, np.float64) / test["x"]
        first = test["x"][:, 0] > 0
        rows = np.stack([shares[first].mean(axis=0), shares[~first].mean(axis=0)])
        about = "Mean share of each feature, where feature 0 is positive, so that 1 counts, and where 2 counts."
        return [attention(rows, ["1 counts", "2 counts"], about)]

    return Lesson({}, train, 40, "made by a program of this project", measure, picture)


@lesson("text-bilstm-sigmoid")
def _texts(files: tuple[Path, ...], seed: int) -> Lesson:
    """IMDB's reviews, in the file that Keras fetches."""
    if len(files) != 1:
        raise DataError("text-bilstm-sigmoid: expected one --file, imdb.npz as Keras fetches it")
    found, words, length = read_texts(files[0]), 20000, 100
    train, test = (
        {
            "words": padded(found[f"x_{part}"], length, words),
            "target": found[f"y_{part}"].astype(np.float64)[:, np.newaxis],
        }
        for part in ("train", "test")
    )

    def measure(learned: Learner) -> Mapping[str, float]:
        right = (learned.answers({"words": test["words"]}) > 0) == (test["target"] > 0.5)
        return {"accuracy": float(right.mean()), "of the more frequent class": _most_frequent(test["target"])}

    return Lesson({}, train, 2, "the file that was given", measure)


def _most_frequent(target: Array) -> float:
    return float(max(target.mean(), 1 - target.mean()))


@lesson("char-rnn")
def _prose(files: tuple[Path, ...], seed: int) -> Lesson:
    """The specification's own prose, the last tenth held out; or a text file."""
    text, source = _text("char-rnn", files)
    kinds = 64
    ids, names = letters(text, kinds)
    rows, steps, cut = 16, 40, len(ids) * 9 // 10
    train, test = stretches(ids[:cut], rows, steps), ids[cut:]

    def measure(learned: Learner) -> Mapping[str, float]:
        batch = {"letters": test[np.newaxis, :-1]} | {
            name: np.zeros((1, learned.trainer.parameters["lower.R"].shape[-1])) for name in learned.model.carries
        }
        logits = learned.passed(batch).values["head.y"]
        call = {"logits": logits, "ids": test[np.newaxis, 1:]}
        op = operation("perplexity")
        found = learned.trainer.engine.run(op, call, op.defaults())["loss"]
        return {
            "perplexity of held-out text": float(found),
            "of a bigram model": bigram_perplexity(ids[:cut], test, kinds),
        }

    def write(learned: Learner) -> Mapping[str, str]:
        return {f"a text at temperature {heat:g}": sampled(learned, names, heat, seed) for heat in (0.5, 1.0)}

    return Lesson({"B": rows, "T": steps, "K": kinds}, train, 30, source, measure, write=write)


@lesson("tagging")
def _tagging(files: tuple[Path, ...], seed: int) -> Lesson:
    """Sentences of the specification's prose without spaces, a fifth of them held out; or those of a text file."""
    return _segmentation("tagging", files, seed)


@lesson("tagging-framewise")
def _tagging_framewise(files: tuple[Path, ...], seed: int) -> Lesson:
    """The same sentences, without a chain."""
    return _segmentation("tagging-framewise", files, seed)


def _segmentation(name: str, files: tuple[Path, ...], seed: int) -> Lesson:
    text, source = _text(name, files)
    kinds = 30
    train, test = _apart(segmented(text, 40, kinds), seed)

    def measure(learned: Learner) -> Mapping[str, float]:
        found = _tags(learned, test)
        return {
            "accuracy of tags": _tag_accuracy(found, test["tags"], test["lengths"]),
            "F1 of words": f1(*(_spans(tags, test["lengths"], words_of) for tags in (test["tags"], found))),
            "sentences whose tags fit together": fitting(found, test["lengths"]),
        }

    def picture(learned: Learner) -> list[Picture]:
        return [_confused(_tags(learned, test), test["tags"], test["lengths"], TAGS)]

    return Lesson({"V": kinds, "T": 40, "B": 16}, train, 30, source, measure, picture)


@lesson("semantic-roles")
def _roles(files: tuple[Path, ...], seed: int) -> Lesson:
    """Sentences of a grammar of this project."""
    _no_files("semantic-roles", files)
    train, test = sentences(1600, seed), sentences(400, seed + 1)

    def measure(learned: Learner) -> Mapping[str, float]:
        found = _tags(learned, test)
        spans = (_spans(tags, test["lengths"], lambda row: phrases_of(row, ROLES)) for tags in (test["roles"], found))
        return {"accuracy of roles": _tag_accuracy(found, test["roles"], test["lengths"]), "F1 of phrases": f1(*spans)}

    sizes = {"T": 22, "V": len(VOCABULARY), "P": len(VERBS), "K": len(ROLES), "H": 32, "D": 16}

    def picture(learned: Learner) -> list[Picture]:
        return [_confused(_tags(learned, test), test["roles"], test["lengths"], ROLES)]

    return Lesson(sizes, train, 10, "made by a grammar of this project", measure, picture)


def _confused(found: Array, right: Array, lengths: Array, names: Sequence[str]) -> Picture:
    valid = np.arange(right.shape[1]) < lengths[:, np.newaxis]
    return confusion(right[valid], found[valid], names)


def _tags(learned: Learner, test: NamedArrays) -> Array:
    """The best path of each sentence: by the chain, or of every tag by itself."""
    questions = {name: array for name, array in test.items() if name not in ("tags", "roles")}
    emissions = learned.answers(questions)
    parameters = learned.trainer.parameters
    if "chain.transitions" not in parameters:
        return np.asarray(emissions.argmax(axis=2))
    chain = {name: parameters[f"chain.{name}"] for name in ("transitions", "start", "end")}
    call = {"emissions": emissions, "lengths": test["lengths"], **chain}
    return np.asarray(learned.trainer.engine.run(operation("crf_viterbi"), call, {})["path"])


def _tag_accuracy(found: Array, right: Array, lengths: Array) -> float:
    valid = np.arange(right.shape[1]) < lengths[:, np.newaxis]
    return float((found == right)[valid].mean())


def _spans(tags: Array, lengths: Array, of: Any) -> list[Any]:
    return [of(row[:length]) for row, length in zip(tags, lengths, strict=True)]


def _apart(examples: NamedArrays, seed: int) -> tuple[NamedArrays, NamedArrays]:
    """Examples to train with, and a fifth to test with."""
    count = len(next(iter(examples.values())))
    order, held = np.random.default_rng((seed, 7)).permutation(count), count // 5
    if not held:
        raise DataError(f"expected five examples or more, of which a fifth is kept to test with, got {count}")
    train, test = ({name: a[part] for name, a in examples.items()} for part in (order[held:], order[:held]))
    return train, test


_LEAST_TEXT: Final = 2000
"""Characters of a text with a batch to learn from and another to test with."""


def _text(name: str, files: tuple[Path, ...]) -> tuple[str, str]:
    if not files:
        return prose(), "the specification's own prose"
    if len(files) > 1:
        raise DataError(f"{name}: expected one --file, a text, got {len(files)}")
    try:
        text = files[0].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{files[0]}: expected a text in UTF-8: {error}") from error
    if len(text) < _LEAST_TEXT:
        raise DataError(f"{files[0]}: expected {_LEAST_TEXT:,} characters or more to learn from, got {len(text):,}")
    return text, "the text that was given"


def _no_files(name: str, files: tuple[Path, ...]) -> None:
    if files:
        raise DataError(f"{name}: expected no --file: its examples are made by a program")
