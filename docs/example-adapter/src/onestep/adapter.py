"""The adapter: a method for each operation that the library has. It maps conventions, and refuses all else."""

import numpy as np

from onestep.kernel import gru_forward
from rnnspec.backends import Backend, only


class OnestepBackend(Backend):
    """onestep's GRU."""

    name = "onestep"
    libraries = ("onestep", "numpy")

    @only(reset="after", update="keeps")
    def gru(self, x, W, R, b, b_rn, h0, lengths):
        """From the specification's layout to the kernel's and back."""
        order, rows = [1, 0, 2], 3 * len(b_rn)  # the specification has r, z, n; the kernel z, r, n
        kernel = np.concatenate([W[order].reshape(rows, -1), R[order].reshape(rows, -1)], axis=1).T
        y, h_n = gru_forward(x.transpose(1, 0, 2), h0, kernel, b[order].ravel(), b_rn, lengths)
        return y.transpose(1, 0, 2), h_n
