"""An operation that a model's file has, with the attributes and the weights of the file, and the way to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rnnspec.spec.arrays import Array, NamedArrays


class ModelError(ValueError):
    """A model that cannot be read, or has nothing to judge; the message says why."""


@dataclass(frozen=True)
class Given:
    """One operation of a model.

    `weights` are the specification's inputs that the file has, `fed` names the others that the operation takes. `sizes`
    has the features and units, and the batch and steps where the file fixes them. `run` takes the inputs of a call and
    returns the outputs in the specification's order.
    """

    name: str
    operation: str
    attributes: Mapping[str, Any]
    weights: NamedArrays
    sizes: Mapping[str, int]
    fed: frozenset[str]
    run: Callable[[Mapping[str, Array]], tuple[Array, ...]]
