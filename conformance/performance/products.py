"""Time of the reference as a multiple of its own matrix products, the arithmetic that it cannot avoid."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec import reference
from rnnspec.conformance.bench.catalogue import at_scale
from rnnspec.conformance.bench.timing import Run, in_turn
from rnnspec.conformance.cases import Case
from rnnspec.conformance.performance.rows import Repetitions, Row, Section, ratio_row
from rnnspec.spec import operations

REASONS: Final = {
    "recurrent_power_spectrum": "its singular values and sorting are no products",
    "crf_score": "it adds entries up; its only product counts moves, in the gradient",
    "crf_log_likelihood": "its exponentials and logarithms over all moves are no products",
    "crf_viterbi": "its maxima over all moves are no products",
    "state_jacobian": "its spectral norms, by singular values, are no products",
}
TARGET: Final = 5.0

Product = tuple[NDArray[Any], NDArray[Any]]


class _Recording(np.ndarray[Any, Any]):
    """An array that records the operands of its matrix products."""

    products: list[Product]

    def __array_finalize__(self, source: Any) -> None:
        self.products = getattr(source, "products", [])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        plain = [np.asarray(item) if isinstance(item, _Recording) else item for item in operands]
        if ufunc is np.matmul and method == "__call__":
            self.products.append((plain[0], plain[1]))
        if "out" in options:
            options["out"] = tuple(np.asarray(item) for item in options["out"])
        result = getattr(ufunc, method)(*plain, **options)
        return _recording(result, self.products) if isinstance(result, np.ndarray) else result

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        """Arrays stacked or shaped from recording arrays record to the same list."""
        result = super().__array_function__(function, types, arguments, options)
        return _recording(result, self.products) if isinstance(result, np.ndarray) else result


def _recording(array: NDArray[Any], products: list[Product]) -> _Recording:
    recording = array.view(_Recording)
    recording.products = products
    return recording


def products_of(case: Case, *, gradient: bool) -> list[Product]:
    """Return the operands of the reference's matrix products for a call, or for a call and its gradient."""
    products: list[Product] = []
    floats = case.call.float_inputs
    inputs = {
        name: _recording(array, products) if name in floats else array for name, array in case.call.inputs.items()
    }
    _run(case, inputs, gradient)
    return products


def replay(products: list[Product]) -> Run:
    """Return a function that computes the products again, and nothing else."""

    def run() -> None:
        for a, b in products:
            np.matmul(a, b)

    return run


def reference_against_products(extent: Repetitions) -> Section:
    """Measure the time of every operation as a multiple of the time of its products."""
    rows: list[Row] = []
    without: list[str] = []
    for name in operations():
        workload = at_scale(name, extent.scale)
        (case,) = workload.cases(workload.modes[0], "float32")
        gradient = case.spec.differentiable
        products = products_of(case, gradient=gradient)
        if not products:
            without.append(name)
            continue
        whole = partial(_run, case, dict(case.call.inputs), gradient)
        timings = in_turn({"whole": whole, "products": replay(products)}, extent.functions)
        row = ratio_row(name, timings["whole"], timings["products"], target=None if name in REASONS else TARGET)
        rows.append(replace(row, detail=f"{row.detail}: {REASONS[name]}") if name in REASONS else row)
    return Section(
        "The reference against its matrix products",
        "Time of every operation, with its gradient if it has one, as a multiple of the time of its matrix products "
        f"alone; float32, at the sizes of `--scale {extent.scale}`.",
        tuple(rows),
        f"Without a matrix product: {', '.join(without)}.",
    )


def _run(case: Case, inputs: dict[str, Any], gradient: bool) -> Any:
    attributes = case.call.attributes
    if not gradient:
        return getattr(reference, case.operation)(**inputs, **attributes)
    _, vjp = getattr(reference, case.operation + "_vjp")(**inputs, **attributes)
    return vjp(*case.cotangents)
