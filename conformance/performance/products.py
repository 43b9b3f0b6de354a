"""The reference against its own matrix products: how much of its time is not the arithmetic that it cannot avoid."""

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
from rnnspec.conformance.performance.rows import Extent, Row, Section, ratio_row
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
    """An array that writes down the operands of every matrix product it takes part in."""

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
        """What is stacked or shaped out of recording arrays records too, and in the same place."""
        result = super().__array_function__(function, types, arguments, options)
        return _recording(result, self.products) if isinstance(result, np.ndarray) else result


def _recording(array: NDArray[Any], products: list[Product]) -> _Recording:
    recording = array.view(_Recording)
    recording.products = products
    return recording


def products_of(case: Case, *, gradient: bool) -> list[Product]:
    """Operands of every matrix product that the reference makes for a call, or for the call and its gradient."""
    products: list[Product] = []
    floats = case.call.float_inputs
    inputs = {
        name: _recording(array, products) if name in floats else array for name, array in case.call.inputs.items()
    }
    _run(case, inputs, gradient)
    return products


def replay(products: list[Product]) -> Run:
    """Return what makes the products again, and nothing else."""

    def run() -> None:
        for a, b in products:
            np.matmul(a, b)

    return run


def reference_against_products(extent: Extent) -> Section:
    """Time of every operation as a multiple of the time of its products."""
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
        "Time of every operation, with its gradient where it has one, as a multiple of the time of the matrix products "
        f"that it makes, made again and nothing else; float32, at the sizes of `--scale {extent.scale}`.",
        tuple(rows),
        f"Without a matrix product: {', '.join(without)}.",
    )


def _run(case: Case, inputs: dict[str, Any], gradient: bool) -> Any:
    attributes = case.call.attributes
    if not gradient:
        return getattr(reference, case.operation)(**inputs, **attributes)
    _, vjp = getattr(reference, case.operation + "_vjp")(**inputs, **attributes)
    return vjp(*case.cotangents)
