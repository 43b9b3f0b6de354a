"""allencrf and bi-lstm-crf: scores below -10,000 are not seen, since that number stands for what is forbidden."""

from importlib.metadata import version

import torch
from allencrf.conditional_random_field import ConditionalRandomField
from bi_lstm_crf import CRF

print(f"allencrf {version('allencrf')}, bi-lstm-crf {version('bi-lstm-crf')}")
with torch.no_grad():
    crf = ConditionalRandomField(1)
    for parameter in (crf.transitions, crf.start_transitions, crf.end_transitions):
        parameter.zero_()
    ((path, score),) = crf.viterbi_tags(torch.full((1, 1, 1), -50_000.0))
    print(f"allencrf, one tag, emission -50000: path {path}, score {score:.0f}; expected [0], -50000")
    print("wrong" if (path, score) != ([0], -50_000) else "right")

    crf = CRF(1, 1)
    crf.fc.weight.copy_(torch.tensor([[1.0], [0.0], [0.0]]))  # the tag, the start and the end
    crf.fc.bias.zero_()
    crf.transitions[0, 1] = crf.transitions[2, 0] = 0.0  # from the start to the tag, from there to the end
    crf.transitions[0, 0] = crf.transitions[2, 1] = 0.0
    emissions, mask = torch.full((1, 1, 1), -20_000.0), torch.ones(1, 1)
    loss = float(crf.loss(emissions, torch.zeros(1, 1, dtype=torch.int64), mask))
    score, _ = crf(emissions, mask)
    print(f"bi-lstm-crf, one tag, emission -20000: loss {loss:.0f}, best score {float(score):.0f}; expected 0, -20000")
    print("wrong" if loss > 1 else "right")
    print("wrong" if float(score) != -20_000 else "right")
