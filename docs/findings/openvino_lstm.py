"""OpenVINO: peepholes and input_forget of an LSTM change nothing, and its clip leaves out one activation."""

import numpy as np
import openvino
from onnx import TensorProto, helper, numpy_helper


def one_step(peephole: float = 0.0, bias: float = 0.0, **attributes: float) -> tuple[float, float]:
    """The state and the memory after a step of one unit, whose other weights are 0, from a memory of 1."""
    weights = {"W": np.zeros((1, 4, 1)), "R": np.zeros((1, 4, 1)), "B": np.full((1, 8), bias / 2)}
    weights["P"] = np.full((1, 3), peephole)
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    fed = {name: np.full((1, 1, 1), value, np.float32) for name, value in (("X", 0), ("h0", 0), ("c0", 1))}
    names = ["X", "W", "R", "B", "", "h0", "c0", "P"]
    node = helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], hidden_size=1, **attributes)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1]) for name in fed]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in node.output]
    graph = helper.make_graph([node], "lstm", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    core = openvino.Core()
    _, h, c = core.compile_model(core.read_model(model.SerializeToString()), "CPU")(fed).values()
    return float(h.ravel()[0]), float(c.ravel()[0])


def sigmoid(a: float) -> float:
    return float(1 / (1 + np.exp(-a)))


print(f"openvino {openvino.__version__}")
i = sigmoid(1.0)
for name, got, due in (
    ("P = 1, Y_c", one_step(peephole=1.0)[1], sigmoid(1.0)),
    ("input_forget = 1, B = 1, Y_c", one_step(bias=1.0, input_forget=1)[1], (1 - i) + i * np.tanh(1.0)),
    ("clip = 0.01, Y_h", one_step(clip=0.01)[0], 0.5 * np.tanh(0.01)),
):
    print(f"{name} = {got:.6f}, by the equations {due:.6f}")
    print("wrong" if abs(got - due) > 1e-3 else "right")
