"""The reference against its own matrix products: how much of its time is not the arithmetic that it cannot avoid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec import reference
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section, interleaved, ratio_row
from rnnspec.conformance.cases import Case
from rnnspec.spec import operation, operations

SIZES: Final = {"B": 32, "T": 64, "D": 128, "H": 128, "S": 128, "K": 50, "N": 2, "U": 16, "E": 128, "L": 2, "M": 2}
"""Of whatever has another symbol there are 64."""
STEPS: Final = {"one_to_many": 64, "greedy_decode": 32, "beam_search": 32}
"""Steps, where an attribute gives them."""
SMALLER: Final = {"state_jacobian": {"B": 4, "T": 16, "H": 32}}
"""A matrix of all units by all units for every step of every sequence is no work for large sizes."""
REASONS: Final = {
    "recurrent_power_spectrum": "its singular values and sorting are no products",
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


def _recording(array: NDArray[Any], products: list[Product]) -> _Recording:
    recording = array.view(_Recording)
    recording.products = products
    return recording


def products_of(name: str, case: Case) -> list[Product]:
    """Operands of every matrix product of the operation and its gradient."""
    products: list[Product] = []
    call = case.call
    floats = call.float_inputs
    inputs = {key: _recording(array, products) if key in floats else array for key, array in call.inputs.items()}
    _run(name, inputs, case)
    return products


def _run(name: str, inputs: dict[str, Any], case: Case) -> Any:
    attributes = case.call.attributes
    if not operation(name).differentiable:
        return getattr(reference, name)(**inputs, **attributes)
    _, vjp = getattr(reference, name + "_vjp")(**inputs, **attributes)
    return vjp(*case.cotangents)


def large_case(name: str) -> Case:
    """A call of an operation under its default attributes, at sizes that people run."""
    op = operation(name)
    attributes = op.defaults() | ({"steps": STEPS[name]} if name in STEPS else {})
    probe = Case(name, "float32", {}, attributes)
    usual = SIZES | SMALLER.get(name, {})
    sizes = {symbol: usual.get(symbol, 64) for symbol in probe.spec.sizes if symbol != "n"}
    return Case(name, "float32", sizes, attributes)


def reference_against_products(effort: Effort) -> Section:
    """Time of every operation as a multiple of the time of its products."""
    rows: list[Row] = []
    without: list[str] = []
    for name in operations():
        case = large_case(name)
        products = products_of(name, case)
        if not products:
            without.append(name)
            continue
        pair = interleaved((_whole(name, case), _replay(products)), max(1, effort.long_repetitions))
        row = ratio_row(name, pair, None if name in REASONS else TARGET)
        rows.append(replace(row, detail=f"{row.detail}: {REASONS[name]}") if name in REASONS else row)
    return Section(
        "The reference against its matrix products",
        "Time of every operation, with its gradient where it has one, as a multiple of the time of the matrix products "
        "that it makes, made again and nothing else.",
        tuple(rows),
        f"Without a matrix product: {', '.join(without)}.",
    )


def _whole(name: str, case: Case) -> Callable[[], Any]:
    inputs = dict(case.call.inputs)
    return lambda: _run(name, inputs, case)


def _replay(products: list[Product]) -> Callable[[], None]:
    def run() -> None:
        for a, b in products:
            np.matmul(a, b)

    return run
