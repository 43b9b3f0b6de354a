"""The linear-chain CRF, of the reference and composed in torch, against pytorch-crf."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import torch

from rnnspec.backends import Backend, Call
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section, interleaved, ratio_row
from rnnspec.reference import crf
from rnnspec.reference.unroll import Array
from rnnspec.spec import operation

SIZES: Final = {"B": 32, "T": 128, "K": 50}
LARGE: Final = "T = 128, B = 32, K = 50 tags"
TARGET: Final = 1.0
MILLISECONDS: Final = 60.0


def reference_against_crf(effort: Effort) -> Section:
    """Time of the log-likelihood as a multiple of pytorch-crf's."""
    title = "The linear-chain CRF against pytorch-crf"
    if find_spec("torchcrf") is None:
        return Section(title, "", left_out="pytorch-crf is not installed (`pip install pytorch-crf==0.7.2`).")
    inputs = _inputs()
    forward = interleaved((_reference(inputs), _torchcrf(inputs)), effort.repetitions)
    both = interleaved((_reference_gradients(inputs), _torchcrf_gradients(inputs)), effort.repetitions)
    ours, theirs = _reference_gradients(inputs)(), _torchcrf_gradients(inputs)()
    apart = max(float(np.max(np.abs(a - b))) for a, b in zip(ours, theirs, strict=True))
    count = torch.get_num_threads()
    milliseconds = float(np.median(both[0])) * 1e3
    return Section(
        title,
        "Time of the NumPy reference's `crf_log_likelihood` as a multiple of that of pytorch-crf, which runs on torch: "
        f"{LARGE}, float32, gradients of the emissions and of all parameters; {count} thread{'s' * (count > 1)} for "
        f"each. The results lie at most {apart:.1g} apart.",
        (
            ratio_row("crf_log_likelihood, forward", forward),
            ratio_row("crf_log_likelihood, forward and backward", both, TARGET),
            Row(
                "crf_log_likelihood, forward and backward, the reference alone", milliseconds, "ms", None, MILLISECONDS
            ),
        ),
    )


def composed_against_crf(effort: Effort, backend: Backend) -> Section:
    """Time of the torch backend's log-likelihood and Viterbi as a multiple of pytorch-crf's."""
    title = "The CRF composed in torch against pytorch-crf"
    if find_spec("torchcrf") is None:
        return Section(title, "", left_out="pytorch-crf is not installed (`pip install pytorch-crf==0.7.2`).")
    inputs = _inputs()
    attributes = operation("crf_log_likelihood").defaults()
    likelihood = backend.prepare(Call("crf_log_likelihood", inputs, attributes), (np.ones(SIZES["B"], np.float32),)).run
    paths = {name: array for name, array in inputs.items() if name != "tags"}
    viterbi = backend.prepare(Call("crf_viterbi", paths, operation("crf_viterbi").defaults())).run
    gradients = interleaved((likelihood, _torchcrf_gradients(inputs)), effort.repetitions)
    decoding = interleaved((viterbi, _torchcrf_decode(inputs)), effort.repetitions)
    count = torch.get_num_threads()
    return Section(
        title,
        "Time of the torch backend's CRF, composed of torch's functions and differentiated by torch, as a multiple of "
        f"that of pytorch-crf: {LARGE}, float32, {count} thread{'s' * (count > 1)} for each.",
        (
            ratio_row("crf_log_likelihood, forward and backward", gradients, 1 / 4),
            ratio_row("crf_viterbi", decoding, 1 / 3),
        ),
    )


def _inputs() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    batch, steps, tags = SIZES["B"], SIZES["T"], SIZES["K"]
    shapes = {"emissions": (batch, steps, tags), "transitions": (tags, tags), "start": (tags,), "end": (tags,)}
    inputs = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {**inputs, "tags": rng.integers(0, tags, (batch, steps))}


def _reference(inputs: dict[str, Any]) -> Callable[[], Any]:
    return lambda: crf.crf_log_likelihood(**inputs)


def _reference_gradients(inputs: dict[str, Any]) -> Callable[[], list[Array]]:
    ones = np.ones(SIZES["B"], np.float32)

    def run() -> list[Array]:
        (value,), vjp = crf.crf_log_likelihood_vjp(**inputs)
        gradients = vjp(ones)
        return [value, *(gradients[name] for name in ("emissions", "transitions", "start", "end"))]

    return run


def _module(inputs: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Torch's module with these parameters; the emissions, the tags and a mask."""
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    module = import_module("torchcrf").CRF(SIZES["K"], batch_first=True)
    names = {"transitions": "transitions", "start": "start_transitions", "end": "end_transitions"}
    module.load_state_dict({theirs: given[ours] for ours, theirs in names.items()})
    return module, given["emissions"], given["tags"], torch.ones(given["tags"].shape, dtype=torch.bool)


def _torchcrf(inputs: dict[str, Any]) -> Callable[[], Any]:
    module, emissions, tags, mask = _module(inputs)

    def run() -> Any:
        with torch.no_grad():
            return module(emissions, tags, mask, reduction="none")

    return run


def _torchcrf_decode(inputs: dict[str, Any]) -> Callable[[], Any]:
    module, emissions, _, mask = _module(inputs)

    def run() -> Any:
        with torch.no_grad():
            return module.decode(emissions, mask)

    return run


def _torchcrf_gradients(inputs: dict[str, Any]) -> Callable[[], list[Array]]:
    module, emissions, tags, mask = _module(inputs)
    emissions = emissions.clone().requires_grad_()
    leaves = (emissions, module.transitions, module.start_transitions, module.end_transitions)

    def run() -> list[Array]:
        value = module(emissions, tags, mask, reduction="none")
        gradients = torch.autograd.grad(value.sum(), leaves)
        return [value.detach().numpy(), *(gradient.numpy() for gradient in gradients)]

    return run
