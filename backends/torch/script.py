"""Write a call as a few lines on torch alone, fit for torch's issue tracker.

The contract (`Backend.script`) says which names the script finds and sets: inputs become tensors ``t``, the operation's
own lines set ``results``, and the end hands them over.
"""

from __future__ import annotations

from collections.abc import Collection

import ml_dtypes

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import WIDEST
from rnnspec.backends.torch.natives import SCRIPTS


def script(
    call: Call, device: str, wanted: Collection[str], directions: Collection[str], *, compiled: bool
) -> str | None:
    """Return source that makes a call, one that torch's own function takes, on torch as the adapter does.

    None for what is several calls of torch's layers: which of them is at fault, a script of its own shows.
    """
    write = SCRIPTS.get(call.operation)
    lines = None if write is None else write(call)
    if lines is None:
        return None
    own = lines.compiled("@torch.compile") if compiled else lines.plain()
    # NumPy has no bfloat16.
    narrow = any(array.dtype == ml_dtypes.bfloat16 for array in call.inputs.values())
    numpy = "detach().cpu().float().numpy()" if narrow else "detach().cpu().numpy()"
    end = _gradients(wanted, directions, numpy) if wanted else [f"outputs = [y.{numpy} for y in results]"]
    others = [name for name in call.inputs if name not in call.float_inputs and any(f't["{name}"]' in o for o in own)]
    return "\n".join([*_beginning(call, device, others, wanted), *own, *end]) + "\n"


def _beginning(call: Call, device: str, others: Collection[str], wanted: Collection[str]) -> list[str]:
    lines, where = ["import torch"], ""
    if not wanted:
        lines.append("torch.set_grad_enabled(False)")
    if device != "cpu":
        where = f", device={device!r}"
        lines += [
            "matmul = torch.backends.cuda.matmul",
            "torch.backends.cudnn.allow_tf32 = matmul.allow_tf32 = False",
            "matmul.allow_fp16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction = False",
        ]
    exact = [name for name in call.inputs if name not in call.float_inputs]
    but = f" if k not in {exact}" if exact else ""
    if len(exact) > 2:  # or the line is too long
        lines.append(f"exact = {exact}")
        but = " if k not in exact"
    lines.append(f"t = {{k: torch.tensor(v, dtype=getattr(torch, dtype){where}) for k, v in inputs.items(){but}}}")
    if others:
        lines.append(f"t |= {{k: torch.tensor(inputs[k]{where}) for k in {others}}}")
    if wanted:
        names = str(list(wanted))
        if len(names) > WIDEST // 2:
            lines.append(f"names = {names}")
            names = "names"
        lines.append(f"leaves = {{k: t[k].requires_grad_() for k in {names}}}")
    return lines


def _gradients(wanted: Collection[str], directions: Collection[str], numpy: str) -> list[str]:
    lines = ["ys, dys = zip(*((y, torch.tensor(c).to(y)) for y, c in zip(results, cotangents) if c is not None))"]
    if directions:
        lines += [
            "along = [t[k] for k in directions]",
            "first = torch.autograd.grad(ys, along, dys, create_graph=True, materialize_grads=True)",
            "twice = ((g, torch.tensor(v).to(g)) for g, v in zip(first, directions.values()))",
            "ys, dys = zip(*(pair for pair in twice if pair[0].requires_grad))",
        ]
    return [
        *lines,
        "found = torch.autograd.grad(ys, list(leaves.values()), dys, materialize_grads=True)",
        f"gradients = {{k: g.{numpy} for k, g in zip(leaves, found)}}",
    ]
