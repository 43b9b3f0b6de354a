"""Random calls, and what it means that two results agree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

Random = np.random.Generator


@dataclass(frozen=True)
class Call:
    """One call of an operation, and the cotangents of its outputs."""

    name: str
    inputs: dict[str, Array]
    attributes: dict[str, Any]
    cotangents: tuple[Array, ...]

    @property
    def floats(self) -> dict[str, Array]:
        return {key: array for key, array in self.inputs.items() if key not in ("lengths", "mask")}

    def with_floats(self, change: Callable[[Array], Array]) -> "Call":
        """The same call of other float inputs."""
        changed = {key: change(array) for key, array in self.floats.items()}
        return Call(self.name, {**self.inputs, **changed}, self.attributes, tuple(change(d) for d in self.cotangents))

    def outputs(self) -> tuple[Array, ...]:
        """Those of the reference."""
        found: tuple[Array, ...] = getattr(reference, self.name)(**self.inputs, **self.attributes)
        return found

    def outputs_and_gradients(self) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Those of the reference."""
        outputs, vjp = getattr(reference, f"{self.name}_vjp")(**self.inputs, **self.attributes)
        return outputs, vjp(*self.cotangents)


def _attributes(name: str, random: Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for key, attribute in operation(name).attributes.items():
        if key in ("truncate", "recurrent_dropout", "gradient"):
            chosen[key] = attribute.default
        elif attribute.domain:
            chosen[key] = [None, 0.3, 1.0][random.integers(3)]
        elif attribute.is_tuple:
            chosen[key] = tuple(attribute.values[k] for k in random.integers(len(attribute.values), size=3))
        else:
            chosen[key] = attribute.values[random.integers(len(attribute.values))]
    return chosen


def _call(name: str, seed: int, *, steps: int | None = None, full: bool = False, **fixed: Any) -> Call:
    random = np.random.default_rng([seed, len(name), ord(name[0])])
    op = operation(name)
    drawn = {**_attributes(name, random), **fixed}
    attributes = {key: drawn[key] for key in op.attributes_for(drawn)}
    sizes = {"B": random.integers(0, 4), "T": random.integers(0, 6), "D": random.integers(1, 4)}
    sizes |= {"H": random.integers(1, 4), "S": random.integers(1, 4), "G": len(op.gates_for(attributes))}
    if seed % 8:  # mostly something to compute
        sizes |= {axis: max(2, sizes[axis]) for axis in "BT"}
    if steps is not None:
        sizes["T"] = steps
    sizes |= {axis: sizes[same] for axis, same in op.same_sizes_for(attributes).items()}
    inputs: dict[str, Array] = {}
    for key, item in op.inputs_for(attributes).items():
        shape = [sizes[axis] for axis in item.shape]
        if item.kind == "float" and (full or not item.optional or random.random() < 0.7):
            inputs[key] = random.standard_normal(shape)
    which = ["all", "lengths", "mask"][random.integers(3)] if op.has_steps and not full else "all"
    if which == "lengths":
        inputs["lengths"] = random.integers(0, sizes["T"] + 1, size=sizes["B"])
    if which == "mask":
        inputs["mask"] = random.random((sizes["B"], sizes["T"])) < 0.6
    shapes = ([sizes[axis] for axis in out.shape] for out in op.outputs_for(attributes).values())
    cotangents = tuple(random.standard_normal(shape) for shape in shapes)
    return Call(name, inputs, attributes, cotangents)


@pytest.fixture
def random_call() -> Callable[..., Call]:
    """A call of an operation with random sizes, values, attributes but those fixed, and lengths or a mask or neither.

    ``random_call(name, seed, steps=None, full=False, **fixed)``; a full call has every step and every initial state.
    """
    return _call


def _assert_agree(found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float, floor: float) -> None:
    assert set(found) == set(wanted)
    for key, array in wanted.items():
        assert found[key].shape == array.shape, key
        if array.size == 0:
            continue
        close = np.asarray(found[key]).astype(array.dtype)
        scale = np.max(np.abs(array), where=np.isfinite(array), initial=floor)
        # Written so that NaN, in either, does not pass.
        with np.errstate(invalid="ignore"):
            near = np.abs(close - array) <= tolerance * scale
        assert np.all(near | (close == array)), f"{key}: {found[key]} is not {array}"


@pytest.fixture
def assert_agree() -> Callable[..., None]:
    """Assert that arrays agree to a tolerance times the largest entry of each: ``(found, wanted, tolerance)``.

    Both are arrays by name, or both sequences of arrays. An array all of whose entries are below `floor` is compared as
    if its largest were that: where everything cancels, what is left over is rounding of what cancelled.
    """

    def by_name(arrays: Mapping[str, Array] | Sequence[Array]) -> Mapping[str, Array]:
        return arrays if isinstance(arrays, Mapping) else {f"output {k}": array for k, array in enumerate(arrays)}

    def check(found: Any, wanted: Any, tolerance: float = 1e-12, floor: float = 0.0) -> None:
        _assert_agree(by_name(found), by_name(wanted), tolerance, floor)

    return check


def _complex_step(call: Call, forward: Callable[..., tuple[Array, ...]]) -> dict[str, Array]:
    step = 1e-30
    gradients = {}
    for key, array in call.floats.items():
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            moved = array.astype(np.complex128)
            moved[index] += step * 1j
            inputs = {**call.inputs, **{k: v.astype(np.complex128) for k, v in call.floats.items()}, key: moved}
            outputs = forward(call.name, inputs, call.attributes)
            pairs = zip(outputs, call.cotangents, strict=True)
            gradient[index] = sum(np.sum(d * output.imag) for output, d in pairs) / step
        gradients[key] = gradient
    return gradients


@pytest.fixture
def complex_step() -> Callable[..., dict[str, Array]]:
    """Gradients of a call by the complex step: ``(call, forward)``, forward being what `rnnspec.spec.evaluate` is.

    The derivative of an analytic function f at a is Im f(a + ih) / h, exact to rounding for tiny h: nothing cancels.
    """
    return _complex_step
