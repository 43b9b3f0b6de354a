"""The scripts of docs/findings.md show their faults, on the library alone, and each is linked from the page."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
NEEDS = {
    "crf_floor.py": ("allencrf", "bi_lstm_crf"),
    "crf_forbidden.py": ("torchcrf", "TorchCRF"),
    "crf_relatives.py": ("allencrf", "bi_lstm_crf", "pytorchcrf", "pytorch_partial_crf"),
    "flax_empty.py": ("flax",),
    "keras_adam_correction.py": ("keras", "tensorflow"),
    "keras_heads.py": ("keras", "tensorflow"),
    "keras_repeated_ids.py": ("keras", "tensorflow"),
    "keras_padding.py": ("keras", "torch"),
    "ncnn_lstm.py": ("ncnn",),
    "onnx_attributes.py": ("onnx",),
    "onnx_sequence_lens.py": ("onnx",),
    "onnxruntime_activations.py": ("onnx", "onnxruntime"),
    "onnxruntime_clip.py": ("onnx", "onnxruntime"),
    "onnxruntime_empty_batch.py": ("onnx", "onnxruntime"),
    "onnxruntime_nan.py": ("onnx", "onnxruntime"),
    "onnxruntime_tanh.py": ("onnx", "onnxruntime"),
    "openvino_empty_batch.py": ("onnx", "openvino"),
    "openvino_lstm.py": ("onnx", "openvino"),
    "tensorflow_matmul.py": ("tensorflow",),
    "torch_softsign.py": ("torch",),
    "torch_struct_forbidden.py": ("torch_struct",),
    "torch_struct_floor.py": ("torch_struct",),
    "torchcrf_empty.py": ("TorchCRF",),
}


def test_every_script_is_on_the_page() -> None:
    linked = set(re.findall(r"\(findings/(\w+\.py)\)", PAGE.read_text()))
    assert linked == set(NEEDS) == {path.name for path in PAGE.with_suffix("").glob("*.py")}


@pytest.mark.parametrize("script", NEEDS)
def test_a_script_imports_the_library_and_numpy_alone(script: str) -> None:
    text = (PAGE.with_suffix("") / script).read_text()
    assert "rnnspec" not in text


@pytest.mark.parametrize("script", NEEDS)
def test_a_fault_is_still_there(script: str) -> None:
    """If this fails, a release has mended it: date the finding, and bound the expected failure's versions."""
    for module in NEEDS[script]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    done = subprocess.run(
        [sys.executable, str(PAGE.with_suffix("") / script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.endswith("wrong")]
    assert shown, done.stdout
