"""onnx: ReferenceEvaluator computes RNN, GRU and LSTM without looking at sequence_lens."""

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
feed = {"X": rng.normal(size=(2, 1, 1)), "W": rng.normal(size=(1, 3, 1)), "R": rng.normal(size=(1, 3, 1))}
feed = {name: array.astype(np.float32) for name, array in feed.items()}


def last_state(x, **lengths):
    names = ["X", "W", "R", "", "sequence_lens"] if lengths else ["X", "W", "R"]
    node = helper.make_node("GRU", names, ["", "Y_h"], hidden_size=1)
    arrays = {**feed, "X": x, **lengths}
    kinds = [(n, TensorProto.INT32 if n == "sequence_lens" else TensorProto.FLOAT, a.shape) for n, a in arrays.items()]
    inputs = [helper.make_tensor_value_info(*kind) for kind in kinds]
    outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, (1, 1, 1))]
    model = helper.make_model(
        helper.make_graph([node], "gru", inputs, outputs), opset_imports=[helper.make_opsetid("", 14)]
    )
    onnx.checker.check_model(model)
    return float(ReferenceEvaluator(model).run(None, arrays)[0].item())


given = last_state(feed["X"], sequence_lens=np.array([1], np.int32))
alone = last_state(feed["X"][:1])
print(f"onnx {onnx.__version__}")
print(f"two steps, sequence_lens = [1]: Y_h = {given:.6f}")
print(f"the first step alone:           Y_h = {alone:.6f}")
print("wrong" if abs(given - alone) > 1e-3 else "right")
