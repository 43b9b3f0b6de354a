"""ONNX Runtime: the tanh of its recurrent operators is a hundred units in the last place off for small arguments."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

x = np.float32(-0.00585709)
feed = {"X": np.full((1, 1, 1), x), "W": np.ones((1, 4, 1), np.float32), "R": np.zeros((1, 4, 4), np.float32)}
node = helper.make_node("RNN", ["X", "W", "R"], ["", "Y_h"], hidden_size=4)
inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feed.items()]
outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, None)]
graph = helper.make_graph([node], "rnn", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
got = session.run(None, feed)[0].ravel()[0]
due = np.tanh(np.float64(x))
units = abs(got - due) / np.spacing(np.float32(abs(due)))
print(f"onnxruntime {onnxruntime.__version__}")
print(f"tanh({x:.8f}): Y_h = {got:.10f}, expected {due:.10f}: {units:.0f} units in the last place")
print("wrong" if units > 8 else "right")
