"""ONNX Runtime: Softplus of its recurrent operators is infinite from 89 on, and Elu of small arguments is rounded."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def one_step(activation: str, x: float) -> float:
    """The state after a step of an RNN of one unit: the activation of x."""
    feed = {"X": np.full((1, 1, 1), x, np.float32), "W": np.ones((1, 1, 1), np.float32)}
    feed["R"] = np.zeros((1, 1, 1), np.float32)
    node = helper.make_node("RNN", ["X", "W", "R"], ["", "Y_h"], hidden_size=1, activations=[activation])
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1]) for name in feed]
    outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "rnn", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(session.run(None, feed)[0].ravel()[0])


print(f"onnxruntime {onnxruntime.__version__}")
got = one_step("Softplus", 100.0)
print(f"Softplus(100) = {got}, expected {np.log1p(np.exp(-100.0)) + 100.0}")
print("wrong" if not np.isfinite(got) else "right")
got, due = one_step("Elu", -1e-5), np.expm1(-1e-5)
print(f"Elu(-1e-5) = {got:.6e}, expected {due:.6e}")
print("wrong" if abs(got / due - 1) > 1e-6 else "right")
