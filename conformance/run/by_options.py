"""One check of a plan, run as the options say: the plugin of pytest and the Python interface ask alike."""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.options import Options
from rnnspec.conformance.run.expected import expected_failures
from rnnspec.conformance.run.plan import Item, PlanError
from rnnspec.conformance.run.profile import PROFILES, Profile
from rnnspec.conformance.run.result import CheckResult
from rnnspec.conformance.run.runner import Failed, run_check
from rnnspec.spec.errors import one_of


def profile_of(options: Options) -> Profile:
    """Return the profile that is asked for; raise PlanError if there is none of that name."""
    if options.profile not in PROFILES:
        raise PlanError(f"unknown profile {options.profile!r}: {one_of(options.profile, PROFILES)}")
    return PROFILES[options.profile].up_to(options.largest).of_types(options.dtypes)


def ask(item: Item, backend: Backend, options: Options, failed: list[Failed]) -> CheckResult:
    """Run one check of the plan, add it to `failed` if it failed, and return its result."""
    return run_check(
        next(check for check in CHECKS if check.id == item.check),
        backend,
        item.operation,
        item.dtype,
        profile_of(options),
        seed_number=options.seed,
        repro_dir=options.repro_dir,
        replay_dir=options.replay_dir,
        expected=expected_failures(backend, options.expected),
        failed=failed,
    )
