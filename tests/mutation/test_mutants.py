"""Lines of the judge that matter, and of what asks it, each changed in a copy of the package: a test must turn red.

A mutant that no test notices is a line that could be wrong without anyone's knowing. Where a line is rewritten, its
mutants are rewritten with it: a text that is not found fails here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import rnnspec
from rnnspec import backends, conformance, reference, spec

TESTS = Path(__file__).parents[1] / "conformance"
TOLERANCE, ROUNDING = "judge/tolerance.py", "judge/rounding.py"
ASKED, RIGHT, RUNNER = "checks/asked.py", "checks/right.py", "run/runner.py"
DIRECTIONS, FORMATS = "judge/directions.py", "judge/formats.py"


@dataclass(frozen=True)
class Mutant:
    """A text of a file of the package `conformance`, what stands in its place, and the test file that notices."""

    file: str
    text: str
    instead: str
    test: str = "test_bounds_by_hand.py"

    def __str__(self) -> str:
        return f"{Path(self.file).stem}: {self.text} -> {self.instead}"


def of_asked(text: str, instead: str) -> Mutant:
    return Mutant(ASKED, text, instead, "test_comparing.py")


def of_runner(text: str, instead: str) -> Mutant:
    return Mutant(RUNNER, text, instead, "test_tally.py")


MUTANTS = (
    # How wide a bound is.
    Mutant(TOLERANCE, "KAPPA: Final = 4.0", "KAPPA: Final = 8.0"),
    Mutant(TOLERANCE, "KAPPA: Final = 4.0", "KAPPA: Final = 3.0"),
    Mutant(TOLERANCE, "WILD: Final = 8.0", "WILD: Final = 16.0"),
    Mutant(TOLERANCE, "largest / 4 +", "largest / 2 +"),
    Mutant(TOLERANCE, "rounding = spread +", "rounding = 2 * spread +"),
    Mutant(TOLERANCE, "+ form.unit_roundoff * size", "+ 2 * form.unit_roundoff * size"),
    Mutant(TOLERANCE, "+ decades / 2)", "+ decades)"),
    Mutant(TOLERANCE, "AMPLIFIED: Final = 1e3", "AMPLIFIED: Final = 1e2"),
    Mutant(TOLERANCE, "1 + 8 * np.minimum", "1 + 16 * np.minimum"),
    Mutant(TOLERANCE, "np.minimum(r, WILD)", "np.minimum(r, 2 * WILD)"),
    Mutant(TOLERANCE, "np.where((r > 1) & (widest", "np.where((r > 2) & (widest"),
    Mutant(TOLERANCE, "(widest > loudest)", "(widest > 2 * loudest)"),
    Mutant(TOLERANCE, "widest < form.most_judged", "widest < 2 * form.most_judged", "test_tolerance.py"),
    Mutant(TOLERANCE, "loudest = max(self._loudest, _loudest(seeds))", "loudest = self._loudest"),
    Mutant(TOLERANCE, "range(1 if per_sequence else 0, value.ndim)", "range(0, value.ndim)"),
    Mutant(TOLERANCE, "range(1 if per_sequence else 0, value.ndim)", "range(1, value.ndim)"),
    Mutant(
        TOLERANCE,
        "np.maximum.reduce(np.abs(versions - versions[0]))",
        "np.maximum.reduce(np.abs(versions[:-1] - versions[0]))",
    ),
    Mutant(TOLERANCE, "np.where(agreed, 0.0, np.inf)", "np.where(agreed, 0.0, 1.0)"),
    Mutant(TOLERANCE, "agreed = np.broadcast_to(agreed.all(axis=together, keepdims=True), agreed.shape)", "pass"),
    Mutant(TOLERANCE, "self._noise.whole and _all_whole(seeds)", "self._noise.whole"),
    Mutant(TOLERANCE, 'self._loudest, item.shape[:1] == ("B",)', 'self._loudest, item.shape[:1] != ("B",)'),
    Mutant(TOLERANCE, '_exactly(output, item.shape[:1] == ("B",))', "_exactly(output, False)"),
    Mutant(TOLERANCE, "(array == np.rint(array))", "(array >= np.rint(array))"),
    Mutant(TOLERANCE, "exact = (got == self.value) &", "exact = (got is self.value) &"),
    # The elements that are judged.
    Mutant(FORMATS, "largest / 16", "largest / 8"),
    Mutant(TOLERANCE, "| (item.value == item.impossible)", "| np.isinf(item.value)"),
    Mutant(TOLERANCE, "| np.isposinf(item.bound)", "| False"),
    Mutant(TOLERANCE, "*self.gradients.values()]", "]"),
    Mutant(TOLERANCE, "        if self.overflowed:", "        if False:", "test_tolerance.py"),
    Mutant(TOLERANCE, "(np.isfinite(got) | (got == self.unjudged))", "True", "test_tolerance.py"),
    Mutant(TOLERANCE, "ratios[np.isnan(ratios)] = np.inf", "ratios[np.isnan(ratios)] = 0", "test_tolerance.py"),
    Mutant(TOLERANCE, ">= largest)", ">= largest / 4)", "test_tolerance.py"),
    Mutant(TOLERANCE, "(np.sign(got) == np.sign(self.value))", "True", "test_tolerance.py"),
    # The effect of rounding on a number.
    Mutant(ROUNDING, "float(noise.accuracy.transcendental) if", "float(2 * noise.accuracy.transcendental) if"),
    Mutant(ROUNDING, "dict.fromkeys(_ROUNDED_ONCE, 1.0)", "dict.fromkeys(_ROUNDED_ONCE, 2.0)", "test_rounding.py"),
    Mutant(ROUNDING, "units = _roundings(a.shape[-1])", "units = float(a.shape[-1])"),
    Mutant(ROUNDING, "result, magnitude, _roundings(length)", "result, magnitude, max(length, 1)", "test_rounding.py"),
    Mutant(ROUNDING, "np.full(terms.shape, 2.0)", "np.full(terms.shape, 4.0)"),
    Mutant(ROUNDING, "values, greatest, left + array.shape[-1]", "values, greatest, 1.0", "test_rounding.py"),
    Mutant(ROUNDING, "shifts(units * unit_roundoff", "shifts(2 * units * unit_roundoff", "test_rounding.py"),
    Mutant(ROUNDING, "else 1 / self.unit_roundoff", "else 4 / self.unit_roundoff"),
    Mutant(ROUNDING, "most = 0 if transcendental", "most = 1 if transcendental", "test_rounding.py"),
    Mutant(ROUNDING, "(magnitude > self.largest)", "(magnitude > 4 * self.largest)", "test_tolerance.py"),
    # In which directions.
    Mutant(DIRECTIONS, "seed * _APART % COUNT", "0", "test_random_directions.py"),
    Mutant(DIRECTIONS, "self.position = start + count + 1", "self.position = start", "test_random_directions.py"),
    Mutant(DIRECTIONS, "_AWAY: Final = COUNT // 3", "_AWAY: Final = 0", "test_random_directions.py"),
    # Choices that rounding may decide.
    Mutant(ROUNDING, "BRANCH_SPREAD: Final = 4.0", "BRANCH_SPREAD: Final = 8.0"),
    Mutant(ROUNDING, "BRANCH_SPREAD: Final = 4.0", "BRANCH_SPREAD: Final = 3.0"),
    Mutant(ROUNDING, "if nearest > BRANCH_SPREAD * (", "if nearest > 0.25 * BRANCH_SPREAD * ("),
    Mutant(ROUNDING, "rounding = 0.0 if noise.whole else", "rounding = 0.0 if False else"),
    Mutant(
        ROUNDING,
        "open_ = (np.abs(exact) <= BRANCH_SPREAD * spread)",
        "open_ = (np.abs(exact) <= 0 * spread)",
        "test_rounding.py",
    ),
    Mutant(ROUNDING, "SFC64(self.directions.turn())", "SFC64(0)"),
    Mutant(ROUNDING, "margin = spread + spread.max", "margin = 2 * spread + spread.max"),
    Mutant(ROUNDING, "chosen[0] = several[0].argmax(axis=-1)", "pass"),
    Mutant(ROUNDING, "chosen[1] = several.shape", "chosen[0] = several.shape"),
    Mutant(ROUNDING, "if one_of_many.any():", "if False:", "test_rounding.py"),
    Mutant(ROUNDING, "sums[-2] -= step", "sums[-2] += step", "test_rounding.py"),
    # How results are held against what is right.
    of_asked("    if ratio > 1:", "    if ratio > 2:"),
    of_asked("    if ratio > 1:", "    if ratio >= 1:"),
    of_asked("int(ratios.argmax())", "0"),
    of_asked("format_of(self.case.dtype).largest)", "65504.0)"),
    of_asked("elif got.shape != shape:", "elif got.size != np.prod(shape):"),
    of_asked("elif got.dtype != due:", "elif got.dtype.kind != due.kind:"),
    of_asked("np.dtype(np.int64) if ids", "np.asarray(got).dtype if ids"),
    of_asked("ids = self.cotangents is None and", "ids = False and"),
    of_asked("if len(got) != len(shapes):", "if len(got) < len(shapes):"),
    of_asked("if set(arrays) != set(shapes):", "if not set(arrays) >= set(shapes):"),
    of_asked("if self.call.float_inputs else np.dtype(np.float64)", "if True else np.dtype(np.float64)"),
    of_asked("self.must_have_form(self.quantity(name), shape, arrays[name])", "pass"),
    of_asked('f"d{name}"', "name"),
    Mutant(RIGHT, "_expected(case, both=gradients)[-1]", "_expected(case, both=gradients)[0]", "test_comparing.py"),
    Mutant(RIGHT, "    if not expected.in_range:", "    if False:"),
    of_asked("(self.call, self.cotangents, self.wanted)", "(self.call, self.case.cotangents, self.wanted)"),
    of_asked("max(worst, self.compare(expected.gradients, self.of(backend))) if back else worst", "worst"),
    of_asked(
        "self.violation(message, quantity, expected=expected, got=got",
        "self.violation(message, expected=expected, got=got",
    ),
    of_asked("Violation(\n            message, str(self), self,", "Violation(\n            message, str(self),"),
    # The counts of a run.
    of_runner("else max(self.worst, ratio)", "else ratio"),
    of_runner("else max(self.worst, ratio)", "else self.worst"),
    of_runner("self.judged += 1", "self.judged += 2"),
    of_runner("self.refused += 1", "pass"),
    of_runner('if check.level == "MUST" else Verdict.DEPARTS', "if True else Verdict.DEPARTS"),
    of_runner("tally.worst = violation.error_ratio", "pass"),
    of_runner("elif not tally.judged and verdict is Verdict.CONFORMS:", "elif False:"),
    of_runner("profile.examples_for(scope.dtype) // check.calls", "profile.examples_for(scope.dtype)"),
    of_runner("check.forced(scope) if scope.dtype == main_type(backend, profile) else ()", "()"),
    of_runner("check.forced(scope) if scope.dtype == main_type(backend, profile) else ()", "check.forced(scope)"),
    of_runner("@seed(self.seed)", "@seed(0)"),
)


def of_package(package: object) -> Path:
    return Path(str(vars(package)["__file__"])).parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package: what is not mutated is linked."""
    root = tmp_path_factory.mktemp("mutants")
    (root / "rnnspec").mkdir()
    for file in of_package(rnnspec).iterdir():
        if file.is_file():
            (root / "rnnspec" / file.name).symlink_to(file.resolve())
    for package in (spec, reference, backends):
        folder = of_package(package)
        (root / "rnnspec" / folder.name).symlink_to(folder.resolve(), target_is_directory=True)
    shutil.copytree(
        of_package(conformance), root / "rnnspec" / "conformance", ignore=shutil.ignore_patterns("__pycache__")
    )
    return root


def passes(copy: Path, test: str) -> bool:
    """Whether a test file passes with the copy in the place of the package."""
    path = os.pathsep.join([str(copy), *filter(None, [os.environ.get("PYTHONPATH")])])
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *options, str(TESTS / test)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    # Tests that cannot run notice nothing.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("test", sorted({mutant.test for mutant in MUTANTS}))
def test_the_copy_as_it_is_passes(test: str, copy: Path) -> None:
    assert passes(copy, test)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_noticed(mutant: Mutant, copy: Path) -> None:
    file = copy / "rnnspec" / "conformance" / mutant.file
    right = file.read_text(encoding="utf-8")
    assert right.count(mutant.text) == 1, f"expected the text once in {mutant.file}: {mutant.text}"
    try:
        file.write_text(right.replace(mutant.text, mutant.instead), encoding="utf-8")
        assert not passes(copy, mutant.test)
    finally:
        file.write_text(right, encoding="utf-8")
