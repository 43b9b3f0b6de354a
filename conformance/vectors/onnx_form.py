"""Cases in the form of ONNX's backend tests: a folder for each, with a model of one node, its inputs and its outputs.

ONNX's runtimes load such folders in tests of their own. The inputs and outputs are `TensorProto` files, the weights
among the inputs. `data.json` has the tolerance, the largest of the bounds of a case, and ``bound_N.pb`` beside
``output_N.pb`` has the bound of each element.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends import Call, Unsupported, open_backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.judge.tolerance import Expected
from rnnspec.conformance.run.files import write_bytes, write_json
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.vectors.corpus import Wanted, again, others, plain_cases
from rnnspec.spec.arrays import Array

SPARE: Final = 100
"""Most cases of which an element is not judged, and which are left out."""


class _Exported(Exception):
    """The model and the feed of a call, in place of its results."""


class OnnxForm:
    """Writes cases of ONNX's operators, as the adapter of ONNX exports them."""

    def __init__(self) -> None:
        """Open the adapter, whose models are kept in place of being run; BackendError if onnx is not installed."""
        adapter: Any = type(open_backend("onnx-reference"))

        def evaluate(_: Any, model: Any, feed: Any) -> Any:
            raise _Exported(model, feed)

        exporter: Any = type("Exporter", (adapter,), {"constant_weights": False, "evaluate": evaluate})
        self._exporter = exporter()
        self.operations = exporter.operations()
        self.dtypes = self._exporter.dtypes()

    def cases(self, name: str, dtype: str, count: int, wanted: Wanted) -> Iterator[tuple[Case, Expected]]:
        """Yield cases of an operation that ONNX has, and that are judged in every element.

        The plain ones come first, then one attribute at a time; then all again, with other numbers and sizes.

        Raises
        ------
        PlanError
            If ONNX has no such call.
        """
        seed = zlib.crc32(f"{name} {dtype}".encode()) % 2**16
        plain = plain_cases(name, dtype, seed, wanted)
        varied = () if wanted.plain else others(plain[-1], wanted)
        kinds = [case for case in (*plain, *varied) if wanted.admits(case) and self._has(case)]
        if not kinds:
            raise PlanError(f"{name}: ONNX has no such call: ask for other settings, or with padding")
        found = 0
        for number in range(count + SPARE):
            case = again(kinds[number % len(kinds)], number // len(kinds))
            if not self._has(case):  # with these numbers, a sequence has no step
                continue
            try:
                expected = expected_of(case)
            except OutOfRangeError:
                continue
            if all(np.isfinite(due.bound).all() for due in expected.outputs.values()):
                yield case, expected
                found += 1
            if found == count:
                return
        raise PlanError(f"{name} {dtype}: {found} cases are judged, expected {count}: ask for fewer")

    def write(self, folder: Path, number: int, case: Case, expected: Expected) -> None:
        """Write the folder of a case."""
        from onnx import numpy_helper

        exported = self._export(case.call)
        assert exported is not None
        model, feed = exported
        name = f"test_{case.operation}_{case.dtype}_{number:03}"
        there = folder / name / "test_data_set_0"
        for place, entry in enumerate(model.graph.input):
            tensor = numpy_helper.from_array(feed[entry.name], entry.name)
            write_bytes(there / f"input_{place}.pb", tensor.SerializeToString(deterministic=True))
        worst = 0.0
        pairs = zip(model.graph.output, expected.outputs.values(), strict=True)
        for place, (entry, due) in enumerate(pairs):
            value, bound = (_in_its_place(array, place) for array in (due.value, due.bound))
            stored = value.astype(case.dtype)
            for size in stored.shape:
                entry.type.tensor_type.shape.dim.add().dim_value = size
            bound = bound + np.abs(stored.astype(np.float64) - value)  # what is stored is rounded once
            worst = max(worst, float(bound.max(initial=0.0)))
            for kind, array in (("output", stored), ("bound", bound)):
                tensor = numpy_helper.from_array(np.ascontiguousarray(array), entry.name)
                write_bytes(there / f"{kind}_{place}.pb", tensor.SerializeToString(deterministic=True))
        write_bytes(folder / name / "model.onnx", model.SerializeToString(deterministic=True))
        write_json(folder / name / "data.json", {"rtol": 0.0, "atol": worst, "rnnspec": version("rnnspec")})

    def _has(self, case: Case) -> bool:
        """Whether ONNX has the call, and says what it is to give: not which state a sequence without a step ends in."""
        lengths = case.call.inputs.get("lengths", np.ones(1))
        return bool(np.all(lengths > 0)) and self._export(case.call) is not None

    def _export(self, call: Call) -> tuple[Any, dict[str, Array]] | None:
        try:
            self._exporter.run(call)
        except _Exported as exported:
            model, feed = exported.args
            return model, feed
        except (Unsupported, LookupError):  # or an activation that the exporter has no name for
            return None
        raise AssertionError("the exporter runs nothing")


def _in_its_place(array: Array, place: int) -> Array:
    """Y as (T, 1, B, H), or a final state as (1, B, H)."""
    return array.transpose(1, 0, 2)[:, None] if place == 0 else array[None]
