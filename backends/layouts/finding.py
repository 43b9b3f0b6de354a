"""The recurrent layers among named arrays: torch's state dict, Keras's or ONNX's weights, or the specification's names.

A layer's place is a path, its number in a stack and its direction. It is named ``encoder.weight_ih_l1_reverse`` in a
torch state dict, ``encoder/l1_reverse/kernel`` among Keras's weights and ``encoder/l1_reverse/W`` among ONNX's and the
specification's arrays. Keras's own paths are read as well: ``encoder/lstm_cell/kernel`` is layer 0, and
``encoder/forward_lstm/lstm_cell/kernel`` that of a Bidirectional, whose backward layer is the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rnnspec.backends.layouts import keras, onnx, torch
from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import GATES, PARAMETERS, Family, LayoutError

Layout = Literal["torch", "keras", "onnx", "spec"]
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)

Groups = dict["LayerPlace", dict[str, Tensor]]
"""Each layer's parameters, by the names that the layout has for them."""

_TORCH: Final = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<name>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?P<suffix>(?:_l(?P<number>\d+)(?P<reverse>_reverse)?)?)"
)
_GROUPED: Final = re.compile(
    r"(?:(?P<path>.*?)/)??(?:(?P<place>cell|l(?P<number>\d+)(?P<reverse>_reverse)?)/)?(?P<name>[^/]+)"
)
_KERAS: Final = ("kernel", "recurrent_kernel", "bias")
_NUMBERS_OF_AXES: Final = {
    **dict.fromkeys(("weight_ih", "weight_hh", "weight_hr", "kernel", "recurrent_kernel"), (2,)),
    "bias": (1, 2),
}
_RECURRENT: Final[Mapping[Layout, str]] = {"torch": "weight_hh", "keras": "recurrent_kernel", "onnx": "R", "spec": "R"}
_TITLES: Final[Mapping[Layout, str]] = {"keras": "Keras", "onnx": "ONNX"}


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

    def torch_pattern(self) -> str:
        """The pattern of a layer's names in a torch state dict."""
        return self.torch_name(f"*{self.suffix()}")

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


def groups_in(layout: Layout, arrays: Mapping[str, Tensor]) -> tuple[Groups, list[str]]:
    """Return each recurrent layer's parameters, by the layout's names, and the names that belong to no such layer.

    The layers stand in the order in which the files' parts come first, a part's own by their numbers.
    """
    groups: Groups = {}
    others: list[str] = []
    for name, array in arrays.items():
        place, key = _torch_place(name) if layout == "torch" else _grouped_place(name)
        wanted = key if layout == "torch" else key if key in (_KERAS if layout == "keras" else PARAMETERS) else ""
        if wanted:
            groups.setdefault(place, {})[wanted] = array
        else:
            others.append(name)
    recurrent = _RECURRENT[layout]
    for place, group in list(groups.items()):
        if recurrent not in group:  # a Dense layer has a kernel and a bias too
            others += [name for name in arrays if any(arrays[name] is array for array in group.values())]
            del groups[place]
    return in_order(groups), others


def in_order(groups: Groups) -> Groups:
    """The layers of each path beside each other, by their numbers; the paths as they come."""
    paths = list(dict.fromkeys(place.path for place in groups))
    places = sorted(groups, key=lambda one: (paths.index(one.path), one.number is None, one.number or 0, one.reverse))
    return {place: groups[place] for place in places}


def read_layers(xp: Shaping, layout: Layout, groups: Groups) -> Groups:
    """Return the layers' parameters in the specification's arrays, both biases of those that have two."""
    layers: Groups = {}
    for place, group in groups.items():
        try:
            layers[place] = _to_spec(xp, layout, group)
        except LayoutError as error:
            raise LayoutError(f"{place.grouped_name('')}: {error}") from error
    return layers


def write_layers(xp: Shaping, layout: Layout, layers: Groups) -> Groups:
    """Return the layers' parameters in a layout; LayoutError naming every layer that it cannot represent, and why."""
    written: Groups = {}
    refused: list[str] = []
    for place, arrays in layers.items():
        family = family_of(xp, arrays)
        try:
            if layout == "torch":
                written[place] = torch.from_spec(xp, family, **arrays)
            elif layout == "spec":
                written[place] = dict(arrays)
            else:
                if "P" in arrays:
                    raise LayoutError(f"{_TITLES[layout]}'s LSTM has no projection (P)")
                write = keras.from_spec if layout == "keras" else onnx.from_spec
                written[place] = write(xp, family, **arrays)
        except LayoutError as error:
            refused.append(f"{place.grouped_name('')}: {error}")
    if refused:
        raise LayoutError(f"{layout} cannot represent " + "; ".join(refused))
    return written


def named_arrays(layout: Layout, groups: Groups) -> dict[str, Tensor]:
    """The arrays by the names that a layout has for them in a file of named arrays."""
    return {
        place.torch_name(name + place.suffix()) if layout == "torch" else place.grouped_name(name): array
        for place, group in groups.items()
        for name, array in group.items()
    }


def place_of(name: str) -> LayerPlace:
    """The place of a layer that is named as `LayerPlace.grouped_name` names it; any other name is a path."""
    return _grouped_place(f"{name}/W")[0]


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
    if layout == "onnx":
        raise LayoutError("expected an ONNX model, which names the operator of the weights")
    for name, array in group.items():
        if len(shape := xp.shape(array)) not in (due := _NUMBERS_OF_AXES.get(name, (1,))):
            raise LayoutError(f"{name}: expected {' or '.join(map(str, due))} axes, got shape {shape}")
    recurrent = xp.shape(group["weight_hh" if layout == "torch" else "recurrent_kernel"])
    gated, state = recurrent if layout == "torch" else recurrent[::-1]
    hidden = xp.shape(group["weight_hr"])[1] if "weight_hr" in group else state
    for family, count in GATES.items():
        if gated == count * hidden:
            read = torch.to_spec if layout == "torch" else keras.to_spec
            return read(xp, family, group, both=True)
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
