"""TorchCRF: a sequence without a valid step is scored, and decoded, as if it had steps."""

from importlib.metadata import version

import torch
from TorchCRF import CRF

torch.manual_seed(0)
crf = CRF(3)
emissions, tags = torch.randn(1, 2, 3), torch.tensor([[1, 2]])
mask = torch.zeros(1, 2, dtype=torch.bool)
print(f"TorchCRF {version('TorchCRF')}")
got = float(crf(emissions, tags, mask).detach())
print(f"log-likelihood of no step: {got:.6f}, expected 0")
print("wrong" if got else "right")
path = crf.viterbi_decode(emissions, mask)
print(f"path of no step: {path}, expected [[]]")
print("wrong" if path != [[]] else "right")
