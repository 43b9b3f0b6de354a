"""Results of a soak as plain data, from which tables, the page and the plot are made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from rnnspec.conformance.hosting.isolated import Isolation
from rnnspec.conformance.soak.examining import Soak
from rnnspec.conformance.soak.state import State
from rnnspec.conformance.soak.statistics import Ending, Failure, Group, Tally
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec import operations as all_operations

QUANTILES: Final = (0.5, 0.99, 0.999)
BAD: Final = tuple(ending for ending in Ending if ending.bad)


def report_of(soak: Soak, of: Mapping[str, Any], state: State, asked: int) -> dict[str, Any]:
    """Return the report of a soak; `of` are its facts, and `asked` the number of cases that it should have."""
    statistics = state.statistics
    operations = sorted(statistics.by_operation.items(), key=lambda item: _order(*item[0]))
    regimes = sorted(statistics.by_regime.items(), key=lambda item: _order(item[0][1], item[0][0]))
    return {
        **of,
        "asked": asked,
        "cases": state.cases,
        "seconds": round(state.seconds, 1),
        "endings": {quantity: _endings(tally) for quantity, tally in statistics.whole().tallies().items()},
        "failures": [{**failure.to_json(), "repeat": repeat(soak, failure)} for failure in statistics.failures],
        "by_operation": [
            {"operation": operation, "dtype": dtype, **_group(group)} for (operation, dtype), group in operations
        ],
        "by_regime": [{"dtype": dtype, "regime": regime, **_group(group)} for (dtype, regime), group in regimes],
        "by_dtype": [
            {"dtype": dtype, **_group(group), "histogram": _histogram(group)}
            for dtype, group in sorted(statistics.by_dtype().items(), key=lambda item: _order("", item[0]))
        ],
    }


def repeat(soak: Soak, failure: Failure) -> str:
    """Return the command that repeats only the failure's case."""
    place = failure.place
    words = ["rnnspec", "soak", soak.backend, "--op", place.operation, "--dtype", place.dtype]
    words += ["--seed", str(soak.seed), "--case", str(place.number)]
    if soak.device != "cpu":
        words += ["--device", soak.device]
    if soak.isolation is not Isolation.AUTO:
        words.append("--isolate" if soak.isolation is Isolation.ALWAYS else "--no-isolate")
    return shlex.join(words)


def _order(name: str, dtype: str) -> tuple[int, int, str]:
    """Sort key: the specification's order of operations, then types from the widest to the narrowest."""
    known = list(all_operations())
    return known.index(name) if name in known else -1, -FLOAT_TYPES.index(dtype), name


def _group(group: Group) -> dict[str, Any]:
    return {"cases": group.cases, **{quantity: _tally(tally) for quantity, tally in group.tallies().items()}}


def _tally(tally: Tally) -> dict[str, Any]:
    """A tally as plain data, without entries that were not seen or asked for."""
    ratios = tally.ratios
    told: dict[str, Any] = {"endings": _endings(tally)}
    if ratios.total:
        told["quantiles"] = {str(share): _rounded(ratios.quantile(share)) for share in QUANTILES}
        told["largest"], told["largest_in"] = _rounded(ratios.largest), ratios.place
    for name, share in (("numbers", tally.numbers), ("ids", tally.ids)):
        if share.elements:
            told[name], told[f"{name}_not_judged"] = share.elements, share.open
    return told


def _endings(tally: Tally) -> dict[str, int]:
    return {ending.value: tally.count(ending) for ending in Ending if tally.count(ending)}


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else float(f"{ratio:.4g}")


def _histogram(group: Group) -> dict[str, int]:
    counts = group.both().ratios.counts
    return {str(number): counts[number] for number in sorted(counts)}
