"""The recurrent layers among named arrays: torch's state dict, Keras's weights, or the specification's own names.

A layer's place is a path, its number in a stack and its direction. It is named ``encoder.weight_ih_l1_reverse`` in a
torch state dict, ``encoder/l1_reverse/kernel`` among Keras's weights and ``encoder/l1_reverse/W`` among the
specification's arrays. Keras's own paths are read as well: ``encoder/lstm_cell/kernel`` is layer 0, and
``encoder/forward_lstm/lstm_cell/kernel`` that of a Bidirectional, whose backward layer is the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from rnnspec.backends.layouts import keras, torch
from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import GATES, PARAMETERS, Family, LayoutError

Layout = Literal["torch", "keras", "spec"]
LAYOUTS: Final[tuple[Layout, ...]] = ("torch", "keras", "spec")

_TORCH: Final = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<name>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?P<suffix>(?:_l(?P<number>\d+)(?P<reverse>_reverse)?)?)"
)
_GROUPED: Final = re.compile(
    r"(?:(?P<path>.*?)/)?(?:(?P<place>cell|l(?P<number>\d+)(?P<reverse>_reverse)?)/)?(?P<name>[^/]+)"
)
_KERAS: Final = ("kernel", "recurrent_kernel", "bias")
_NUMBERS_OF_AXES: Final = {
    **dict.fromkeys(("weight_ih", "weight_hh", "weight_hr", "kernel", "recurrent_kernel"), (2,)),
    "bias": (1, 2),
}


@dataclass(frozen=True, order=True)
class LayerPlace:
    """Where a layer stands: `number` is None for a cell."""

    path: str
    number: int | None = 0
    reverse: bool = False

    def suffix(self) -> str:
        """The end of torch's names."""
        return "" if self.number is None else f"_l{self.number}{'_reverse' if self.reverse else ''}"

    def torch_name(self, name: str) -> str:
        """Name in a torch state dict; `name` has its suffix."""
        return f"{self.path.replace('/', '.')}.{name}" if self.path else name

    def grouped_name(self, name: str) -> str:
        """Name among Keras's weights and the specification's arrays."""
        place = "cell" if self.number is None else self.suffix()[1:]
        return "/".join(part for part in (self.path, place, name) if part)


def layout_of(names: Mapping[str, Tensor]) -> Layout:
    """Which layout the names are of; LayoutError if no recurrent layer is among them, or several kinds are."""
    ends = {name.rsplit("/", 1)[-1] for name in names}
    found: list[Layout] = []
    if any(match and match["name"] == "weight_hh" for match in map(_TORCH.fullmatch, names)):
        found.append("torch")
    if "recurrent_kernel" in ends:
        found.append("keras")
    if "R" in ends:
        found.append("spec")
    if len(found) != 1:
        came = " and ".join(found) if found else "none"
        raise LayoutError(
            "expected the recurrent layers of one layout: weight_hh_l0 (torch), recurrent_kernel (keras) or R (spec); "
            f"got {came} among {', '.join(sorted(names)) or 'no arrays'}"
        )
    return found[0]


def read_layers(
    xp: Shaping, layout: Layout, arrays: Mapping[str, Tensor]
) -> tuple[dict[LayerPlace, dict[str, Tensor]], list[str]]:
    """Return each recurrent layer's parameters in the specification's arrays, and the names that belong to none."""
    groups: dict[LayerPlace, dict[str, Tensor]] = {}
    others: list[str] = []
    for name, array in arrays.items():
        place, key = _torch_place(name) if layout == "torch" else _grouped_place(name)
        wanted = key if layout == "torch" else key if key in (_KERAS if layout == "keras" else PARAMETERS) else ""
        if wanted:
            groups.setdefault(place, {})[wanted] = array
        else:
            others.append(name)
    recurrent = {"torch": "weight_hh", "keras": "recurrent_kernel", "spec": "R"}[layout]
    layers: dict[LayerPlace, dict[str, Tensor]] = {}
    for place, group in sorted(groups.items(), key=lambda item: (item[0].path, item[0].suffix())):
        if recurrent not in group:  # a Dense layer has a kernel and a bias too
            others += [name for name in arrays if any(arrays[name] is array for array in group.values())]
            continue
        try:
            layers[place] = _to_spec(xp, layout, group)
        except LayoutError as error:
            raise LayoutError(f"{place.grouped_name('')}: {error}") from error
    return layers, others


def write_layers(xp: Shaping, layout: Layout, layers: Mapping[LayerPlace, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return named arrays in a layout; LayoutError naming every layer that it cannot represent, and why."""
    written: dict[str, Tensor] = {}
    refused: list[str] = []
    for place, arrays in layers.items():
        try:
            if layout == "torch":
                named = torch.from_spec(xp, family_of(xp, arrays), **arrays, suffix=place.suffix())
                written |= {place.torch_name(name): array for name, array in named.items()}
                continue
            if layout == "keras":
                if "P" in arrays:
                    raise LayoutError("Keras's LSTM has no projection (P)")
                arrays = keras.from_spec(xp, family_of(xp, arrays), **arrays)
            written |= {place.grouped_name(name): array for name, array in arrays.items()}
        except LayoutError as error:
            refused.append(f"{place.grouped_name('')}: {error}")
    if refused:
        raise LayoutError(f"{layout} cannot represent " + "; ".join(refused))
    return written


def family_of(xp: Shaping, arrays: Mapping[str, Tensor]) -> Family:
    """The family whose gates these arrays have."""
    gates = xp.shape(arrays["R"])[0]
    for family, count in GATES.items():
        if count == gates:
            return family
    raise LayoutError(f"expected 1 gate (rnn), 3 (gru) or 4 (lstm), got {gates}")


def _to_spec(xp: Shaping, layout: Layout, group: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if layout == "spec":
        return dict(group)
    for name, array in group.items():
        if len(shape := xp.shape(array)) not in (due := _NUMBERS_OF_AXES.get(name, (1,))):
            raise LayoutError(f"{name}: expected {' or '.join(map(str, due))} axes, got shape {shape}")
    recurrent = xp.shape(group["weight_hh" if layout == "torch" else "recurrent_kernel"])
    gated, state = recurrent if layout == "torch" else recurrent[::-1]
    hidden = xp.shape(group["weight_hr"])[1] if "weight_hr" in group else state
    for family, count in GATES.items():
        if gated == count * hidden:
            read = torch.to_spec if layout == "torch" else keras.to_spec
            return read(xp, family, group)
    raise LayoutError(f"expected 1 gate (rnn), 3 (gru) or 4 (lstm) of {hidden} units, got {gated} in all")


def _torch_place(name: str) -> tuple[LayerPlace, str]:
    match = _TORCH.fullmatch(name)
    if match is None:
        return LayerPlace(name), ""
    number = None if match["number"] is None else int(match["number"])
    return LayerPlace((match["path"] or "").replace(".", "/"), number, match["reverse"] is not None), match["name"]


def _grouped_place(name: str) -> tuple[LayerPlace, str]:
    match = _GROUPED.fullmatch(name)
    if match is None:
        return LayerPlace(name), ""
    path, place = match["path"] or "", match["place"]
    if place is not None:
        number = None if place == "cell" else int(match["number"])
        return LayerPlace(path, number, match["reverse"] is not None), match["name"]
    # Keras's own path: the cell within the layer is no place, and a Bidirectional names its layers by direction.
    parts = [part for part in path.split("/") if part and not re.fullmatch(r"(lstm|gru|simple_rnn)_cell(_\d+)?", part)]
    reverse = bool(parts) and parts[-1].startswith("backward_")
    if parts and parts[-1].startswith(("forward_", "backward_")):
        parts.pop()
    return LayerPlace("/".join(parts), 0, reverse), match["name"]
