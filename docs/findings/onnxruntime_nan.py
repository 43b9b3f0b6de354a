"""ONNX Runtime: its LSTM and GRU turn NaN in the input into numbers where there is a bias."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

print(f"onnxruntime {onnxruntime.__version__}")
for operator, gates in {"RNN": 1, "LSTM": 4, "GRU": 3}.items():
    feed = {"X": np.full((1, 1, 1), np.nan), "W": np.ones((1, gates, 1)), "R": np.ones((1, gates, 1))}
    feed["B"] = np.zeros((1, 2 * gates))
    feed = {name: array.astype(np.float32) for name, array in feed.items()}
    node = helper.make_node(operator, ["X", "W", "R", "B"], ["", "Y_h"], hidden_size=1)
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feed.items()]
    outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, (1, 1, 1))]
    graph = helper.make_graph([node], "nan", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, feed)[0].item()
    print(f"{operator} of NaN: Y_h = {got}")
    print("wrong" if got == got else "right")
