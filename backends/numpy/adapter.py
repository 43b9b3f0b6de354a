"""The NumPy reference as a backend: the suite holds it to the same checks as every other."""

from __future__ import annotations

from typing import ClassVar

from rnnspec import reference
from rnnspec.backends.contract import Backend


class NumpyBackend(Backend):
    """Each operation is the reference's function of that name, and its gradient the function beside it."""

    name: ClassVar[str] = "numpy"

    def dtypes(self) -> tuple[str, ...]:
        """All the specification's types; the two-byte ones are computed in float32 and rounded once."""
        return ("float16", "bfloat16", "float32", "float64")

    rnn_cell = staticmethod(reference.rnn_cell)
    rnn_cell_vjp = staticmethod(reference.rnn_cell_vjp)
    lstm_cell = staticmethod(reference.lstm_cell)
    lstm_cell_vjp = staticmethod(reference.lstm_cell_vjp)
    gru_cell = staticmethod(reference.gru_cell)
    gru_cell_vjp = staticmethod(reference.gru_cell_vjp)
    rnn = staticmethod(reference.rnn)
    rnn_vjp = staticmethod(reference.rnn_vjp)
    lstm = staticmethod(reference.lstm)
    lstm_vjp = staticmethod(reference.lstm_vjp)
    gru = staticmethod(reference.gru)
    gru_vjp = staticmethod(reference.gru_vjp)
