"""The equation that a backend computes: the edits and misreadings of the specification that give its numbers.

Each single edit of an operation's equations, and each misreading of a call, is worked out on a small failing call, and
then on more calls, of which some are right. What gives the backend's numbers on all of them is a suspect. What gives
them where the fault's cause holds is one there. Where nothing does, two that stand together are looked for: one of them
alone gives what comes where an input is 0, or gives some of the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Final

from rnnspec.conformance.cases import Case
from rnnspec.conformance.diagnosis.causes import Cause
from rnnspec.conformance.diagnosis.misreadings import misreadings, wrong_gradients
from rnnspec.conformance.diagnosis.oracle import Clock, Oracle, OutOfTimeError
from rnnspec.conformance.diagnosis.probe import Probe
from rnnspec.conformance.diagnosis.suspect import Suspect
from rnnspec.conformance.edits.running import Runner
from rnnspec.conformance.edits.single import Edit, EditedPart, choosing, coarse_edits, gate_edits, single_edits
from rnnspec.conformance.faults.catalogue import FAULTS
from rnnspec.spec import Operation, operation
from rnnspec.spec.operation import Settings, settings_of

PAIRS: Final = 5.0
"""The time, in seconds, for which what stands together is looked for."""

_SEEDS: Final = 3
"""Seeds at which what is suspected where inputs are 0 must give the answers."""

_TOGETHER: Final = 6
"""How many of the suspects of a part of the results are tried together with another."""


class Searcher:
    """Looks for suspects of one operation."""

    def __init__(self, name: str, oracle: Oracle, clock: Clock) -> None:
        self.op: Operation = operation(name)
        self.oracle, self.clock = oracle, clock
        self.runner = Runner(self.op)
        self._edits: dict[Settings, list[Edit]] = {}

    def probe(self, case: Case, part: EditedPart) -> Probe | None:
        """Return a case with what the backend answered; None where that is nothing to compare."""
        came = self.oracle.answer(case, part)
        if came is None:
            return None
        probe = Probe(case, part, self.runner, came)
        return probe if probe.is_complete else None

    def gives(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect gives what the backend answered to a case."""
        probe = self.probe(case, part)
        return probe is not None and (probe.fits(suspect) or probe.nearly_fits(suspect))

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
            What of the answers is wrong.
        cause
            What the fault depends on.
        beside
            What is known already to be wrong.
        """
        probes = self._probes(core, part)
        clear = [probe for probe in probes if probe.is_clear]
        if not clear:
            return []
        probes.sort(key=lambda probe: probe is not clear[0])
        neighbours = self._probes(others, part)

        def among(suspects: Iterator[Suspect]) -> list[Suspect]:
            return [suspect for suspect in suspects if self._fits_all(suspect + beside, probes)]

        single = among(self._single(clear[0]))
        planted = [] if beside else among(self._planted())
        found = next(
            filter(None, (self._fitting(some, neighbours, cause, beside) for some in (single, planted))), []
        ) or self._mostly_fitting(single, neighbours, cause, beside)
        if not found:
            found = self._together(clear[0], [*probes, *neighbours], beside)
        return sorted(found, key=lambda one: one.simplicity)

    def _fitting(
        self, suspects: Sequence[Suspect], neighbours: Sequence[Probe], cause: Cause, beside: Suspect
    ) -> list[Suspect]:
        """Return those that give the answers to all neighbours or, if none does, to all if limited to the cause."""
        for some in (suspects, [suspect.limited(cause) for suspect in suspects]):
            found = [suspect for suspect in some if self._fits_all(suspect + beside, neighbours)]
            if found:
                return found
        return []

    def _mostly_fitting(
        self, suspects: Sequence[Suspect], neighbours: Sequence[Probe], cause: Cause, beside: Suspect
    ) -> list[Suspect]:
        """Return those that give all answers that are right, and most that are wrong where the cause holds.

        They are one of several faults: others have a part in the rest.
        """
        right = [probe for probe in neighbours if not probe.wrong]
        wrong = [probe for probe in neighbours if probe.wrong and cause.holds(probe.case)]
        for some in (suspects, [suspect.limited(cause) for suspect in suspects]):
            found = [
                suspect
                for suspect in some
                if self._fits_all(suspect + beside, right)
                and 2 * sum(probe.fits(suspect + beside) for probe in wrong) >= len(wrong)
            ]
            if found:
                return found
        return []

    def _fits_all(self, suspect: Suspect, probes: Sequence[Probe]) -> bool:
        self.clock.check()
        return all(probe.fits(suspect) for probe in probes)

    def _probes(self, cases: Sequence[Case], part: EditedPart) -> list[Probe]:
        return [probe for case in cases if (probe := self.probe(case, part)) is not None]

    def _planted(self) -> Iterator[Suspect]:
        """Yield the faults of the catalogue."""
        for fault in FAULTS:
            if fault.operation == self.op.name:
                self.clock.check()
                yield Suspect.of(fault)

    def _together(self, first: Probe, others: Sequence[Probe], beside: Suspect) -> list[Suspect]:
        """Return what is wrong beside other faults: what gives all where some inputs are 0, or else two at once."""
        clock, self.clock = self.clock, Clock(min(PAIRS, self.clock.left))
        found = list[Suspect]()
        with suppress(OutOfTimeError):
            peeled, zero = self._peeled(first.case, first.part, beside)
            # With few inputs at 0, what fits by chance at several calls is next to impossible.
            if 2 * len(zero) <= len(first.call.float_inputs):
                found = peeled
            if not found and not beside:
                found = [*filter(None, [self._pair(first, others, peeled)])]
        self.clock = clock
        return found

    def _pair(self, first: Probe, others: Sequence[Probe], peeled: Sequence[Suspect]) -> Suspect | None:
        """Return two that give all results: one of them is among those that give some, or all where inputs are 0."""
        several = sorted(first.wrong) if len(first.wrong) > 1 else []
        for group in chain([peeled], (self._partly(first, name) for name in several)):
            for one in sorted(group, key=lambda suspect: suspect.simplicity)[:_TOGETHER]:
                for other in self._single(first):
                    if first.fits(one + other) and self._fits_all(one + other, others):
                        return one + other
        return None

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
        for name in zero if found else ():
            fewer = tuple(other for other in zero if other != name)
            probes = self._zeroed(case, part, fewer)
            kept = [one for one in found if self._fits_all(one + beside, probes)]
            found, zero = (kept, fewer) if kept else (found, zero)
        return found, zero

    def _zeroed(self, case: Case, part: EditedPart, zero: Sequence[str]) -> list[Probe]:
        """A case with inputs at 0, at several seeds."""
        cases = [replace(case, zero=(*case.zero, *zero), seed=case.seed + number) for number in range(_SEEDS)]
        return self._probes(cases, part)

    def _single(self, probe: Probe) -> Iterator[Suspect]:
        """Yield every edit and misreading that may be told at a probe."""
        if probe.part == "values":
            yield from (Suspect.of(one) for one in misreadings(probe.call))
        else:
            yield from (Suspect.of(one) for one in wrong_gradients(probe.call))
        if probe.part == "values" or self.op.gradient:
            yield from (
                Suspect.of(edit)
                for edit in self._edits_for(probe)
                if edit.part == probe.part or (edit.defines and probe.part == "gradients")
            )

    def _edits_for(self, probe: Probe) -> list[Edit]:
        """The edits of lines that hold under a probe's attributes."""
        key = settings_of(probe.call.attributes)
        if key not in self._edits:
            op = choosing(self.op, probe.call.attributes)
            kinds = (single_edits, coarse_edits, gate_edits)
            self._edits[key] = [edit for kind in kinds for edit in kind(op, probe.call.attributes)]
        return self._edits[key]
