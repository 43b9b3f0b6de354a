"""Cases in the form of ONNX's backend tests are loaded by ONNX's own loader, and its evaluator passes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main

onnx = pytest.importorskip("onnx")


def export(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["vectors", "export", *map(str, arguments), "--format", "onnx"])


def test_onnx_loads_and_passes_what_is_written(tmp_path: Path) -> None:
    from onnx import numpy_helper
    from onnx.backend.test.loader import load_model_tests
    from onnx.reference import ReferenceEvaluator

    folder = tmp_path / "tests" / "rnnspec"
    # Without lengths, which ONNX's own evaluator does not read.
    result = export(folder, "--op", "gru", "--dtype", "float32", "--cases", 8, "--no-padding")
    assert result.exit_code == 0, result.output
    assert "8 tests in" in result.output
    tests = load_model_tests(str(tmp_path / "tests"), "rnnspec")
    assert len(tests) == 8
    seen = set()
    for test in tests:
        model = onnx.load(Path(test.model_dir, "model.onnx"))
        onnx.checker.check_model(model)
        seen |= {attribute.name for attribute in model.graph.node[0].attribute}

        def read(kind: str, places: int, folder: str = test.model_dir) -> list[Any]:
            paths = [Path(folder, "test_data_set_0", f"{kind}_{place}.pb") for place in range(places)]
            return [numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]

        inputs = read("input", len(model.graph.input))
        feed = dict(zip((entry.name for entry in model.graph.input), inputs, strict=True))
        assert {"X", "W", "R", "B"} <= set(feed)
        got = ReferenceEvaluator(model).run(None, feed)
        for one, right, bound in zip(got, read("output", 2), read("bound", 2), strict=True):
            assert (one.shape, one.dtype) == (right.shape, right.dtype)
            assert np.all(np.abs(one.astype(np.float64) - right) <= bound)
            assert test.rtol == 0
            assert test.atol >= bound.max()
    assert {"hidden_size", "linear_before_reset"} <= seen
    assert json.loads((folder / "test_gru_float32_000" / "data.json").read_text())["atol"] < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--op", "dense"), "--op dense: ONNX has no such operator"),
        (("--op", "gru", "--dtype", "bfloat16"), "expected one of float16, float32, float64"),
    ],
)
def test_what_onnx_has_not(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = export(tmp_path / "new", *arguments)
    assert (result.exit_code, message in result.output) == (2, True)
    assert not (tmp_path / "new").exists()
