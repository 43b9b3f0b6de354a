"""Write a call as a few lines on torch alone, fit for torch's issue tracker."""

from __future__ import annotations

import numpy as np

from rnnspec.backends.contract import Array, Call

GRAD = "with torch.set_grad_enabled(differentiate):"

CLASSES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def script(call: Call, device: str) -> str:
    """Return source that makes a call, one that the adapter accepts, on torch's own module as the adapter does.

    The contract's `Backend.script` says what the source finds and sets. Only what the call needs is written: no packing
    where all sequences are full, and so on.
    """
    lines = [*_tensors(call, device), *_module(call)]
    lines += _cell_call(call) if _is_cell(call) else _layer_call(call)
    lines += _results(call)
    return "\n".join(lines) + "\n"


def _tensors(call: Call, device: str) -> list[str]:
    """Import torch and make tensors of the inputs; states that are absent are 0."""
    lines = ["import torch"]
    if not _is_cell(call) and _counts(call) is not None:
        lines.append("from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence")
    lines.append("")
    if device != "cpu":
        lines.append("torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False")
    where = "" if device == "cpu" else f', "device": {device!r}'
    lines += [
        f'kind = {{"dtype": getattr(torch, dtype){where}}}',
        'differentiate = "cotangents" in globals()',
        't = {k: torch.tensor(v, **kind) for k, v in inputs.items() if k not in ("lengths", "mask")}',
    ]
    present = [name for name in ("x", *_states(call)) if name in call.inputs]
    names = ", ".join(f'"{name}"' for name in present)
    lines.append(f"[{', '.join(present)}] = [t[k].requires_grad_(differentiate) for k in [{names}]]")
    for name in _states(call):
        if name not in call.inputs:
            size = len(call.inputs["P"]) if name == "h0" and "P" in call.inputs else _hidden(call)
            lines.append(f"{name} = torch.zeros({len(call.inputs['x'])}, {size}, **kind)")
    return lines


def _module(call: Call) -> list[str]:
    """Build torch's module and give it the weights."""
    inputs = call.inputs
    gates, hidden, features = inputs["W"].shape
    suffix = _suffix(call)
    options = [str(features), str(hidden)]
    if call.attributes.get("activation", "tanh") != "tanh":
        options.append(f"nonlinearity={call.attributes['activation']!r}")
    if "P" in inputs:
        options.append(f"proj_size={len(inputs['P'])}")
    if not _is_cell(call):
        options.append("batch_first=True")
    biases = f'"bias_ih{suffix}": t["b"].flatten(), "bias_hh{suffix}": '
    if "b_rn" in inputs:
        biases += f'torch.cat([torch.zeros({2 * hidden}, **kind), t["b_rn"]])'
    else:
        biases += f"torch.zeros({gates * hidden})"
    if "P" in inputs:
        biases += f', "weight_hr{suffix}": t["P"]'
    name = CLASSES[_family(call)] + ("Cell" if _is_cell(call) else "")
    lines = []
    if _admits(call):
        lines.append('for k in ("W", "R", "b"): t[k][1] *= -1  # where this z is z, torch\'s is 1 - z')
    return [
        *lines,
        f"layer = torch.nn.{name}({', '.join(options)}, **kind).requires_grad_(differentiate)",
        "layer.load_state_dict({",
        f'    "weight_ih{suffix}": t["W"].flatten(0, 1), "weight_hh{suffix}": t["R"].flatten(0, 1),',
        f"    {biases}}})",
    ]


def _cell_call(call: Call) -> list[str]:
    if "c_prev" in call.inputs:
        return [f"{GRAD} results = layer(x, (h_prev, c_prev))"]
    return [f"{GRAD} results = [layer(x, h_prev)]"]


def _layer_call(call: Call) -> list[str]:
    """Call the layer, on packed sequences and reversed where the call is ragged or in reverse."""
    states = _states(call)
    finals = [name.replace("0", "_n") for name in states]
    reverse = call.attributes["direction"] == "reverse"
    steps = call.inputs["x"].shape[1]
    counts = _counts(call)
    if counts is None:
        u, y = ("x.flip(1)", "y.flip(1)") if reverse else ("x", "y")
        return [
            f"{GRAD} y, {_tupled(finals)} = layer({u}, {_tupled([f'{name}[None]' for name in states])})",
            f"results = [{', '.join([y, *(f'{name}[0]' for name in finals)])}]",
        ]

    lines = [f"n = torch.tensor({counts.tolist()}, dtype=torch.int64)"]
    u, y = "x", "y"
    if reverse:
        lines += [
            f"step = torch.arange({steps})",
            "order = torch.where(step < n[:, None], n[:, None] - 1 - step, step)[:, :, None].to(x.device)",
            "u = torch.take_along_dim(x, order, 1)  # each sequence reversed in its place",
        ]
        u, y = "u", "torch.take_along_dim(y, order, 1)"
    some_empty, some_full = bool((counts == 0).any()), bool((counts > 0).any())
    if some_empty:
        lines.append("rows = n.nonzero()[:, 0].to(x.device)  # the sequences that have steps")
    before = _tupled([f"{name}[None, rows]" if some_empty else f"{name}[None]" for name in states])
    if some_full:
        lines += [
            f"packed = pack_padded_sequence({f'{u}[rows], n[n > 0]' if some_empty else f'{u}, n'}, "
            "batch_first=True, enforce_sorted=False)",
            f"{GRAD} packed, {_tupled(finals)} = layer(packed, {before})",
            f"y, _ = pad_packed_sequence(packed, batch_first=True, total_length={steps})",
        ]
    else:
        lines.append(f"{GRAD} y, {_tupled(finals)} = layer({f'{u}[rows]' if some_empty else u}, {before})")
    after = [f"{name}[0]" for name in finals]
    if some_empty:
        lines.append("y = y.new_zeros(len(n), *y.shape[1:]).index_copy(0, rows, y)")
        after = [f"{state}.index_copy(0, rows, {final})" for state, final in zip(states, after, strict=True)]
    return [*lines, f"results = [{', '.join([y, *after])}]"]


def _results(call: Call) -> list[str]:
    """Set the outputs and, with cotangents, the gradients, in the shapes of the inputs."""
    sources = [name for name in ("x", *_states(call)) if name in call.inputs]
    # In the order of layer.parameters(): W, R, the two biases, P. Without b_rn the second bias is torch's alone.
    names = [*sources, "W", "R", "b", "b_rn" if "b_rn" in call.inputs else "b_hh"] + ["P"] * ("P" in call.inputs)
    lines = [
        "outputs = [result.detach().double().cpu().numpy() for result in results]",
        "if differentiate:",
        "    seeds = [torch.tensor(c, **kind) for c in cotangents]",
        f"    found = torch.autograd.grad(results, [{', '.join(sources)}, *layer.parameters()], seeds)",
        f"    found = dict(zip(({', '.join(map(repr, names))}), found))".replace("'", '"'),
    ]
    if "b_rn" in call.inputs:
        lines.append(f'    found["b_rn"] = found["b_rn"][{2 * _hidden(call)}:]')
    else:
        lines.append('    del found["b_hh"]')
    lines.append("    gradients = {k: g.double().cpu().numpy().reshape(inputs[k].shape) for k, g in found.items()}")
    if _admits(call):
        lines.append('    for k in ("W", "R", "b"): gradients[k][1] *= -1')
    return lines


def _is_cell(call: Call) -> bool:
    return call.operation.endswith("_cell")


def _family(call: Call) -> str:
    return call.operation.removesuffix("_cell")


def _suffix(call: Call) -> str:
    return "" if _is_cell(call) else "_l0"


def _hidden(call: Call) -> int:
    return int(call.inputs["W"].shape[1])


def _admits(call: Call) -> bool:
    return call.attributes.get("update") == "admits"


def _states(call: Call) -> tuple[str, ...]:
    states = ("h_prev", "c_prev") if _is_cell(call) else ("h0", "c0")
    return states if _family(call) == "lstm" else states[:1]


def _counts(call: Call) -> Array | None:
    """Steps in each sequence; None where all are full."""
    if "mask" in call.inputs:
        return np.asarray(call.inputs["mask"].sum(1))
    return call.inputs.get("lengths")


def _tupled(names: list[str]) -> str:
    """Torch's LSTM takes and gives a pair of states, the others one."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
