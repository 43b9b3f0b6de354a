"""Readers of the original files on tiny ones, damaged ones too; and the examples that programs make."""

from __future__ import annotations

import gzip
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.conformance.training.data.air import Scale, air_examples, read_air, series_to_supervised
from rnnspec.conformance.training.data.errors import DataError
from rnnspec.conformance.training.data.idx import read_idx, read_images
from rnnspec.conformance.training.data.made import ROLES, VERBS, VOCABULARY, reversal, sentences
from rnnspec.conformance.training.data.prose import letters, prose, segmented, stretches
from rnnspec.conformance.training.data.temperatures import read_temperatures
from rnnspec.conformance.training.data.texts import padded, read_texts
from rnnspec.conformance.training.measures import bigram_perplexity, f1, phrases_of, words_of

PICTURES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array: Any, code: int = 8) -> bytes:
    shape = b"".join(struct.pack(">I", length) for length in array.shape)
    return bytes([0, 0, code, array.ndim]) + shape + array.tobytes()


def test_idx_files_are_read_plain_and_packed(tmp_path: Path) -> None:
    images, labels = tmp_path / "i", tmp_path / "l.gz"
    images.write_bytes(idx(PICTURES))
    labels.write_bytes(gzip.compress(idx(np.array([3, 9], np.uint8))))
    pictures, label = read_images(images, labels)
    assert pictures == pytest.approx(PICTURES / 255)
    assert label.tolist() == [3, 9]
    assert label.dtype == np.int64


def test_an_idx_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.conformance.training.data.idx._MOST_BYTES", 100)
    file = tmp_path / "images"
    for content in (bytes(101), gzip.compress(bytes(101))):
        file.write_bytes(content)
        with pytest.raises(DataError, match="expected at most"):
            read_idx(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an IDX file"),
        (b"PNG\0", "expected an IDX file"),
        (bytes([0, 0, 8, 3, 0]), "expected the lengths of 3 axes"),
        (idx(PICTURES)[:-1], "expected 24 bytes for shape (2, 3, 4), got 23: the file is cut off"),
        (idx(PICTURES) + b"x", "more follows than belongs to it"),
        # Without the time, which would stand in the test's name and differ from process to process.
        (gzip.compress(idx(PICTURES), mtime=0)[:-9], "cannot be unpacked"),
    ],
)
def test_a_damaged_idx_file_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_idx(file)
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("marks", "message"), [([1], "expected 2 labels"), ([1, 10], "expected labels 0 .. 9, got 10")]
)
def test_labels_belong_to_images(tmp_path: Path, marks: list[int], message: str) -> None:
    images, labels = tmp_path / "i", tmp_path / "l"
    images.write_bytes(idx(PICTURES))
    labels.write_bytes(idx(np.array(marks, np.uint8)))
    with pytest.raises(DataError, match=message):
        read_images(images, labels)


HEAD = "No,year,month,day,hour,pm2.5,DEWP,TEMP,PRES,cbwd,Iws,Is,Ir"


def air_table(rows: int) -> list[str]:
    winds = ("SE", "cv", "NW")
    return [
        HEAD,
        *(
            f"{k + 1},2010,1,1,{k % 24},{'NA' if k < 24 or k == 26 else k},-{k},-11,1021,{winds[k % 3]},1.79,0,0"
            for k in range(rows)
        ),
    ]


def test_the_air_is_read_as_in_the_original_program(tmp_path: Path) -> None:
    file = tmp_path / "air.csv"
    file.write_text("\n".join(air_table(30)) + "\n")
    table = read_air(file)
    assert table.shape == (6, 8)
    assert table[:, 0].tolist() == [24, 25, 0, 27, 28, 29]  # a missing pollution is 0
    assert table[:3, 4].tolist() == [1, 2, 0]  # SE, cv and NW in the order of the alphabet: NW, SE, cv
    train, test, scale = air_examples(table, hours=3)
    assert train["x"].shape == (3, 1, 8)
    assert test["target"].shape == (2, 1, 1)
    assert scale.unscaled(test["target"].ravel(), 0) == pytest.approx([28, 29])
    assert scale.scaled(table)[:, 3] == pytest.approx(np.zeros(6))  # a column of one number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [line.replace("cbwd", "wind") for line in lines], "got none called cbwd"),
        (lambda lines: [*lines[:-1], lines[-1][:20]], "line 31: expected 13 entries, got 7: is it cut off?"),
        (
            lambda lines: [*lines[:-1], lines[-1].replace("1021", "high")],
            "line 31: PRES: expected a number, got 'high'",
        ),
        (lambda lines: [*lines[:-1], lines[-1].replace("1021", "nan")], "line 31: PRES: expected a number, got 'nan'"),
        (lambda lines: lines[:25], "expected more than 24 hours"),
        (lambda lines: [], "expected a head with pm2.5"),
    ],
)
def test_a_damaged_table_is_one_clear_error(
    tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    file = tmp_path / "air.csv"
    file.write_text("\n".join(change(air_table(30))))
    with pytest.raises(DataError) as error:
        read_air(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (3, 1), (2, 3)])
def test_a_series_is_cut_into_hours_before_and_after(n_in: int, n_out: int) -> None:
    table = np.arange(12.0).reshape(6, 2)
    before, after = series_to_supervised(table, n_in, n_out)
    assert before.shape == (7 - n_in - n_out, n_in, 2)
    assert np.array_equal(before[1], table[1 : 1 + n_in])
    assert np.array_equal(after[1], table[1 + n_in : 1 + n_in + n_out])
    with pytest.raises(DataError, match="expected at least 9 hours, got 6"):
        series_to_supervised(table, 8, 1)


def test_scaling_has_an_inverse() -> None:
    table = np.random.default_rng(0).normal(size=(9, 3)) * 40
    scale = Scale.of(table)
    assert (scale.scaled(table).min(), scale.scaled(table).max()) == (0, 1)
    assert scale.unscaled(scale.scaled(table)[:, 2], 2) == pytest.approx(table[:, 2])


def imdb(file: Path, **changed: Any) -> Path:
    texts = np.empty(2, object)
    texts[:] = [[1, 14, 22], [1, 7]]
    arrays = {"x_train": texts, "y_train": np.array([1, 0]), "x_test": texts, "y_test": np.array([0, 1]), **changed}
    np.savez(file, allow_pickle=True, **{name: array for name, array in arrays.items() if array is not None})
    return file


def test_texts_are_read_as_keras_has_them(tmp_path: Path) -> None:
    found = read_texts(imdb(tmp_path / "imdb.npz"))
    assert [*found["x_train"]] == [[1, 14, 22], [1, 7]]
    assert found["y_test"].tolist() == [0, 1]
    assert padded(found["x_train"], 3, 20).tolist() == [[1, 14, 2], [0, 1, 7]]
    assert padded(found["x_train"], 2, 100).tolist() == [[14, 22], [1, 7]]


def texts_of(*rows: Any) -> Any:
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


class Evil:
    """Runs a command where it is unpickled without care."""

    def __reduce__(self) -> Any:
        return print, ("the file's code has run",)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": None}, "got none called y_train"),
        ({"y_train": np.array([1, 2])}, "expected labels 0 and 1, got 2"),
        ({"y_train": np.array([1])}, "expected a label for each text of train"),
        ({"x_train": texts_of([1, -5], [2])}, "expected each text of train as a list of ids"),
        ({"x_train": texts_of(["word"], [2])}, "expected each text of train as a list of ids"),
        ({"x_train": texts_of(Evil(), [2])}, "expected arrays and lists of numbers alone"),
    ],
)
def test_a_damaged_file_of_texts_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as error:
        read_texts(imdb(tmp_path / "imdb.npz", **changed))
    assert message in str(error.value)
    assert "code has run" not in capsys.readouterr().out


def test_a_truncated_file_of_texts_is_one_clear_error(tmp_path: Path) -> None:
    file = imdb(tmp_path / "imdb.npz")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"expected an \.npz file"):
        read_texts(file)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", pickle.dumps([1]))
    with pytest.raises(DataError, match="expected arrays and lists"):
        read_texts(tmp_path / "other.npz")


def test_sequences_are_wanted_in_reverse() -> None:
    made = reversal(20, 0)
    symbols = made["x"].argmax(axis=2)
    assert symbols.min() >= 1
    assert np.array_equal(made["wanted"], symbols[:, 2::-1])
    assert np.array_equal(made["before"].argmax(axis=2)[:, 1:], made["wanted"][:, :-1])
    assert not made["before"].argmax(axis=2)[:, 0].any()
    assert not np.array_equal(reversal(20, 1)["wanted"], made["wanted"])


def test_sentences_have_one_predicate_and_its_roles() -> None:
    made = sentences(200, 0)
    words = {number: word for word, number in VOCABULARY.items()}
    for b, n in enumerate(made["lengths"]):
        names = [ROLES[role] for role in made["roles"][b, :n]]
        at = names.index("B-V")
        assert names.count("B-V") == 1
        assert words[made["words"][b, at]] == VERBS[made["predicate"][b, 0]]
        assert {"B-A0", "B-A1"} <= set(names)
        assert made["context"][b].reshape(22, 5)[0, 2] == made["words"][b, at]
        assert made["region"][b, at] == 1
    assert len(set(made["lengths"].tolist())) > 5


def test_the_prose_is_cut_into_stretches_that_go_on() -> None:
    ids, known = letters(prose(), 40)
    assert len(known) == 40
    made = stretches(ids, 3, 10)
    assert np.array_equal(made["letters"][:, 1:], made["following"][:, :-1])
    assert np.array_equal(made["following"][0:3, -1], made["letters"][3:6, 0])


def test_tags_mark_words() -> None:
    made = segmented("a gate is open. an odd word.", 12, 30)
    assert made["lengths"].tolist() == [11, 9]
    assert made["tags"][0, :11].tolist() == [0, 1, 2, 2, 3, 1, 3, 1, 2, 2, 3]
    assert words_of(made["tags"][0, :11]) == {(0, 1, ""), (1, 5, ""), (5, 7, ""), (7, 11, "")}


def test_measures_by_hand() -> None:
    assert phrases_of(np.array([1, 2, 3, 0, 4]), ROLES) == {(0, 1, "V"), (1, 3, "A0"), (4, 5, "A1")}
    assert f1([{(0, 1, "a"), (1, 2, "b")}], [{(0, 1, "a")}]) == pytest.approx(2 / 3)
    ids = np.array([0, 1, 0, 1])
    assert bigram_perplexity(ids, np.array([0, 1]), 2) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a head with date, temp, got nothing"),
        ("date,heat\n2010,1", "expected a head with date, temp, got date, heat"),
        ("date,temp\n2010,39.4\n2010", "line 3: expected a date and a number, got 2010"),
        ("date,temp\n2010,nan", "line 2: expected a date and a number, got 2010, nan"),
    ],
)
def test_damaged_temperatures_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_temperatures(file)


def test_temperatures_are_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("date,temp\n2010/01/01 00:00,39.4\n2010/01/01 01:00,-2\n")
    assert read_temperatures(file).tolist() == [[39.4], [-2.0]]
