"""Keras on PyTorch: NaN at a masked step makes every gradient NaN, though the outputs are right."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch

layer = keras.layers.SimpleRNN(1)
x = np.array([[[0.5], [np.nan]]], np.float32)
tensor = torch.from_numpy(x).requires_grad_()
out = layer(tensor, mask=torch.tensor([[True, False]]))
out.sum().backward()
print(f"keras {keras.__version__}, torch {torch.__version__}")
print(f"output {float(out.detach()):.3f}; gradient of the valid step {float(tensor.grad[0, 0, 0])}")
print("wrong" if torch.isnan(tensor.grad[0, 0, 0]) else "right")
