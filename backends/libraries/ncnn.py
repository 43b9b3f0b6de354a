"""ncnn: its layers RNN, LSTM and GRU, one sequence at a time, with states that are fed and given back."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

import ncnn
import numpy as np

from rnnspec.backends import Backend, at_least, only
from rnnspec.spec.arrays import Array

Many = tuple[Array, ...]

_WAYS: Final = {"forward": 0, "reverse": 1}
"""ncnn's directions."""


class NcnnBackend(Backend):
    """ncnn on the CPU in float32: no batch, so that each sequence is a run of its own, over its valid steps."""

    name: ClassVar[str] = "ncnn"
    libraries: ClassVar[tuple[str, ...]] = ("ncnn",)
    by_default: ClassVar[bool] = False

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of its known faults."""
        return Path(__file__).with_name("ncnn.toml")

    def dtypes(self) -> tuple[str, ...]:
        """The type of its weights; it computes in half precision only if it is told to."""
        return ("float32",)

    @only(activation="tanh", direction=set(_WAYS), T=at_least(1))
    def rnn(self, x: Array, W: Array, R: Array, b: Array, h0: Array, lengths: Array, *, direction: str) -> Many:
        """Return y and h_n."""
        return _run("RNN", (W, b, R), x, (h0,), lengths, direction)

    @only(direction=set(_WAYS), T=at_least(1))
    def lstm(
        self, x: Array, W: Array, R: Array, b: Array, h0: Array, c0: Array, lengths: Array, *, direction: str
    ) -> Many:
        """Return y, h_n and c_n."""
        order = [0, 1, 3, 2]  # ncnn's gates are i, f, o, g
        return _run("LSTM", (W[order], b[order], R[order]), x, (h0, c0), lengths, direction)

    @only(reset="after", update="keeps", direction=set(_WAYS), T=at_least(1))
    def gru(
        self, x: Array, W: Array, R: Array, b: Array, b_rn: Array, h0: Array, lengths: Array, *, direction: str
    ) -> Many:
        """Return y and h_n."""
        return _run("GRU", (W, np.concatenate([b, b_rn[None]]), R), x, (h0,), lengths, direction)


def _run(kind: str, weights: Many, x: Array, states: Many, lengths: Array, direction: str) -> Many:
    """Outputs, 0 at padding, and final states."""
    names = ["h", "c"][: len(states)]
    after = [f"{name}_n" for name in names]
    given, made = " ".join(["x", *names]), " ".join(["y", *after])
    units, count = states[0].shape[1], len(names) + 1
    layer = f"{kind} layer {count} {count} {given} {made} 0={units} 1={weights[0].size} 2={_WAYS[direction]} 3={units}"
    inputs = [f"Input {name} 0 1 {name}" for name in ("x", *names)]
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = net.opt.use_bf16_storage = False
    if net.load_param_mem("\n".join(["7767517", f"{count + 1} {2 * count}", *inputs, layer, ""])) != 0:
        raise RuntimeError(f"ncnn does not read its own text of a {kind}")
    # A word of 0 says that float32 follows. The net may read the memory again, which has to outlive it.
    memory = b"".join(b"\0" * 4 + np.ascontiguousarray(array, np.float32).tobytes() for array in weights)
    net.load_model_mem(memory)
    y, finals = np.zeros((*x.shape[:2], units), x.dtype), [state.copy() for state in states]
    for row, steps in enumerate(lengths):
        if steps:
            run = net.create_extractor()
            fed = [np.ascontiguousarray(array) for array in (x[row, :steps], *(state[[row]] for state in states))]
            for name, array in zip(("x", *names), fed, strict=True):
                run.input(name, ncnn.Mat(array))  # which has no memory of its own
            y[row, :steps] = np.array(run.extract("y")[1])
            for name, final in zip(after, finals, strict=True):
                final[row] = np.array(run.extract(name)[1])
    return (y, *finals)
