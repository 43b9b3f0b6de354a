"""torch-struct: where a move is forbidden, LinearChainCRF.log_prob of a path that does not take it is NaN."""

import warnings
from importlib.metadata import version

import torch
from torch_struct import LinearChain, LinearChainCRF

warnings.filterwarnings("ignore")
moves = torch.tensor([[[[0.0, -torch.inf], [0.0, 0.0]]]])  # (after, before): none from 1 to 0
chain = LinearChainCRF(moves)
got = float(chain.log_prob(LinearChain.to_parts(torch.tensor([[0, 1]]), 2)).detach())
print(f"torch-struct {version('torch-struct')}")
print(f"log-partition {float(chain.partition.detach()):.6f}, expected {torch.tensor(3.0).log():.6f}")
print(f"log-probability of the path 0, 1: {got}, expected {-torch.tensor(3.0).log():.6f}")
print("wrong" if got != got else "right")
