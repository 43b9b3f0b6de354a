"""A violation as something to paste into an issue tracker: an ``.npz`` and a short script without rnnspec."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.checks.check import Violation
from rnnspec.conformance.run.files import write_arrays, write_bytes
from rnnspec.spec import operation

_SCRIPT = '''\
"""{title}

{message}
Needs NumPy and {library}.
"""
from pathlib import Path

import numpy as np

data = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)
dtype = "{dtype}"
inputs = {{name[6:]: data[name] for name in data.files if name.startswith("input.")}}
{cotangents}{call}
{pick}
print("expected", data["expected"], sep="\\n")
print("got", got, sep="\\n")
print("bound", data["bound"], sep="\\n")
with np.errstate(invalid="ignore"):
    ratio = np.abs(got - data["expected"]) / data["bound"]
print("error / bound, at most 1 if right:", np.where(np.isnan(ratio), np.inf, ratio).max())
'''


def write_repro(folder: Path, backend: Backend, check: str, dtype: str, violation: Violation) -> Path | str:
    """Write the repro of a violation; return the script's path, or "" where there is no call to repeat."""
    call = violation.call
    if call is None or violation.expected is None or violation.got is None:
        return ""
    op = operation(call.operation)
    arrays: dict[str, Any] = {f"input.{name}": _portable(array) for name, array in call.inputs.items()}
    cotangents = ""
    if violation.cotangents is not None:
        arrays |= {
            f"cotangent.{name}": _portable(array) for name, array in zip(op.outputs, violation.cotangents, strict=True)
        }
        names = ", ".join(f'"{name}"' for name in op.outputs)
        cotangents = f'cotangents = [data["cotangent." + name] for name in ({names},)]\n'
    arrays |= {
        "expected": violation.expected.value,
        "bound": violation.expected.bound,
        "got": _portable(violation.got),
    }
    script = backend.script(call)
    if script is None:
        library = "nothing else: the numbers are those recorded"
        lines, pick = "# the call is not repeated here: these are the numbers that came", 'got = data["got"]'
    else:
        library = ", ".join(f"{name} {version}" for name, version in backend.versions().items())
        lines = script.rstrip()
        if violation.cotangents is not None:
            pick = f'got = gradients["{violation.quantity.removeprefix("d")}"]'
        else:
            pick = f"got = outputs[{list(op.outputs).index(violation.quantity)}]"
    stem = re.sub(r"\W+", "-", f"{backend.name}-{call.operation}-{dtype}-{check}")
    path = folder / f"{stem}.py"
    source = _SCRIPT.format(
        title=f"{backend.name} {call.operation}: {check} violated in {dtype}.",
        message=str(violation).replace("\\", "\\\\").replace('"""', "'''"),
        library=library,
        dtype=dtype,
        cotangents=cotangents,
        call=lines,
        pick=pick,
    )
    write_arrays(path.with_suffix(".npz"), arrays)
    write_bytes(path, source.encode())
    return path


def _portable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Types that NumPy alone can read back: bfloat16 widens to float32, which holds it exactly."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
