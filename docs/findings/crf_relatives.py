"""Four CRFs of torch: minus infinity becomes NaN, and two of them give a score or a tag to no step."""

from importlib.metadata import version

import pytorch_partial_crf
import pytorchcrf
import torch
from allencrf.conditional_random_field import ConditionalRandomField
from bi_lstm_crf import CRF

print(", ".join(f"{name} {version(name)}" for name in ("allencrf", "bi-lstm-crf", "pytorchcrf", "pytorch-partial-crf")))
emissions, tags = torch.zeros(1, 2, 2), torch.tensor([[0, 1]])
mask = torch.tensor([[True, False]])


def of_pytorch_crf(crf):
    """Its second tag may not follow the first; all other scores are 0."""
    for parameter in (crf.start_transitions, crf.end_transitions, crf.transitions):
        torch.nn.init.zeros_(parameter)
    crf.transitions[0, 1] = -torch.inf
    return crf


with torch.no_grad():
    crf = CRF(2, 2)
    crf.fc.weight.copy_(torch.eye(4, 2))
    crf.fc.bias.zero_()
    crf.transitions[:2, :3] = crf.transitions[3, :2] = 0.0
    crf.transitions[1, 0] = -torch.inf  # its moves go to the row, from the column
    partial, allen = of_pytorch_crf(pytorch_partial_crf.CRF(2)), of_pytorch_crf(ConditionalRandomField(2))
    for name, got in (
        ("allencrf", allen(emissions, tags, mask)),
        ("bi-lstm-crf", -crf.loss(emissions, tags, mask)),
        ("pytorchcrf", of_pytorch_crf(pytorchcrf.CRF(2, batch_first=True))(emissions, tags, mask)),
        ("pytorch-partial-crf", -partial(emissions, tags, mask)),
    ):
        print(f"{name}: log-likelihood of one step, two tags alike: {float(got):.6f}, expected -0.693147")
        print("wrong" if not torch.isfinite(got) else "right")
    none = torch.zeros(1, 2, dtype=torch.bool)
    ((path, score),) = allen.viterbi_tags(emissions, none)
    print(f"allencrf, no step: path {path} with score {score:.0f}, expected [] with 0")
    print("wrong" if score != 0 else "right")
    path = partial.viterbi_decode(emissions, none)
    print(f"pytorch-partial-crf, no step: paths {path}, expected [[]]")
    print("wrong" if path != [[]] else "right")
