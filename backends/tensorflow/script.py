"""Write a call as a few lines on Keras and TensorFlow alone, fit for their issue trackers.

The contract (`Backend.script`) says which names the script finds and sets: float inputs become tensors ``t``, the
operation's own lines set ``results``, and the end hands them over.
"""

from __future__ import annotations

from collections.abc import Collection

import ml_dtypes

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import indented
from rnnspec.backends.tensorflow.natives import SCRIPTS


def script(call: Call, device: str, wanted: Collection[str], graph: str | None) -> str | None:
    """Return source that makes a call, one that is native, as the adapter does; None for what has none.

    `graph` is the decorator under which it is traced, None where it is run at once.
    """
    write = SCRIPTS.get(call.operation)
    lines = None if write is None else write(call)
    if lines is None:
        return None
    narrow = any(array.dtype == ml_dtypes.bfloat16 for array in call.inputs.values())
    numpy = 'tf.cast(tf.convert_to_tensor({}), "float32").numpy()' if narrow else "tf.convert_to_tensor({}).numpy()"
    if wanted:
        found = [*_gradient(lines.compute, wanted), *_returned("found", graph)]
        end = [f"gradients = {{k: {numpy.format('g')} for k, g in found.items()}}"]
    else:
        found = [*lines.compute, *_returned("results", graph)]
        end = [f"outputs = [{numpy.format('y')} for y in results]"]
    if graph is not None:
        name = "found" if wanted else "results"
        found = [graph, "def run(t):", *indented(found), f"{name} = run(t)"]
    own = [*lines.make, *found]
    return "\n".join([*_beginning(call, device, own), *own, *end]) + "\n"


def _beginning(call: Call, device: str, own: Collection[str]) -> list[str]:
    lines = ["import keras"] if any("keras." in line for line in own) else []
    lines.append("import tensorflow as tf")
    if device != "cpu":
        lines.append("tf.config.experimental.enable_tensor_float_32_execution(False)")
    exact = [name for name in call.inputs if name not in call.float_inputs]
    but = f" if k not in {exact}" if exact else ""
    if len(exact) > 2:  # or the line is too long
        lines.append(f"exact = {exact}")
        but = " if k not in exact"
    lines.append(f"t = {{k: tf.cast(v, dtype) for k, v in inputs.items(){but}}}")
    return lines


def _gradient(compute: Collection[str], wanted: Collection[str]) -> list[str]:
    return [
        "with tf.GradientTape(watch_accessed_variables=False) as tape:",
        f"    tape.watch(leaves := {{k: t[k] for k in {' '.join(wanted)!r}.split()}})",
        *indented(compute),
        "ys, dys = zip(*((y, tf.cast(c, y.dtype)) for y, c in zip(results, cotangents) if c is not None))",
        'found = tape.gradient(ys, leaves, dys, unconnected_gradients="zero")',
    ]


def _returned(name: str, graph: str | None) -> list[str]:
    return [] if graph is None else [f"return {name}"]
