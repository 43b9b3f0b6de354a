"""Running checks: the number of cases, the record of failures, and the verdict."""

from rnnspec.conformance.run.profile import PROFILES, Profile
from rnnspec.conformance.run.result import CheckResult, Verdict
from rnnspec.conformance.run.runner import run_check

__all__ = ["PROFILES", "CheckResult", "Profile", "Verdict", "run_check"]
