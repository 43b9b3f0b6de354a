"""The executable specification: what is right.

Each operation is a table in a TOML file here; `operation` and `operations` read them, `evaluate` and
`evaluate_gradient` execute their equations as they stand, and `check_call` tells whether a call is one they define.
"""

from rnnspec.spec.call import FLOAT_TYPES, Checked, check_attributes, check_call, complete_sizes
from rnnspec.spec.composition import resolved
from rnnspec.spec.errors import CallError, SpecError
from rnnspec.spec.evaluate import evaluate, evaluate_gradient
from rnnspec.spec.loading import UnknownOperationError, operation, operations
from rnnspec.spec.operation import Operation
from rnnspec.spec.system import System, system

__all__ = [
    "FLOAT_TYPES",
    "CallError",
    "Checked",
    "Operation",
    "SpecError",
    "System",
    "UnknownOperationError",
    "check_attributes",
    "check_call",
    "complete_sizes",
    "evaluate",
    "evaluate_gradient",
    "operation",
    "operations",
    "resolved",
    "system",
]
