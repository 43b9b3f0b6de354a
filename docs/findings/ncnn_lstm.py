"""ncnn: an LSTM of four units or more is not 0 where all is 0, and hides NaN; one of three units does neither."""

from importlib.metadata import version

import ncnn
import numpy as np


def last_state(units: int, x: float) -> float:
    """One step of an LSTM of zeros, but for the input and its weights, which are 1."""
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = False
    net.load_param_mem(f"7767517\n2 2\nInput x 0 1 x\nLSTM lstm 1 1 x y 0={units} 1={4 * units} 2=0 3={units}\n")
    weights = (np.ones(4 * units), np.zeros(4 * units), np.zeros(4 * units * units))
    memory = b"".join(bytes(4) + array.astype(np.float32).tobytes() for array in weights)
    net.load_model_mem(memory)
    run, given = net.create_extractor(), np.full((1, 1), x, np.float32)
    run.input("x", ncnn.Mat(given))
    return float(np.array(run.extract("y")[1])[0, 0])


print(f"ncnn {version('ncnn')}")
for units in (3, 4):
    print(f"{units} units: h of 0 is {last_state(units, 0.0):.3g}, h of NaN is {last_state(units, np.nan):.3g}")
print("wrong" if last_state(4, 0.0) != 0 else "right")
print("wrong" if not np.isnan(last_state(4, np.nan)) else "right")
