"""torch-struct: no log-partition of a LinearChainCRF is below -1,000,000,000, which stands for minus infinity."""

import warnings
from importlib.metadata import version

import torch
from torch_struct import LinearChainCRF

warnings.filterwarnings("ignore")
print(f"torch-struct {version('torch-struct')}")
for score in (-1.0, -1e8, -2e9):
    moves = torch.full((1, 1, 1, 1), score, dtype=torch.float64)  # two steps, one tag: one path
    got = float(LinearChainCRF(moves).partition.detach())
    print(f"the one path has score {score}: log-partition {got}")
    print("wrong" if abs(got - score) > 1e-6 * abs(score) else "right")
