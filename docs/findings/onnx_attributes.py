"""onnx: ReferenceEvaluator computes an LSTM without looking at activations, clip and input_forget."""

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
feed = {"X": rng.normal(size=(1, 1, 1)), "W": rng.normal(size=(1, 4, 1)), "R": rng.normal(size=(1, 4, 1))}
feed = {name: array.astype(np.float32) for name, array in feed.items()}
feed["initial_c"] = np.ones((1, 1, 1), np.float32)


def state(**attributes):
    names = ["X", "W", "R", "", "", "", "initial_c"]
    node = helper.make_node("LSTM", names, ["", "Y_h"], hidden_size=1, **attributes)
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feed.items()]
    outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, (1, 1, 1))]
    model = helper.make_model(
        helper.make_graph([node], "lstm", inputs, outputs), opset_imports=[helper.make_opsetid("", 14)]
    )
    onnx.checker.check_model(model)
    return float(ReferenceEvaluator(model).run(None, feed)[0].item())


def logistic(a):
    return 1 / (1 + np.exp(-a))


def equations(gate=logistic, g=np.tanh, h=np.tanh, clip=np.inf, coupled=False):
    """Of https://onnx.ai/onnx/operators/onnx__LSTM.html, for one step from h = 0."""
    i, o, f, c = np.clip(feed["W"][0, :, 0] * feed["X"].item(), -clip, clip)
    i, o = gate(i), gate(o)
    f = 1 - i if coupled else gate(f)
    c = f * 1 + i * g(c)
    return float(o * h(np.clip(c, -clip, clip)))


print(f"onnx {onnx.__version__}")
asked = {
    "defaults": ({}, {}),
    "activations": ({"activations": ["Sigmoid", "Relu", "Relu"]}, {"g": lambda a: max(a, 0), "h": lambda a: max(a, 0)}),
    "clip": ({"clip": 0.1}, {"clip": 0.1}),
    "input_forget": ({"input_forget": 1}, {"coupled": True}),
}
for name, (attributes, meaning) in asked.items():
    got, due = state(**attributes), equations(**meaning)
    print(f"{name:12}  Y_h = {got:.6f}  by the equations {due:.6f}  {'right' if abs(got - due) < 1e-5 else 'wrong'}")
