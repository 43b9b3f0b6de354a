"""NumPy reference of all operations, with exact gradients.

Every operation has a function of its name, and a second one with its vector-Jacobian product, such as `lstm` and
`lstm_vjp`. Signatures and documentation come from the specification. Arrays are batch first and keep their type; the
code is shaped like the equations.
"""

# ruff: noqa: F401  (a file enters its functions when it is imported)

from rnnspec.reference import (
    attention,
    attention_decoders,
    bidirectional,
    blocks,
    clipping,
    context_vector,
    crf,
    ctc,
    decoding,
    forget_only_lstm,
    gru,
    layer_norm_lstm,
    losses,
    lstm,
    lstm_1997,
    mgu,
    nested_lstm,
    optimizers,
    peephole_lstm,
    projections,
    rnn,
    seq2seq,
    spectra,
    stacks,
)
from rnnspec.reference.public import public_functions

_FUNCTIONS = public_functions()
globals().update(_FUNCTIONS)
__all__ = [*_FUNCTIONS]
