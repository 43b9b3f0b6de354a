"""The executable specification of all operations.

Each operation is a table in a TOML file of this folder. `operation` and `operations` read the tables, `evaluate` and
`evaluate_gradient` execute their equations literally, and `check_call` decides whether they define a call.
"""

from rnnspec.spec.call import FLOAT_TYPES, Checked, check_attributes, check_call, complete_sizes
from rnnspec.spec.composition import resolved
from rnnspec.spec.errors import CallError, SpecError
from rnnspec.spec.evaluate import evaluate, evaluate_gradient
from rnnspec.spec.loading import UnknownOperationError, operation, operations
from rnnspec.spec.operation import Operation, with_function
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
    "with_function",
]
