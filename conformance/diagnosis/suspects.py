"""The equation that a backend computes: the edits and misreadings of the specification that give its numbers.

Each single edit of an operation's equations, and each misreading of a call, is worked out on a small failing call, and
then on more calls, of which some are right. A candidate that gives the backend's numbers on all of them is a suspect.
One that gives them where the fault's cause holds is a suspect there. Where none does, pairs are searched: one of a pair
alone gives the numbers where an input is 0, or gives some of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations, count, islice
from typing import Any, Final

import numpy as np

from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.steps import needs_of
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.cases.support import values_of
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.diagnosis.causes import Cause
from rnnspec.conformance.diagnosis.misreadings import gates, misreadings, wrong_gradients
from rnnspec.conformance.diagnosis.oracle import LARGEST, Clock, Oracle, OutOfTimeError, size_of
from rnnspec.conformance.diagnosis.probe import Probe, is_apart
from rnnspec.conformance.diagnosis.suspect import KnownLines, Suspect
from rnnspec.conformance.edits.running import Runner
from rnnspec.conformance.edits.single import Edit, EditedPart, choosing, coarse_edits, gate_edits, single_edits
from rnnspec.conformance.edits.summed import summed_edits
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.equations import changed_equations
from rnnspec.spec import CallError, Operation, operation
from rnnspec.spec.operation import Settings, settings_of

Editing = Callable[[Operation, Mapping[str, Any]], Iterator[Edit]]
"""Yields edits of an operation, of lines that hold under attributes."""

_BESIDE_PLANTED: Final = 0.35
"""That for an equation that gives the numbers of a fault of the catalogue."""

_SLIGHT: Final = 0.05
"""The share of a small error that a suspect may leave."""

_SHARE: Final = 0.6
"""The share of the time left that one kind of suspects may take."""

_BESIDE_FOUND: Final = 0.15
"""The share of the time left for what else gives the numbers of what is found already."""

PAIRS: Final = 6.0
"""The time, in seconds, for which what stands together is looked for."""

_SEEDS: Final = 3
"""Seeds at which what is suspected where inputs are 0 must give the answers."""

_FURTHER: Final = 60
"""Further calls that are looked at for those that tell suspects from what is right."""

_CONFIRMING: Final = 1.2
"""The time, in seconds, for which further calls are asked."""

_KNOWN_SHARE: Final = 0.4
"""The share of the time left for two faults of the catalogue at once."""

_PAIR_SHARE: Final = 0.8
"""The share of the time left for two at once."""

_FAR: Final = 0.25
"""The share of what the second best of several explanations leaves, that the best may leave for it to be taken."""

_TOGETHER: Final = 6
"""How many of the suspects of a part of the results are tried together with another."""


@dataclass(frozen=True)
class Around:
    """The evidence around a fault: calls that show it, others that may not, its cause, and the other faults."""

    core: Sequence[Probe]
    neighbours: Sequence[Probe]
    case: Case
    cause: Cause
    beside: Suspect
    zero: Sequence[str] = ()
    """Inputs that are 0 in the calls that are drawn."""

    @property
    def part(self) -> EditedPart:
        """The wrong part of the answers."""
        return self.core[0].part

    @property
    def has_trait(self) -> bool:
        """Whether the cause has a trait of some numbers of a call."""
        return any(condition.is_trait for condition in self.cause.conditions)


class Searcher:
    """Looks for suspects of one operation."""

    def __init__(self, name: str, oracle: Oracle, clock: Clock) -> None:
        self.op: Operation = operation(name)
        self.oracle, self.clock = oracle, clock
        self.runner = Runner(self.op)
        self._probed: dict[tuple[str, EditedPart], Probe | None] = {}
        self._edits: dict[tuple[str, Settings], list[Edit]] = {}

    def probe(self, case: Case, part: EditedPart) -> Probe | None:
        """Return a case with what the backend answered; None where that is nothing to compare."""
        key = str(case), part
        if key not in self._probed:
            came = self.oracle.answer(case, part)
            probe = None if came is None else Probe(case, part, self.runner, came)
            self._probed[key] = probe if probe is not None and probe.is_complete else None
        return self._probed[key]

    def gives(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect gives what the backend answered to a case."""
        probe = self.probe(case, part)
        return probe is not None and (probe.fits(suspect) or probe.nearly_fits(suspect))

    def moves(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect changes all results of a case that are wrong, and makes as many of their numbers finite."""
        probe = self.probe(case, part)
        given = None if probe is None else probe.given_by(suspect)
        if probe is None or given is None or not probe.wrong:
            return False
        return all(
            name in given
            and given[name].shape == probe.came[name].shape == probe.right_results[name].shape
            and np.array_equal(np.isfinite(given[name]), np.isfinite(probe.came[name].astype(np.float64)))
            and is_apart(given[name], probe.right_results[name], probe.tolerance[name])
            for name in probe.wrong
        )

    def is_inexact(self, case: Case, part: EditedPart) -> bool:
        """Whether what a backend answered is off by little more than rounding explains."""
        probe = self.probe(case, part)
        return probe is not None and probe.is_inexact

    def is_near(self, case: Case, part: EditedPart) -> bool:
        """Whether what a backend answered has small errors alone, however many times their bounds."""
        probe = self.probe(case, part)
        return probe is not None and probe.is_near

    def error_ratio(self, case: Case, part: EditedPart) -> float:
        """Return the largest error of what a backend answered, in units of the bounds."""
        probe = self.probe(case, part)
        return 0.0 if probe is None else probe.error_ratio

    def breaks_at(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect cannot be worked out at a case, as an index that lies outside of an array."""
        return Probe(case, part, self.runner, {}).given_by(suspect) is None

    def find(
        self, core: Sequence[Case], others: Sequence[Case], part: EditedPart, cause: Cause, beside: Suspect
    ) -> list[Suspect]:
        """Return what gives the backend's answers, the simplest first; nothing where nothing does.

        Parameters
        ----------
        core
            Cases of one fault, all alike but for sizes and numbers.
        others
            Cases that fail or not, by this fault or another.
        part
            The wrong part of the answers.
        cause
            What the fault depends on.
        beside
            What is known already to be wrong.
        """
        probes = self._probes(core, part)
        clear = [probe for probe in probes if probe.is_clear]
        if not clear:  # as where all that is wrong is NaN
            clear = [probe for probe in self._probes(others, part) if probe.is_clear and cause.holds(probe.case)]
            probes += clear
        if not clear:
            return [] if beside else self._slightly(probes)
        probes.sort(key=lambda probe: probe is not clear[0])
        neighbours = self._probes(others, part)

        around = Around(probes, neighbours, clear[0].case, cause, beside)
        found = self._likely(clear[0], around) or ([] if beside else self._known_pair(clear[0], around))
        if all(one.planted for one in found):  # an equation tells more than a name
            kinds = (self._edited(clear[0], kind) for kind in (gate_edits, coarse_edits))
            coarse = self._among(chain.from_iterable(kinds), _BESIDE_PLANTED if found else _SHARE, around)
            found = (
                self._fitting(coarse, around)
                or found
                or self._fitting(coarse, around, limited=True)
                or self._mostly_fitting(coarse, around)
            )
        if not found:
            # Of two faults one may be hidden in a small call, by its numbers.
            found = self._together(max(clear, key=lambda probe: len(probe.wrong)), around)
        return sorted(found, key=lambda one: one.simplicity)

    def _slightly(self, probes: Sequence[Probe]) -> list[Suspect]:
        """Return the fault of the catalogue that leaves next to nothing of small errors, of all but the calls' size.

        They are too small for an edit to be told by them.
        """
        left = list[tuple[float, Suspect]]()
        wrong = [probe for probe in probes if self.oracle.wrong(probe.case, probe.part)]
        with self._within(_SHARE * self.clock.left):
            for suspect in self._planted(wrong[0]) if wrong else ():
                left.append((max(probe.share_left(suspect) for probe in wrong), suspect))
        left.sort(key=lambda one: one[0])
        if not left or left[0][0] > _SLIGHT or (len(left) > 1 and left[1][0] < 4 * _SLIGHT):
            return []
        return [left[0][1]]

    def _likely(self, probe: Probe, around: Around) -> list[Suspect]:
        """Return the misreadings, single edits and faults of the catalogue that give the answers.

        A candidate that gives all of them is likelier than one that gives those where the cause holds. An equation may
        say the same as a misreading.
        """
        misread = self._among(self._misread(probe), _SHARE, around)
        found = self._fitting(misread, around)
        kinds = chain(self._edited(probe, single_edits), self._edited(probe, summed_edits))
        edits = self._among(kinds, _BESIDE_FOUND if found else _SHARE, around)
        found += self._fitting(edits, around)
        if found:
            return found
        planted = self._among(self._known_lines(probe) if around.beside else self._planted(probe), _SHARE, around)
        return (
            self._fitting(planted, around)
            or next(filter(None, (self._fitting(some, around, limited=True) for some in (misread, edits, planted))), [])
            or self._mostly_fitting([*misread, *edits, *planted], around)
        )

    def _among(self, suspects: Iterator[Suspect], share: float, around: Around) -> list[Suspect]:
        """Return those that give the answers to all calls of the fault, as far as time allows."""
        found = []
        with self._within(share * self.clock.left):
            for suspect in suspects:
                if self._fits_all(suspect + around.beside, around.core):
                    found.append(suspect)
        return found

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Stop what is done once it took this long."""
        clock, self.clock = self.clock, Clock(max(0.0, min(seconds, self.clock.left)))
        with suppress(OutOfTimeError):
            yield
        self.clock = clock

    def _fitting(self, suspects: Sequence[Suspect], around: Around, *, limited: bool = False) -> list[Suspect]:
        """Return those that give the answers to all neighbours, limited to the cause where they are to be."""
        some = _limited(suspects, around.cause) if limited else suspects
        found = [suspect for suspect in some if self._fits_all(suspect + around.beside, around.neighbours)]
        # A sequence with a trait beside one without it refutes what is limited to calls that have the trait.
        return self._confirmed(found, around, 1.0 if limited and around.has_trait else 0.75)

    def _mostly_fitting(self, suspects: Sequence[Suspect], around: Around) -> list[Suspect]:
        """Return those that give all answers that are right, and most that are wrong where the cause holds.

        They are one of several faults: others have a part in the rest.
        """
        right = [probe for probe in around.neighbours if not probe.wrong]
        wrong = [probe for probe in around.neighbours if probe.wrong and around.cause.holds(probe.case)]
        for some in (suspects, [] if around.has_trait else _limited(suspects, around.cause)):
            found = [
                suspect
                for suspect in some
                if self._fits_all(suspect + around.beside, right)
                and 2 * sum(probe.fits(suspect + around.beside) for probe in wrong) >= len(wrong)
            ]
            found = self._confirmed(found, around, 0.5)
            if found:
                return found
        return []

    def _confirmed(self, suspects: Sequence[Suspect], around: Around, share: float) -> list[Suspect]:
        """Return the suspects that stand up to calls that are drawn to tell them from what is right.

        Each call is one at which some suspect gives other results than the specification. An answer that is right
        refutes it, as does a share of wrong answers that it does not give, where the cause holds. Of those left, the
        ones that give the largest share stand.
        """
        hits, asked = [0] * len(suspects), [0] * len(suspects)
        left = list(range(len(suspects)))
        with self._within(min(_CONFIRMING, self.clock.left / 2)):
            for further in islice(self._further(around), _FURTHER) if suspects else ():
                zero = (name for name in around.zero if name in further.items and name not in further.zero)
                case = replace(further, zero=(*further.zero, *zero))
                self.clock.check()
                telling = [place for place in left if self._differs(suspects[place], case, around.part)]
                probe = self.probe(case, around.part) if telling else None
                if probe is None:
                    continue
                wrong = self.oracle.wrong(case, around.part) is not None
                for place in telling:
                    whole = suspects[place] + around.beside
                    gives = probe.fits(whole) or probe.nearly_fits(whole)
                    if not gives and not wrong:
                        left.remove(place)
                    elif wrong and around.cause.holds(case):
                        hits[place] += gives
                        asked[place] += 1
        shares = {place: hits[place] / asked[place] if asked[place] else 1.0 for place in left}
        least = max([share, *shares.values()])
        return [suspects[place] for place in left if shares[place] >= least]

    def _differs(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect gives other results than are right, or none: then no code that answers computes it."""
        try:
            blank = Probe(case, part, self.runner, {})
        except (CallError, OutOfRangeError):
            return False
        given = blank.given_by(suspect)
        return given is None or any(
            array.shape != given[name].shape or is_apart(array, given[name], blank.tolerance[name])
            for name, array in blank.right_results.items()
            if name in given
        )

    def _further(self, around: Around) -> Iterator[Case]:
        """Yield further calls: in turn drawn from all, and like the one that fails but for an attribute or sizes."""
        case = around.case
        drawn = stream(case.seed, "further calls")
        choices = RandomChoices(drawn)
        values = {name: [item.default, *values_of(case, item)] for name, item in case.spec.attributes.items()}
        for number in count():
            other = draw_case(choices, Scope(case.operation, case.dtype))
            if size_of(other) <= LARGEST and all(other.sizes.values()):
                yield replace(other, regime="generic")
            name = list(values)[number % len(values)] if values else ""
            if name:
                value = values[name][int(drawn.integers(len(values[name])))]
                yield replace(case.with_attributes(**{name: value}), seed=case.seed + number)
            sizes = {symbol: max(int(drawn.integers(1, 6)), case.spec.at_least.get(symbol, 1)) for symbol in case.sizes}
            other = replace(case, sizes=sizes, seed=case.seed + number).with_at_least(**needs_of(case.steps))
            if size_of(other) <= LARGEST:
                yield other

    def _fits_all(self, suspect: Suspect, probes: Sequence[Probe]) -> bool:
        self.clock.check()
        return all(probe.fits(suspect) for probe in probes)

    def _probes(self, cases: Sequence[Case], part: EditedPart) -> list[Probe]:
        return [probe for case in cases if (probe := self.probe(case, part)) is not None]

    def _planted(self, probe: Probe) -> Iterator[Suspect]:
        """Yield the faults of the catalogue."""
        yield from self._known_lines(probe)
        for fault in faults((self.op.name,)):
            self.clock.check()
            if fault.name not in self._lines:
                yield Suspect.of(fault)

    def _known_lines(self, probe: Probe) -> Iterator[Suspect]:
        """Yield the faults of the catalogue that are lines of equations, beside which others may be.

        Where the gradients are wrong of values that are right, they leave the values as they are.
        """
        for suspect in self._lines.values():
            self.clock.check()
            if probe.part == "values" or not self._differs(suspect, probe.case, "values"):
                yield suspect

    @cached_property
    def _lines(self) -> dict[str, Suspect]:
        """Those faults, by name."""
        known = changed_equations((self.op.name,))
        return {one.fault.name: Suspect.of(KnownLines.of(one)) for one in known if one.blocks}

    def _together(self, first: Probe, around: Around) -> list[Suspect]:
        """Return what is wrong beside other faults: what gives all where some inputs are 0, or else two at once."""
        found = list[Suspect]()
        with self._within(PAIRS):
            peeled, zero = self._peeled(first.case, first.part, around.beside)
            single = [one for one in peeled if len(one.slips) == 1]
            pair = None if around.beside else self._pair(first, [*around.core, *around.neighbours], single)
            if pair is not None and pair[0] in single:  # the other is told by itself, with a cause of its own
                found = [pair[0]]
            elif pair is not None:
                found = self._confirmed([pair[0] + pair[1]], around, 0.75)
            # With few inputs at 0, what fits by chance at several calls is next to impossible.
            elif 2 * len(zero) <= len(first.call.float_inputs):
                # Where no input is 0 any more, the calls that are right are evidence too.
                right = [probe for probe in around.neighbours if not probe.wrong and not zero]
                peeled = [one for one in peeled if self._fits_all(one + around.beside, right)]
                found = self._alike(self._confirmed(peeled, replace(around, zero=zero), 0.5), first, around.beside)
        return found

    def _alike(self, suspects: Sequence[Suspect], probe: Probe, beside: Suspect) -> list[Suspect]:
        """Return suspects that give the same results where no input is 0; none, if they differ there.

        An input at 0 hides that another is read in its place, for one. Of those that differ, the ones that explain by
        far the most of what is wrong are taken.
        """
        groups = self._grouped(probe, suspects)
        if len(groups) < 2:
            return list(suspects)
        best, second, *_ = sorted(groups, key=lambda group: probe.share_left(group[0] + beside))
        far = probe.share_left(best[0] + beside) <= _FAR * probe.share_left(second[0] + beside)
        return best if far else []

    def _known_pair(self, first: Probe, around: Around) -> list[Suspect]:
        """Return two faults of the catalogue that together give all results."""
        others, found = [*around.core, *around.neighbours], list[Suspect]()
        with self._within(min(PAIRS, _KNOWN_SHARE * self.clock.left)):
            for one, other in combinations(self._known_lines(first), 2):
                if self._fit_both(one + other, first, others):
                    found.append(one + other)
        return self._confirmed(found, around, 0.75)

    def _pair(self, first: Probe, others: Sequence[Probe], peeled: Sequence[Suspect]) -> tuple[Suspect, Suspect] | None:
        """Return two that give all results: one of them is among those that give some, or all where inputs are 0."""
        several = sorted(first.wrong) if len(first.wrong) > 1 else []
        with self._within(_PAIR_SHARE * self.clock.left):
            known = self._telling(first, [*self._known_lines(first)])
            for group in chain([peeled], (self._partly(first, name) for name in several)):
                for one in self._telling(first, group)[:_TOGETHER]:
                    for other in chain(known, self._single(first)):
                        if self._fit_both(one + other, first, others):
                            return one, other
        return None

    def _fit_both(self, both: Suspect, first: Probe, others: Sequence[Probe]) -> bool:
        self.clock.check()
        return first.fits(both) and self._fits_all(both, others)

    def _telling(self, probe: Probe, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Those of which no other, that is simpler, gives the same results at a probe."""
        return [group[0] for group in self._grouped(probe, suspects)]

    def _grouped(self, probe: Probe, suspects: Sequence[Suspect]) -> list[list[Suspect]]:
        """Those that give the same results at a probe together, the simplest first."""
        found = dict[bytes, list[Suspect]]()
        for suspect in sorted(suspects, key=lambda one: one.simplicity):
            given = probe.given_by(suspect)
            if given is not None:
                found.setdefault(b"".join(np.float32(array).tobytes() for array in given.values()), []).append(suspect)
        return list(found.values())

    def _partly(self, first: Probe, name: str) -> list[Suspect]:
        """Return what gives one of the results."""
        self.clock.check()
        return [suspect for suspect in self._single(first) if name in first.fitting(suspect, (name,))]

    def _peeled(self, case: Case, part: EditedPart, beside: Suspect) -> tuple[list[Suspect], tuple[str, ...]]:
        """Return what gives all results where as few inputs as possible are 0, and these inputs.

        First as many inputs are 0 as leave something wrong, and thus as few faults as possible; then each is let
        back that leaves a suspect.
        """
        zero: tuple[str, ...] = ()
        for name in case.call.float_inputs:
            probes = self._zeroed(case, part, (*zero, name))
            if probes and probes[0].is_clear and not probes[0].fits(beside):
                zero = (*zero, name)
        probes = self._zeroed(case, part, zero)
        found = [one for one in self._single(probes[0]) if self._fits_all(one + beside, probes)] if zero else []
        if zero and not found:
            found = self._with_gates(probes, beside)
        for name in zero if found else ():
            fewer = tuple(other for other in zero if other != name)
            probes = self._zeroed(case, part, fewer)
            kept = [one for one in found if self._fits_all(one + beside, probes)]
            found, zero = (kept, fewer) if kept else (found, zero)
        return found, zero

    def _with_gates(self, probes: Sequence[Probe], beside: Suspect) -> list[Suspect]:
        """Return edits that give all results together with another order of the gates, which changes every result."""
        one_step = {"T": 1} if "T" in probes[0].case.sizes and probes[0].case.steps == "all" else {}
        case = replace(probes[0].case, sizes={**probes[0].case.sizes, **one_step})
        first = self.probe(case, probes[0].part)
        if first is None:
            return []
        telling = self._telling(first, [*self._edited(first, single_edits), *self._edited(first, coarse_edits)])
        for order in map(Suspect.of, gates.misread(first.call)):
            for edit in telling:
                if self._fits_all(order + edit + beside, [first, *probes]):
                    return [order + edit]
        return []

    def _zeroed(self, case: Case, part: EditedPart, zero: Sequence[str]) -> list[Probe]:
        """A case with inputs at 0, at several seeds."""
        cases = [replace(case, zero=(*case.zero, *zero), seed=case.seed + number) for number in range(_SEEDS)]
        return self._probes(cases, part)

    def _single(self, probe: Probe) -> Iterator[Suspect]:
        """Yield every edit and misreading that may be told at a probe."""
        yield from self._misread(probe)
        for kind in (single_edits, summed_edits, coarse_edits, gate_edits):
            yield from self._edited(probe, kind)

    def _misread(self, probe: Probe) -> Iterator[Suspect]:
        """Yield every misreading that may be told at a probe."""
        return map(Suspect.of, misreadings(probe.call) if probe.part == "values" else wrong_gradients(probe.call))

    def _edited(self, probe: Probe, kind: Editing) -> Iterator[Suspect]:
        """Yield every edit of a kind that may be told at a probe."""
        if probe.part == "values" or self.op.gradient:
            for edit in self._edits_for(probe, kind):
                if edit.part == probe.part or (edit.defines and probe.part == "gradients"):
                    yield Suspect.of(edit)

    def _edits_for(self, probe: Probe, kind: Editing) -> list[Edit]:
        """The edits of a kind of lines that hold under a probe's attributes."""
        key = kind.__name__, settings_of(probe.call.attributes)
        if key not in self._edits:
            attributes = probe.call.attributes
            self._edits[key] = list(kind(choosing(self.op, attributes), attributes))
        return self._edits[key]


def _limited(suspects: Sequence[Suspect], cause: Cause) -> list[Suspect]:
    """The suspects where a cause holds alone, without those that would say more than a cause with one value does."""
    turning = (any(misreading.turns for misreading in suspect.misreadings) for suspect in suspects)
    return [suspect.limited(cause) for suspect, turns in zip(suspects, turning, strict=True) if not turns]
