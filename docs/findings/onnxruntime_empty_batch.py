"""ONNX Runtime: an LSTM or GRU with sequence_lens over a batch of no sequences ends the process."""

import subprocess
import sys

PROGRAM = """
import numpy as np, onnxruntime
from onnx import TensorProto, helper
gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[OPERATOR]
feed = {"X": np.zeros((3, 0, 2), np.float32), "W": np.ones((1, gates * 4, 2), np.float32)}
feed |= {"R": np.ones((1, gates * 4, 4), np.float32), "sequence_lens": np.zeros(0, np.int32)}
node = helper.make_node(OPERATOR, ["X", "W", "R", "", "sequence_lens"], ["Y", "Y_h"], hidden_size=4)
kinds = {name: TensorProto.INT32 if name == "sequence_lens" else TensorProto.FLOAT for name in feed}
inputs = [helper.make_tensor_value_info(name, kinds[name], a.shape) for name, a in feed.items()]
outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "Y_h")]
graph = helper.make_graph([node], "empty", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print([array.shape for array in session.run(None, feed)])
"""

import onnxruntime  # noqa: E402

print(f"onnxruntime {onnxruntime.__version__}")
for operator in ("RNN", "GRU", "LSTM"):
    program = PROGRAM.replace("OPERATOR", repr(operator))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    words = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()[-1:]
    print(f"{operator}: exit status {run.returncode}, {' '.join(words)}")
    print("wrong" if run.returncode < 0 else "right")
