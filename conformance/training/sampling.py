"""Texts that a model of letters writes, one letter after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.conformance.training.learning import Learner


def sampled(learned: Learner, names: str, temperature: float, seed: int, length: int = 200) -> str:
    """Return a text that ``char-rnn`` writes: each letter is drawn from the softmax of the logits over a temperature.

    Parameters
    ----------
    learned
        The model.
    names
        The letters by id; the last stands for all others.
    temperature
        Below 1, likely letters become likelier; at 0 the likeliest is taken.
    seed
        Of what is drawn.
    length
        Letters of the text.
    """
    rng = np.random.default_rng((seed, 9))
    units = learned.trainer.parameters["lower.R"].shape[-1]
    states: dict[str, Any] = {name: np.zeros((1, units)) for name in learned.model.carries}
    letter, written = max(names.find("\n"), 0), []
    for _ in range(length):
        values = learned.passed({"letters": np.array([[letter]]), **states}).values
        states = {name: values[source] for name, source in learned.model.carries.items()}
        logits = np.asarray(values["head.y"], np.float64)[0, 0]
        if temperature:
            chances = np.exp((logits - logits.max()) / temperature)
            letter = int(rng.choice(len(chances), p=chances / chances.sum()))
        else:
            letter = int(logits.argmax())
        written.append(names[min(letter, len(names) - 1)])
    return "".join(written)
