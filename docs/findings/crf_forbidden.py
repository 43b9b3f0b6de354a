"""pytorch-crf and TorchCRF: a transition of -inf makes NaN where it is not taken: at padding, and in gradients."""

from importlib.metadata import version

import torch

transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
emissions, tags = torch.zeros(1, 2, 2), torch.tensor([[0, 1]])  # the second step is padding
mask = torch.tensor([[True, False]])


def pytorch_crf():
    from torchcrf import CRF

    crf = CRF(2, batch_first=True)
    crf.transitions.data = transitions
    crf.start_transitions.data, crf.end_transitions.data = torch.zeros(2), torch.zeros(2)
    return crf(emissions, tags, mask, reduction="none")


def torch_crf():
    from TorchCRF import CRF

    crf = CRF(2)
    crf.trans_matrix.data = transitions
    crf.start_trans.data, crf.end_trans.data = torch.zeros(2), torch.zeros(2)
    return crf(emissions, tags, mask)


for name, function in {"pytorch-crf": pytorch_crf, "TorchCRF": torch_crf}.items():
    try:
        print(f"{name} {version(name)}")
        got = float(function().detach())
    except ImportError:
        print("not installed")
        continue
    print(f"log-likelihood of one step, two tags alike: {got:.6f}, expected {-torch.tensor(2.0).log():.6f}")
    print("wrong" if got != got else "right")
