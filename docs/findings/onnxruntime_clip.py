"""ONNX Runtime: an LSTM's clip does not clip the argument of the output's activation."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

feed = {"X": np.zeros((1, 1, 1)), "W": np.zeros((1, 4, 1)), "R": np.zeros((1, 4, 1)), "initial_c": np.ones((1, 1, 1))}
feed = {name: array.astype(np.float32) for name, array in feed.items()}
node = helper.make_node("LSTM", ["X", "W", "R", "", "", "", "initial_c"], ["", "Y_h"], hidden_size=1, clip=0.01)
inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feed.items()]
outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, None)]
graph = helper.make_graph([node], "lstm", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
got = session.run(None, feed)[0].item()
c = 0.5 * 1  # all gates are 1/2, the candidate is 0
due = 0.5 * np.tanh(np.clip(c, -0.01, 0.01))
print(f"onnxruntime {onnxruntime.__version__}")
print(f"Y_h = {got:.6f}")
print(f"Ht = ot * h(Ct), the argument of h clipped to -0.01 .. 0.01: {due:.6f}")
print(f"the same, not clipped: {0.5 * np.tanh(c):.6f}")
print("wrong" if abs(got - due) > 1e-5 else "right")
