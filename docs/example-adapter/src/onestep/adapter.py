"""The adapter: one method per operation that the library has. It maps conventions, and refuses what it cannot map."""

import numpy as np

from onestep import __name__ as library
from onestep.kernel import gru_forward
from rnnspec.backends import Backend, Unsupported
from rnnspec.spec import check_call


class OnestepBackend(Backend):
    """onestep's GRU."""

    name = library

    def versions(self):
        """The subject of the verdict."""
        return {"onestep": "1.0", "numpy": np.__version__}

    def gru(self, x, W, R, b, b_rn=None, h0=None, *, lengths=None, mask=None, recurrent_keep=None, **attributes):
        """From the specification's layout to the kernel's and back."""
        # The kernel checks nothing itself: bad input must end in an error, never in a number.
        given = {"x": x, "W": W, "R": R, "b": b, "b_rn": b_rn, "h0": h0, "lengths": lengths, "mask": mask}
        check_call("gru", {**given, "recurrent_keep": recurrent_keep}, attributes)
        if attributes["direction"] != "forward":
            raise Unsupported("onestep reads forward only")
        if attributes["reset"] != "after" or attributes["update"] != "keeps":
            raise Unsupported("onestep's GRU resets after the product, and its update gate keeps the state")
        if attributes["truncate"] is not None or attributes["recurrent_dropout"] is not None:
            raise Unsupported("onestep neither truncates the gradient nor drops units of the state")
        if mask is not None:
            raise Unsupported("onestep takes lengths, not masks")
        batch, steps, _ = x.shape
        units = R.shape[1]
        if lengths is None:
            lengths = np.full(batch, steps)
        # Padding may hold anything, and 0 * NaN is NaN.
        x = np.where((np.arange(steps) < lengths[:, None])[:, :, None], x, 0)
        order = [1, 0, 2]  # the specification has r, z, n; the kernel z, r, n
        kernel = np.concatenate([W[order].reshape(3 * units, -1), R[order].reshape(3 * units, -1)], axis=1).T
        state = np.zeros((batch, units), x.dtype) if h0 is None else h0
        candidate = np.zeros(units, x.dtype) if b_rn is None else b_rn
        y, h_n = gru_forward(x.transpose(1, 0, 2), state, kernel, b[order].ravel(), candidate, lengths)
        return y.transpose(1, 0, 2), h_n
