"""From a cell to the layer that runs it over a sequence: what every layer has alike is written once, here.

The cell's states are its inputs ``h_prev``, ``c_prev``, …, and its outputs ``h``, ``c``, …. The layer takes ``h0``,
``c0``, … and gives ``y``, the first state after every step, and ``h_n``, ``c_n``, …, the states after the last one.
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.spec.operation import Attribute, Block, Input, Operation, Output, Part, When

_FORWARD, _REVERSE = {"direction": "forward"}, {"direction": "reverse"}
_KEPT, _DROPPED = {"recurrent_dropout": "none"}, {"recurrent_dropout": "number"}
_FULL, _TRUNCATED = {"truncate": "none"}, {"truncate": "number"}

_DIRECTION = Attribute(
    "direction",
    "the order in which the steps are read; outputs stand in the order of the inputs either way",
    "forward",
    ("forward", "reverse"),
)
_TRUNCATE = Attribute(
    "truncate",
    "if a number k, no gradient flows from step t + 1 to step t where (t + 1) % k == 0, steps counted as they are read",
    None,
    domain="count",
    range=(1, "2 * T + 1"),
    usual=(2, 3),
)
_RECURRENT_DROPOUT = Attribute(
    "recurrent_dropout",
    "if a number p, every step sees the state before times recurrent_keep / (1 - p)",
    None,
    domain="probability",
    range=(0.0, 0.95),
)


def unrolled(layer: Operation, cell: Operation) -> Operation:
    """Give a layer what it takes over from its cell: inputs, outputs, attributes, and the equations that join steps."""
    states = tuple(name.removesuffix("_prev") for name in cell.inputs if name.endswith("_prev"))
    first = cell.inputs[f"{states[0]}_prev"].shape
    x = cell.inputs["x"].shape
    inputs = {"x": Input("x", ("B", "T", *x[1:]), "input sequence")}
    for state in states:
        before = cell.inputs[f"{state}_prev"]
        about = before.about.replace(" before", "").strip()
        inputs[f"{state}0"] = Input(f"{state}0", before.shape, f"initial {about}; zero if absent", optional=True)
    inputs.update((name, item) for name, item in cell.inputs.items() if not item.per_sequence)
    inputs["recurrent_keep"] = Input(
        "recurrent_keep", first, "which units of the state before every step sees", "bits", when=_DROPPED
    )
    outputs = {"y": Output("y", ("B", "T", *first[1:]), "state after each step; 0 at steps taken out")}
    for state in states:
        about = cell.outputs[state].about.replace(" after", "").strip()
        outputs[f"{state}_n"] = Output(f"{state}_n", cell.outputs[state].shape, f"{about} after the last step read")
    place = f"{layer.family}.toml: [{layer.name}], unrolled"

    def block(text: str, *whens: When, each: str = "") -> Block:
        return Block(text, place, {key: value for when in whens for key, value in when.items()}, each)

    h = states[0]
    seen = f"{h}[t - 1] * recurrent_keep / (1 - recurrent_dropout)"
    handed = f"d{h}_prev[t + 1] * recurrent_keep / (1 - recurrent_dropout)"
    cut = "0 if t >= 0 and (t + 1) % truncate == 0 else"
    equations = [
        block("STATE[-1] = STATE0\nSTATE_n = STATE[n - 1]", each="STATE"),
        block("u[t] = x[t]", _FORWARD),
        block("u[t] = x[n - 1 - t]", _REVERSE),
        block(f"{h}_prev[t] = {h}[t - 1]", _KEPT),
        block(f"{h}_prev[t] = {seen}", _DROPPED),
        block("MEMORY_prev[t] = MEMORY[t - 1]", each="MEMORY"),
        block(f"y[t] = {h}[t]", _FORWARD),
        block(f"y[t] = {h}[n - 1 - t]", _REVERSE),
    ]
    gradient = [
        block("dSTATE_after[n - 1] = dSTATE_n\ndSTATE0 = dSTATE_after[-1]", each="STATE"),
        block(f"d{h}_after[t] = d{h}_prev[t + 1]", _FULL, _KEPT),
        block(f"d{h}_after[t] = {handed}", _FULL, _DROPPED),
        block(f"d{h}_after[t] = {cut} d{h}_prev[t + 1]", _TRUNCATED, _KEPT),
        block(f"d{h}_after[t] = {cut} {handed}", _TRUNCATED, _DROPPED),
        block("dMEMORY_after[t] = dMEMORY_prev[t + 1]", _FULL, each="MEMORY"),
        block(f"dMEMORY_after[t] = {cut} dMEMORY_prev[t + 1]", _TRUNCATED, each="MEMORY"),
        block(f"d{h}[t] = dy[t] + d{h}_after[t]", _FORWARD),
        block(f"d{h}[t] = dy[n - 1 - t] + d{h}_after[t]", _REVERSE),
        block("dMEMORY[t] = dMEMORY_after[t]", each="MEMORY"),
        block("dx[t] = du[t]", _FORWARD),
        block("dx[t] = du[n - 1 - t]", _REVERSE),
    ]
    return replace(
        layer,
        sizes={**cell.sizes, "T": "steps of the longest sequence", "n": "valid steps of one sequence", **layer.sizes},
        inputs={**inputs, **layer.inputs},
        outputs={**outputs, **layer.outputs},
        attributes={
            **cell.attributes,
            **{a.name: a for a in (_DIRECTION, _TRUNCATE, _RECURRENT_DROPOUT)},
            **layer.attributes,
        },
        equations=(*equations, *layer.equations),
        gradient=(*gradient, *layer.gradient),
        gates=cell.gates,
        gate_variants=cell.gate_variants,
        memory_gate=cell.memory_gate,
        same_size=cell.same_size,
        at_least=cell.at_least,
        carries={f"{state}0": f"{state}_n" for state in states},
        parts=(
            Part(
                cell.name, ("t",), ("n",), reads={"x": "u"}, states=False, gives=False, choices={cell.name: cell},
            ),
        ),
    )  # fmt: skip
