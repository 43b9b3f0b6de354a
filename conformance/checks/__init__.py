"""The checks, which are the questions to a backend. One module each; ids are shared by tests, reports and docs."""

from rnnspec.conformance.checks.asked import Violation
from rnnspec.conformance.checks.attributes import Attributes
from rnnspec.conformance.checks.bad_input import BadInput
from rnnspec.conformance.checks.batch import Batch
from rnnspec.conformance.checks.callers import Callers
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.clipping import Clipping
from rnnspec.conformance.checks.drawn import Drawn
from rnnspec.conformance.checks.drift import Drift
from rnnspec.conformance.checks.edges import Edges
from rnnspec.conformance.checks.forms import Forms
from rnnspec.conformance.checks.functions import Functions
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.identities import Identities, MarginalsAreGradients
from rnnspec.conformance.checks.jacobian import Jacobian
from rnnspec.conformance.checks.layouts import Layouts
from rnnspec.conformance.checks.padding import Padding, PaddingNan
from rnnspec.conformance.checks.partial_gradients import PartialGradients
from rnnspec.conformance.checks.paths import BestPath, Ties
from rnnspec.conformance.checks.reading import Permutation, Reverse
from rnnspec.conformance.checks.repetition import Repeatability, Unmodified
from rnnspec.conformance.checks.second_order import SecondOrder
from rnnspec.conformance.checks.shifts import Shift
from rnnspec.conformance.checks.special_values import SpecialValues
from rnnspec.conformance.checks.split import Split
from rnnspec.conformance.checks.sums import PathSums, SumsToOne
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.checks.zeros import Zeros

CHECKS: tuple[Check, ...] = (
    Values(), Gradients(), Forms(), Unmodified(), Drift(), Edges(), Zeros(), Padding(), PaddingNan(),
    Attributes(), Functions(), Batch(), Split(), Reverse(), Permutation(), Shift(), SumsToOne(), PathSums(),
    Clipping(), Jacobian(), Identities(), MarginalsAreGradients(), BestPath(), Ties(), PartialGradients(),
    SecondOrder(), SpecialValues(), Layouts(), Callers(), Repeatability(), BadInput(), Drawn(),
)  # fmt: skip
"""Every check, in the order in which they run."""

__all__ = ["CHECKS", "Check", "Violation"]
