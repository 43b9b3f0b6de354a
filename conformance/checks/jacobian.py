"""Check ``jacobian``: the Jacobian of a layer's state through time, and the layer's own gradient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked, prefixed_by
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.pairs import results_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array


class Jacobian(Check):
    """A cotangent of the final state, times the Jacobian, and the gradient of the initial state for it."""

    id = "jacobian"
    about = "a vector times state_jacobian is the layer's gradient of its initial state for that cotangent"
    why = "two ways to one derivative do not go wrong alike"
    law = "jacobian"
    calls = 4

    def examine(self, backend: Backend, example: Case) -> float:
        """Take the Jacobian from the first step to the last, and differentiate the layer's final state."""
        case = replace(example.with_attributes(since=0), absent=())
        layer = operation(case.attributes["layer"])
        if not backend.has_gradients(layer.name):
            raise Unsupported(f"no gradients of {layer.name} to compare state_jacobian with")
        own = {name: case.attributes.get(name, default) for name, default in layer.defaults().items()}
        dy, *dstates = replace(case, operation=layer.name, sizes=case.lengths_of, attributes=own).cotangents
        call, cotangents = Call(layer.name, case.call.inputs, own), (np.zeros_like(dy), *dstates)
        jacobian = results_of(backend, case, case.call).outputs["jacobian"]
        gradients = results_of(backend, case, call, cotangents).gradients
        some = case.valid.any(axis=1)
        last = (case.valid.shape[1] - 1 - case.valid[some, ::-1].argmax(axis=1)) if some.any() else np.array([], int)
        v = _joined(dstates)[some, np.newaxis]
        due, slack = (v @ jacobian.value[some, last])[:, 0], _product(np.abs(v), jacobian.bound[some, last])[:, 0]
        found = [gradients[name] for name in layer.carries]
        bound = slack + _joined([gradient.bound for gradient in found])[some]
        came = _joined([gradient.value for gradient in found])[some]
        with prefixed_by(f"{self.about}, but "):
            return Asked(case, call, cotangents).judge(f"d[{'; '.join(layer.carries)}]", Bounded(due, bound), came)


def _joined(states: list[Array]) -> Array:
    """All numbers of the state of each sequence, (B, Q)."""
    return np.concatenate([state.reshape(len(state), math.prod(state.shape[1:])) for state in states], axis=1).astype(
        np.float64
    )


def _product(weights: Array, bounds: Array) -> Array:
    """The bound on a product; an element without weight adds nothing, however large its error."""
    with np.errstate(invalid="ignore"):
        terms = np.where(weights.swapaxes(1, 2) == 0, 0.0, weights.swapaxes(1, 2) * bounds)
    return np.asarray(terms.sum(axis=1, keepdims=True))
