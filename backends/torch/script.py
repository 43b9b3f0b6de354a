"""Write a call as a few lines on torch alone, fit for torch's issue tracker.

What the script finds and sets is the contract's (`Backend.script`): inputs become tensors ``t``, the operation's own
part sets ``results``, and the end hands them over.
"""

from __future__ import annotations

from rnnspec.backends.contract import Call
from rnnspec.backends.native import Native
from rnnspec.backends.torch.script_layers import RECURRENT, recurrent_lines
from rnnspec.backends.torch.script_source import source_lines


def script(call: Call, native: Native, device: str) -> str | None:
    """Return source that makes a call, one that the native function takes, on torch as that function does.

    None for what is several calls of torch's layers: which of them is at fault, a script of its own shows.
    """
    if call.operation in ("one_to_many", "alternating_stack") or call.attributes.get("dropout") is not None:
        return None
    lines = recurrent_lines(call) if call.operation in RECURRENT else source_lines(call, native)
    return "\n".join([*_beginning(call, device), *lines, *_end()]) + "\n"


def _beginning(call: Call, device: str) -> list[str]:
    lines = ["import torch", ""]
    if device != "cpu":
        lines += [
            "matmul = torch.backends.cuda.matmul",
            "torch.backends.cudnn.allow_tf32 = matmul.allow_tf32 = False",
            "matmul.allow_fp16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction = False",
        ]
    where = "" if device == "cpu" else f", device={device!r}"
    lines += [
        'torch.set_grad_enabled("cotangents" in globals())',
        f"kind = dict(dtype=getattr(torch, dtype){where}, requires_grad=torch.is_grad_enabled())",
    ]
    others = [name for name in call.inputs if name not in call.float_inputs]
    if not others:
        return [*lines, "t = leaves = {k: torch.tensor(v, **kind) for k, v in inputs.items()}"]
    return [
        *lines,
        f"leaves = {{k: torch.tensor(v, **kind) for k, v in inputs.items() if k not in {others}}}",
        f"t = leaves | {{k: torch.tensor(inputs[k]{where}) for k in {others}}}",
    ]


def _end() -> list[str]:
    return [
        "outputs = [result.detach().double().cpu().numpy() for result in results]",
        'if "cotangents" in globals():',
        "    seeds = [torch.tensor(c).to(y) for c, y in zip(cotangents, results)]",
        "    found = torch.autograd.grad(results, list(leaves.values()), seeds, materialize_grads=True)",
        "    gradients = {k: g.double().cpu().numpy() for k, g in zip(leaves, found)}",
    ]
