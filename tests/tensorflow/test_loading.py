"""Keras's own loaders take the files that ``rnnspec convert`` writes, and compute what the layers did before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec import reference
from rnnspec.backends.layouts import keras as layouts
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import GATES, Family
from rnnspec.conformance.cli import main
from rnnspec.conformance.weights.sides import keras_here, run_side

pytestmark = pytest.mark.filterwarnings("ignore")  # of the framework that Keras stands on


def layer(family: Family, features: int, hidden: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {
        "W": (GATES[family], hidden, features),
        "R": (GATES[family], hidden, hidden),
        "b": (GATES[family], hidden),
    }
    if family == "gru":
        shapes["b_rn"] = (hidden,)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("target", ["model.weights.h5", "model.keras"])
def test_keras_loads_what_was_converted(target: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    try:
        keras = keras_here()
    except ImportError:
        pytest.skip("keras is not installed, or no framework that it stands on")
    forward, backward, top = layer("lstm", 3, 2, 0), layer("lstm", 3, 2, 1), layer("gru", 4, 3, 2)
    places = {"a/l0": forward, "a/l0_reverse": backward, "b/l0": top}
    arrays = {f"{place}/{name}": array for place, group in places.items() for name, array in group.items()}
    np.savez(tmp_path / "in.npz", **arrays)
    files = [str(tmp_path / name) for name in ("in.npz", target, "out.json")]
    result = CliRunner().invoke(main, ["convert", *files[:2], "--check", "--json", files[2]])
    assert result.exit_code == 0, result.output
    for side in json.loads(Path(files[2]).read_text())["parity"]:
        assert side["target"]["by"].startswith("keras ")
        assert (side["agrees"], side["largest_difference"] < 1e-5) == (True, True)
    if target.endswith(".keras"):
        model = keras.models.load_model(tmp_path / target)
    else:
        words = result.output.split("in this order: ")[1].splitlines()[0]
        layers = eval(f"[{words}]", {name: getattr(keras.layers, name) for name in ("Bidirectional", "LSTM", "GRU")})
        model = keras.Sequential([keras.Input((None, 3)), *layers])
        model.load_weights(tmp_path / target)
    x = np.random.default_rng(3).normal(size=(2, 5, 3)).astype(np.float32)
    both = [reference.lstm(x, **forward)[0], reference.lstm(x, **backward, direction="reverse")[0]]
    right = reference.gru(np.concatenate(both, 2), **top)[0]
    assert np.max(np.abs(model.predict(x, verbose=0) - right)) < 1e-5


def test_keras_side_runs_in_bfloat16() -> None:
    try:
        keras_here()
    except ImportError:
        pytest.skip("keras is not installed, or no framework that it stands on")
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in layer("lstm", 3, 2, 0).items()}
    own = layouts.from_spec(NumpyShaping(), "lstm", **half)
    side = run_side("keras", "lstm", own, np.ones((1, 2, 3), ml_dtypes.bfloat16), after=False)
    assert side.outputs[0].shape == (1, 2, 2)
