"""The library as it was before anyone thought of rnnspec.

Gates z, r, n side by side in the columns of one matrix for ``[x; h]``; time first; the update gate keeps the state; the
reset gate stands on the product. Gradients are not its business.
"""

import numpy as np


def gru_forward(inputs, state, kernel, bias, candidate_bias, lengths):
    """Run over ``inputs (T, B, D)`` from ``state (B, H)``; return the outputs ``(T, B, H)`` and the last state.

    ``kernel`` is ``(D + H, 3 H)``, ``bias`` ``(3 H,)``, ``candidate_bias`` ``(H,)`` is added to the recurrent product
    of the candidate, and sequence b stops after ``lengths[b]`` steps.
    """
    units = state.shape[1]
    features = inputs.shape[2]
    outputs = np.zeros((*inputs.shape[:2], units), inputs.dtype)
    for t, x in enumerate(inputs):
        from_x = x @ kernel[:features] + bias
        from_h = state @ kernel[features:]
        z = _sigmoid(from_x[:, :units] + from_h[:, :units])
        r = _sigmoid(from_x[:, units : 2 * units] + from_h[:, units : 2 * units])
        n = np.tanh(from_x[:, 2 * units :] + r * (from_h[:, 2 * units :] + candidate_bias))
        running = (t < lengths)[:, None]
        state = np.where(running, n + z * (state - n), state)
        outputs[t] = np.where(running, state, 0)
    return outputs, state


def _sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5
