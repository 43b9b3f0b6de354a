"""OpenVINO: a batch of no sequences ends the process in an RNN whose activation is the logistic function."""

import subprocess
import sys

import numpy as np
import openvino
from onnx import TensorProto, helper, numpy_helper


def run() -> None:
    """An RNN of two units over three steps of no sequence."""
    weights = {"W": np.ones((1, 2, 3)), "R": np.ones((1, 2, 2)), "B": np.zeros((1, 4))}
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    fed = {"X": np.zeros((3, 0, 3), np.float32), "sequence_lens": np.zeros(0, np.int32)}
    names = ["X", "W", "R", "B", "sequence_lens"]
    node = helper.make_node("RNN", names, ["Y", "Y_h"], hidden_size=2, activations=["Sigmoid"])
    inputs = [
        helper.make_tensor_value_info("X", TensorProto.FLOAT, [3, 0, 3]),
        helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, [0]),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in node.output]
    graph = helper.make_graph([node], "rnn", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
    print([output.shape for output in compiled(fed).values()])


if sys.argv[1:]:
    run()
else:
    print(f"openvino {openvino.__version__}")
    done = subprocess.run([sys.executable, __file__, "run"], capture_output=True, text=True, check=False)
    print(f"exit status {done.returncode}, {(done.stdout or done.stderr).strip().splitlines()[-1:]}")
    print("wrong" if done.returncode < 0 else "right")
