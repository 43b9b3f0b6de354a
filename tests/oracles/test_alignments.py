"""The loss of connectionist temporal classification against the sum over all alignments, one by one."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from rnnspec import reference


def by_every_alignment(logits: np.ndarray, labels: list[int], blank: int) -> float:
    """Minus the log of the probability of all ways to emit the symbols of the labels."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    total = 0.0
    for alignment in product(range(p.shape[1]), repeat=len(p)):
        if [symbol for symbol, _ in groupby(alignment) if symbol != blank] == labels:
            total += float(np.prod([p[t, symbol] for t, symbol in enumerate(alignment)]))
    return float(-np.log(total)) if total else np.inf


@pytest.mark.parametrize("blank", ["first", "last"])
@pytest.mark.parametrize("steps", range(6))
def test_the_loss_is_that_of_every_alignment(blank: str, steps: int) -> None:
    rng = np.random.default_rng(steps)
    logits = rng.normal(size=(12, 6, 3))
    labels, counts = rng.integers(0, 2, (12, 3)), np.arange(12) % 4
    (loss,) = reference.ctc_loss(logits, labels, counts, lengths=np.full(12, steps, np.int64), blank=blank)
    at, shift = (0, 1) if blank == "first" else (2, 0)
    due = [
        by_every_alignment(logits[k, :steps], [int(label) + shift for label in labels[k, : counts[k]]], at)
        for k in range(12)
    ]
    np.testing.assert_allclose(loss, due, rtol=1e-12)
    assert np.isinf(loss).any() or steps > 4
